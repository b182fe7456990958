"""The loop of an operator whose margin fell, with the mouse and with the keyboard: move, look, save, try, go back."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Browser, Page, expect

from scripts.showcase.tour import drag
from tests.e2e.browser.demo import Demo
from tests.e2e.browser.soundness import COLOURS, LAYOUT, PHONE, grave, too_wide

OpenPage = Callable[..., Page]


def thresholds(open_page: OpenPage, path: str = "thresholds", **look: object) -> Page:
    page = open_page(path, **look)
    page.on("dialog", lambda dialog: dialog.accept())
    followed(page)
    return page


def followed(page: Page) -> None:
    """Wait until the figures are those of the dials."""
    expect(page.locator("#effect:not(.stale) #figures tr").nth(5)).to_be_visible()


def share(page: Page) -> float:
    """The deep share that the dials are said to have."""
    cell = page.locator("#effect").get_by_role("row", name="Deep share").first.get_by_role("cell").first
    return float((cell.text_content() or "").split(" %")[0])


def said(page: Page) -> str:
    return page.locator("p.said").text_content() or ""


@pytest.mark.parametrize("width", [1280, 390])
def test_a_line_is_dragged_and_the_figures_follow(open_page: OpenPage, width: int) -> None:
    page = thresholds(open_page, width=width)
    before, was = share(page), page.input_value("#dial-reasoning_threshold")
    drag(page, "Reasoning threshold", 40)
    followed(page)
    assert float(page.input_value("#dial-reasoning_threshold")) > float(was)
    assert share(page) < before
    expect(page.get_by_role("slider", name="Reasoning threshold")).to_be_focused()
    page.get_by_role("button", name="Back to what was loaded").click()
    followed(page)
    assert (share(page), page.input_value("#dial-reasoning_threshold")) == (before, was)


def test_a_line_moves_with_the_keyboard_and_says_where_it_is(open_page: OpenPage) -> None:
    page = thresholds(open_page)
    slider = page.get_by_role("slider", name="Parallel threshold")
    start = float(page.input_value("#dial-parallel_threshold"))
    slider.focus()
    for key, off in (
        ("ArrowRight", 0.005),
        ("ArrowUp", 0.01),
        ("PageUp", 0.06),
        ("PageDown", 0.01),
        ("ArrowLeft", 0.005),
    ):
        page.keyboard.press(key)
        assert float(page.input_value("#dial-parallel_threshold")) == pytest.approx(start + off, abs=1e-6)
    followed(page)
    assert (slider.get_attribute("aria-valuetext") or "").endswith("of the queries reach it")
    page.keyboard.press("End")
    assert slider.get_attribute("aria-valuenow") == page.input_value("#dial-parallel_threshold")


def test_what_is_typed_moves_the_line_and_what_is_wrong_is_told(open_page: OpenPage) -> None:
    page = thresholds(open_page)
    page.fill("#dial-reasoning_threshold", "2")
    followed(page)
    assert page.get_by_role("slider", name="Reasoning threshold").get_attribute("aria-valuetext") == "switched off"
    page.fill("#dial-reasoning_threshold", "a little")
    expect(page.locator("#problem")).to_contain_text("not a number", ignore_case=True)
    page.fill("#dial-reasoning_threshold", "0.3")
    followed(page)
    expect(page.locator("#problem")).to_be_hidden()


def test_from_a_line_to_a_canary_into_force_and_back(open_page: OpenPage, demo: Demo) -> None:
    page = thresholds(open_page)
    drag(page, "Reasoning threshold", 60)
    page.keyboard.press("ArrowLeft")
    followed(page)
    wanted = page.input_value("#dial-reasoning_threshold")
    page.get_by_role("button", name="Back-test row by row").click()
    expect(page.locator("#backtest-result table").first).to_be_visible()
    page.locator("#note").fill("margin <b>fell</b>")
    page.get_by_role("button", name="Save as a version").click()
    page.wait_for_url("**version=*")
    assert "is saved" in said(page)
    followed(page)
    assert page.input_value("#dial-reasoning_threshold") == wanted
    expect(page.get_by_text("margin <b>fell</b>").first).to_be_visible()
    page.get_by_text("Try or activate").first.click()
    assert grave(page) == []
    page.get_by_label("Share of conversations").first.fill("20 %")
    page.get_by_role("button", name="Start the trial").first.click()
    expect(page.get_by_role("heading", name="is on trial")).to_be_visible()
    assert "20 % of the conversations" in said(page)
    expect(page.locator("#arms")).to_contain_text("The guards")
    assert grave(page) == []
    page.locator("#why-activate-trial").fill("it will do")
    page.get_by_label("too early to tell").check()
    page.get_by_role("button", name="Activate version").first.click()
    expect(page.locator("p.said")).to_contain_text("is in force")
    page.locator("#why-roll-back").fill("more regenerates than before")
    page.get_by_role("button", name="Roll back to").click()
    expect(page.locator("p.said")).to_contain_text("in force again")
    page.goto(f"{demo.url}/admin/history")
    for act in ("rolled back", "activated", "canary started", "proposed"):
        expect(page.get_by_text(act, exact=True).first).to_be_visible()


def test_a_target_becomes_thresholds(open_page: OpenPage) -> None:
    page = thresholds(open_page)
    page.get_by_text("Other targets, and of which requests").click()
    page.locator("#target-max_deep_share").fill("6 %")
    page.keyboard.press("Enter")
    expect(page.locator("#solution")).to_contain_text("What binds")
    page.get_by_role("button", name="Use these dials").click()
    followed(page)
    assert share(page) <= 6.0


def test_a_query_is_tried_and_leaves_no_address_behind(open_page: OpenPage) -> None:
    page = open_page("try")
    page.get_by_label("Query", exact=True).fill("Prove that the square root of 2 is irrational. secret-4711")
    page.get_by_role("button", name="Try it").click()
    expect(page.locator("#outcome")).to_be_visible()
    expect(page.locator("#decisions")).to_contain_text("In force")
    assert "4711" not in page.url
    assert grave(page) == []


def test_the_page_looks_right_when_everything_is_there(open_page: OpenPage) -> None:
    page = thresholds(open_page, "thresholds?segment=plus")
    assert [*grave(page), *too_wide(page)] == []
    page.emulate_media(color_scheme="dark")
    assert grave(page, COLOURS) == []
    page.set_viewport_size(PHONE)
    page.reload()
    followed(page)
    assert [*grave(page, LAYOUT), *too_wide(page)] == []


def test_a_finger_drags_a_line_and_the_page_stays_where_it_is(browser: Browser, demo: Demo) -> None:
    context = browser.new_context(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    context.add_cookies([{"name": "tierwise_admin", "value": demo.cookie, "url": f"{demo.url}/admin"}])
    page = context.new_page()
    page.goto(f"{demo.url}/admin/thresholds")
    followed(page)
    grip = page.get_by_role("slider", name="Reasoning threshold").locator(".grip")
    grip.scroll_into_view_if_needed()
    box = grip.bounding_box()
    assert box is not None
    was, scrolled = page.input_value("#dial-reasoning_threshold"), page.evaluate("scrollY")
    finger = context.new_cdp_session(page)
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    finger.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": [{"x": x, "y": y}]})
    for step in range(1, 9):
        points = [{"x": x + 6 * step, "y": y + 5 * step}]
        finger.send("Input.dispatchTouchEvent", {"type": "touchMove", "touchPoints": points})
    finger.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    followed(page)
    assert float(page.input_value("#dial-reasoning_threshold")) > float(was) + 0.05
    assert page.evaluate("scrollY") == scrolled
    context.close()
