"""Every malformed body is a 400 that names the parameter as the client wrote it."""

import json
from typing import Any

import pytest

from router.api.chat.request import KNOWN, PASSED, chat_of, params_of, parse_chat
from router.errors import InvalidRequest
from tests.api.service import CHAT, JSON, Service

USER = {"role": "user", "content": "Hello"}
CALL = {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b"null",
        b"[]",
        b'"text"',
        b"7",
        b"{'model': 'auto'}",
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'{"model": "auto", "messages": [{"role": "user", "content": "x"}], "temperature": NaN}',
        b'{"model": "auto", "messages": [{"role": "user", "content": "x"}], "temperature": Infinity}',
        b'{"model": "auto", "messages": [{"role": "user", "content": "x"}], "temperature": 1e999}',
        b'{"model": "auto", "messages": [{"role": "user", "content": "\\ud800"}]}',
    ],
    ids=lambda body: repr(body[:24]),
)
async def test_what_is_no_json_object_is_refused_and_the_body_named(service: Service, body: bytes) -> None:
    response = await service.local.post(CHAT, content=body, headers=JSON)
    error = response.json()["error"]
    assert (response.status_code, error["type"], error["param"]) == (400, "invalid_request_error", "body")


@pytest.mark.parametrize("depth", [250, 900, 955, 960, 990])
async def test_a_body_is_nested_too_deeply_before_the_stack_is_at_its_end(service: Service, depth: int) -> None:
    nested = '{"a":' * depth + "1" + "}" * depth
    content = '[{"type": "file", "file": ' + nested + "}]"
    body = '{"model": "fast", "messages": [{"role": "user", "content": ' + content + "}]}"
    response = await service.local.post(CHAT, content=body.encode(), headers=JSON)
    assert (response.status_code, response.json()["error"]["param"]) == (400, "body")


def test_a_body_with_many_shallow_objects_is_fine() -> None:
    messages = [USER] * 1_000
    assert len(chat_of({"model": "auto", "messages": messages}, strict=True).messages) == 1_000
    assert parse_chat(json.dumps({"model": "auto", "messages": messages}).encode(), strict=True)


async def test_an_absent_body_is_refused(service: Service) -> None:
    assert (await service.local.post(CHAT)).status_code == 400


@pytest.mark.parametrize(
    ("changes", "param"),
    [
        ({"model": None}, "model"),
        ({"model": 5}, "model"),
        ({"model": ""}, "model"),
        ({"messages": None}, "messages"),
        ({"messages": []}, "messages"),
        ({"messages": "Hello"}, "messages"),
        ({"messages": {"role": "user"}}, "messages"),
        ({"messages": ["Hello"]}, "messages[0]"),
        ({"messages": [None]}, "messages[0]"),
        ({"messages": [{}]}, "messages[0].role"),
        ({"messages": [{"role": "robot", "content": "x"}]}, "messages[0].role"),
        ({"messages": [{"role": [], "content": "x"}]}, "messages[0].role"),
        ({"messages": [{"role": {}, "content": "x"}]}, "messages[0].role"),
        ({"messages": [USER, {"role": "user"}]}, "messages[1].content"),
        ({"messages": [{"role": "user", "content": 5}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": ["x"]}]}, "messages[0].content[0].type"),
        ({"messages": [{"role": "user", "content": [{"type": []}]}]}, "messages[0].content[0].type"),
        ({"messages": [{"role": "user", "content": [{"type": "text"}]}]}, "messages[0].content[0].text"),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "file:///x"}}]}]},
            "messages[0].content[0].image_url.url",
        ),
        ({"messages": [{"role": "assistant"}]}, "messages[0].content"),
        ({"messages": [{"role": "assistant", "tool_calls": 5}]}, "messages[0].tool_calls"),
        ({"messages": [{"role": "assistant", "tool_calls": [{}]}]}, "messages[0].tool_calls[0].function.name"),
        ({"messages": [{"role": "assistant", "function_call": {"name": 5}}]}, "messages[0].function_call"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages[0].tool_call_id"),
        ({"stream": "yes"}, "stream"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_tokens": "5"}, "max_tokens"),
        ({"max_completion_tokens": -1}, "max_completion_tokens"),
        ({"n": 0}, "n"),
        ({"n": True}, "n"),
        ({"n": 129}, "n"),
        ({"temperature": 2.1}, "temperature"),
        ({"top_p": -0.1}, "top_p"),
        ({"presence_penalty": 3}, "presence_penalty"),
        ({"logit_bias": {"5": 101}}, "logit_bias[...]"),
        ({"top_logprobs": 3}, "top_logprobs"),
        ({"top_logprobs": 21, "logprobs": True}, "top_logprobs"),
        ({"seed": 2**64}, "seed"),
        ({"stop": [1]}, "stop[0]"),
        ({"stop": list("abcde")}, "stop"),
        ({"stream_options": {"include_usage": True}}, "stream_options"),
        ({"stream": True, "stream_options": {"include_usage": 1}}, "stream_options.include_usage"),
        ({"reasoning_effort": "huge"}, "reasoning_effort"),
        ({"tools": [5]}, "tools[0]"),
        ({"tools": [{}]}, "tools[0].type"),
        ({"tools": [{"type": "function"}]}, "tools[0].function.name"),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"tool_choice": "sometimes", "tools": [{"type": "x"}]}, "tool_choice"),
        ({"functions": [], "tools": []}, "functions"),
        ({"response_format": {"type": "xml"}}, "response_format.type"),
        ({"response_format": {"type": "json_schema"}}, "response_format.json_schema.name"),
        ({"modalities": ["smell"]}, "modalities"),
        ({"metadata": {"a": 1}}, "metadata[...]"),
        ({"user": "x" * 513}, "user"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_a_wrong_parameter_is_named(changes: dict[str, Any], param: str) -> None:
    body = json.dumps({"model": "auto", "messages": [USER]} | changes).encode()
    with pytest.raises(InvalidRequest) as caught:
        parse_chat(body, strict=False)
    assert caught.value.param == param


@pytest.mark.parametrize("missing", ["model", "messages"])
def test_a_missing_parameter_is_named(missing: str) -> None:
    body = {"model": "auto", "messages": [USER]}
    del body[missing]
    with pytest.raises(InvalidRequest) as caught:
        chat_of(body, strict=False)
    assert (caught.value.param, caught.value.code) == (missing, "missing_required_parameter")


def test_null_is_as_good_as_absent() -> None:
    body = {"model": "auto", "messages": [USER], **dict.fromkeys(KNOWN - {"model", "messages"})}
    assert params_of(chat_of(body, strict=True)) == {}


def test_only_allow_listed_parameters_are_passed_on() -> None:
    body = {"model": "auto", "messages": [USER], "user": "u", "metadata": {}, "store": True, "temperature": 0.5}
    assert params_of(chat_of(body, strict=True)) == {"temperature": 0.5}
    assert not {"model", "messages", "stream", "api_base", "api_key", "extra_headers"} & set(PASSED)


def test_a_message_keeps_allow_listed_keys_only() -> None:
    message = {**USER, "name": "Ada", "api_key": "x", "cache_control": {}}
    assert chat_of({"model": "auto", "messages": [message]}, strict=False).messages == [{**USER, "name": "Ada"}]


def test_legacy_functions_become_tools() -> None:
    messages = [
        USER,
        {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "{}"}},
        {"role": "function", "name": "f", "content": "5"},
    ]
    body = {"model": "auto", "messages": messages, "functions": [{"name": "f"}], "function_call": {"name": "f"}}
    request = chat_of(body, strict=False)
    assert request.tools == [{"type": "function", "function": {"name": "f"}}]
    assert request.tool_choice == {"type": "function", "function": {"name": "f"}}
    assert request.messages[1]["tool_calls"][0]["id"] == request.messages[2]["tool_call_id"]


def test_tool_calls_and_their_results_pass() -> None:
    answer = {"role": "tool", "tool_call_id": "a", "content": "5"}
    messages = [USER, {"role": "assistant", "content": None, "tool_calls": [CALL]}, answer]
    checked = chat_of({"model": "auto", "messages": messages}, strict=True).messages
    assert checked == messages
