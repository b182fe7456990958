"""What a log says of a provider's words: not the prompt, not a secret, and still what is wrong."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.providers.echoes import LONGEST_WORDS, cut_echoes, texts_of

PROMPT = "How do I treat my Hodgkin lymphoma? Zbigniew, 41, lives at Lindenstraße 7."


@pytest.mark.parametrize(
    "words",
    [
        f"Invalid value: '{PROMPT}'",
        "Unsupported content near 'Hodgkin lymph'",
        "could not parse: ZBIGNIEW",
        "messages[0]: how do  i\ntreat my",
    ],
)
def test_what_the_prompt_holds_is_left_out(words: str) -> None:
    said = cut_echoes(words, [PROMPT]).lower()
    assert not any(word in said for word in ("hodgkin", "lymph", "zbigniew", "lindenstra", "treat", "how do i"))


def test_a_sentence_of_usual_words_is_a_quotation_too() -> None:
    assert cut_echoes("error: my account was rejected", ["Say: my account was rejected."]) == "error: …"


def test_scripts_without_spaces_are_looked_at_letter_by_letter() -> None:
    assert cut_echoes("消息包含敏感词：你好世界，请修改", ["你好世界"]) == "消息包含敏感词：…，请修改"


def test_complaints_stay_readable() -> None:
    words = "Rate limit reached for gpt-5-nano: limit 500, please try again in 20s"
    assert cut_echoes(words, ["Why is the sky blue? I try to limit it"], ["openai/gpt-5-nano"]) == words


def test_queries_and_users_of_addresses_are_left_out() -> None:
    said = cut_echoes("see https://me:secret@example.org/a?token=abc#top for more", [])
    assert said == "see https://example.org/a for more"


@given(st.text(max_size=300), st.text(min_size=1, max_size=60))
def test_no_words_are_longer_than_they_may_be(words: str, prompt: str) -> None:
    assert len(cut_echoes(words, [prompt])) <= LONGEST_WORDS


@given(st.from_regex(r"[a-z]{12,20}", fullmatch=True), st.text(max_size=50), st.text(max_size=50))
def test_a_rare_word_of_the_prompt_never_stands_in_what_is_said(word: str, before: str, after: str) -> None:
    assert word not in cut_echoes(f"{before} {word} {after}", [f"the {word} is"]).lower()


def test_all_texts_of_a_request_count() -> None:
    message = {"role": "user", "content": [{"type": "text", "text": "one"}]}
    tools = [{"function": {"name": "two", "parameters": {"properties": {"three": {"const": 4}}}}}]
    assert {"one", "two", "three", "4"} <= set(texts_of([message], {"tools": tools}))
