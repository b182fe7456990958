"""The contract of the families behind litellm, on shapes written by us."""

import asyncio
import gc
from collections.abc import AsyncIterator, Iterator
from typing import Any

import msgspec
import pytest

from router.errors import ProviderError, ProviderOverloaded, ProviderRefused, ProviderTimeout, ProviderUnreachable
from router.providers.base import ProviderRequest
from router.providers.collecting import collect
from router.providers.litellm.client import LiteLLMProvider
from router.types import Usage
from tests.providers.shapes import a_request
from tests.providers.upstream import Answer, Upstream, an_upstream, hangs, says, says_text, streams
from tests.waiting import PATIENCE_S

pytestmark = [
    pytest.mark.filterwarnings("ignore::UserWarning:pydantic.*"),  # of litellm's own classes, when they are first built
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),  # coroutines it drops when cancelled
]


@pytest.fixture
async def provider() -> AsyncIterator[LiteLLMProvider]:
    provider = LiteLLMProvider()
    await provider.load()
    yield provider
    await provider.close()


@pytest.fixture(autouse=True, scope="module")
def what_litellm_dropped_is_complained_about_here() -> Iterator[None]:
    yield
    gc.collect()


def claude(upstream: Upstream, **changes: Any) -> ProviderRequest:
    return a_request("anthropic/claude-sonnet-4-5", api_base=upstream.base.removesuffix("/v1"), **changes)


def gemini(upstream: Upstream, **changes: Any) -> ProviderRequest:
    return a_request("gemini/gemini-2.5-flash", api_base=upstream.base, **changes)


CLAUDE_USAGE = {"input_tokens": 10, "cache_read_input_tokens": 30, "cache_creation_input_tokens": 5, "output_tokens": 7}
CLAUDE_ANSWER = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude-sonnet-4-5",
    "content": [
        {"type": "thinking", "thinking": "Hm.", "signature": "sig"},
        {"type": "text", "text": "Paris."},
        {"type": "tool_use", "id": "toolu_1", "name": "add", "input": {"a": 1}},
    ],
    "stop_reason": "tool_use",
    "usage": CLAUDE_USAGE,
}


def claude_events(*events: dict[str, Any], cut: bool = False) -> Answer:
    lines = [f"event: {event['type']}\ndata: ".encode() + msgspec.json.encode(event) + b"\n\n" for event in events]
    return streams(*lines, done=False, cut=cut)


CLAUDE_EVENTS: list[dict[str, Any]] = [
    {
        "type": "message_start",
        "message": {**CLAUDE_ANSWER, "content": [], "usage": {**CLAUDE_USAGE, "output_tokens": 1}},
    },
    {"type": "content_block_start", "index": 0, "content_block": {"type": "thinking", "thinking": "", "signature": ""}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": "Hm."}},
    {"type": "content_block_stop", "index": 0},
    {"type": "content_block_start", "index": 1, "content_block": {"type": "text", "text": ""}},
    {"type": "content_block_delta", "index": 1, "delta": {"type": "text_delta", "text": "Par"}},
    {"type": "content_block_delta", "index": 1, "delta": {"type": "text_delta", "text": "is."}},
    {"type": "content_block_stop", "index": 1},
    {"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": None}, "usage": CLAUDE_USAGE},
    {"type": "message_stop"},
]

GEMINI_USAGE = {
    "promptTokenCount": 40,
    "cachedContentTokenCount": 16,
    "candidatesTokenCount": 3,
    "thoughtsTokenCount": 20,
    "totalTokenCount": 63,
}
GEMINI_ANSWER = {
    "candidates": [
        {
            "content": {"role": "model", "parts": [{"text": "Hm.", "thought": True}, {"text": "Paris."}]},
            "finishReason": "STOP",
            "index": 0,
        }
    ],
    "usageMetadata": GEMINI_USAGE,
    "modelVersion": "gemini-2.5-flash",
}


async def test_claude_answers_with_thinking_tools_and_cached_tokens_beside_the_input(provider: LiteLLMProvider) -> None:
    async with an_upstream(says(CLAUDE_ANSWER)) as upstream:
        answer = await provider.complete(claude(upstream))
    [choice] = answer.choices
    assert (choice.content, choice.reasoning, choice.finish_reason) == ("Paris.", "Hm.", "tool_calls")
    assert choice.tool_calls is not None
    assert choice.tool_calls[0]["function"] == {"name": "add", "arguments": '{"a": 1}'}
    assert answer.metered is not None
    assert answer.metered.usage.input_fresh == 10
    assert answer.metered.usage.input_cached == 30
    assert answer.metered.usage.input_cache_write == 5
    assert answer.metered.usage.output_tokens == 7


async def test_claude_streams(provider: LiteLLMProvider) -> None:
    async with an_upstream(claude_events(*CLAUDE_EVENTS)) as upstream:
        answer = await collect(provider.stream(claude(upstream)), "claude")
    [choice] = answer.choices
    assert (choice.content, choice.reasoning, choice.finish_reason) == ("Paris.", "Hm.", "stop")
    assert answer.metered is not None
    assert answer.metered.usage.input_tokens == 45
    assert answer.metered.usage.input_cached == 30
    assert answer.metered.usage.output_tokens == 7


async def test_gemini_answers_with_thoughts_beside_its_candidates(provider: LiteLLMProvider) -> None:
    async with an_upstream(says(GEMINI_ANSWER)) as upstream:
        answer = await provider.complete(gemini(upstream))
    assert (answer.choices[0].content, answer.choices[0].reasoning) == ("Paris.", "Hm.")
    assert answer.metered is not None
    assert answer.metered.usage == Usage(input_fresh=24, input_cached=16, output_visible=3, output_reasoning=20)


async def test_gemini_streams(provider: LiteLLMProvider) -> None:
    async with an_upstream(streams(GEMINI_ANSWER, done=False)) as upstream:
        answer = await collect(provider.stream(gemini(upstream)), "gemini")
    assert (answer.choices[0].content, answer.choices[0].reasoning) == ("Paris.", "Hm.")
    assert answer.metered is not None
    assert answer.metered.usage == Usage(input_fresh=24, input_cached=16, output_visible=3, output_reasoning=20)


async def test_bedrock_answers_with_cached_tokens_beside_the_input(
    provider: LiteLLMProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_REGION_NAME", "us-east-1")
    usage = {"inputTokens": 10, "outputTokens": 4, "totalTokens": 20, "cacheReadInputTokens": 6}
    answer = {
        "output": {"message": {"role": "assistant", "content": [{"text": "Paris."}]}},
        "stopReason": "end_turn",
        "usage": usage,
        "metrics": {"latencyMs": 10},
    }
    async with an_upstream(says(answer)) as upstream:
        request = a_request("bedrock/converse/us.amazon.nova-lite-v1:0", api_base=upstream.base, api_key=None)
        said = await provider.complete(request)
    assert said.choices[0].content == "Paris."
    assert said.metered is not None
    assert said.metered.usage == Usage(input_fresh=10, input_cached=6, output_visible=4)


@pytest.mark.parametrize(
    ("name", "variable"),
    [
        ("anthropic/claude-sonnet-4-5", "ANTHROPIC_API_KEY"),
        ("gemini/gemini-2.5-flash", "GEMINI_API_KEY"),
        ("gemini/gemini-2.5-flash", "GOOGLE_API_KEY"),
        ("cohere/command-r", "COHERE_API_KEY"),
    ],
)
async def test_a_familys_key_in_the_environment_does_not_go_to_another_server(
    provider: LiteLLMProvider, monkeypatch: pytest.MonkeyPatch, name: str, variable: str
) -> None:
    monkeypatch.setenv(variable, "sk-of-the-family")
    async with an_upstream(says({}, 401)) as upstream:
        with pytest.raises(ProviderError):
            await provider.complete(a_request(name, api_base=upstream.base, api_key=None))
    assert upstream.headers
    assert "sk-of-the-family" not in repr(upstream.headers)


@pytest.mark.parametrize(
    ("answer", "kind", "code"),
    [
        (
            says(
                {"type": "error", "error": {"type": "rate_limit_error", "message": "slow"}}, 429, **{"retry-after": "7"}
            ),
            ProviderOverloaded,
            "provider_overloaded",
        ),
        (
            says({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}, 529),
            ProviderOverloaded,
            "provider_overloaded",
        ),
        (
            says(
                {"type": "error", "error": {"type": "invalid_request_error", "message": "prompt is too long: 9 > 8"}},
                400,
            ),
            ProviderRefused,
            "context_length_exceeded",
        ),
        (
            says({"type": "error", "error": {"type": "invalid_request_error", "message": "no such thing"}}, 400),
            ProviderRefused,
            "provider_refused",
        ),
        (
            says(
                {"type": "error", "error": {"type": "authentication_error", "message": "bad sk-secret-key-1234567890"}},
                401,
            ),
            ProviderError,
            "provider_credentials",
        ),
        (says_text("<html>oops</html>", 500), ProviderError, "provider_error"),
        (says_text("<html>hello</html>", 200), ProviderError, "provider_error"),
    ],
)
async def test_failures_are_told_apart_and_never_echo_the_key(
    provider: LiteLLMProvider, answer: Answer, kind: type[ProviderError], code: str
) -> None:
    async with an_upstream(answer) as upstream:
        with pytest.raises(kind) as caught:
            await provider.complete(claude(upstream))
    assert caught.value.code == code
    assert "secret" not in caught.value.message
    assert len(upstream.bodies) == 1


async def test_nobody_listening_means_nothing_was_sent(provider: LiteLLMProvider) -> None:
    async with an_upstream(says({})) as upstream:
        request = claude(upstream)
    with pytest.raises(ProviderUnreachable):
        await provider.complete(request)


async def test_silence_ends_in_a_timeout(provider: LiteLLMProvider) -> None:
    async with an_upstream(hangs()) as upstream:
        with pytest.raises(ProviderTimeout):
            await provider.complete(claude(upstream, timeout_s=0.3))


async def test_a_stream_that_ends_early_is_an_error(provider: LiteLLMProvider) -> None:
    async with an_upstream(claude_events(*CLAUDE_EVENTS[:6], cut=True)) as upstream:
        with pytest.raises(ProviderError):
            await collect(provider.stream(claude(upstream)), "claude")


@pytest.mark.parametrize("streamed", [True, False])
async def test_cancelling_closes_the_upstream_connection(provider: LiteLLMProvider, streamed: bool) -> None:
    async with an_upstream(hangs(*[CLAUDE_EVENTS[0]][:streamed])) as upstream:
        request = claude(upstream, timeout_s=3_600)
        task: asyncio.Task[Any] = asyncio.ensure_future(
            collect(provider.stream(request), "claude") if streamed else provider.complete(request)
        )
        await asyncio.wait_for(upstream.asked.wait(), PATIENCE_S)
        task.cancel()
        await asyncio.wait_for(upstream.hung_up.wait(), PATIENCE_S)


async def test_closing_a_stream_early_closes_the_upstream_connection(provider: LiteLLMProvider) -> None:
    async with an_upstream(hangs(*CLAUDE_EVENTS[:6])) as upstream:
        stream = provider.stream(claude(upstream, timeout_s=3_600))
        assert (await anext(stream)).reasoning == "Hm."
        await stream.aclose()
        await asyncio.wait_for(upstream.hung_up.wait(), PATIENCE_S)


async def test_what_reaches_claude_is_what_was_asked_and_no_more(provider: LiteLLMProvider) -> None:
    async with an_upstream(says(CLAUDE_ANSWER)) as upstream:
        request = claude(
            upstream, think=True, max_thinking_tokens=100, max_visible_tokens=50, params={"seed": 1, "temperature": 0.2}
        )
        answer = await provider.complete(request)
    [body] = upstream.bodies
    assert body["thinking"] == {"type": "enabled", "budget_tokens": 1024}
    assert body["max_tokens"] == 1074
    assert "temperature" not in body
    assert sorted(answer.dropped) == ["seed", "temperature"]


async def test_what_reaches_gemini_bounds_its_thinking(provider: LiteLLMProvider) -> None:
    async with an_upstream(says(GEMINI_ANSWER)) as upstream:
        await provider.complete(gemini(upstream, think=True, max_thinking_tokens=100_000, max_visible_tokens=50))
    config = upstream.bodies[0]["generationConfig"]
    assert config["thinkingConfig"]["thinkingBudget"] == 24_576
    assert config["max_output_tokens"] == 24_626
