"""What an operator does with the mouse and the keyboard: in, a key, a budget, out."""

from collections.abc import Callable

from playwright.sync_api import Page, expect

from tests.e2e.browser.demo import Demo


def test_a_wrong_secret_is_told_and_the_right_one_leads_on(open_page: Callable[..., Page], demo: Demo) -> None:
    page = open_page("prices", signed_in=False)
    page.fill("#secret", "not it")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("secret is wrong")
    page.fill("#secret", demo.secret)
    page.fill("#name", "Ann <b>")
    page.keyboard.press("Enter")
    page.wait_for_url("**/admin/prices")
    assert "Ann <b>" in (page.text_content(".who") or "")
    page.click("text=Sign out")
    page.wait_for_url("**/admin/sign-in")
    page.goto(f"{demo.url}/admin/prices")
    assert "/admin/sign-in" in page.url


def test_a_key_is_shown_once_and_a_budget_burns_down(open_page: Callable[..., Page]) -> None:
    page = open_page("keys")
    page.click("text=Create a key")
    page.fill("#key-name", "from the browser")
    page.click("button:has-text('Create the key')")
    assert (page.text_content("#secret-once") or "").startswith("tw-")
    page.click("nav >> text=Keys & budgets")
    expect(page.locator("#secret-once")).to_have_count(0)
    page.click("text=Set a budget")
    page.fill("#limit_usd", "2.50")
    page.click("button:has-text('Set the budget')")
    page.wait_for_selector("#burn .main-svg")
    page.once("dialog", lambda dialog: dialog.accept())
    page.click("button:has-text('Remove')")
    expect(page.locator("main")).to_contain_text("No budgets")


def test_on_a_phone_the_menu_opens_and_leads(open_page: Callable[..., Page]) -> None:
    page = open_page("overview", width=390)
    assert not page.is_visible("nav >> text=Health")
    page.click("button.menu")
    page.click("nav >> text=Health")
    page.wait_for_url("**/admin/health")
