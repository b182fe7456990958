import asyncio
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest

from router.errors import (
    ProviderError,
    ProviderOverloaded,
    ProviderRefused,
    ProviderTimeout,
    ProviderUnreachable,
)
from router.providers.base import Choice, Completion, Delta
from router.providers.collecting import fold
from router.providers.counting import count_tokens
from router.providers.scripted.client import ScriptedProvider
from router.types import Usage
from tests.providers.shapes import a_request

WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Look up the weather of a city",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "days": {"type": "integer", "minimum": 1}},
            "required": ["city", "days"],
        },
    },
}
MAGIC = {
    "type": "function",
    "function": {
        "name": "magic",
        "parameters": {"type": "object", "properties": {"input": {"type": "integer"}}, "required": ["input"]},
    },
}


async def said(name: str, text: str = "Tell me about gardening.", **changes: Any) -> Completion:
    return await ScriptedProvider().complete(a_request(f"scripted/{name}", text, **changes))


async def choice_of(name: str, text: str = "Tell me about gardening.", **changes: Any) -> Choice:
    return (await said(name, text, **changes)).choices[0]


async def test_the_same_request_and_seed_get_the_same_answer() -> None:
    first, again, other = [await choice_of("assistant", params={"seed": seed}) for seed in (1, 1, 2)]
    assert first == again
    assert first.content != other.content


async def test_echo_repeats_the_last_user_message() -> None:
    assert (await choice_of("echo", "Grüße, 世界 🌍!")).content == "Grüße, 世界 🌍!"


async def test_streamed_and_whole_answers_are_equal() -> None:
    provider, request = ScriptedProvider(), a_request("scripted/assistant", think=True, params={"n": 2})
    deltas = [delta async for delta in provider.stream(request)]
    assert fold(deltas, request.target.name) == await provider.complete(request)


async def test_a_name_says_how_many_chunks_there_are() -> None:
    request = a_request("scripted/echo-3c", "one two three four five six seven")
    deltas = [delta async for delta in ScriptedProvider().stream(request)]
    assert len([delta for delta in deltas if delta.content]) == 3


async def test_a_limit_cuts_the_text_and_says_so() -> None:
    choice = await choice_of("assistant", max_visible_tokens=3)
    assert choice.finish_reason == "length"
    assert count_tokens(choice.content or "") == 3


async def test_stop_words_end_the_text_before_them() -> None:
    choice = await choice_of("echo", "one two three", params={"stop": [" three", " two"]})
    assert (choice.content, choice.finish_reason) == ("one", "stop")


async def test_thinking_comes_as_reasoning_and_is_counted_apart() -> None:
    answer = await said("assistant", think=True, max_thinking_tokens=5)
    assert answer.metered is not None
    assert answer.metered.usage.output_reasoning == 5
    assert answer.choices[0].reasoning
    assert answer.choices[0].reasoning not in (answer.choices[0].content or "")


async def test_half_of_the_input_may_count_as_cached() -> None:
    answer = await said("assistant-cached")
    assert answer.metered is not None
    assert answer.metered.usage.input_cached > 0


async def test_log_probabilities_come_for_each_token() -> None:
    choice = await choice_of("assistant", params={"logprobs": True, "top_logprobs": 2}, max_visible_tokens=4)
    assert choice.logprobs is not None
    tokens = choice.logprobs["content"]
    assert "".join(token["token"] for token in tokens) == choice.content
    assert all(len(token["top_logprobs"]) == 2 and token["logprob"] <= 0 for token in tokens)


async def test_the_likeliest_tool_is_called_with_what_the_question_holds() -> None:
    choice = await choice_of("assistant", "What is the value of magic of 3?", params={"tools": [WEATHER, MAGIC]})
    assert choice.finish_reason == "tool_calls"
    assert choice.tool_calls is not None
    assert choice.tool_calls[0]["function"] == {"name": "magic", "arguments": '{"input":3}'}


async def test_arguments_fit_the_schema_of_the_tool() -> None:
    choice = await choice_of("assistant", "What is the weather in Paris?", params={"tools": [WEATHER]})
    assert choice.tool_calls is not None
    arguments = msgspec.json.decode(choice.tool_calls[0]["function"]["arguments"])
    assert arguments["city"] == "Paris"
    jsonschema.validate(arguments, WEATHER["function"]["parameters"])  # type: ignore[index]


async def test_a_tool_result_is_answered_in_words() -> None:
    call = {"id": "call_1", "type": "function", "function": {"name": "magic", "arguments": "{}"}}
    messages: list[dict[str, Any]] = [
        {"role": "user", "content": "magic of 3?"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_1", "content": "5"},
    ]
    choice = await choice_of("assistant", messages=messages, params={"tools": [MAGIC]})
    assert choice.content == "The result is 5."


@pytest.mark.parametrize("tool_choice", ["required", {"type": "function", "function": {"name": "magic"}}])
async def test_a_demanded_tool_is_called(tool_choice: Any) -> None:
    choice = await choice_of("assistant", "Hello", params={"tools": [MAGIC], "tool_choice": tool_choice})
    assert choice.tool_calls is not None
    assert choice.tool_calls[0]["function"]["name"] == "magic"


async def test_no_tool_is_called_where_none_is_wanted() -> None:
    choice = await choice_of("assistant", params={"tools": [MAGIC], "tool_choice": "none"})
    assert choice.tool_calls is None


async def test_a_schema_is_kept() -> None:
    schema = {
        "type": "object",
        "properties": {
            "name": {"type": "string", "minLength": 3},
            "tags": {"type": "array", "items": {"$ref": "#/$defs/Tag"}, "minItems": 2},
            "when": {"anyOf": [{"type": "null"}, {"type": "string", "format": "date"}]},
            "mood": {"enum": ["good", "bad"]},
        },
        "required": ["name", "tags", "when", "mood"],
        "additionalProperties": False,
        "$defs": {"Tag": {"type": "object", "properties": {"n": {"type": "number", "maximum": 1}}, "required": ["n"]}},
    }
    wanted = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
    choice = await choice_of("assistant", params={"response_format": wanted})
    jsonschema.validate(msgspec.json.decode(choice.content or ""), schema)


async def test_images_are_seen() -> None:
    parts = [{"type": "text", "text": "What is this?"}, {"type": "image_url", "image_url": {"url": "data:,x"}}]
    choice = await choice_of("assistant", messages=[{"role": "user", "content": parts}])
    assert "1 image" in (choice.content or "")


@pytest.mark.parametrize(("name", "expected"), [("solver", True), ("solver-0pct", False)])
async def test_a_solver_is_right_as_often_as_its_name_says(name: str, expected: bool) -> None:
    choice = await choice_of(name, "What is 17 * 30?", params={"seed": 3})
    assert (choice.content or "").endswith("Answer: 510") is expected


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("fail-503", ProviderOverloaded),
        ("fail-429", ProviderOverloaded),
        ("fail-400", ProviderRefused),
        ("fail-500", ProviderError),
        ("fail-context", ProviderRefused),
        ("fail-connect", ProviderUnreachable),
        ("fail-timeout", ProviderTimeout),
        ("fail-midstream", ProviderError),
        ("malformed", ProviderError),
    ],
)
async def test_it_fails_as_its_name_says(name: str, kind: type[ProviderError]) -> None:
    with pytest.raises(kind):
        await said(name)


async def test_faults_strike_as_many_calls_as_the_name_says() -> None:
    provider, failures = ScriptedProvider(), 0
    for _ in range(20):
        try:
            await provider.complete(a_request("scripted/fail-503-30pct"))
        except ProviderOverloaded:
            failures += 1
    assert failures == 6


async def test_hanging_ends_at_the_time_limit() -> None:
    with pytest.raises(ProviderTimeout):
        await said("hang", timeout_s=0.05)


async def test_usage_may_be_withheld_but_is_tallied() -> None:
    provider = ScriptedProvider()
    answer = await provider.complete(a_request("scripted/no-usage"))
    assert answer.metered is None
    assert provider.tally.calls == {"scripted/no-usage": 1}


async def test_the_tally_holds_what_the_client_was_told(tmp_path: Path) -> None:
    provider = ScriptedProvider(tmp_path / "tally.jsonl")
    answer = await provider.complete(a_request("scripted/assistant"))
    await provider.close()
    [line] = (tmp_path / "tally.jsonl").read_bytes().splitlines()
    assert answer.metered is not None
    assert Usage(**msgspec.json.decode(line)["usage"]) == answer.metered.usage
    assert msgspec.json.decode(line)["is_whole"]


async def test_the_tally_is_written_before_the_last_piece_goes_out() -> None:
    provider = ScriptedProvider()
    async for delta in provider.stream(a_request("scripted/assistant")):
        if delta.metered is not None:
            assert provider.tally.recent[-1].usage == delta.metered.usage


async def test_a_call_cut_off_is_tallied_with_what_went_out() -> None:
    provider, seen = ScriptedProvider(), list[Delta]()
    stream = provider.stream(a_request("scripted/assistant"))
    for _ in range(3):
        seen.append(await anext(stream))
    await stream.aclose()
    [served] = provider.tally.recent
    assert (served.is_whole, served.usage.output_visible) == (False, 3)


async def test_a_call_cancelled_before_its_first_byte_was_not_served() -> None:
    provider = ScriptedProvider()
    task = asyncio.ensure_future(provider.complete(a_request("scripted/hang")))
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not provider.tally.calls
