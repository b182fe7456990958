"""What each provider's prompt cache promises, what is warm of a prompt, and which marks and keys are set for it."""

from typing import Any

import pytest

from router.providers.base import ModelTarget
from router.providers.caches import cache_of, has_cache_marks, mark_last, pays
from tests.providers.test_outgoing import OTHERS

MARK = {"type": "ephemeral"}


@pytest.mark.parametrize(
    ("name", "api_base", "promise"),
    [
        ("openai/gpt-5-mini", None, (300, 1_024, 128, False, True)),
        ("openai/gpt-5-mini", "https://api.openai.com/v1", (300, 1_024, 128, False, True)),
        ("azure/gpt-5-mini", "https://mine.openai.azure.com", (300, 1_024, 128, False, True)),
        ("anthropic/claude-sonnet-4-5", None, (300, 1_024, 1, True, False)),
        ("anthropic/claude-haiku-4-5", None, (300, 4_096, 1, True, False)),
        ("anthropic/claude-opus-5", None, (300, 512, 1, True, False)),
        ("bedrock/us.anthropic.claude-opus-4-5-v1:0", None, (300, 4_096, 1, True, False)),
        ("vertex_ai/claude-sonnet-4-5", None, (300, 1_024, 1, True, False)),
        ("openrouter/anthropic/claude-haiku-4.5", None, (300, 4_096, 1, True, False)),
        ("openrouter/openai/gpt-5-mini", None, (300, 1_024, 128, False, True)),
        ("gemini/gemini-2.5-flash-lite", None, (300, 2_048, 1, False, False)),
        ("gemini/gemini-3.8-flash", None, (300, 4_096, 1, False, False)),
        ("deepseek/deepseek-chat", None, (7_200, 64, 64, False, False)),
        ("openai/deepseek-chat", "https://api.deepseek.com", (7_200, 64, 64, False, False)),
        ("groq/openai/gpt-oss-20b", None, (7_200, 1_024, 128, False, False)),
        ("xai/grok-4.20-0309-reasoning", None, (300, 1_024, 128, False, False)),
        ("mistral/mistral-small-latest", None, (300, 64, 64, False, True)),
        ("scripted/assistant-caching", None, (300, 1_024, 128, False, True)),
    ],
)
def test_every_provider_promises_what_it_says(name: str, api_base: str | None, promise: tuple[Any, ...]) -> None:
    cache = cache_of(ModelTarget(name, api_base))
    assert cache is not None
    found = (cache.lifetime_s, cache.least_tokens, cache.block_tokens, cache.needs_marks, cache.takes_key)
    assert found == promise
    assert cache.source


@pytest.mark.parametrize(
    ("name", "api_base"),
    [
        ("openai/gpt-5-mini", OTHERS),
        ("openai/gpt-5-mini", "https://api.openai.com.evil.example/v1"),
        ("deepseek/deepseek-chat", OTHERS),
        ("anthropic/claude-haiku-4-5", OTHERS),
        ("hosted_vllm/llama", None),
        ("embedded/smollm2", None),
        ("scripted/assistant", None),
        ("bedrock/us.amazon.nova-lite-v1:0", None),
    ],
)
def test_of_a_server_that_nobody_knows_nothing_is_expected(name: str, api_base: str | None) -> None:
    assert cache_of(ModelTarget(name, api_base)) is None


@pytest.mark.parametrize(
    ("read", "input_tokens", "age_s", "warm"),
    [
        (5_000, 6_000, 10, 4_992),  # whole blocks
        (5_000, 6_000, 300, 4_992),
        (5_000, 6_000, 301, 0),  # gone
        (1_023, 6_000, 10, 0),  # never cached
        (1_024, 6_000, 10, 1_024),
        (6_000, 2_000, 10, 1_920),  # what is asked is shorter
        (6_000, 500, 10, 0),
    ],
)
def test_warm_is_what_was_read_lately_in_whole_blocks(read: int, input_tokens: int, age_s: float, warm: int) -> None:
    cache = cache_of(ModelTarget("openai/gpt-5-mini"))
    assert cache is not None
    assert cache.warm_tokens(read, input_tokens, age_s) == warm


def test_a_prompt_is_worth_marking_where_it_is_likely_to_come_again() -> None:
    one_shot: list[dict[str, Any]] = [{"role": "system", "content": "s"}, {"role": "user", "content": "q"}]
    assert not pays(one_shot, {})
    assert pays(one_shot, {"tools": [{}]})
    assert pays([*one_shot, {"role": "assistant", "content": "a"}, {"role": "user", "content": "and?"}], {})


@pytest.mark.parametrize(
    ("last", "content"),
    [
        ({"role": "user", "content": "q"}, [{"type": "text", "text": "q", "cache_control": MARK}]),
        (
            {"role": "tool", "tool_call_id": "c", "content": "42"},
            [{"type": "text", "text": "42", "cache_control": MARK}],
        ),
        (
            {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
            [{"type": "text", "text": "a"}, {"type": "text", "text": "b", "cache_control": MARK}],
        ),
        ({"role": "user", "content": ""}, ""),
        ({"role": "user", "content": [{"type": "image_url"}]}, [{"type": "image_url"}]),
    ],
)
def test_the_last_text_is_marked_and_nothing_else(last: dict[str, Any], content: Any) -> None:
    first = {"role": "user", "content": "first"}
    messages = [first, {"role": "assistant", "content": "a"}, last]
    before = [dict(message) for message in messages]
    marked = mark_last(messages)
    assert marked[:2] == before[:2]
    assert marked[2]["content"] == content
    assert messages == before
    assert has_cache_marks(marked) is (content != last["content"])


def test_what_the_assistant_began_is_not_marked() -> None:
    marked = mark_last([{"role": "user", "content": "q"}, {"role": "assistant", "content": "It is"}])
    assert "cache_control" in marked[0]["content"][0]
    assert marked[1]["content"] == "It is"
    assert mark_last([]) == []
