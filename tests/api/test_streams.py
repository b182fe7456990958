import asyncio
from pathlib import Path
from typing import Any

from tests.api.service import CHAT, Connection, Service, a_chat, events, serving, settings_of


async def streamed(service: Service, **changes: Any) -> list[Any]:
    response = await service.local.post(CHAT, json=a_chat(stream=True, **changes))
    assert response.headers["content-type"].startswith("text/event-stream")
    return events(response.text)


def text_of(chunks: list[Any], index: int = 0) -> str:
    choices = [choice for chunk in chunks[:-1] for choice in chunk["choices"] if choice["index"] == index]
    return "".join(choice["delta"].get("content") or "" for choice in choices)


async def test_a_stream_has_the_shape_that_openai_clients_expect(service: Service) -> None:
    chunks = await streamed(service)
    assert chunks[-1] == "[DONE]"
    assert chunks[0]["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    assert text_of(chunks) == "Say hello"
    assert chunks[-2]["choices"][0]["finish_reason"] == "stop"
    assert {(chunk["object"], chunk["model"]) for chunk in chunks[:-1]} == {("chat.completion.chunk", "fast")}
    assert len({(chunk["id"], chunk["created"]) for chunk in chunks[:-1]}) == 1


async def test_the_decision_is_on_the_last_chunk_only(service: Service) -> None:
    chunks = await streamed(service)
    assert [("x_tierwise" in chunk) for chunk in chunks[:-1]] == [False] * (len(chunks) - 2) + [True]
    assert chunks[-2]["x_tierwise"]["final_tier"] == "fast"


async def test_usage_comes_in_a_chunk_of_its_own_when_asked_for(service: Service) -> None:
    chunks = await streamed(service, stream_options={"include_usage": True})
    assert chunks[-2]["choices"] == []
    assert chunks[-2]["usage"]["total_tokens"] > 0
    assert all(chunk["usage"] is None for chunk in chunks[:-2])


async def test_without_being_asked_for_there_is_no_usage(service: Service) -> None:
    assert all("usage" not in chunk for chunk in (await streamed(service))[:-1])


async def test_thinking_is_streamed_under_both_names(service: Service) -> None:
    deltas = [chunk["choices"][0]["delta"] for chunk in (await streamed(service, model="reasoning"))[:-1]]
    thoughts = [delta for delta in deltas if "reasoning" in delta]
    assert thoughts
    assert all(delta["reasoning"] == delta["reasoning_content"] for delta in thoughts)


async def test_several_choices_each_begin_with_a_role_and_end_with_a_reason(service: Service) -> None:
    chunks = await streamed(service, n=2)
    choices = [choice for chunk in chunks[:-1] for choice in chunk["choices"]]
    assert [c["index"] for c in choices if "role" in c["delta"]] == [0, 1]
    assert [c["index"] for c in choices if c["finish_reason"]] == [0, 1]
    assert text_of(chunks, 1) == "Say hello"


async def test_a_streamed_answer_is_booked_like_a_whole_one(service: Service) -> None:
    response = await service.local.post(CHAT, json=a_chat(stream=True))
    booked = await service.booked(response.headers["x-request-id"])
    assert (booked["outcome"], bool(booked["streamed"])) == ("ok", True)
    assert booked["first_byte_ms"] is not None


async def test_an_error_after_the_first_byte_is_a_last_event(service: Service) -> None:
    response = await service.local.post(CHAT, json=a_chat("fail-midstream-5c", stream=True))
    last = events(response.text)[-1]
    assert response.status_code == 200
    assert last["error"].keys() == {"message", "type", "param", "code"}
    assert last["error"]["code"] == "provider_error"


async def test_a_stream_that_broke_off_is_booked_as_an_error_with_what_was_sent(service: Service) -> None:
    response = await service.local.post(CHAT, json=a_chat("fail-midstream-5c", stream=True))
    booked = await service.booked(response.headers["x-request-id"])
    [call] = await service.calls(response.headers["x-request-id"])
    assert (booked["outcome"], call["status"], call["precision"]) == ("error", "error", "estimated")
    assert call["output_visible"] > 0


async def test_a_stream_is_settled_before_its_end_mark_goes_out(service: Service) -> None:
    connection = Connection(service, a_chat(stream=True))
    await connection.task
    end = connection.sent[-1]
    assert end["body"].endswith(b"data: [DONE]\n\n")
    assert (await service.booked(connection.headers["x-request-id"]))["outcome"] == "ok"


async def test_whoever_leaves_before_the_first_byte_cancels_the_call(fresh: Service) -> None:
    connection = Connection(fresh, a_chat("hang", stream=True))
    await fresh.until(fresh.spooled)
    await connection.leave()
    assert connection.sent == []
    [booked] = await fresh.until(fresh.requests)
    assert booked["outcome"] == "cancelled"
    assert [call["status"] for call in await fresh.calls(booked["request_id"])] == ["cancelled"]


async def test_whoever_leaves_an_answer_that_is_not_streamed_cancels_the_call(fresh: Service) -> None:
    connection = Connection(fresh, a_chat("hang"))
    await fresh.until(fresh.spooled)
    await connection.leave()
    [booked] = await fresh.until(fresh.requests)
    [call] = await fresh.calls(booked["request_id"])
    assert (booked["outcome"], call["status"], call["precision"]) == ("cancelled", "cancelled", "estimated")


async def test_a_call_that_is_cancelled_in_silence_is_estimated_and_not_free(fresh: Service) -> None:
    connection = Connection(fresh, a_chat("hang", max_tokens=10))
    await fresh.until(fresh.spooled)
    await connection.leave()
    [booked] = await fresh.until(fresh.requests)
    [call] = await fresh.calls(booked["request_id"])
    assert call["cost_nanousd"] > 0


async def test_whoever_leaves_in_the_middle_pays_for_what_was_sent(tmp_path: Path) -> None:
    models = {"slow": {"model": "scripted/echo-20gap"}}
    async with serving(settings_of(tmp_path, models=models)) as service:
        connection = Connection(service, a_chat("slow", stream=True))
        await connection.arrived(3)
        await connection.leave()
        [call] = await service.calls(connection.headers["x-request-id"])
        booked = await service.booked(connection.headers["x-request-id"])
    assert (booked["outcome"], call["status"], call["precision"]) == ("cancelled", "cancelled", "estimated")
    assert b"[DONE]" not in connection.sent[-1]["body"]


async def test_whoever_leaves_while_waiting_for_a_place_is_forgotten(tmp_path: Path) -> None:
    async with serving(settings_of(tmp_path, server={"max_concurrent_requests": 1})) as service:
        inside = Connection(service, a_chat("hang"))
        await service.until(service.spooled)
        waiting = Connection(service, a_chat())
        await asyncio.sleep(0)
        await waiting.leave()
        await inside.leave()
        assert (await service.local.post(CHAT, json=a_chat())).status_code == 200


async def test_an_intent_is_in_the_spool_before_the_provider_answers(fresh: Service) -> None:
    connection = Connection(fresh, a_chat("hang"))
    assert await fresh.until(fresh.spooled) == 1
    assert fresh.requests() == []
    await connection.leave()


async def test_requests_under_way_at_shutdown_are_in_the_books(tmp_path: Path) -> None:
    async with serving(settings_of(tmp_path)) as service:
        response = await service.local.post(CHAT, json=a_chat())
    assert [row["request_id"] for row in service.requests()] == [response.headers["x-request-id"]]
