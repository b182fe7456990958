import asyncio
from pathlib import Path
from typing import Any

import pytest
from openai.types import Completion, CreateEmbeddingResponse
from sqlalchemy import select

from router.database import schema
from router.database.tables import Call
from tests.api.service import Connection, Service, events, serving, settings_of
from tests.providers.upstream import Upstream, an_upstream, closes, says, streams

EMBEDDINGS, COMPLETIONS = "/v1/embeddings", "/v1/completions"
VECTORS = {
    "object": "list",
    "data": [{"object": "embedding", "index": 0, "embedding": [0.5, -0.25]}],
    "model": "their-name",
    "usage": {"prompt_tokens": 7, "total_tokens": 7},
}


def a_relay(directory: Path, upstream: Upstream, **changes: Any) -> Any:
    model = {"model": "openai/their-name", "api_base": upstream.base, "api_key": "sk-1"}
    price = {"openai/their-name": {"input": 1, "output": 10}}
    return serving(settings_of(directory, models={"ours": model}, prices=price, **changes))


def causes_in(service: Service) -> list[str | None]:
    """Why the calls in the books of a service that has stopped failed."""
    engine = schema.ready_engine(service.settings.database_url)
    try:
        with engine.connect() as connection:
            return list(connection.scalars(select(Call.cause)))
    finally:
        engine.dispose()


async def asked(service: Service, path: str, **body: Any) -> dict[str, Any]:
    return await service.answered(path, body)


async def test_texts_go_on_and_vectors_come_back_and_are_booked(tmp_path: Path) -> None:
    async with an_upstream(says(VECTORS)) as upstream, a_relay(tmp_path, upstream) as service:
        body = {"model": "ours", "input": ["one", "two"], "dimensions": 2, "encoding_format": "base64", "user": None}
        response = await service.local.post(EMBEDDINGS, json={**body, "api_base": "http://evil"})
        [call] = await service.calls(response.headers["x-request-id"])
        request = await service.booked(response.headers["x-request-id"])
    assert upstream.paths == ["/v1/embeddings"]
    assert upstream.bodies == [
        {"model": "their-name", "input": ["one", "two"], "dimensions": 2, "encoding_format": "base64"}
    ]
    found = response.json()
    CreateEmbeddingResponse.model_validate(found)
    assert (found["model"], found["data"]) == ("ours", VECTORS["data"])
    assert found["x_tierwise"]["ignored"] == ["api_base"]
    assert (call["provider_model"], call["input_fresh"], call["output_visible"]) == ("openai/their-name", 7, 0)
    assert (call["cost_nanousd"], call["precision"], found["x_tierwise"]["cost_nanousd"]) == (7_000, "exact", 7_000)
    assert (request["requested_model"], request["ads_eligible"], request["expected_revenue_nanousd"]) == ("ours", 0, 0)


async def test_an_old_completion_goes_on_whole(tmp_path: Path) -> None:
    choice = {"index": 0, "text": " world", "logprobs": None, "finish_reason": "stop"}
    answer = {"id": "c", "object": "text_completion", "created": 1, "model": "their-name", "choices": [choice]}
    async with an_upstream(says(answer)) as upstream, a_relay(tmp_path, upstream) as service:
        response = await service.local.post(COMPLETIONS, json={"model": "ours", "prompt": "Hello", "max_tokens": 5})
        [call] = await service.calls(response.headers["x-request-id"])
    Completion.model_validate({**response.json(), "usage": None})
    assert (response.json()["model"], response.json()["choices"]) == ("ours", [choice])
    assert call["precision"] == "estimated"
    assert call["output_visible"] > 0


@pytest.mark.parametrize("wants_usage", [True, False])
async def test_an_old_completion_goes_on_as_it_comes(tmp_path: Path, wants_usage: bool) -> None:
    chunk = {"id": "c", "object": "text_completion", "created": 1, "model": "their-name"}
    chunks = [
        {**chunk, "choices": [{"index": 0, "text": text, "finish_reason": end}]}
        for text, end in (("a", None), ("b", "stop"))
    ]
    usage = {**chunk, "choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}}
    async with an_upstream(streams(*chunks, usage)) as upstream, a_relay(tmp_path, upstream) as service:
        options = {"stream_options": {"include_usage": True}} if wants_usage else {}
        body = {"model": "ours", "prompt": "Hello", "stream": True, **options}
        response = await service.local.post(COMPLETIONS, json=body)
        [call] = await service.calls(response.headers["x-request-id"])
    assert upstream.bodies[0]["stream_options"] == {"include_usage": True}
    found = events(response.text)
    assert found[-1] == "[DONE]"
    assert len(found) == (4 if wants_usage else 3)
    assert {event["model"] for event in found[:-1]} == {"ours"}
    assert (call["input_fresh"], call["output_visible"], call["precision"]) == (1, 2, "exact")


async def test_failures_are_told_as_any_others_and_cost_nothing(tmp_path: Path) -> None:
    refused = says({"error": {"message": "too many inputs", "type": "invalid_request_error"}}, 400)
    async with an_upstream(refused, closes()) as upstream, a_relay(tmp_path, upstream) as service:
        first = await service.local.post(EMBEDDINGS, json={"model": "ours", "input": "x"})
        second = await service.local.post(COMPLETIONS, json={"model": "ours", "prompt": "x"})
        [call] = await service.calls(first.headers["x-request-id"])
    assert (first.status_code, second.status_code) == (400, 502)
    assert "too many inputs" in first.json()["error"]["message"]
    assert (call["status"], call["cost_nanousd"]) == ("error", 0)


@pytest.mark.parametrize(
    ("told", "status", "cause"),
    [
        ({"error": {"message": "Rate limit reached", "code": "rate_limit_exceeded"}}, 429, "rate_limited"),
        ({"base_resp": {"status_code": 1008, "status_msg": "insufficient balance"}, "data": None}, 502, "no_credit"),
        ({"object": "list", "data": []}, 502, "nonsense"),
    ],
)
async def test_an_error_in_a_successful_answer_is_told_in_its_words(
    tmp_path: Path, told: dict[str, Any], status: int, cause: str
) -> None:
    async with an_upstream(says(told)) as upstream, a_relay(tmp_path, upstream) as service:
        response = await service.local.post(EMBEDDINGS, json={"model": "ours", "input": "x"})
    assert (response.status_code, causes_in(service)) == (status, [cause])


async def test_an_error_in_a_stream_of_old_completions_is_told_in_its_words(tmp_path: Path) -> None:
    failure = {"error": {"message": "The engine is currently overloaded", "type": "server_error"}}
    async with an_upstream(streams(failure, done=False)) as upstream, a_relay(tmp_path, upstream) as service:
        response = await service.local.post(COMPLETIONS, json={"model": "ours", "prompt": "x", "stream": True})
    assert "overloaded" in response.text
    assert causes_in(service) == ["overloaded"]


@pytest.mark.parametrize("rest", [b"", b"\n\ndata: [DONE]"])
async def test_the_last_event_counts_without_a_line_end(tmp_path: Path, rest: bytes) -> None:
    last = b'data: {"id": "c", "choices": [{"index": 0, "text": "a", "finish_reason": "stop"}]}' + rest
    async with an_upstream(streams(last, done=False)) as upstream, a_relay(tmp_path, upstream) as service:
        body = {"model": "ours", "prompt": "Hello", "stream": True}
        response = await service.local.post(COMPLETIONS, json=body)
    told, done = events(response.text)
    assert (told["choices"][0]["text"], done) == ("a", "[DONE]")


async def test_a_stream_that_breaks_off_ends_in_an_error(tmp_path: Path) -> None:
    chunk = {"id": "c", "choices": [{"index": 0, "text": "a", "finish_reason": None}]}
    async with an_upstream(streams(chunk, done=False)) as upstream, a_relay(tmp_path, upstream) as service:
        body = {"model": "ours", "prompt": "Hello", "stream": True}
        response = await service.local.post(COMPLETIONS, json=body)
    assert events(response.text)[-1]["error"]["code"] == "provider_error"


@pytest.mark.parametrize(
    ("path", "body", "status", "param"),
    [
        (EMBEDDINGS, {"model": "fast", "input": "x"}, 404, "model"),
        (EMBEDDINGS, {"model": "gpt-9", "input": "x"}, 404, "model"),
        (EMBEDDINGS, {"model": "echo"}, 400, "input"),
        (EMBEDDINGS, {"model": "echo", "input": []}, 400, "input"),
        (EMBEDDINGS, {"model": "echo", "input": [{"text": "x"}]}, 400, "input"),
        (EMBEDDINGS, {"model": "echo", "input": "x", "dimensions": 0}, 400, "dimensions"),
        (COMPLETIONS, {"model": "auto", "prompt": "x"}, 404, "model"),
        (COMPLETIONS, {"model": "echo"}, 400, "prompt"),
        (COMPLETIONS, {"model": "echo", "prompt": "x", "n": 0}, 400, "n"),
    ],
)
async def test_what_cannot_be_passed_on_is_refused_by_name(
    service: Service, path: str, body: dict[str, Any], status: int, param: str
) -> None:
    response = await service.local.post(path, json=body)
    assert (response.status_code, response.json()["error"]["param"]) == (status, param)


async def test_the_scripted_model_answers_both(service: Service) -> None:
    vectors = await asked(service, EMBEDDINGS, model="echo", input=["a", "b"], dimensions=3)
    assert [len(one["embedding"]) for one in vectors["data"]] == [3, 3]
    said = await asked(service, COMPLETIONS, model="echo", prompt="Hello there")
    assert said["choices"][0]["text"] == " Hello there"
    assert (await asked(service, EMBEDDINGS, model="echo", input=[1, 2, 3]))["usage"]["prompt_tokens"] > 0


async def test_budgets_and_scopes_hold_for_what_is_passed_on(service: Service) -> None:
    response = await service.client("10.0.0.9").post(EMBEDDINGS, json={"model": "echo", "input": "x"})
    assert response.status_code == 401


async def test_a_cap_holds_for_every_answer_that_is_asked_for(tmp_path: Path) -> None:
    body = {"model": "ours", "prompt": [1, 2, 3], "max_tokens": 100}
    cap = {"x-tierwise-max-cost-usd": "0.002"}
    async with an_upstream(says({"choices": []})) as upstream, a_relay(tmp_path, upstream) as service:
        for changes in ({"n": 8}, {"prompt": ["x"] * 8}, {"best_of": 8}):
            refused = await service.local.post(COMPLETIONS, json=body | changes, headers=cap)
            assert refused.status_code == 429, refused.text
        assert upstream.bodies == []
        await service.local.post(COMPLETIONS, json=body, headers=cap)
        assert len(upstream.bodies) == 1


async def test_whoever_leaves_is_booked_as_cancelled(fresh: Service) -> None:
    connection = Connection(fresh, {"model": "hang", "input": "x"}, EMBEDDINGS)
    await fresh.until(fresh.spooled)
    await asyncio.sleep(0)
    await connection.leave()
    [request] = await fresh.until(fresh.requests)
    assert request["outcome"] == "cancelled"
