"""What the buttons of the page leave in the books: a wish for a deeper tier, a doubt, a rating."""

import re
from pathlib import Path

import pytest

from router.chat import pages
from tests.api.service import Service, a_chat
from tests.chat.browsers import Browser

pytestmark = pytest.mark.asyncio(loop_scope="session")
CHECK = Path(pages.__file__).parent / "static" / "conversation.js"


def words_of_a_check() -> str:
    """What the page asks when somebody wants an answer checked."""
    found = re.search(r"export const CHECK = (.*?);\n", CHECK.read_text(encoding="utf-8"), re.S)
    assert found is not None
    return "".join(re.findall(r'"([^"]*)"', found[1]))


async def test_to_think_longer_is_booked_as_a_wish_for_a_deeper_tier(browser: Browser, open_service: Service) -> None:
    asked = {"metadata": {"conversation_id": "a tab"}, "messages": [{"role": "user", "content": "How old is the sun?"}]}
    first = await browser.send("/chat/completions", a_chat("auto", **asked))
    second = await browser.send("/chat/completions", a_chat("reasoning", **asked))
    booked = await open_service.booked(second.headers["x-request-id"])
    assert (booked["signal"], booked["previous_id"]) == ("deeper", first.headers["x-request-id"])


async def test_the_same_question_in_another_tab_objects_to_nothing(browser: Browser, open_service: Service) -> None:
    question = [{"role": "user", "content": "How far is the moon?"}]
    for tab in ("one tab", "another tab"):
        asked = a_chat("auto", messages=question, metadata={"conversation_id": tab})
        reply = await browser.send("/chat/completions", asked)
        explained = reply.json()["x_tierwise"]
        booked = await open_service.booked(reply.headers["x-request-id"])
        assert (explained["reason"], booked["signal"]) == ("below_threshold", None)


@pytest.mark.parametrize(
    ("answered", "checker", "signal"), [("fast", "reasoning", "deeper"), ("reasoning", "parallel", "pushback")]
)
async def test_to_have_an_answer_checked_is_booked_as_a_doubt(
    browser: Browser, open_service: Service, answered: str, checker: str, signal: str
) -> None:
    question = [{"role": "user", "content": f"Is {len(answered)} prime?"}]
    first = await browser.send("/chat/completions", a_chat(answered, messages=question))
    said = {"role": "assistant", "content": first.json()["choices"][0]["message"]["content"]}
    check = {"role": "user", "content": words_of_a_check()}
    second = await browser.send("/chat/completions", a_chat(checker, messages=[*question, said, check]))
    booked = await open_service.booked(second.headers["x-request-id"])
    assert (booked["signal"], booked["previous_id"]) == (signal, first.headers["x-request-id"])
