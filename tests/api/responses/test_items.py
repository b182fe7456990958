import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.api.responses.items import ROLES, input_items, messages_of
from router.api.responses.output import Output
from router.api.responses.request import KNOWN, params_of, parse_responses
from router.api.responses.sealed import unseal
from router.errors import InvalidRequest
from router.providers.base import Choice, Delta
from tests.api.responses.test_endpoint import WEATHER, a_request

CALL = {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"}
JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
KINDS = st.sampled_from(
    [
        "message",
        "reasoning",
        "function_call",
        "function_call_output",
        "custom_tool_call",
        "web_search_call",
        "x",
        None,
        1,
    ]
)
KEYS = st.sampled_from(["role", "content", "summary", "call_id", "name", "arguments", "output", "text", "image_url"])


def params(**changes: Any) -> dict[str, Any]:
    return params_of(parse_responses(json.dumps(a_request(**changes)).encode(), strict=False))


def test_a_string_is_what_the_user_says() -> None:
    assert messages_of(input_items("Hello")) == [{"role": "user", "content": "Hello"}]


def test_parts_are_translated() -> None:
    parts = [
        {"type": "input_text", "text": "What is this?"},
        {"type": "input_image", "image_url": "https://example.org/cat.png", "detail": "low"},
        {"type": "input_file", "file_data": "data:text/plain;base64,QQ==", "filename": "a.txt"},
    ]
    [message] = messages_of([{"role": "user", "content": parts}])
    assert message["content"] == [
        {"type": "text", "text": "What is this?"},
        {"type": "image_url", "image_url": {"url": "https://example.org/cat.png", "detail": "low"}},
        {"type": "file", "file": {"file_data": "data:text/plain;base64,QQ==", "filename": "a.txt"}},
    ]


def test_what_an_assistant_said_thought_and_called_is_one_message() -> None:
    said = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Let me see"}]}
    thought = {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "Hm"}]}
    result = {"type": "function_call_output", "call_id": "c1", "output": [{"type": "input_text", "text": "ok"}]}
    call = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    assert messages_of([thought, said, CALL, {**CALL, "call_id": "c2"}, result]) == [
        {
            "role": "assistant",
            "content": "Let me see",
            "reasoning_content": "Hm",
            "tool_calls": [call, {**call, "id": "c2"}],
        },
        {"role": "tool", "tool_call_id": "c1", "content": "ok"},
    ]


def test_thinking_that_nobody_can_read_is_left_out_and_named() -> None:
    encrypted = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "xyz"}
    dropped: list[str] = []
    assert messages_of([encrypted, CALL], dropped=dropped)[0].keys() == {"role", "content", "tool_calls"}
    assert dropped == ["input.reasoning.encrypted_content"]


def test_a_custom_call_and_its_output_are_a_message_and_a_result() -> None:
    call = {"type": "custom_tool_call", "call_id": "c1", "name": "patch", "input": "*** Begin"}
    output = {"type": "custom_tool_call_output", "call_id": "c1", "output": "done"}
    assert messages_of([call, output]) == [
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": "c1", "type": "custom", "custom": {"name": "patch", "input": "*** Begin"}}],
        },
        {"role": "tool", "tool_call_id": "c1", "content": "done"},
    ]


SIGNED = {"google": {"thought_signature": "c2ln"}}
BLOCKS = [{"type": "thinking", "thinking": "Hm.", "signature": "sig"}]


@pytest.mark.parametrize("is_streamed", [True, False])
def test_what_a_provider_wants_back_comes_back_with_the_items(is_streamed: bool) -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}, "extra_content": SIGNED}
    output = Output("r1")
    if is_streamed:
        for delta in (
            Delta(reasoning="Hm.", thinking_blocks=[{"type": "thinking", "thinking": "Hm."}]),
            Delta(thinking_blocks=[{"type": "thinking", "thinking": "", "signature": "sig"}]),
            Delta(content="Let me see"),
            Delta(tool_calls=[{**call, "index": 0}]),
            Delta(state={"reasoning_details": [{"type": "reasoning.encrypted", "data": "b3Bh"}]}),
        ):
            output.add(delta)
    else:
        state = {"reasoning_details": [{"type": "reasoning.encrypted", "data": "b3Bh"}]}
        output.add_whole(Choice(0, "Let me see", "Hm.", tool_calls=[call], thinking_blocks=BLOCKS, state=state))
    output.finish("completed")
    [message] = messages_of(msgspec.to_builtins(output.items))
    assert message["thinking_blocks"] == BLOCKS
    assert message["reasoning_details"] == [{"type": "reasoning.encrypted", "data": "b3Bh"}]
    assert message["tool_calls"] == [call]
    assert message["content"] == "Let me see"


@pytest.mark.parametrize("text", ["tw1.", "tw1.!!", "tw1.e30=", "gAAAA", "tw1." + "A" * 3_000_000, None, 5])
def test_what_was_not_sealed_here_carries_nothing(text: object) -> None:
    assert not unseal(text)


def test_flat_tools_become_nested_ones() -> None:
    named = {"type": "function", "name": "get_weather"}
    translated = params(tools=[{**WEATHER, "strict": None}], tool_choice=named)
    function = {"name": "get_weather", "parameters": WEATHER["parameters"]}
    assert translated["tools"] == [{"type": "function", "function": function}]
    assert translated["tool_choice"] == {"type": "function", "function": {"name": "get_weather"}}


def test_allowed_tools_are_the_only_ones_that_go_on() -> None:
    other = {"type": "function", "name": "other"}
    choice = {"type": "allowed_tools", "mode": "required", "tools": [other]}
    translated = params(tools=[WEATHER, other], tool_choice=choice)
    assert [tool["function"]["name"] for tool in translated["tools"]] == ["other"]
    assert translated["tool_choice"] == "required"


def test_a_schema_is_passed_on_as_a_response_format() -> None:
    schema = {"name": "person", "schema": {"type": "object"}, "strict": True}
    translated = params(text={"format": {"type": "json_schema", **schema}, "verbosity": "low"})
    assert translated["response_format"] == {"type": "json_schema", "json_schema": schema}
    assert translated["verbosity"] == "low"


def test_keys_that_steer_a_provider_never_get_through() -> None:
    assert params(api_base="http://evil", extra_headers={"x": "y"}, store=True, metadata={"a": "b"}) == {}


@given(st.lists(st.dictionaries(KEYS, JSON, max_size=4).flatmap(lambda item: KINDS.map(lambda k: item | {"type": k}))))
def test_any_items_are_translated_or_refused_by_name(items: list[Any]) -> None:
    refused, messages = "", []
    try:
        messages = messages_of(items)
    except InvalidRequest as error:
        refused = error.param or "nothing"
    assert refused.startswith("input") or {message["role"] for message in messages} <= {*ROLES, "tool"}


@given(st.lists(st.tuples(st.sampled_from(["content", "reasoning", "refusal"]), st.text(min_size=1, max_size=5))))
def test_a_streamed_answer_is_made_of_the_same_items_as_a_whole_one(steps: list[tuple[str, str]]) -> None:
    """Where thinking comes first, pieces joined are the whole."""
    ordered = sorted(steps, key=lambda step: ["reasoning", "content", "refusal"].index(step[0]))
    whole, streamed = Output("0"), Output("0")
    texts = {kind: "".join(text for of, text in ordered if of == kind) or None for kind, _ in ordered}
    whole.add_whole(Choice(**texts))  # type: ignore[arg-type]
    for kind, text in ordered:
        streamed.add(Delta(**{kind: text}))  # type: ignore[arg-type]
    whole.finish("completed")
    streamed.finish("completed")
    assert whole.items == streamed.items


def test_calls_that_grow_side_by_side_stay_apart() -> None:
    output = Output("0")
    for place, name, arguments in ((0, "f", '{"a"'), (1, "g", "{"), (0, "", ":1}"), (1, "", "}")):
        output.add(Delta(tool_calls=[{"index": place, "function": {"name": name, "arguments": arguments}}]))
    output.finish("completed")
    assert [(item.name, item.arguments) for item in output.items if item.type == "function_call"] == [  # type: ignore[union-attr]
        ("f", '{"a":1}'),
        ("g", "{}"),
    ]


@given(st.dictionaries(st.sampled_from(sorted(KNOWN)), JSON, max_size=5))
def test_any_body_is_translated_or_refused(changes: dict[str, Any]) -> None:
    try:
        request = parse_responses(json.dumps(a_request() | changes).encode(), strict=False)
        messages_of(input_items(request.input))
        params_of(request)
    except InvalidRequest as error:
        changes = {} if error.param else {"unnamed": error}
    assert "unnamed" not in changes
