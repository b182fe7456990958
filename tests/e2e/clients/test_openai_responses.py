"""openai-python, unmodified: the Responses API, whole, streamed, parsed, stored."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from openai import AsyncOpenAI, BadRequestError, NotFoundError, OpenAI
from openai.types.responses import FunctionToolParam, Response, ResponseFunctionToolCall, ResponseStreamEvent
from pydantic import TypeAdapter

from tests.e2e.clients.test_openai_requests import PIXEL, Person
from tests.e2e.served import Instance

WEATHER: FunctionToolParam = {
    "type": "function",
    "name": "get_weather",
    "description": "The weather of a city",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
        "additionalProperties": False,
    },
    "strict": True,
}
TIERS = pytest.mark.parametrize("model", ["auto", "fast", "reasoning", "parallel"])
EVENT: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)


def respond(client: OpenAI, **parameters: Any) -> Response:
    made = client.responses.create(**({"model": "auto", "input": "Why is the sky blue?"} | parameters))
    assert isinstance(made, Response)
    return made


@pytest.fixture(scope="module")
def http(instance: Instance) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=instance.v1, headers={"authorization": f"Bearer {instance.key}"}, timeout=60) as client:
        yield client


@pytest.mark.covers("responses")
@TIERS
def test_a_response_has_text_and_usage(client: OpenAI, model: str) -> None:
    made = respond(client, model=model)
    assert (made.object, made.status, made.model) == ("response", "completed", model)
    assert made.output_text
    assert made.usage is not None
    assert made.usage.total_tokens == made.usage.input_tokens + made.usage.output_tokens
    assert made._request_id
    assert made.id == f"resp_{made._request_id}"


@pytest.mark.covers("responses", "schema of responses")
@TIERS
def test_bodies_and_events_are_what_the_types_promise(http: httpx.Client, model: str) -> None:
    asked = {"model": model, "input": "Why is the sky blue?", "top_logprobs": 1}
    Response.model_validate_json(http.post("/responses", json=asked).content, strict=True)
    streamed = http.post("/responses", json={**asked, "stream": True}).text
    for block in streamed.removesuffix("\n\n").split("\n\n"):
        EVENT.validate_json(block.partition("\ndata: ")[2], strict=True)


@pytest.mark.covers("responses", "instructions")
def test_items_of_every_kind_are_taken(client: OpenAI) -> None:
    items = [
        {"role": "developer", "content": "Be brief"},
        {
            "role": "user",
            "content": [
                {"type": "input_text", "text": "And this?"},
                {"type": "input_image", "detail": "low", "image_url": PIXEL},
            ],
        },
        {
            "type": "message",
            "id": "msg_1",
            "status": "completed",
            "role": "assistant",
            "content": [{"type": "output_text", "text": "A dot", "annotations": []}],
        },
        {"role": "user", "content": "Thank you"},
    ]
    assert respond(client, input=items, instructions="Answer kindly").instructions == "Answer kindly"


@pytest.mark.covers("responses", "tools")
def test_a_tool_round_trip_with_the_items_as_they_came(client: OpenAI) -> None:
    asked: list[Any] = [{"role": "user", "content": "How is the weather in Paris?"}]
    made = respond(client, model="reasoning", input=asked, tools=[WEATHER], tool_choice="required")
    [call] = [item for item in made.output if isinstance(item, ResponseFunctionToolCall)]
    result = {"type": "function_call_output", "call_id": call.call_id, "output": "Sunny, 20 degrees"}
    again = respond(client, model="reasoning", input=[*asked, *made.output, result], tools=[WEATHER])
    assert again.output_text


@pytest.mark.covers("responses", "text.format")
def test_a_schema_is_parsed(client: OpenAI) -> None:
    parsed = client.responses.parse(model="fast", input="Who is Ada?", text_format=Person).output_parsed
    assert isinstance(parsed, Person)


@pytest.mark.covers("responses", "stream")
@TIERS
def test_a_stream_adds_up_to_its_response(client: OpenAI, model: str) -> None:
    with client.responses.stream(model=model, input="Why is the sky blue?") as stream:
        events = list(stream)
        final = stream.get_final_response()
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert "".join(event.delta for event in events if event.type == "response.output_text.delta") == final.output_text
    assert final.usage is not None


@pytest.mark.covers("responses", "stream", "tools")
def test_streamed_arguments_are_parsed(client: OpenAI) -> None:
    with client.responses.stream(
        model="fast", input="How is the weather in Paris?", tools=[WEATHER], tool_choice="required"
    ) as stream:
        [call] = stream.until_done().get_final_response().output
    assert call.type == "function_call"
    assert isinstance(call.parsed_arguments, dict)


@pytest.mark.covers("responses", "stream")
async def test_streams_are_asynchronous_too(async_client: AsyncOpenAI) -> None:
    stream = await async_client.responses.create(model="reasoning", input="Why is the sky blue?", stream=True)
    kinds = [event.type async for event in stream]
    assert "response.reasoning_summary_text.delta" in kinds
    assert kinds[-1] == "response.completed"


@pytest.mark.covers("responses", "store", "previous_response_id")
def test_a_stored_response_is_continued_read_and_deleted(client: OpenAI) -> None:
    first = respond(client, input="My name is Ada", store=True)
    second = respond(client, input="What is my name?", previous_response_id=first.id, store=True)
    assert client.responses.retrieve(second.id).output_text == second.output_text
    client.responses.delete(first.id)
    with pytest.raises(NotFoundError):
        client.responses.retrieve(first.id)
    with pytest.raises(NotFoundError):
        respond(client, previous_response_id=first.id)


@pytest.mark.covers("responses", "background", "errors")
def test_what_is_not_supported_is_named(client: OpenAI) -> None:
    with pytest.raises(BadRequestError) as caught:
        respond(client, background=True)
    assert caught.value.param == "background"


@pytest.mark.covers("responses", "stream", "errors")
def test_a_stream_that_breaks_ends_as_failed(client: OpenAI) -> None:
    *_, last = client.responses.create(model="broken", input="Why is the sky blue?", stream=True)
    assert last.type == "response.failed"
    assert last.response.error is not None
