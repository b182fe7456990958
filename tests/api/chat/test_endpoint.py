import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.api.service import CHAT, JSON, Connection, Service, a_chat, serving, settings_of

REASONS = {
    "below_threshold",
    "above_threshold",
    "share_cap",
    "budget_spent",
    "override",
    "effort",
    "capability",
    "housekeeping",
    "follow_up",
    "pushback",
    "explored",
    "fallback",
}


async def test_a_completion_has_the_shape_that_openai_clients_expect(service: Service) -> None:
    body = (await service.local.post(CHAT, json=a_chat())).json()
    assert (body["object"], body["model"]) == ("chat.completion", "fast")
    message = body["choices"][0]["message"]
    assert (message["role"], message["content"], message["refusal"]) == ("assistant", "Say hello", None)
    assert body["choices"][0]["finish_reason"] == "stop"
    assert body["usage"]["total_tokens"] == body["usage"]["prompt_tokens"] + body["usage"]["completion_tokens"] > 0


async def test_every_answer_carries_its_decision_in_the_headers(service: Service) -> None:
    headers = (await service.local.post(CHAT, json=a_chat("auto"))).headers
    assert re.fullmatch(r"[0-9a-f]{32}", headers["x-request-id"])
    assert headers["x-tierwise-tier"] in {"fast", "reasoning", "parallel"}
    assert headers["x-tierwise-reason"] in REASONS
    assert -1 <= float(headers["x-tierwise-score"]) <= 2
    assert int(headers["x-tierwise-policy"]) >= 1
    assert float(headers["x-tierwise-overhead-ms"]) >= 0


async def test_the_body_tells_the_whole_decision_and_who_answered(service: Service) -> None:
    response = await service.local.post(CHAT, json=a_chat("reasoning"))
    told = response.json()["x_tierwise"]
    assert told["request_id"] == response.headers["x-request-id"]
    assert (told["tier"], told["final_tier"], told["reason"]) == ("reasoning", "reasoning", "override")
    assert told["provider_model"] == "scripted/deep"
    assert (told["calls"], told["samples"], told["dropped"]) == (1, [], [])


async def test_the_request_id_is_always_ours(service: Service) -> None:
    response = await service.local.post(CHAT, json=a_chat(), headers={"x-request-id": "mine"})
    assert response.headers["x-request-id"] != "mine"
    assert (await service.booked(response.headers["x-request-id"]))["outcome"] == "ok"


async def test_thinking_goes_out_under_both_names_and_never_inside_the_text(service: Service) -> None:
    message = (await service.local.post(CHAT, json=a_chat("reasoning"))).json()["choices"][0]["message"]
    assert message["reasoning_content"] == message["reasoning"] != ""
    assert message["reasoning"] not in message["content"]


async def test_an_explicit_model_answers_under_its_own_name(service: Service) -> None:
    response = await service.local.post(CHAT, json=a_chat("echo"))
    assert response.json()["model"] == "echo"
    assert response.json()["x_tierwise"]["provider_model"] == "scripted/echo"
    assert response.headers["x-tierwise-reason"] == "override"


@pytest.mark.parametrize("model", ["gpt-9", "scripted/echo", "Auto", "fast ", "../auto", "\x00"])
async def test_an_unknown_model_is_not_found(service: Service, model: str) -> None:
    response = await service.local.post(CHAT, json=a_chat(model))
    assert response.status_code == 404
    error = response.json()["error"]
    assert (error["code"], error["param"], error["type"]) == ("model_not_found", "model", "invalid_request_error")


@pytest.mark.parametrize(
    ("effort", "tier"),
    [("none", "fast"), ("minimal", "fast"), ("low", "reasoning"), ("medium", "reasoning"), ("high", "reasoning")],
)
async def test_an_effort_chooses_the_tier_of_auto(service: Service, effort: str, tier: str) -> None:
    response = await service.local.post(CHAT, json=a_chat("auto", reasoning_effort=effort))
    assert (response.headers["x-tierwise-tier"], response.headers["x-tierwise-reason"]) == (tier, "effort")


async def test_an_explicit_tier_beats_an_effort(service: Service) -> None:
    response = await service.local.post(CHAT, json=a_chat("fast", reasoning_effort="high"))
    assert (response.headers["x-tierwise-tier"], response.headers["x-tierwise-reason"]) == ("fast", "override")


async def test_a_small_output_limit_leaves_no_room_for_thinking(service: Service) -> None:
    response = await service.local.post(CHAT, json=a_chat("auto", reasoning_effort="high", max_completion_tokens=300))
    assert (response.headers["x-tierwise-tier"], response.headers["x-tierwise-reason"]) == ("fast", "capability")


async def test_a_text_limit_leaves_room_for_thinking(service: Service) -> None:
    response = await service.local.post(CHAT, json=a_chat("auto", reasoning_effort="high", max_tokens=300))
    assert response.headers["x-tierwise-tier"] == "reasoning"


async def test_several_choices_come_back_in_order(service: Service) -> None:
    choices = (await service.local.post(CHAT, json=a_chat(n=3))).json()["choices"]
    assert [choice["index"] for choice in choices] == [0, 1, 2]


async def test_keys_that_steer_a_providers_client_are_ignored_and_named(service: Service) -> None:
    body = a_chat(api_base="http://evil", api_key="x", extra_headers={"a": "b"}, ignored=5)
    told = (await service.local.post(CHAT, json=body)).json()["x_tierwise"]
    assert set(told["ignored"]) == {"api_base", "api_key", "extra_headers", "ignored"}


async def test_strict_servers_refuse_unknown_keys(tmp_path: Path) -> None:
    async with serving(settings_of(tmp_path, server={"strict": True})) as service:
        response = await service.local.post(CHAT, json=a_chat(api_base="http://evil"))
    assert (response.status_code, response.json()["error"]["param"]) == (400, "api_base")


@pytest.mark.parametrize(
    ("model", "status", "code"),
    [("fail-429", 429, "provider_overloaded"), ("fail-500", 502, "provider_error"), ("fail-timeout", 504, None)],
)
@pytest.mark.parametrize("stream", [False, True])
async def test_a_provider_error_before_the_first_byte_is_an_http_error(
    service: Service, model: str, status: int, code: str | None, stream: bool
) -> None:
    response = await service.local.post(CHAT, json=a_chat(model, stream=stream))
    assert response.status_code == status
    assert response.headers["content-type"] == "application/json"
    assert response.json()["error"]["code"] == (code or "provider_timeout")
    assert response.headers["x-tierwise-tier"] == "fast"


async def test_a_failed_request_is_booked_as_an_error(service: Service) -> None:
    response = await service.local.post(CHAT, json=a_chat("fail-500"))
    booked = await service.booked(response.headers["x-request-id"])
    assert booked["outcome"] == "error"
    assert [call["status"] for call in await service.calls(response.headers["x-request-id"])] == ["error"]


async def test_a_call_that_was_never_sent_costs_nothing(tmp_path: Path) -> None:
    models = {"nobody": {"model": "scripted/fail-connect"}}
    async with serving(settings_of(tmp_path, models=models)) as service:
        response = await service.local.post(CHAT, json=a_chat("nobody"))
        calls = await service.calls(response.headers["x-request-id"])
    assert response.status_code == 502
    booked = [(call["status"], call["cost_nanousd"], call["precision"]) for call in calls]
    assert booked == [("not_sent", 0, "exact")] * 2  # it is tried once more: nothing can have been generated


async def test_a_fallback_stands_in_and_is_named(tmp_path: Path) -> None:
    tiers = {"fast": {"model": "scripted/fail-500"}}
    fallbacks = {"scripted/fail-500": ["scripted/echo"]}
    async with serving(settings_of(tmp_path, tiers=tiers, fallbacks=fallbacks)) as service:
        response = await service.local.post(CHAT, json=a_chat("fast"))
        streamed = await service.local.post(CHAT, json=a_chat("fast", stream=True))
        calls = await service.calls(response.headers["x-request-id"])
    told = response.json()["x_tierwise"]
    assert (told["provider_model"], told["fell_back"], told["reason"]) == ("scripted/echo", True, "fallback")
    for answered in (response, streamed):
        found = answered.headers["x-tierwise-tier"], answered.headers["x-tierwise-reason"]
        assert found == ("fast", "fallback")
    assert [(call["call_no"], call["status"]) for call in calls] == [(0, "error"), (1, "ok")]


async def test_an_answer_is_booked_with_its_cost_and_what_it_is_expected_to_earn(service: Service) -> None:
    response = await service.local.post(CHAT, json=a_chat("fast"))
    request_id = response.headers["x-request-id"]
    booked, [call] = await service.booked(request_id), await service.calls(request_id)
    assert (booked["expected_revenue_nanousd"], booked["segment"], booked["country"]) == (116_000, "default", "ZZ")
    assert call["cost_nanousd"] > 0
    assert (call["precision"], call["provider_model"], call["kind"]) == ("exact", "scripted/fast-echo", "answer")
    usage = response.json()["usage"]
    assert call["input_fresh"] + call["input_cached"] == usage["prompt_tokens"]
    assert call["output_visible"] + call["output_reasoning"] == usage["completion_tokens"]


async def test_an_unpriced_answer_has_no_amount_rather_than_zero(tmp_path: Path) -> None:
    tiers = {"fast": {"model": "openai/nobody-priced-this", "api_base": "http://127.0.0.1:9/v1", "timeout_s": 5}}
    async with serving(settings_of(tmp_path, tiers=tiers)) as service:
        response = await service.local.post(CHAT, json=a_chat("fast"))
        [call, again] = await service.calls(response.headers["x-request-id"])
    assert response.status_code == 502
    assert call["price_id"] is again["price_id"] is None


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH"])
async def test_a_wrong_method_is_told_in_openais_shape(service: Service, method: str) -> None:
    response = await service.local.request(method, CHAT)
    assert (response.status_code, response.headers["allow"]) == (405, "POST")
    assert response.json()["error"]["code"] == "method_not_allowed"
    assert "x-request-id" in response.headers


async def test_an_unknown_path_is_told_in_openais_shape(service: Service) -> None:
    response = await service.local.get("/v1/nothing")
    assert (response.status_code, response.json()["error"]["code"]) == (404, "unknown_url")


async def test_a_body_that_is_too_large_is_refused(tmp_path: Path) -> None:
    async with serving(settings_of(tmp_path, server={"max_body_bytes": 1_000})) as service:
        declared = await service.local.post(CHAT, content=b" " * 1_001, headers=JSON)
        chunked = await service.local.post(CHAT, content=_pieces(), headers=JSON)
    for response in (declared, chunked):
        assert (response.status_code, response.json()["error"]["code"]) == (413, "request_too_large")


async def _pieces() -> AsyncIterator[bytes]:
    for _ in range(3):
        yield b" " * 400


async def test_a_compressed_body_is_refused_by_name(service: Service) -> None:
    response = await service.local.post(CHAT, json=a_chat(), headers={"content-encoding": "gzip"})
    assert (response.status_code, response.json()["error"]["param"]) == (400, "content-encoding")


async def test_when_all_places_and_the_queue_are_taken_a_client_is_told_to_come_back(tmp_path: Path) -> None:
    server = {"max_concurrent_requests": 1, "max_queued_requests": 0}
    async with serving(settings_of(tmp_path, server=server)) as service:
        hanging = Connection(service, a_chat("hang"))
        await service.until(service.spooled)
        refused = await service.local.post(CHAT, json=a_chat())
        await hanging.leave()
        again = await service.local.post(CHAT, json=a_chat())
    assert (refused.status_code, refused.json()["error"]["code"]) == (429, "rate_limit_exceeded")
    assert int(refused.headers["retry-after"]) > 0
    assert again.status_code == 200
