import json
from typing import Any

from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

from tests.api.responses.test_endpoint import RESPONSES, WEATHER, a_request
from tests.api.service import Connection, Service

EVENT: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)


def events_in(text: str) -> list[dict[str, Any]]:
    """Read the events, each of which is named twice."""
    read = []
    for block in text.removesuffix("\n\n").split("\n\n"):
        name, data = block.split("\n")
        read.append(json.loads(data.removeprefix("data: ")))
        assert name == f"event: {read[-1]['type']}"
        EVENT.validate_python(read[-1])
    return read


async def streamed(service: Service, **changes: Any) -> list[dict[str, Any]]:
    response = await service.local.post(RESPONSES, json=a_request(**changes, stream=True))
    assert response.headers["content-type"].startswith("text/event-stream")
    return events_in(response.text)


def joined(events: list[dict[str, Any]], kind: str) -> str:
    return "".join(event["delta"] for event in events if event["type"] == kind)


async def test_events_come_in_the_order_that_clients_rely_on(service: Service) -> None:
    events = await streamed(service)
    kinds = list(dict.fromkeys(event["type"] for event in events))
    assert kinds == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
        "response.output_text.delta",
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ]
    assert [event["sequence_number"] for event in events] == list(range(len(events)))


async def test_the_last_event_is_the_whole_response(service: Service) -> None:
    events = await streamed(service, model="reasoning")
    last = events[-1]["response"]
    Response.model_validate(last)
    thinking, message = last["output"]
    assert thinking["summary"][0]["text"] == joined(events, "response.reasoning_summary_text.delta")
    assert message["content"][0]["text"] == joined(events, "response.output_text.delta")
    assert last["usage"]["total_tokens"] > 0
    assert last["x_tierwise"]["final_tier"] == "reasoning"


async def test_a_streamed_response_is_the_same_as_a_whole_one(service: Service) -> None:
    whole = (await service.local.post(RESPONSES, json=a_request())).json()
    last = (await streamed(service))[-1]["response"]
    made = {"id", "created_at", "completed_at", "output", "x_tierwise"}
    assert {k: v for k, v in last.items() if k not in made} == {k: v for k, v in whole.items() if k not in made}
    assert last["output"][0]["content"] == whole["output"][0]["content"]


async def test_a_function_call_grows_and_is_whole_at_its_end(service: Service) -> None:
    events = await streamed(service, input="How is the weather in Paris?", tools=[WEATHER], tool_choice="required")
    [done] = [event for event in events if event["type"] == "response.function_call_arguments.done"]
    assert done["arguments"] == joined(events, "response.function_call_arguments.delta")
    assert (done["name"], done["output_index"]) == ("get_weather", 0)
    assert events[-1]["response"]["output"][0]["arguments"] == done["arguments"]


async def test_an_answer_cut_at_its_limit_ends_as_incomplete(service: Service) -> None:
    last = (await streamed(service, input="one two three four five six", max_output_tokens=2))[-1]
    assert last["type"] == "response.incomplete"
    assert last["response"]["incomplete_details"] == {"reason": "max_output_tokens"}


async def test_a_stream_that_breaks_ends_as_failed_with_what_came(service: Service) -> None:
    response = await service.local.post(RESPONSES, json=a_request("fail-midstream-5c", stream=True))
    *_, error, last = events_in(response.text)
    assert (error["type"], error["code"]) == ("error", "provider_error")
    assert (last["type"], last["response"]["status"]) == ("response.failed", "failed")
    assert last["response"]["error"]["code"] == "server_error"
    assert last["response"]["output"][0]["status"] == "incomplete"
    assert (await service.booked(response.headers["x-request-id"]))["outcome"] == "error"


async def test_a_client_that_leaves_cancels_and_settles(service: Service) -> None:
    connection = Connection(service, a_request("steady-think", stream=True), RESPONSES)
    await connection.arrived(2)
    await connection.leave()
    booked = await service.booked(connection.headers["x-request-id"])
    assert booked["outcome"] == "cancelled"
