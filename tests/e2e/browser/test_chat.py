"""The page /chat in Chromium, against a served instance with scripted models: what a person sees and can do."""

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from scripts.showcase.serving import Instance, serve
from tests.e2e.browser.conftest import WAIT_MS
from tests.e2e.browser.soundness import grave, too_wide

# What is asked is what the quick model answers, so a test writes its own answers.
CONFIG = """
database_url = "sqlite:///{directory}/tierwise.db"
state_dir = "{directory}/state"
[server]
port = 0
shutdown_timeout_s = 3
[chat]
enabled = true
[policy]
parallel_threshold = 1.0
reasoning_threshold = 1.0
[tiers.fast]
model = "scripted/echo"
[tiers.reasoning]
model = "scripted/thinker-think"
[tiers.parallel]
models = ["scripted/solver-50pct-3000ms"]
"""
RICH = """**Bold**, `code`, a [link](https://example.com/a_(b)), [bad](javascript:alert(1)),
and <img src=x onerror=alert(1)>.

1. one
   - inner

```python
print("<b>")
```

| Fund | After |
|:-----|------:|
| A    | $1    |

The sum is $x_1 + x_2$."""
# Fixed: what a busy machine has measured of its models decides nothing here.
QUOTE = {
    "auto": {"tier": "fast"},
    "tiers": [
        {"tier": tier, "expected_cost_usd": cost, "seconds": {"median": seconds, "low": 1, "high": 2 * seconds}}
        for tier, seconds, cost in (("fast", 1, "0"), ("reasoning", 5, "0.0021"), ("parallel", 20, "0.013"))
    ],
}
ChatPage = Callable[..., Page]


@pytest.fixture(scope="module")
def instance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    with serve(tmp_path_factory.mktemp("chat"), CONFIG) as served:
        yield served


@pytest.fixture
def chat(browser: Browser, instance: Instance) -> Iterator[ChatPage]:
    """Open the page, signed in with a new browser."""
    contexts = []

    def opened(*, width: int = 1280, scheme: str = "light") -> Page:
        context = browser.new_context(color_scheme=scheme, viewport={"width": width, "height": 800})  # type: ignore[arg-type]
        contexts.append(context)
        context.set_default_timeout(WAIT_MS)
        page = context.new_page()
        page.route("**/chat/api/quotes", lambda route: route.fulfill(json=QUOTE))
        page.goto(f"{instance.url}/chat")
        page.fill("#key", instance.key)
        with page.expect_navigation():  # to the end: what is typed before the script is there, nobody sends
            page.click("form button")
        return page

    yield opened
    for context in contexts:
        context.close()


def asked(page: Page, text: str) -> None:
    """Ask, and wait for the whole answer."""
    page.fill("#question", text)
    page.press("#question", "Enter")
    expect(page.locator(".answer[aria-busy=false] .acts").last).to_be_visible()


@pytest.mark.parametrize("width", [1280, 390])
def test_from_the_page_opened_to_a_deeper_answer_it_is_two_clicks(chat: ChatPage, width: int) -> None:
    page, said = chat(width=width), []
    page.on("console", lambda message: said.append(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: said.append(str(error)))
    page.keyboard.type("What is a sieve?")  # the question has the focus
    page.click("#send")
    expect(page.locator(".why")).to_have_text("Quick answerA longer think would hardly change this one.")
    page.get_by_role("button", name="Think longer about 5 s, $0.0021").click()
    expect(page.locator(".why").last).to_have_text("Thought throughYou asked to think longer.")
    expect(page.locator(".answer").last.locator(".thinking > summary")).to_contain_text("Thought")
    expect(page.locator(".earlier > summary")).to_have_text("Earlier answer: quick answer")
    problems = [*grave(page), *too_wide(page), *said]
    if width > 1_000:
        page.emulate_media(color_scheme="dark")
        problems += grave(page)
    assert problems == []


def test_what_takes_long_goes_on_while_the_page_is_closed_and_answers_now_when_asked(chat: ChatPage) -> None:
    page = chat()
    asked(page, "What is 12 * 17?")
    page.get_by_role("button", name="Think longer").click()
    page.get_by_role("button", name="Think longer in the background").click()
    expect(page.locator(".job").last).to_contain_text("the answer is found here again")
    url = page.url
    opened = page.context.new_page()
    page.close()
    opened.goto(url)
    expect(opened.locator(".asked")).to_contain_text("What is 12 * 17?")
    assert [*grave(opened), *too_wide(opened)] == []
    opened.get_by_role("button", name="Answer now").click()
    expect(opened.locator(".text")).to_contain_text("Answer:")
    expect(opened.locator(".why")).to_contain_text("Asked several times")
    opened.wait_for_function("() => localStorage.length === 0")


def test_an_answer_is_markdown_and_never_html(chat: ChatPage) -> None:
    page = chat()
    asked(page, RICH)
    text = page.locator(".text").first
    assert text.locator("img, script").count() == 0
    assert [a.get_attribute("href") for a in text.locator("a").all()] == ["https://example.com/a_(b)"]
    assert text.locator("a").get_attribute("rel") == "noopener noreferrer nofollow"
    assert text.locator("pre code").inner_text() == 'print("<b>")'
    assert text.locator("ol > li > ul > li").inner_text() == "inner"
    assert text.locator("td.right").inner_text() == "$1"
    assert text.locator(".math").inner_text() == "$x_1 + x_2$"
    assert "<img src=x onerror=alert(1)>" in text.inner_text()
    assert grave(page) == []


def test_a_check_says_whether_another_tier_agrees(chat: ChatPage) -> None:
    page = chat()
    asked(page, "Is 91 prime?")
    page.get_by_role("button", name="Check it").click()
    expect(page.locator(".check.agrees h2")).to_have_text("A second look agrees")
    assert "VERDICT" not in page.locator(".check").inner_text()


def test_a_reload_keeps_the_conversation_and_a_new_one_forgets_it(chat: ChatPage) -> None:
    page = chat()
    asked(page, "Remember me")
    page.reload()
    expect(page.locator(".asked")).to_contain_text("Remember me")
    page.get_by_role("button", name="New conversation").click()
    expect(page.locator(".asked")).to_have_count(0)
    assert "Remember me" not in str(page.evaluate("[{...sessionStorage}, {...localStorage}]"))


def test_a_thumb_is_pressed_and_stays(chat: ChatPage) -> None:
    page = chat()
    asked(page, "Good?")
    page.get_by_role("button", name="Good answer").click()
    expect(page.locator("#said")).to_have_text("Thank you, your rating is stored.")
    expect(page.get_by_role("button", name="Good answer")).to_have_attribute("aria-pressed", "true")


def test_what_goes_wrong_is_a_sentence_with_a_way_on(chat: ChatPage) -> None:
    page = chat()
    page.route("**/chat/api/chat/completions", lambda route: route.abort())
    asked(page, "Anybody there?")
    expect(page.locator(".wrong")).to_have_text("The server does not answer. Try again in a moment.")
    page.unroute("**/chat/api/chat/completions")
    page.get_by_role("button", name="Try again").click()
    expect(page.locator(".text")).to_have_text("Anybody there?")


def test_after_signing_out_the_page_is_the_door_and_the_tab_is_empty(chat: ChatPage) -> None:
    page = chat()
    asked(page, "A secret")
    page.get_by_role("button", name="Sign out").click()
    expect(page.locator("#key")).to_be_visible()
    assert page.evaluate("sessionStorage.length") == 0
    assert [*grave(page), *too_wide(page)] == []
