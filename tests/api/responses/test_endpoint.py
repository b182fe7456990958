from pathlib import Path
from typing import Any

import pytest
from openai.types.responses import Response

from router.api.responses.response import ResponseBody
from tests.api.service import Service, serving, settings_of

RESPONSES = "/v1/responses"
WEATHER = {
    "type": "function",
    "name": "get_weather",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}


def a_request(model: str = "fast", **changes: Any) -> dict[str, Any]:
    return {"model": model, "input": "Say hello", **changes}


async def answered(service: Service, **changes: Any) -> dict[str, Any]:
    body = await service.answered(RESPONSES, a_request(**changes))
    Response.model_validate(body)
    return body


async def refused(service: Service, **changes: Any) -> dict[str, Any]:
    response = await service.local.post(RESPONSES, json=a_request(**changes))
    error: dict[str, Any] = response.json()["error"]
    assert 400 <= response.status_code < 500
    assert error.keys() == {"message", "type", "param", "code"}
    return error


async def test_a_response_has_every_key_of_the_schema(service: Service) -> None:
    body = await answered(service)
    required = set(ResponseBody.__struct_fields__)
    assert body.keys() == required - {"user"}
    assert (body["object"], body["status"], body["model"]) == ("response", "completed", "fast")
    assert body["output"][0]["content"] == [
        {"type": "output_text", "text": "Say hello", "annotations": [], "logprobs": []}
    ]


async def test_what_was_not_asked_for_is_as_the_schema_has_it_and_never_null(service: Service) -> None:
    plain, named = await answered(service), await answered(service, user="u", temperature=0.5)
    assert "user" not in plain
    assert named["user"] == "u"
    numbers = ("temperature", "top_p", "top_logprobs", "presence_penalty", "frequency_penalty", "service_tier")
    assert [plain[name] for name in numbers] == [1.0, 1.0, 0, 0.0, 0.0, "default"]
    assert named["temperature"] == 0.5


async def test_usage_is_the_honest_total(service: Service) -> None:
    response = await service.local.post(RESPONSES, json=a_request("reasoning"))
    usage, [call] = response.json()["usage"], await service.calls(response.headers["x-request-id"])
    assert usage["input_tokens"] == call["input_fresh"]
    assert usage["output_tokens"] == call["output_visible"] + call["output_reasoning"]
    assert usage["output_tokens_details"]["reasoning_tokens"] == call["output_reasoning"] > 0
    assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"]


async def test_the_decision_is_told_and_the_id_is_that_of_the_books(service: Service) -> None:
    response = await service.local.post(RESPONSES, json=a_request("auto"))
    assert response.json()["x_tierwise"]["tier"] == response.headers["x-tierwise-tier"]
    assert response.json()["id"] == f"resp_{response.headers['x-request-id']}"
    assert (await service.booked(response.headers["x-request-id"]))["outcome"] == "ok"


async def test_thinking_is_an_item_of_its_own_before_the_message(service: Service) -> None:
    thinking, message = (await answered(service, model="reasoning"))["output"]
    assert (thinking["type"], message["type"]) == ("reasoning", "message")
    assert thinking["summary"][0]["text"] not in message["content"][0]["text"]


async def test_what_was_asked_for_is_told_back(service: Service) -> None:
    asked = {
        "instructions": "Be brief",
        "temperature": 0.5,
        "top_p": 0.9,
        "max_output_tokens": 99,
        "metadata": {"a": "b"},
        "parallel_tool_calls": False,
        "tool_choice": "none",
        "user": "me",
    }
    body = await answered(service, **asked, reasoning={"effort": "low"}, text={"format": {"type": "json_object"}})
    assert {name: body[name] for name in asked} == asked
    assert body["reasoning"] == {"effort": "low", "summary": None}
    assert body["text"] == {"format": {"type": "json_object"}}


async def test_an_answer_cut_at_its_limit_is_incomplete(service: Service) -> None:
    body = await answered(service, input="one two three four five six seven", max_output_tokens=2)
    assert (body["status"], body["incomplete_details"]) == ("incomplete", {"reason": "max_output_tokens"})
    assert body["output"][-1]["status"] == "incomplete"
    assert body["completed_at"] is None


async def test_flat_tools_are_called_and_their_outputs_taken_back(service: Service) -> None:
    asked = {"role": "user", "content": "How is the weather in Paris?"}
    body = await answered(service, input=[asked], tools=[WEATHER], tool_choice="required")
    [call] = body["output"]
    assert (call["type"], call["name"], call["status"]) == ("function_call", "get_weather", "completed")
    result = {"type": "function_call_output", "call_id": call["call_id"], "output": "sunny"}
    again = await answered(service, input=[asked, call, result], tools=[WEATHER])
    assert again["output"][0]["type"] == "message"


async def test_log_probabilities_come_when_they_are_included(service: Service) -> None:
    body = await answered(service, include=["message.output_text.logprobs"], top_logprobs=2)
    [first, *_] = body["output"][0]["content"][0]["logprobs"]
    assert len(first["top_logprobs"]) == 2


async def test_what_has_no_effect_is_noted(service: Service) -> None:
    body = await answered(service, truncation="auto", include=["web_search_call.results"], glitter=1)
    assert body["x_tierwise"]["ignored"] == ["glitter", "truncation", "include.web_search_call.results"]
    assert body["truncation"] == "disabled"


async def test_tools_that_would_have_to_run_here_are_left_out_and_named(service: Service) -> None:
    earlier = {"type": "web_search_call", "id": "ws_1", "status": "completed"}
    body = await answered(
        service,
        input=[earlier, {"role": "user", "content": "Hi"}],
        tools=[WEATHER, {"type": "web_search"}],
        tool_choice="none",
    )
    assert body["x_tierwise"]["dropped"] == ["tools.web_search", "input.web_search_call"]
    assert [tool["type"] for tool in body["tools"]] == ["function"]


async def test_a_strict_server_refuses_unknown_keys(tmp_path: Path) -> None:
    async with serving(settings_of(tmp_path, server={"strict": True})) as service:
        assert (await refused(service, glitter=1))["param"] == "glitter"


@pytest.mark.parametrize(
    ("changes", "param"),
    [
        ({"background": True}, "background"),
        ({"conversation": "conv_1"}, "conversation"),
        ({"prompt": {"id": "p"}}, "prompt"),
        ({"input": None}, "input"),
        ({"input": []}, "input"),
        ({"input": 5}, "input"),
        ({"input": ["x"]}, "input[0]"),
        ({"input": [{"type": "web_search_call"}]}, "input[0].type"),
        ({"input": [{"role": "tool", "content": "x"}]}, "input[0].role"),
        ({"input": [{"role": "user", "content": [{"type": "video"}]}]}, "input[0].content[0].type"),
        ({"input": [{"role": "user", "content": [{"type": "input_image", "file_id": "f"}]}]}, "input[0].content[0]"),
        ({"input": [{"type": "function_call_output", "output": "x"}]}, "input[0].call_id"),
        ({"tools": [{"name": "f"}]}, "tools[0].type"),
        ({"tools": [{"type": "custom"}]}, "tools[0].name"),
        ({"tools": [{"type": "web_search"}], "tool_choice": "required"}, "tool_choice"),
        ({"input": [{"type": "compaction", "encrypted_content": "x"}]}, "input[0].type"),
        ({"input": [{"type": "custom_tool_call", "call_id": "c", "name": "f"}]}, "input[0].input"),
        ({"tools": [{"type": "function"}]}, "tools[0].name"),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"tool_choice": {"type": "mcp"}}, "tool_choice"),
        ({"text": {"format": {"type": "xml"}}}, "text.format.type"),
        ({"text": {"format": {"type": "json_schema", "name": "x"}}}, "text.format.schema"),
        ({"reasoning": {"effort": "huge"}}, "reasoning.effort"),
        ({"max_output_tokens": 0}, "max_output_tokens"),
        ({"model": "gpt-9"}, "model"),
    ],
)
async def test_what_cannot_be_done_is_refused_by_name(service: Service, changes: dict[str, Any], param: str) -> None:
    assert (await refused(service, **changes))["param"] == param


async def test_errors_name_parameters_as_this_endpoint_does(tmp_path: Path) -> None:
    blind = {"fast": {"model": "scripted/echo", "capabilities": ["tools"]}}
    image = {"role": "user", "content": [{"type": "input_image", "image_url": "https://example.org/cat.png"}]}
    async with serving(settings_of(tmp_path, tiers=blind)) as service:
        assert (await refused(service, input=[image]))["param"] == "input"


async def test_a_failure_before_the_first_byte_is_an_http_error(service: Service) -> None:
    for stream in (False, True):
        response = await service.local.post(RESPONSES, json=a_request("fail-429", stream=stream))
        assert response.status_code == 429
        assert response.json()["error"]["code"] == "provider_overloaded"


async def test_a_client_elsewhere_needs_a_key(service: Service) -> None:
    assert (await service.client("10.0.0.9").post(RESPONSES, json=a_request())).status_code == 401
