from hypothesis import given, settings
from hypothesis import strategies as st

from router.providers import counting


@settings(deadline=None)
@given(st.text(max_size=200))
def test_tokens_joined_are_the_text(text: str) -> None:
    assert "".join(counting.tokens_of(text)) == text


def test_long_texts_are_extrapolated() -> None:
    text = "The quick brown fox jumps over the lazy dog. " * 10_000
    assert abs(counting.count_tokens(text) - 100_000) < 2_000


def test_messages_cost_their_framing_images_and_calls() -> None:
    plain = counting.count_input_tokens([{"role": "user", "content": "Hello there"}])
    image = {"type": "image_url", "image_url": {"url": "data:,x"}}
    parts = counting.count_input_tokens([{"role": "user", "content": [{"type": "text", "text": "Hello there"}, image]}])
    called = {"function": {"name": "add", "arguments": '{"a": 1}'}}
    calls = counting.count_input_tokens([{"role": "assistant", "content": "Hello there", "tool_calls": [called]}])
    assert plain == 2 + 4 + 3
    assert parts == plain + 765
    assert calls > plain


def test_without_a_vocabulary_the_estimate_is_still_near() -> None:
    text = "Could you please tell me how to take care of a small garden on a balcony during a hot and dry summer?"
    assert abs(counting._rough(text) - counting.count_tokens(text)) <= 4
