"""openai-python, unmodified: streams, sync and async, raw and through its own helpers."""

from collections.abc import Iterable
from typing import Any

import pytest
from openai import AsyncOpenAI, OpenAI
from openai.types.chat import ChatCompletionChunk
from pydantic import BaseModel

from tests.e2e.clients.test_openai_requests import SAID, WEATHER, Person

TIERS = pytest.mark.parametrize("model", ["auto", "fast", "reasoning", "parallel"])


def chunks_of(client: OpenAI, **parameters: Any) -> list[ChatCompletionChunk]:
    return list(client.chat.completions.create(**({"model": "auto", "messages": SAID} | parameters), stream=True))


def text_of(chunks: Iterable[ChatCompletionChunk]) -> str:
    return "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)


@pytest.mark.covers("stream")
@TIERS
def test_a_stream_is_one_completion_in_parts(client: OpenAI, model: str) -> None:
    chunks = chunks_of(client, model=model)
    assert len({(chunk.id, chunk.created, chunk.model) for chunk in chunks}) == 1
    assert chunks[0].model == model
    assert chunks[0].choices[0].delta.role == "assistant"
    assert [chunk for chunk in chunks if chunk.choices][-1].choices[0].finish_reason == "stop"
    assert sum(bool(choice.finish_reason) for chunk in chunks for choice in chunk.choices) == 1
    assert text_of(chunks)


@pytest.mark.covers("stream")
def test_streamed_and_whole_answers_are_the_same(client: OpenAI) -> None:
    whole = client.chat.completions.create(model="fast", messages=SAID, seed=3)
    assert text_of(chunks_of(client, model="fast", seed=3)) == whole.choices[0].message.content


@pytest.mark.covers("stream_options", "usage")
@TIERS
def test_usage_comes_last_and_only_when_asked_for(client: OpenAI, model: str) -> None:
    chunks = chunks_of(client, model=model, stream_options={"include_usage": True})
    assert chunks[-1].choices == []
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens > 0
    assert all(chunk.usage is None for chunk in chunks[:-1])
    assert all("usage" in chunk.model_fields_set for chunk in chunks)
    assert all(chunk.usage is None and chunk.choices for chunk in chunks_of(client, model=model))


@pytest.mark.covers("x_tierwise")
def test_the_last_chunk_explains_the_decision(client: OpenAI) -> None:
    assert (chunks_of(client)[-1].model_extra or {})["x_tierwise"]["final_tier"]


@pytest.mark.covers("reasoning_content")
def test_thinking_streams_before_the_answer(client: OpenAI) -> None:
    deltas = [choice.delta for chunk in chunks_of(client, model="reasoning") for choice in chunk.choices]
    thoughts = [place for place, delta in enumerate(deltas) if (delta.model_extra or {}).get("reasoning_content")]
    words = [place for place, delta in enumerate(deltas) if delta.content]
    assert thoughts
    assert max(thoughts) < min(words)
    assert all((deltas[at].model_extra or {})["reasoning"] for at in thoughts)


@pytest.mark.covers("n")
def test_several_choices_stream_side_by_side(client: OpenAI) -> None:
    chunks = chunks_of(client, n=2)
    assert {choice.index for chunk in chunks for choice in chunk.choices} == {0, 1}
    assert sum(bool(choice.finish_reason) for chunk in chunks for choice in chunk.choices) == 2


@pytest.mark.covers("max_tokens", "stop")
def test_limits_hold_in_streams(client: OpenAI) -> None:
    assert chunks_of(client, max_tokens=2)[-1].choices[0].finish_reason == "length"
    said = [{"role": "user", "content": "one two three four"}]
    assert text_of(chunks_of(client, model="echo", messages=said, stop="three")) == "one two "


@pytest.mark.covers("logprobs")
def test_log_probabilities_stream(client: OpenAI) -> None:
    chunks = chunks_of(client, model="fast", logprobs=True, top_logprobs=1)
    assert any(choice.logprobs and choice.logprobs.content for chunk in chunks for choice in chunk.choices)


@pytest.mark.covers("stream", "tools")
@TIERS
def test_tool_calls_stream_in_parts(client: OpenAI, model: str) -> None:
    with client.chat.completions.stream(model=model, messages=SAID, tools=[WEATHER]) as stream:
        kinds = {event.type for event in stream}
        made = stream.get_final_completion()
    assert "tool_calls.function.arguments.done" in kinds
    assert made.choices[0].finish_reason == "tool_calls"
    [call] = made.choices[0].message.tool_calls or []
    assert call.function.name == "get_weather"
    assert call.id


@pytest.mark.covers("stream", "response_format")
@TIERS
def test_the_stream_helper_parses_a_schema(client: OpenAI, model: str) -> None:
    with client.chat.completions.stream(model=model, messages=SAID, response_format=Person) as stream:
        kinds = {event.type for event in stream}
        parsed: BaseModel | None = stream.get_final_completion().choices[0].message.parsed
    assert {"chunk", "content.delta", "content.done"} <= kinds
    assert isinstance(parsed, Person)


@pytest.mark.covers("stream", "functions")
def test_legacy_functions_stream(client: OpenAI) -> None:
    chunks = chunks_of(client, functions=[WEATHER["function"]], function_call={"name": "get_weather"})
    called = [c.delta.function_call for chunk in chunks for c in chunk.choices if c.delta.function_call]
    assert "".join(part.name or "" for part in called) == "get_weather"
    assert "".join(part.arguments or "" for part in called).startswith("{")
    assert chunks[-1].choices[0].finish_reason == "function_call"


@pytest.mark.covers("stream")
def test_raw_bytes_are_events(client: OpenAI) -> None:
    with client.chat.completions.with_streaming_response.create(model="fast", messages=SAID, stream=True) as reply:
        lines = [line for line in reply.iter_lines() if line]
    assert reply.headers["content-type"].startswith("text/event-stream")
    assert all(line.startswith("data: ") for line in lines)
    assert lines[-1] == "data: [DONE]"


@pytest.mark.covers("stream")
def test_a_stream_may_be_left_early(client: OpenAI) -> None:
    with client.chat.completions.create(model="fast", messages=SAID, stream=True) as stream:
        next(iter(stream))
    assert client.chat.completions.create(model="fast", messages=SAID).choices


@pytest.mark.covers("model")
async def test_the_async_client_asks_parses_and_streams(async_client: AsyncOpenAI) -> None:
    made = await async_client.chat.completions.create(model="auto", messages=SAID)
    assert made.choices[0].message.content
    parsed = await async_client.chat.completions.parse(model="auto", messages=SAID, response_format=Person)
    assert isinstance(parsed.choices[0].message.parsed, Person)
    async with async_client.chat.completions.stream(model="auto", messages=SAID) as stream:
        kinds = [event.type async for event in stream]
    assert kinds[-1] == "content.done"


@pytest.mark.covers("stream", "models")
async def test_the_async_client_streams_raw_and_lists_models(async_client: AsyncOpenAI) -> None:
    chunks = [c async for c in await async_client.chat.completions.create(model="auto", messages=SAID, stream=True)]
    assert text_of(chunks)
    assert "auto" in [model.id async for model in async_client.models.list()]
    raw = await async_client.chat.completions.with_raw_response.create(model="auto", messages=SAID)
    assert raw.headers["x-request-id"]
