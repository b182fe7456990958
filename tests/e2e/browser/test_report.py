"""The report page in a browser: nothing serious for axe in light and dark, no wider than a phone, whole on paper."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from scripts.showcase.serving import environment
from tests.e2e.browser.demo import CONFIG
from tests.e2e.browser.soundness import COLOURS, LAYOUT, PHONE, grave, too_wide


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of some made-up requests."""
    directory = tmp_path_factory.mktemp("report")
    config = directory / "tierwise.toml"
    config.write_text(CONFIG.format(directory=directory), encoding="utf-8")
    options, run = ["--config", str(config)], {"check": True, "capture_output": True, "env": environment()}
    seed = [sys.executable, "-m", "scripts.showcase.seed", "--requests", "400", "--days", "8", *options]
    subprocess.run(seed, **run)  # type: ignore[call-overload]
    made = directory / "report.html"
    report = [str(Path(sys.executable).with_name("tierwise")), "report", "--format", "html", "-o", str(made), *options]
    subprocess.run(report, **run)  # type: ignore[call-overload]
    return made


@pytest.fixture
def shown(browser: Browser, written: Path) -> Callable[..., Page]:
    """Open the page without any network."""

    def at(scheme: str, width: int) -> Page:
        context = browser.new_context(color_scheme=scheme, viewport={"width": width, "height": 900}, offline=True)  # type: ignore[arg-type]
        page = context.new_page()
        page.goto(written.as_uri())
        return page

    return at


def test_the_page_is_sound_for_everybody(shown: Callable[..., Page]) -> None:
    page = shown("light", 1280)
    assert [*grave(page), *too_wide(page)] == []
    page.emulate_media(color_scheme="dark")
    assert grave(page, COLOURS) == []
    page.set_viewport_size(PHONE)
    page.reload()
    assert [*grave(page, LAYOUT), *too_wide(page)] == []


def test_on_paper_it_is_light_and_nothing_is_cut(shown: Callable[..., Page]) -> None:
    page = shown("dark", 794)
    page.emulate_media(media="print", color_scheme="dark")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    paper = page.evaluate("document.documentElement.clientWidth")
    wide = (
        "[...document.querySelectorAll('table, figure, svg')].filter(e => e.getBoundingClientRect().right > innerWidth)"
    )
    assert page.evaluate(f"{wide}.length") == 0, paper
    assert page.pdf(format="A4")[:4] == b"%PDF"
