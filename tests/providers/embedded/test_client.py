"""A few short answers of the real model; its words are its own business, the rest is ours."""

import asyncio
import threading
from typing import Any

import msgspec
import pytest

from router.errors import ProviderRefused
from router.providers.collecting import fold
from router.providers.embedded.client import EmbeddedProvider
from router.types import Precision
from tests.providers.shapes import a_request
from tests.waiting import soon

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture(scope="module")
def model() -> Any:
    provider = EmbeddedProvider()
    provider.load()
    yield provider
    asyncio.run(provider.close())


def asked(text: str = "Name a colour.", **changes: Any) -> Any:
    changes = {"max_visible_tokens": 6, "timeout_s": 60.0, **changes}
    return a_request("embedded/smollm2", text, api_key=None, **changes)


async def test_it_streams_tokens_with_the_exact_usage_so_far(model: EmbeddedProvider) -> None:
    deltas = [delta async for delta in model.stream(asked())]
    answer = fold(deltas, "embedded/smollm2")
    spoken = [delta for delta in deltas if delta.content]
    assert [d.metered.usage.output_visible for d in spoken if d.metered] == list(range(1, len(spoken) + 1))
    assert answer.metered is not None
    assert answer.metered.precision is Precision.EXACT
    assert answer.metered.raw is not None
    assert answer.metered.usage.output_visible >= len(spoken)
    assert answer.choices[0].finish_reason in ("length", "stop")


async def test_the_same_seed_says_the_same(model: EmbeddedProvider) -> None:
    first, again = [await model.complete(asked(params={"seed": 7, "temperature": 0.0})) for _ in range(2)]
    assert first.choices[0].content == again.choices[0].content


async def test_thinking_is_reasoning_and_no_content(model: EmbeddedProvider) -> None:
    answer = await model.complete(asked(think=True, max_thinking_tokens=8))
    assert answer.choices[0].reasoning
    assert answer.choices[0].content
    assert answer.metered is not None
    assert 0 < answer.metered.usage.output_reasoning <= 9


async def test_choices_and_log_probabilities_come_as_openai_has_them(model: EmbeddedProvider) -> None:
    params = {"n": 2, "seed": 1, "temperature": 1.0, "logprobs": True, "top_logprobs": 2}
    answer = await model.complete(asked(params=params, max_visible_tokens=3))
    assert [choice.index for choice in answer.choices] == [0, 1]
    for choice in answer.choices:
        assert choice.logprobs is not None
        for token in choice.logprobs["content"]:
            assert token.keys() == {"token", "bytes", "logprob", "top_logprobs"}
            assert len(token["top_logprobs"]) == 2


async def test_a_demanded_tool_and_a_schema_are_kept(model: EmbeddedProvider) -> None:
    schema = {"type": "object", "properties": {"ok": {"type": "boolean"}}, "required": ["ok"]}
    tools = [{"type": "function", "function": {"name": "confirm", "parameters": schema}}]
    wanted = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
    limit = {"max_visible_tokens": 100}
    called = await model.complete(asked("Confirm.", params={"tools": tools, "tool_choice": "required"}, **limit))
    written = await model.complete(asked("Confirm.", params={"response_format": wanted}, **limit))
    assert called.choices[0].tool_calls is not None
    function = called.choices[0].tool_calls[0]["function"]
    assert function["name"] == "confirm"
    for text in (function["arguments"], written.choices[0].content):
        assert isinstance(msgspec.json.decode(text or "")["ok"], bool)


async def test_too_long_a_prompt_is_refused(model: EmbeddedProvider) -> None:
    with pytest.raises(ProviderRefused) as caught:
        await model.complete(asked("word " * 3000))
    assert caught.value.code == "context_length_exceeded"


async def test_images_and_unknown_models_are_refused(model: EmbeddedProvider) -> None:
    parts = [{"type": "image_url", "image_url": {"url": "data:,x"}}]
    with pytest.raises(ProviderRefused):
        await model.complete(asked(messages=[{"role": "user", "content": parts}]))
    with pytest.raises(ProviderRefused):
        await model.complete(a_request("embedded/unheard-of"))


HOSTILE_SCHEMAS: dict[str, Any] = {
    "refers to itself": {"$ref": "#"},
    "refers elsewhere": {"$ref": "http://127.0.0.1:1/x"},
    "no such type": {"type": "nonsense"},
    "nothing allowed": {"enum": []},
    "left recursive": {"$defs": {"a": {"anyOf": [{"$ref": "#/$defs/a"}, {"type": "string"}]}}, "$ref": "#/$defs/a"},
    "endless": {"type": "string", "minLength": 100_000, "maxLength": 1_000_000_000},
    "wide": {"type": "object", "properties": {str(n): {"type": "string"} for n in range(3000)}},
    "long": {"enum": [str(n) * 100 for n in range(20_000)]},
}


@pytest.mark.parametrize("schema", HOSTILE_SCHEMAS.values(), ids=HOSTILE_SCHEMAS.keys())
async def test_a_schema_it_cannot_take_is_refused_at_once(model: EmbeddedProvider, schema: Any) -> None:
    wanted = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
    with pytest.raises(ProviderRefused):
        await model.complete(asked(params={"response_format": wanted}))


def generating() -> int:
    return sum(thread.name == "tierwise-generation" for thread in threading.enumerate())


STORY = "Tell me a very long story."


@pytest.mark.parametrize("text", [STORY, "word " * 1500])
async def test_cancelling_stops_the_generation(model: EmbeddedProvider, text: str) -> None:
    *cancelled, other = [
        asyncio.ensure_future(model.complete(asked(prompt, max_visible_tokens=500))) for prompt in (text, text, STORY)
    ]
    await soon(lambda: generating() == 3)
    for task in cancelled:
        task.cancel()
    await soon(lambda: generating() < 2)
    assert not other.done()  # no shorter than they would have been
    other.cancel()
    await asyncio.gather(*cancelled, other, return_exceptions=True)
    await soon(lambda: not generating())


async def test_more_calls_than_slots_wait_their_turn(model: EmbeddedProvider) -> None:
    answers = await asyncio.gather(*(model.complete(asked(max_visible_tokens=2)) for _ in range(6)))
    assert all(answer.choices[0].content for answer in answers)


async def test_the_event_loop_turns_while_tokens_are_made(model: EmbeddedProvider) -> None:
    task, turns = asyncio.ensure_future(model.complete(asked(max_visible_tokens=20))), 0
    await soon(generating)
    while generating():
        await asyncio.sleep(0.001)
        turns += 1
    assert turns > 5
    assert (await task).choices
