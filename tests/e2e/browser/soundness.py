"""What is wrong with a page for somebody: what axe calls grave, and what is wider than the screen."""

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, ViewportSize

DESK, PHONE = ViewportSize(width=1280, height=900), ViewportSize(width=390, height=900)
GRAVE = ("serious", "critical")
COLOURS = ("color-contrast",)  # these know no width, and the others no scheme
LAYOUT = ("scrollable-region-focusable", "meta-viewport", "link-name", "button-name", "label")


def grave(page: Page, rules: tuple[str, ...] = ()) -> list[str]:
    """List what axe finds grave, by all its rules or by some; to list what is well takes most of its time."""
    options: dict[str, object] = {"resultTypes": ["violations"]}
    if rules:
        options["runOnly"] = list(rules)
    violations = Axe().run(page, options=options).response["violations"]
    return [f"{found['id']} {found['nodes'][0]['html'][:120]}" for found in violations if found["impact"] in GRAVE]


def too_wide(page: Page) -> list[str]:
    """Say how wide a page is, if one has to scroll sideways."""
    width, screen = page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
    return [f"is {width} pixels wide"] if width > screen else []
