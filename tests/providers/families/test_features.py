"""Every family with everything: its own dialect, streamed and whole, against a server that is as strict as its own.

`docs/compatibility.md` has these results as its second table (`scripts/providers` writes it).
"""

import gc
import json
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from router.errors import Cause, ProviderError
from router.providers.base import Choice, Completion, Delta, ProviderRequest
from router.providers.clients import Providers
from router.providers.collecting import fold
from router.types import Precision
from tests.providers.families.anthropic import anthropic
from tests.providers.families.bedrock import bedrock
from tests.providers.families.cohere import cohere
from tests.providers.families.fakes import CITY, PICTURE, THOUGHT
from tests.providers.families.gemini import gemini
from tests.providers.families.mistral import mistral
from tests.providers.families.ollama import ollama
from tests.providers.shapes import a_request
from tests.providers.upstream import Answer, Upstream, an_upstream

pytestmark = [
    pytest.mark.filterwarnings("ignore::UserWarning:pydantic.*"),  # of litellm's own classes, when they are first built
    pytest.mark.filterwarnings("ignore::pydantic.warnings.PydanticDeprecatedSince211"),  # of how litellm reads chunks
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),  # coroutines it drops when cancelled
]
LITELLM = re.compile(r"(?i)litellm|Exception\b|Error:|Traceback|<class")


@dataclass(frozen=True)
class Family:
    """One row of the table: a model, its server, and what the family cannot do (and so nobody is to promise)."""

    name: str
    model: str
    answer: Answer
    path: str = ""  # of the address that is configured
    without: frozenset[str] = frozenset()
    thinking_model: str | None = None

    def request(self, upstream: Upstream, *, thinks: bool = False, **changes: Any) -> ProviderRequest:
        model = self.thinking_model if thinks and self.thinking_model else self.model
        key = None if self.model.startswith("bedrock") else "sk-family"
        base = f"http://127.0.0.1:{upstream.port}{self.path}"
        asked: dict[str, Any] = {"think": True, "effort": "low"} if thinks else {}
        return a_request(model, api_base=base, api_key=key, timeout_s=60, **asked, **changes)


FAMILIES = [
    Family("Anthropic", "anthropic/claude-sonnet-4-5", anthropic),
    Family("Gemini", "gemini/gemini-2.5-flash", gemini, "/v1beta"),
    Family("Gemini 3", "gemini/gemini-3-pro-preview", gemini, "/v1beta"),
    Family("Bedrock, Claude", "bedrock/us.anthropic.claude-sonnet-4-5-20250929-v1:0", bedrock),
    Family("Bedrock, Nova", "bedrock/us.amazon.nova-lite-v1:0", bedrock, without=frozenset({"thinking"})),
    Family("Cohere", "cohere_chat/command-a-03-2025", cohere, "/v2/chat", without=frozenset({"thinking"})),
    Family("Mistral", "mistral/mistral-small-latest", mistral, "/v1", thinking_model="mistral/magistral-medium-latest"),
    Family("Ollama", "ollama/qwen3", ollama),
    Family("Ollama, native", "ollama_chat/qwen3", ollama),
]


@pytest.fixture(params=FAMILIES, ids=lambda family: family.name)
def family(request: pytest.FixtureRequest, record_property: Any) -> Family:
    record_property("family", request.param.name)
    feature = request.node.get_closest_marker("feature").args[0]
    record_property("feature", feature)
    if feature in request.param.without:
        pytest.skip("the family has no such thing")
    chosen: Family = request.param
    return chosen


@pytest.fixture(params=["whole", "streamed"])
def streamed(request: pytest.FixtureRequest, record_property: Any) -> bool:
    record_property("way", request.param)
    return bool(request.param == "streamed")


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_REGION_NAME": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)


@pytest.fixture(autouse=True, scope="module")
def what_litellm_dropped_is_complained_about_here() -> Iterator[None]:
    yield
    gc.collect()


@asynccontextmanager
async def serving(family: Family) -> AsyncIterator[tuple[Upstream, Providers]]:
    providers = Providers()
    try:
        async with an_upstream(family.answer) as upstream:
            yield upstream, providers
    finally:
        await providers.close()


async def answered(providers: Providers, request: ProviderRequest, *, streamed: bool) -> Completion:
    provider = providers.of(request.target)
    if not streamed:
        return await provider.complete(request)
    deltas: list[Delta] = [delta async for delta in provider.stream(request)]
    assert sum(delta.finish_reason is not None for delta in deltas) == 1
    return fold(deltas, request.target.name)


WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather of a city.",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
            "additionalProperties": False,
        },
    },
}
ASKED = {"role": "user", "content": "The weather in Oslo and in Rome?"}
CITY_SCHEMA = {
    "type": "json_schema",
    "json_schema": {
        "name": "city",
        "strict": True,
        "schema": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
            "additionalProperties": False,
        },
    },
}


def called(choice: Choice) -> list[tuple[str, object]]:
    return [(c["function"]["name"], json.loads(c["function"]["arguments"])) for c in choice.tool_calls or ()]


def given_back(choice: Choice) -> dict[str, Any]:
    """An assistant's message as a client keeps it: everything that was on it."""
    message: dict[str, Any] = {"role": "assistant", "content": choice.content, "tool_calls": choice.tool_calls}
    if choice.reasoning:
        message["reasoning_content"] = choice.reasoning
    if choice.thinking_blocks:
        message["thinking_blocks"] = choice.thinking_blocks
    return message | (choice.state or {})


def results_of(choice: Choice) -> list[dict[str, Any]]:
    degrees = ("5 degrees", "20 degrees")
    return [
        {"role": "tool", "tool_call_id": call["id"], "content": degree}
        for call, degree in zip(choice.tool_calls or (), degrees, strict=False)
    ]


@pytest.mark.feature("text")
async def test_text_with_a_system_prompt_and_usage(family: Family, streamed: bool) -> None:
    messages = [{"role": "system", "content": "Ada"}, {"role": "user", "content": "Hi"}]
    async with serving(family) as (upstream, providers):
        answer = await answered(providers, family.request(upstream, messages=messages), streamed=streamed)
    [choice] = answer.choices
    assert (choice.content, choice.finish_reason, choice.tool_calls) == ("Hello, Ada.", "stop", None)
    assert answer.metered is not None
    assert answer.metered.precision is Precision.EXACT
    assert (answer.metered.usage.input_tokens, answer.metered.usage.output_visible) == (20, 9)


@pytest.mark.feature("an output limit")
async def test_a_limit_cuts_the_answer_and_says_so(family: Family, streamed: bool) -> None:
    async with serving(family) as (upstream, providers):
        request = family.request(upstream, text="Go on", max_output_tokens=16)
        [choice] = (await answered(providers, request, streamed=streamed)).choices
    assert choice.content is not None
    assert choice.content.startswith("and on")
    assert choice.finish_reason == "length"


@pytest.mark.feature("tools")
async def test_tools_are_called_side_by_side_and_take_their_results(family: Family, streamed: bool) -> None:
    async with serving(family) as (upstream, providers):
        request = family.request(upstream, messages=[ASKED], params={"tools": [WEATHER], "tool_choice": "auto"})
        [choice] = (await answered(providers, request, streamed=streamed)).choices
        assert called(choice) == [("get_weather", {"city": "Oslo"}), ("get_weather", {"city": "Rome"})]
        assert choice.finish_reason == "tool_calls"
        ids = [call["id"] for call in choice.tool_calls or ()]
        assert len(set(ids)) == 2
        messages = [ASKED, given_back(choice), *results_of(choice)]
        again = family.request(upstream, messages=messages, params={"tools": [WEATHER]})
        [last] = (await answered(providers, again, streamed=streamed)).choices
    assert last.content == "It is 5 degrees and 20 degrees."


@pytest.mark.feature("tools of another model")
async def test_calls_that_another_family_made_are_taken(family: Family, streamed: bool) -> None:
    """Ids of every form, twice the same, with state that is not this family's."""
    function = {"name": "get_weather", "arguments": '{"city":"Oslo"}'}
    signed = {"google": {"thought_signature": "bm90IHlvdXJz"}}
    calls = [
        {"id": own, "type": "function", "function": function} for own in ("functions.get_weather:0", "call_" + "x" * 60)
    ]
    assistant: dict[str, Any] = {"role": "assistant", "content": None, "tool_calls": calls, "reasoning_content": "Hm."}
    strange: dict[str, Any] = {
        "reasoning_details": [{"type": "reasoning.encrypted", "data": "bm90IHlvdXJz"}],
        "reasoning_opaque": "bm90IHlvdXJz",
    }
    if "emini" not in family.name:
        strange["extra_content"] = signed
        assistant["tool_calls"] = [{**call, "extra_content": signed} for call in calls]
    results = [{"role": "tool", "tool_call_id": call["id"], "content": "5 degrees"} for call in calls]
    messages = [
        ASKED,
        {**assistant, **strange},
        *results,
        {"role": "assistant", "content": "It is cold."},
        ASKED,
        assistant,
        *results,
    ]
    async with serving(family) as (upstream, providers):
        request = family.request(upstream, messages=messages, params={"tools": [WEATHER]})
        answer = await answered(providers, request, streamed=streamed)
        assert "bm90IHlvdXJz" not in json.dumps(upstream.bodies)
    assert answer.choices[0].content == "It is 5 degrees and 5 degrees."
    assert {"messages.reasoning_details", "messages.reasoning_opaque"} <= set(answer.dropped)


@pytest.mark.feature("a history of tools without tools")
async def test_a_last_request_without_tools_is_answered(family: Family, streamed: bool) -> None:
    calls = [{"id": "a1b2c3d4e", "type": "function", "function": {"name": "get_weather", "arguments": "{}"}}]
    messages = [
        ASKED,
        {"role": "assistant", "content": None, "tool_calls": calls},
        {"role": "tool", "tool_call_id": "a1b2c3d4e", "content": "5 degrees"},
        {"role": "assistant", "content": "Cold."},
        {"role": "user", "content": "A title, please"},
    ]
    async with serving(family) as (upstream, providers):
        request = family.request(upstream, messages=messages)
        [choice] = (await answered(providers, request, streamed=streamed)).choices
    assert choice.content == "Hello, you."


@pytest.mark.feature("free-form tools")
async def test_free_form_tools_are_called_and_take_their_results(family: Family, streamed: bool) -> None:
    patch = {"type": "custom", "custom": {"name": "apply_patch", "description": "Edits files."}}
    asked = {"role": "user", "content": "The weather in Oslo"}
    async with serving(family) as (upstream, providers):
        request = family.request(upstream, messages=[asked], params={"tools": [patch]})
        [choice] = (await answered(providers, request, streamed=streamed)).choices
        assert choice.tool_calls is not None
        [call] = choice.tool_calls
        assert call["type"] == "custom"
        assert json.loads(call["custom"]["input"]) == {"city": "Oslo"}  # no text of its own: the whole is the input
        messages = [asked, given_back(choice), *results_of(choice)]
        again = family.request(upstream, messages=messages, params={"tools": [patch]})
        [last] = (await answered(providers, again, streamed=streamed)).choices
    assert last.content == "It is 5 degrees."


@pytest.mark.feature("images")
async def test_an_image_is_seen(family: Family, streamed: bool) -> None:
    parts = [{"type": "text", "text": "What is it?"}, {"type": "image_url", "image_url": {"url": PICTURE}}]
    async with serving(family) as (upstream, providers):
        request = family.request(upstream, messages=[{"role": "user", "content": parts}])
        [choice] = (await answered(providers, request, streamed=streamed)).choices
    assert choice.content == "A red dot."


@pytest.mark.feature("JSON schema")
async def test_a_schema_is_kept(family: Family, streamed: bool) -> None:
    async with serving(family) as (upstream, providers):
        request = family.request(upstream, text="A city", params={"response_format": CITY_SCHEMA})
        [choice] = (await answered(providers, request, streamed=streamed)).choices
    assert choice.content is not None
    assert json.loads(choice.content) == json.loads(CITY)
    assert (choice.finish_reason, choice.tool_calls) == ("stop", None)


@pytest.mark.feature("thinking")
async def test_thinking_is_told_apart_from_the_answer(family: Family, streamed: bool) -> None:
    async with serving(family) as (upstream, providers):
        request = family.request(upstream, thinks=True, text="Hi", max_visible_tokens=500)
        [choice] = (await answered(providers, request, streamed=streamed)).choices
    assert (choice.reasoning, choice.content, choice.finish_reason) == (THOUGHT, "Hello, you.", "stop")


@pytest.mark.feature("thinking amid tools")
async def test_thinking_goes_on_over_calls(family: Family, streamed: bool) -> None:
    async with serving(family) as (upstream, providers):
        request = family.request(upstream, thinks=True, messages=[ASKED], params={"tools": [WEATHER]})
        [choice] = (await answered(providers, request, streamed=streamed)).choices
        messages = [ASKED, given_back(choice), *results_of(choice)]
        again = family.request(upstream, thinks=True, messages=messages, params={"tools": [WEATHER]})
        [last] = (await answered(providers, again, streamed=streamed)).choices
        bare = {k: v for k, v in given_back(choice).items() if k in ("role", "content", "tool_calls")}
        without = family.request(
            upstream, thinks=True, messages=[ASKED, bare, *results_of(choice)], params={"tools": [WEATHER]}
        )
        [lossy] = (await answered(providers, without, streamed=streamed)).choices
    assert last.content == lossy.content == "It is 5 degrees and 20 degrees."
    if choice.reasoning and choice.thinking_blocks:
        assert last.reasoning == THOUGHT


@pytest.mark.feature("cache marks")
async def test_cache_marks_arrive_or_are_named(family: Family, streamed: bool) -> None:
    marked = {"type": "text", "text": "Ada", "cache_control": {"type": "ephemeral"}}
    messages = [{"role": "system", "content": [marked]}, {"role": "user", "content": "Hi"}]
    async with serving(family) as (upstream, providers):
        answer = await answered(providers, family.request(upstream, messages=messages), streamed=streamed)
        sent = json.dumps(upstream.bodies)
    assert answer.choices[0].content == "Hello, Ada."
    assert ("cache_control" in sent or "cachePoint" in sent) != ("messages.cache_control" in answer.dropped)


@pytest.mark.feature("a wrong key")
async def test_a_wrong_key_is_the_operators_business(
    family: Family, streamed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if family.name.startswith("Ollama"):
        pytest.skip("the family has no such thing")
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    async with serving(family) as (upstream, providers):
        request = family.request(upstream, text="Hi")
        wrong = a_request(family.model, "Hi", api_base=request.target.api_base, api_key="sk-wrong")
        with pytest.raises(ProviderError) as caught:
            await answered(providers, wrong, streamed=streamed)
    assert (caught.value.cause, caught.value.status) == (Cause.CREDENTIALS, 502)
    assert "sk-wrong" not in caught.value.message
    assert not LITELLM.search(caught.value.message)


@pytest.mark.feature("a refusal")
async def test_a_refusal_is_told_in_the_providers_words_alone(family: Family, streamed: bool) -> None:
    async with serving(family) as (upstream, providers):
        upstream.answers = [_refuses(family)]
        with pytest.raises(ProviderError) as caught:
            await answered(providers, family.request(upstream, text="Hi"), streamed=streamed)
    assert (caught.value.cause, caught.value.status) == (Cause.BAD_REQUEST, 400)
    assert caught.value.message == f"{family.model}: the weather is too bad"
    assert caught.value.provider_status == 400


@pytest.mark.feature("too many requests")
async def test_a_limit_of_the_rate_lets_another_stand_in(family: Family, streamed: bool) -> None:
    async with serving(family) as (upstream, providers):
        upstream.answers = [_refuses(family, "Too many requests, slow down", 429)]
        with pytest.raises(ProviderError) as caught:
            await answered(providers, family.request(upstream, text="Hi"), streamed=streamed)
    assert (caught.value.cause, caught.value.status, caught.value.retryable) == (Cause.RATE_LIMITED, 429, True)
    assert not LITELLM.search(caught.value.message)


@pytest.mark.feature("a broken stream")
async def test_a_stream_that_breaks_off_is_an_error(family: Family) -> None:
    async with serving(family) as (upstream, providers):
        whole = upstream.answers[0]
        upstream.answers = [_cut(whole)]
        with pytest.raises(ProviderError) as caught:
            await answered(providers, family.request(upstream, text="Hi"), streamed=True)
    assert caught.value.cause in (Cause.BROKEN_OFF, Cause.NONSENSE)
    assert not LITELLM.search(caught.value.message)


def _refuses(family: Family, message: str = "the weather is too bad", status: int = 400) -> Answer:
    from tests.providers.upstream import says

    bodies: dict[str, Any] = {
        "Anthropic": {"type": "error", "error": {"type": "invalid_request_error", "message": message}},
        "Gemini": {"error": {"code": status, "message": message, "status": "INVALID_ARGUMENT"}},
        "Bedrock": {"message": message},
        "Cohere": {"id": "x", "message": message},
        "Mistral": {"object": "error", "message": message, "type": "invalid_request_error", "code": "3051"},
        "Ollama": {"error": message},
    }
    return says(next(body for name, body in bodies.items() if family.name.startswith(name)), status)


def _cut(answer: Answer) -> Answer:
    """Send half of what a server would send, and hang up."""
    from aiohttp import web

    async def cut(request: web.Request) -> web.StreamResponse:
        sent = 0
        write = web.StreamResponse.write

        async def counting(self: web.StreamResponse, data: Any) -> None:
            nonlocal sent
            sent += 1
            if sent > 2:
                assert request.transport is not None
                request.transport.close()
                raise ConnectionResetError
            await write(self, data)

        web.StreamResponse.write = counting  # type: ignore[method-assign]
        try:
            return await answer(request)
        finally:
            web.StreamResponse.write = write  # type: ignore[method-assign]

    return cut
