"""Walks the admin pages in a browser, as an operator whose margin fell would, and takes a picture at every step.

The ledger is a demonstration: made-up traffic, marked synthetic, in a directory of its own that is gone at the end.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from playwright.sync_api import Browser, Page, expect, sync_playwright

from router.admin.registry import PAGES
from scripts.showcase.serving import announced

TIERWISE = Path(sys.executable).with_name("tierwise")
SECRET = "a secret for the tour only"
CONFIG = """
database_url = "sqlite:///{directory}/books.db"
state_dir = "{directory}/state"
[server]
port = 0
[tiers.fast]
model = "scripted/fast-80ms"
[tiers.reasoning]
model = "scripted/thinker-400ms"
max_thinking_tokens = 2048
[tiers.parallel]
models = ["scripted/solver"]
[segments.free]
[segments.plus]
[segments.enterprise]
"""
LOOKS = {"desktop": (1280, 860), "phone": (390, 844)}
SCHEMES = ("light", "dark")
QUESTION = (
    "A train leaves at 9:40 and travels 312 km at 78 km/h, waits 25 minutes and returns at 96 km/h. When is it back?"
)
STOPS_WITHIN_S = 60.0
SLOW_MS = 120_000


def tour(
    directory: Annotated[Path, typer.Argument(help="Where the pictures go.")],
    requests: Annotated[int, typer.Option(min=1_000, help="How many requests the demonstration has.")] = 60_000,
    days: Annotated[int, typer.Option(min=8, help="Spread over so many days up to now.")] = 14,
) -> None:
    """Seed, serve, walk, and leave pictures of every page: desktop and phone, light and dark."""
    directory.mkdir(parents=True, exist_ok=True)
    with demonstration(requests, days) as shown:
        problems = walked(shown.browser, shown.url, directory) + looked_at(shown.browser, shown.url, directory)
    pictures = sorted(directory.glob("*.png"))
    print(f"{len(pictures)} pictures in {directory}")
    if problems:
        sys.exit("\n".join(["the browser complained:", *problems]))


@dataclass(frozen=True, slots=True)
class Served:
    """Where a server listens, and its process."""

    url: str
    pid: int


@dataclass(frozen=True, slots=True)
class Demonstration:
    """Books of made-up traffic in a directory of their own, where they are served, and a browser to look at them."""

    place: Path
    url: str
    browser: Browser


@contextmanager
def demonstration(requests: int, days: int) -> Iterator[Demonstration]:
    """Seed and serve books, and open Chromium; all of it is gone at the end."""
    chromium = shutil.which("chromium")
    if chromium is None:
        sys.exit("no chromium here: install Debian's package of that name")
    with (
        tempfile.TemporaryDirectory(prefix="tierwise-tour-") as place,
        served(Path(place), requests, days) as server,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield Demonstration(Path(place), server.url, browser)
        browser.close()


@contextmanager
def served(place: Path, requests: int, days: int) -> Iterator[Served]:
    """Seed a ledger (not again where there are no requests to make) and serve it on a free port until the end."""
    config = place / "tierwise.toml"
    config.write_text(CONFIG.format(directory=place), encoding="utf-8")
    seeding = [sys.executable, "-m", "scripts.showcase.seed", "--requests", str(requests), "--days", str(days)]
    if requests:
        subprocess.run([*seeding, "--config", str(config)], check=True)
    environ = {name: value for name, value in os.environ.items() if not name.startswith("TIERWISE_")}
    environ["TIERWISE_ADMIN_SECRET"] = SECRET
    with (place / "serve.log").open("w", encoding="utf-8") as log:
        command = [str(TIERWISE), "serve", "--config", str(config)]
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, env=environ)
        try:
            yield Served(announced(process, place / "serve.log"), process.pid)
        finally:
            process.terminate()
            process.wait(STOPS_WITHIN_S)


class Walk:
    """One browser window that takes numbered pictures and notes what the browser complains about."""

    def __init__(
        self, browser: Browser, url: str, directory: Path, look: str = "desktop", scheme: str = "light"
    ) -> None:
        width, height = LOOKS[look]
        self._context = browser.new_context(
            viewport={"width": width, "height": height},
            color_scheme="dark" if scheme == "dark" else "light",
            is_mobile=look == "phone",
            has_touch=look == "phone",
        )
        self.page: Page = self._context.new_page()
        self.page.set_default_timeout(SLOW_MS)
        self.problems: list[str] = []
        self.page.on("pageerror", lambda error: self.problems.append(f"{self.page.url}: {error}"))
        self.page.on(
            "console", lambda m: self.problems.append(f"{self.page.url}: {m.text}") if m.type == "error" else None
        )
        self.page.on("dialog", lambda dialog: dialog.accept())
        self._url, self._directory, self._taken = url, directory, 0

    def go(self, path: str) -> None:
        """Open a page."""
        self.page.goto(f"{self._url}/admin/{path}")

    def enter(self, picture: str | None = None) -> None:
        """Sign in."""
        self.go("sign-in")
        if picture:
            self.take(picture)
        self.page.get_by_label("Secret").fill(SECRET)
        self.page.get_by_label("Your name").fill("Ada")
        self.page.get_by_role("button", name="Sign in").click()
        expect(self.page).to_have_url(f"{self._url}/admin/overview")

    def take(self, name: str, *, full: bool = True) -> None:
        """Take the next picture."""
        self._taken += 1
        self.page.screenshot(path=self._directory / f"{self._taken:02}-{name}.png", full_page=full)

    def picture(self, name: str) -> None:
        """Take a picture under a name alone."""
        self.page.screenshot(path=self._directory / f"{name}.png", full_page=True)

    def settled(self) -> None:
        """Wait until what a page loads by itself is there."""
        if "/thresholds" in self.page.url:
            expect(self.page.locator("#effect:not(.stale) #figures tr").nth(5)).to_be_visible(timeout=SLOW_MS)
        self.page.wait_for_load_state("networkidle")

    def close(self) -> None:
        """Close the window."""
        self._context.close()


def walked(browser: Browser, url: str, directory: Path) -> list[str]:
    """The loop: margin fell; move a line, back-test, save, try, activate, roll back."""
    walk = Walk(browser, url, directory)
    page = walk.page
    walk.enter("sign-in")
    walk.settled()
    walk.take("margin-fell")
    walk.go("thresholds")
    walk.take("reading-the-books", full=False)
    walk.settled()
    walk.take("thresholds-today")
    drag(page, "Reasoning threshold", 70)
    walk.settled()
    walk.take("line-dragged", full=False)
    page.get_by_role("slider", name="Parallel threshold").focus()
    for _ in range(4):
        page.keyboard.press("ArrowRight")
    walk.settled()
    walk.take("line-moved-by-keyboard", full=False)
    page.get_by_label("Margin, at least").fill("25 %")
    page.get_by_role("button", name="Find the thresholds").click()
    expect(page.locator("#solution > *, #solve-state.negative").first).to_be_visible(timeout=SLOW_MS)
    page.locator("#solution").scroll_into_view_if_needed()
    walk.take("solved-for-a-margin", full=False)
    page.get_by_role("button", name="Back-test row by row").click()
    expect(page.locator("#backtest-result table").first).to_be_visible(timeout=SLOW_MS)
    walk.take("back-test")
    page.locator("#note").fill("margin fell: deep answers cost more than they earn")
    page.get_by_role("button", name="Save as a version").click()
    expect(page.get_by_role("status").first).to_contain_text("is saved")
    walk.settled()
    walk.take("saved")
    page.get_by_text("Try or activate").first.click()
    page.get_by_label("Share of conversations").first.fill("30 %")
    page.get_by_role("button", name="Start the trial").first.click()
    expect(page.get_by_role("heading", name="is on trial")).to_be_visible()
    asked(url, 80)
    expect(page.locator("#arms table")).to_be_visible(timeout=SLOW_MS)
    page.wait_for_timeout(6_000)
    walk.take("canary", full=False)
    page.locator("#why-activate-trial").fill("the tour does not wait for its guards")
    page.get_by_label("too early to tell").check()
    page.get_by_role("button", name="Activate version").first.click()
    expect(page.get_by_role("status").first).to_contain_text("is in force")
    walk.settled()
    walk.take("activated", full=False)
    page.locator("#why-roll-back").fill("more regenerates than before")
    page.get_by_role("button", name="Roll back to").click()
    expect(page.get_by_role("status").first).to_contain_text("in force again")
    walk.settled()
    walk.take("rolled-back", full=False)
    walk.go("history")
    walk.take("history")
    walk.go("try")
    page.get_by_label("Query", exact=True).fill(QUESTION)
    page.get_by_role("button", name="Try it").click()
    expect(page.locator("#outcome")).to_be_visible()
    walk.take("try-a-query")
    walk.close()
    return walk.problems


def drag(page: Page, name: str, by_px: int) -> None:
    """Drag a line with the mouse, once it is in sight."""
    grip = page.get_by_role("slider", name=name).locator(".grip")
    grip.scroll_into_view_if_needed()
    box = grip.bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + by_px, y + 5, steps=12)
    page.mouse.up()


def asked(url: str, count: int) -> None:
    """Send ordinary queries, so that the trial has something to see."""
    for number in range(count):
        body = {"model": "auto", "messages": [{"role": "user", "content": f"{QUESTION} Variant {number}, please."}]}
        request = urllib.request.Request(
            f"{url}/v1/chat/completions", json.dumps(body).encode(), {"content-type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=30) as reply:
            reply.read()


def looked_at(browser: Browser, url: str, directory: Path) -> list[str]:
    """Every page in every look."""
    problems: list[str] = []
    for look in LOOKS:
        for scheme in SCHEMES:
            walk = Walk(browser, url, directory, look, scheme)
            walk.enter()
            for name in (page.address for page in PAGES):
                walk.go(name)
                walk.settled()
                walk.page.wait_for_timeout(300)
                walk.picture(f"{name}-{look}-{scheme}")
            walk.close()
            problems += walk.problems
    return problems


if __name__ == "__main__":
    typer.run(tour)
