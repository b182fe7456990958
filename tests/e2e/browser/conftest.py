"""Chromium without a window, gone after these tests: its loop must not be there when asynchronous tests run."""

import shutil
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from tests.e2e.browser.demo import Demo, demonstration
from tests.waiting import PATIENCE_S

WAIT_MS = PATIENCE_S * 1_000
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
OpenPage = Callable[..., Page]


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """One demonstration for all tests in a browser."""
    with demonstration(tmp_path_factory.mktemp("demo")) as served:
        yield served


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Debian's Chromium: Playwright's own download of a browser is not needed."""
    if CHROMIUM is None:
        pytest.skip("no chromium: scripts/browser installs it where it may")
    expect.set_options(timeout=WAIT_MS)
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield launched
        launched.close()


@pytest.fixture(scope="package")
def window(browser: Browser) -> Iterator[BrowserContext]:
    """One window for all: a new one would read and compile the script of the charts again, for seconds."""
    context = browser.new_context(timezone_id="Europe/Lisbon")
    context.set_default_timeout(WAIT_MS)
    yield context
    context.close()


@pytest.fixture
def open_page(window: BrowserContext, demo: Demo) -> Iterator[OpenPage]:
    """Open a page as somebody new: signed in unless told otherwise, with a scheme and a width."""

    def opened(path: str = "overview", *, scheme: str = "light", width: int = 1280, signed_in: bool = True) -> Page:
        window.clear_cookies()
        if signed_in:
            window.add_cookies([{"name": "tierwise_admin", "value": demo.cookie, "url": f"{demo.url}/admin"}])
        page = window.new_page()
        page.set_viewport_size({"width": width, "height": 900})
        page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        page.goto(f"{demo.url}/admin/{path}")
        return page

    yield opened
    for page in window.pages:
        page.close()
