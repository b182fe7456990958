"""Chromium without a window, for each module anew: its loop must not be there when asynchronous tests run."""

import shutil
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

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


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Debian's Chromium: Playwright's own download of a browser is not needed."""
    if CHROMIUM is None:
        pytest.skip("no chromium: scripts/browser installs it where it may")
    expect.set_options(timeout=WAIT_MS)
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield launched
        launched.close()


@pytest.fixture
def open_page(browser: Browser, demo: Demo) -> Iterator[OpenPage]:
    """Open a page in a browser of its own: signed in unless told otherwise, with a scheme and a width."""
    contexts = []

    def opened(path: str = "overview", *, scheme: str = "light", width: int = 1280, signed_in: bool = True) -> Page:
        context = browser.new_context(
            color_scheme=scheme,  # type: ignore[arg-type]
            viewport={"width": width, "height": 900},
            timezone_id="Europe/Lisbon",
        )
        contexts.append(context)
        if signed_in:
            context.add_cookies([{"name": "tierwise_admin", "value": demo.cookie, "url": f"{demo.url}/admin"}])
        context.set_default_timeout(WAIT_MS)
        page = context.new_page()
        page.goto(f"{demo.url}/admin/{path}")
        return page

    yield opened
    for context in contexts:
        context.close()
