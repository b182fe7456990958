import json
from pathlib import Path
from typing import Any

import pytest

from router.api.messages.request import parse_messages, session_of
from tests.api.service import Connection, Service, serving, settings_of
from tests.providers.upstream import an_upstream, says, streams

MESSAGES = "/v1/messages"
COUNT = "/v1/messages/count_tokens"
HELLO = [{"role": "user", "content": "Say hello"}]
WEATHER = {
    "name": "get_weather",
    "description": "The weather of a city",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}


def a_message(model: str = "fast", **changes: Any) -> dict[str, Any]:
    return {"model": model, "max_tokens": 1_000, "messages": HELLO, **changes}


async def answered(service: Service, **changes: Any) -> dict[str, Any]:
    return await service.answered(MESSAGES, a_message(**changes))


async def streamed(service: Service, **changes: Any) -> list[dict[str, Any]]:
    response = await service.local.post(MESSAGES, json=a_message(stream=True, **changes))
    assert response.headers["content-type"].startswith("text/event-stream")
    return events(response.text)


def events(text: str) -> list[dict[str, Any]]:
    """The events of a stream; each has its type twice."""
    found = []
    for block in text.split("\n\n"):
        if block and not block.startswith(":"):
            kind, data = block.split("\n")
            found.append(json.loads(data.removeprefix("data: ")))
            assert kind == f"event: {found[-1]['type']}"
    return found


def joined(stream: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The blocks that a stream spells out, as Anthropic's clients join them."""
    blocks: list[dict[str, Any]] = []
    arguments: dict[int, str] = {}
    for event in stream:
        match event:
            case {"type": "content_block_start", "index": index, "content_block": block}:
                assert index == len(blocks)
                blocks.append(block)
            case {"type": "content_block_delta", "index": index, "delta": delta}:
                assert index == len(blocks) - 1
                match delta:
                    case {"type": "text_delta", "text": text}:
                        blocks[index]["text"] += text
                    case {"type": "thinking_delta", "thinking": text}:
                        blocks[index]["thinking"] += text
                    case {"type": "signature_delta", "signature": signature}:
                        blocks[index]["signature"] = signature
                    case {"type": "input_json_delta", "partial_json": part}:
                        arguments[index] = arguments.get(index, "") + part
    for index, text in arguments.items():
        blocks[index]["input"] = json.loads(text)
    return blocks


async def refused(service: Service, status: int, **changes: Any) -> dict[str, str]:
    response = await service.local.post(MESSAGES, json=a_message(**changes))
    body = response.json()
    assert (response.status_code, body["type"]) == (status, "error")
    assert body["request_id"] == response.headers["request-id"] == response.headers["x-request-id"]
    error: dict[str, str] = body["error"]
    return error


async def test_a_message_has_the_form_of_anthropics(service: Service) -> None:
    body = await answered(service)
    assert body["id"].startswith("msg_")
    assert (body["type"], body["role"], body["model"]) == ("message", "assistant", "fast")
    assert body["content"] == [{"type": "text", "text": "Say hello"}]
    assert (body["stop_reason"], body["stop_sequence"]) == ("end_turn", None)
    assert body["usage"]["input_tokens"] > 0
    assert body["x_tierwise"]["final_tier"] == "fast"


async def test_it_is_decided_booked_and_explained_as_any_request(service: Service) -> None:
    response = await service.local.post(MESSAGES, json=a_message("auto"))
    assert response.headers["x-tierwise-tier"] == "fast"
    assert response.headers["request-id"] == response.headers["x-request-id"]
    booked = await service.booked(response.headers["x-request-id"])
    assert booked["requested_model"] == "auto"
    [call] = await service.calls(response.headers["x-request-id"])
    usage = response.json()["usage"]
    assert (call["input_fresh"], call["output_visible"]) == (usage["input_tokens"], usage["output_tokens"])


async def test_a_stream_begins_and_ends_as_anthropics(service: Service) -> None:
    stream = await streamed(service)
    kinds = [event["type"] for event in stream]
    assert kinds[:3] == ["message_start", "ping", "content_block_start"]
    assert kinds[-3:] == ["content_block_stop", "message_delta", "message_stop"]
    assert stream[0]["message"]["content"] == []
    assert stream[0]["message"]["stop_reason"] is None
    assert stream[-2]["delta"] == {"stop_reason": "end_turn", "stop_sequence": None}
    assert stream[-2]["x_tierwise"]["final_tier"] == "fast"


@pytest.mark.parametrize("changes", [{}, {"tools": [WEATHER]}, {"model": "reasoning"}, {"model": "steady-think"}])
async def test_a_joined_stream_is_the_whole_answer(service: Service, changes: dict[str, Any]) -> None:
    whole, stream = await answered(service, **changes), await streamed(service, **changes)
    assert joined(stream) == whole["content"]
    assert stream[-2]["delta"]["stop_reason"] == whole["stop_reason"]
    assert stream[-2]["usage"] == whole["usage"]


async def test_tools_make_a_round_trip(service: Service) -> None:
    first = await answered(service, tools=[WEATHER], messages=[{"role": "user", "content": "The weather in Paris?"}])
    [call] = first["content"]
    assert (first["stop_reason"], call["type"], call["name"]) == ("tool_use", "tool_use", "get_weather")
    assert call["input"] == {"city": "Paris"}
    result = {"type": "tool_result", "tool_use_id": call["id"], "content": [{"type": "text", "text": "18 degrees"}]}
    turns = [
        {"role": "user", "content": "The weather in Paris?"},
        {"role": "assistant", "content": first["content"]},
        {"role": "user", "content": [result]},
    ]
    assert (await answered(service, tools=[WEATHER], messages=turns))["stop_reason"] in ("end_turn", "tool_use")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"max_tokens": 1}, "max_tokens"),
        ({"stop_sequences": ["hello"]}, "stop_sequence"),
        ({"stop_sequences": ["absent"]}, "end_turn"),
    ],
)
async def test_why_it_ended_is_said_in_anthropics_words(service: Service, changes: dict[str, Any], reason: str) -> None:
    whole, stream = await answered(service, **changes), await streamed(service, **changes)
    assert whole["stop_reason"] == stream[-2]["delta"]["stop_reason"] == reason
    hit = "hello" if reason == "stop_sequence" else None
    assert whole["stop_sequence"] == stream[-2]["delta"]["stop_sequence"] == hit


async def test_thinking_nobody_signed_has_a_mark_of_ours(service: Service) -> None:
    [thinking, _] = (await answered(service, model="reasoning"))["content"]
    assert thinking["thinking"]
    assert thinking["signature"] == "tierwise-unsigned"


@pytest.mark.parametrize(
    ("thinking", "tier"),
    [
        ({"type": "enabled", "budget_tokens": 2_000}, "reasoning"),
        ({"type": "adaptive"}, "fast"),
        ({"type": "disabled"}, "fast"),
    ],
)
async def test_asking_for_thinking_is_an_effort(service: Service, thinking: dict[str, Any], tier: str) -> None:
    body = await answered(service, model="auto", max_tokens=4_000, thinking=thinking)
    assert body["x_tierwise"]["tier"] == tier


async def test_the_effort_of_an_output_is_an_effort(service: Service) -> None:
    body = await answered(service, model="auto", max_tokens=4_000, output_config={"effort": "high"})
    assert (body["x_tierwise"]["tier"], body["x_tierwise"]["reason"]) == ("reasoning", "effort")


async def test_an_output_keeps_to_a_schema(service: Service) -> None:
    schema = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    body = await answered(service, output_config={"format": {"type": "json_schema", "schema": schema}})
    assert json.loads(body["content"][0]["text"]).keys() == {"city"}


@pytest.mark.parametrize(
    ("changes", "begins"),
    [
        ({"max_tokens": None}, "max_tokens: "),
        ({"messages": []}, "messages: "),
        ({"messages": [{"role": "robot", "content": "x"}]}, "messages.0.role: "),
        ({"messages": [{"role": "user"}]}, "messages.0.content: "),
        ({"messages": [{"role": "user", "content": [{"type": "hologram"}]}]}, "messages.0.content.0.type: "),
        ({"messages": [{"role": "user", "content": ["x"]}]}, "messages.0.content.0: "),
        ({"messages": [{"role": "user", "content": [{"type": "tool_result"}]}]}, "messages.0.content.0.tool_use_id: "),
        ({"messages": [{"role": "assistant", "content": [{"type": "tool_use"}]}]}, "messages.0.content.0.id: "),
        ({"tools": [{"name": "f"}]}, "tools.0.input_schema: "),
        ({"tools": [WEATHER], "tool_choice": {"type": "some"}}, "tool_choice.type: "),
        ({"thinking": {"type": "perhaps"}}, "thinking.type: "),
        ({"output_config": {"format": {"type": "yaml"}}}, "output_config.format.type: "),
    ],
)
async def test_what_is_wrong_is_named(service: Service, changes: dict[str, Any], begins: str) -> None:
    error = await refused(service, 400, **changes)
    assert error["type"] == "invalid_request_error"
    assert error["message"].startswith(begins)


async def test_what_is_no_json_is_refused_in_the_same_form(service: Service) -> None:
    for body in (b"", b"[]", b"{", b"\xff"):
        response = await service.local.post(MESSAGES, content=body, headers={"content-type": "application/json"})
        assert response.json()["error"]["type"] == "invalid_request_error"


@pytest.mark.parametrize(
    ("model", "status", "kind"),
    [
        ("gpt-9", 404, "not_found_error"),
        ("fail-429", 429, "rate_limit_error"),
        ("fail-500", 502, "api_error"),
        ("fail-400", 400, "invalid_request_error"),
        ("fail-timeout", 504, "timeout_error"),
    ],
)
async def test_errors_have_anthropics_types(service: Service, model: str, status: int, kind: str) -> None:
    assert (await refused(service, status, model=model))["type"] == kind
    assert (await refused(service, status, model=model, stream=True))["type"] == kind


async def test_no_room_and_too_long_have_the_words_that_agents_know(tmp_path: Path) -> None:
    models = {name: {"model": f"scripted/{name}"} for name in ("fail-503", "fail-context")}
    async with serving(settings_of(tmp_path, models=models)) as service:
        assert (await refused(service, 529, model="fail-503"))["type"] == "overloaded_error"
        assert (await refused(service, 400, model="fail-context"))["message"].startswith("prompt is too long")


async def test_a_stream_that_breaks_off_ends_in_an_error(service: Service) -> None:
    stream = await streamed(service, model="fail-midstream-5c")
    assert stream[-1]["type"] == "error"
    assert stream[-1]["error"]["type"] == "api_error"


async def test_an_unknown_caller_is_refused_in_the_same_form(service: Service) -> None:
    response = await service.client("10.0.0.9").post(MESSAGES, json=a_message())
    assert (response.status_code, response.json()["error"]["type"]) == (401, "authentication_error")


async def test_a_key_is_taken_from_where_anthropics_clients_put_it(keyed: Service) -> None:
    key = keyed.key("claude")
    for headers in ({"x-api-key": key}, {"authorization": "Bearer sk-other", "x-api-key": f" {key} "}):
        asked = await keyed.client("10.0.0.9").post(MESSAGES, json=a_message(), headers=headers)
        assert asked.status_code == 200


async def test_whoever_goes_away_is_booked_as_cancelled(fresh: Service) -> None:
    connection = Connection(fresh, a_message("hang", stream=True), MESSAGES)
    await fresh.until(fresh.spooled)
    await connection.leave()
    [request] = await fresh.until(fresh.requests)
    assert request["outcome"] == "cancelled"


async def test_unknown_keys_are_ignored_and_named_and_tools_of_anthropics_servers_left_out(service: Service) -> None:
    tools = [WEATHER, {"type": "web_search_20250305", "name": "web_search"}]
    body = await answered(service, tools=tools, container="c1", tool_choice={"type": "tool", "name": "web_search"})
    assert body["x_tierwise"]["ignored"] == ["container"]
    assert "tools.1 (web_search_20250305)" in body["x_tierwise"]["dropped"]


def test_the_session_in_a_user_id_is_the_conversation() -> None:
    session = "0b6a0e6e-6b0e-4c37-9a54-1f4b2d8e7a11"
    for user_id in (f"user_abc_account__session_{session}", json.dumps({"device_id": "d", "session_id": session})):
        body = json.dumps(a_message(metadata={"user_id": user_id})).encode()
        assert session_of(parse_messages(body, strict=True)) == {"conversation_id": session}


async def test_tokens_are_counted_and_nothing_is_booked(fresh: Service) -> None:
    plain = await fresh.local.post(COUNT, json={"model": "auto", "messages": HELLO})
    with_tools = await fresh.local.post(
        COUNT, json={"model": "auto", "messages": HELLO, "system": "Be brief.", "tools": [WEATHER]}
    )
    assert 0 < plain.json()["input_tokens"] < with_tools.json()["input_tokens"]
    assert plain.json().keys() == {"input_tokens"}
    assert fresh.spooled() == 0


async def test_tokens_of_an_unknown_model_or_a_wrong_request_are_not_counted(service: Service) -> None:
    for body, status in (({"model": "gpt-9", "messages": HELLO}, 404), ({"model": "auto"}, 400)):
        response = await service.local.post(COUNT, json=body)
        assert (response.status_code, response.json()["type"]) == (status, "error")


async def test_models_are_listed_in_anthropics_form_for_its_clients(service: Service) -> None:
    headers = {"anthropic-version": "2023-06-01"}
    listed = (await service.local.get("/v1/models", headers=headers)).json()
    assert listed["data"][0]["type"] == "model"
    assert (listed["has_more"], listed["first_id"]) == (False, "auto")
    assert (await service.local.get("/v1/models/fast", headers=headers)).json()["display_name"] == "fast"
    assert (await service.local.get("/v1/models/fast")).json()["object"] == "model"


async def test_where_nothing_is_and_what_is_not_allowed_is_told_in_anthropics_form_too(service: Service) -> None:
    headers = {"anthropic-version": "2023-06-01"}
    asked: dict[int, list[tuple[str, str, dict[str, str]]]] = {
        404: [
            ("GET", "/v1/messages/batches", {}),
            ("GET", "/v1/nowhere", headers),
            ("GET", "/v1/models/gpt-9", headers),
        ],
        405: [("GET", MESSAGES, {})],
    }
    for status, requests in asked.items():
        for method, path, given in requests:
            response = await service.local.request(method, path, headers=given)
            assert (response.status_code, response.json()["type"]) == (status, "error")
    assert (await service.local.get("/v1/nowhere")).json()["error"]["code"] == "unknown_url"


@pytest.mark.parametrize("is_streamed", [False, True])
@pytest.mark.parametrize(("told", "reason"), [("END", "stop_sequence"), ("end_turn", "end_turn"), (128009, "end_turn")])
async def test_a_stop_word_is_named_where_the_provider_names_one_of_the_clients(
    tmp_path: Path, is_streamed: bool, told: object, reason: str
) -> None:
    ended = {"index": 0, "finish_reason": "stop", "stop_reason": told}
    whole = says({"choices": [{**ended, "message": {"role": "assistant", "content": "x"}}]})
    chunks = streams({"choices": [{"index": 0, "delta": {"content": "x"}}]}, {"choices": [{**ended, "delta": {}}]})
    async with an_upstream(chunks if is_streamed else whole) as upstream:
        model = {"model": "hosted_vllm/m", "api_base": upstream.base}
        async with serving(settings_of(tmp_path, models={"m": model})) as service:
            asked = {"model": "m", "stop_sequences": ["END"]}
            made = (await streamed_end(service, **asked)) if is_streamed else await answered(service, **asked)
    assert (made["stop_reason"], made["stop_sequence"]) == (reason, "END" if reason == "stop_sequence" else None)


async def streamed_end(service: Service, **changes: Any) -> dict[str, Any]:
    ended: dict[str, Any] = (await streamed(service, **changes))[-2]["delta"]
    return ended
