"""Makes the pictures of the README: the Thresholds page and a report, over a ledger of made-up traffic."""

import os
import subprocess
from io import BytesIO
from pathlib import Path
from typing import Annotated

import typer
from PIL import Image
from playwright.sync_api import Browser

from scripts.showcase.tour import LOOKS, TIERWISE, Walk, demonstration

HEIGHT_PX = 1_360
MOST_BYTES = 200_000
COLORS = 192  # a palette: a quarter of the bytes, and no difference to be seen


def pictures(
    directory: Annotated[Path, typer.Argument(help="Where the pictures go.")] = Path("docs/images"),
    requests: Annotated[int, typer.Option(min=1_000, help="How many requests the demonstration has.")] = 20_000,
) -> None:
    """Seed, serve, and take a picture of the Thresholds page and of the report of the same books."""
    directory.mkdir(parents=True, exist_ok=True)
    with demonstration(requests, days=14) as shown:
        _keep(_thresholds(shown.browser, shown.url), directory / "thresholds.png")
        _keep(_report(shown.browser, shown.place), directory / "report.png")


def _thresholds(browser: Browser, url: str) -> bytes:
    walk = Walk(browser, url, Path())
    walk.enter()
    walk.page.set_viewport_size({"width": LOOKS["desktop"][0], "height": HEIGHT_PX})
    walk.go("thresholds")
    walk.settled()
    taken = walk.page.screenshot()
    walk.close()
    return taken


def _report(browser: Browser, place: Path) -> bytes:
    file, environ = place / "report.html", {**os.environ, "TIERWISE_DATABASE_URL": "sqlite:///books.db"}
    command = [str(TIERWISE), "report", "--since", "7d", "--format", "html", "-o", file.name]
    subprocess.run([*command, "--config", "tierwise.toml"], check=True, cwd=place, env=environ)
    page = browser.new_page(viewport={"width": LOOKS["desktop"][0], "height": HEIGHT_PX})
    page.goto(file.as_uri())
    page.wait_for_load_state("networkidle")
    taken = page.screenshot()
    page.close()
    return taken


def _keep(taken: bytes, path: Path) -> None:
    """Write a picture with few colours; raises ValueError where it is still too large for a repository."""
    Image.open(BytesIO(taken)).convert("RGB").quantize(COLORS).save(path, optimize=True)
    size = path.stat().st_size
    if size > MOST_BYTES:
        raise ValueError(f"{path.name} has {size:,} bytes: at most {MOST_BYTES:,} are kept")
    print(f"{path}: {size:,} bytes")


if __name__ == "__main__":
    typer.run(pictures)
