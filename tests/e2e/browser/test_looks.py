"""Every page, light and dark, on a desk and on a phone: nothing serious for axe, nothing wider than the screen."""

from collections.abc import Callable

from playwright.sync_api import Page, expect

from router.admin.registry import PAGES
from tests.e2e.browser.demo import Demo
from tests.e2e.browser.soundness import COLOURS, DESK, LAYOUT, PHONE, grave, too_wide


def test_every_page_looks_right(open_page: Callable[..., Page], demo: Demo) -> None:
    page, said = open_page(), list[str]()
    page.on("console", lambda message: said.append(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: said.append(str(error)))
    found = []
    for listed in PAGES:
        page.set_viewport_size(DESK)
        page.emulate_media(color_scheme="light")
        page.goto(f"{demo.url}/admin/{listed.address}")
        settled(page)
        found += [f"{listed.name}: {problem}" for problem in (*grave(page), *too_wide(page))]
        page.emulate_media(color_scheme="dark")
        found += [f"{listed.name}, dark: {problem}" for problem in grave(page, COLOURS)]
        page.set_viewport_size(PHONE)
        page.goto(f"{demo.url}/admin/{listed.address}")
        settled(page)
        found += [f"{listed.name}, narrow: {problem}" for problem in (*grave(page, LAYOUT), *too_wide(page), *said)]
        said.clear()
    assert found == []


def settled(page: Page) -> None:
    """Wait until every chart is drawn, or says why it is not."""
    expect(page.locator(".plot > .state", has_text="Loading")).to_have_count(0)


def test_the_door_looks_right(open_page: Callable[..., Page]) -> None:
    for scheme in ("light", "dark"):
        page = open_page(scheme=scheme, width=390, signed_in=False)
        assert [*grave(page), *too_wide(page)] == []


def test_charts_are_drawn_and_follow_the_scheme(open_page: Callable[..., Page]) -> None:
    page = open_page("overview")
    page.wait_for_selector("#money .main-svg")
    page.wait_for_selector("#depth .main-svg")
    ink = "document.querySelector('#money')._fullLayout?.font.color"
    before = page.evaluate(ink)
    page.emulate_media(color_scheme="dark")
    page.wait_for_function(f"before => {ink} !== before", arg=before)


def test_a_chart_that_cannot_be_read_says_so(open_page: Callable[..., Page], demo: Demo) -> None:
    page = open_page("audit")
    page.route("**/admin/api/overview*", lambda route: route.abort())
    page.goto(f"{demo.url}/admin/overview")
    expect(page.locator("#money .state.bad")).to_have_text("The server does not answer.")


def test_times_come_in_the_configured_zone_until_the_foot_chooses_another(open_page: Callable[..., Page]) -> None:
    page = open_page("overview")
    assert page.input_value("#zone") == "UTC"
    page.fill("#zone", "Asia/Kathmandu")
    page.click("form.zone button")
    assert page.input_value("#zone") == "Asia/Kathmandu"
    assert ", Asia/Kathmandu" in page.inner_text(".head")


def test_a_bar_leads_to_its_requests_with_the_filters_of_the_page(open_page: Callable[..., Page]) -> None:
    page = open_page("overview?span=30d&segment=free")
    page.locator("#requests .bars path").first.wait_for()
    bars = page.locator("#requests .nsewdrag")
    bars.scroll_into_view_if_needed()
    box = bars.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + box["height"] * 0.9)
    page.mouse.click(box["x"] + box["width"] * 0.5, box["y"] + box["height"] * 0.9)
    page.wait_for_url("**/admin/decisions?*")
    assert "segment=free" in page.url
    assert "from=" in page.url
    assert page.locator("table tbody tr").count() > 0


def test_no_inline_script_ever_runs(open_page: Callable[..., Page]) -> None:
    page = open_page("audit")
    page.evaluate("""() => { const script = document.createElement("script");
        script.textContent = "window.ran = true"; document.body.append(script); }""")
    assert page.evaluate("window.ran === undefined")
