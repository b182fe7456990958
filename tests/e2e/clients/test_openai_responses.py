"""openai-python, unmodified: the Responses API in the foreground."""

import json
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI, OpenAI
from openai.types.responses import FunctionToolParam

from tests.e2e.clients.test_openai_requests import PIXEL, Person

ASKED = "Why is the sky blue?"
WEATHER: FunctionToolParam = {
    "type": "function",
    "name": "get_weather",
    "description": "The weather of a city",
    "strict": False,
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
TIERS = pytest.mark.parametrize("model", ["auto", "fast", "reasoning", "parallel"])


@pytest.mark.covers("responses")
@TIERS
def test_a_response_has_what_openai_promises(client: OpenAI, model: str) -> None:
    made = client.responses.create(model=model, input=ASKED, instructions="Be brief.")
    assert (made.object, made.status, made.model, made.error) == ("response", "completed", model, None)
    assert made.id.startswith("resp_")
    assert made.output_text
    assert made.usage is not None
    assert made.usage.total_tokens == made.usage.input_tokens + made.usage.output_tokens
    assert made._request_id


@pytest.mark.covers("responses")
def test_input_may_be_items(client: OpenAI) -> None:
    parts: list[Any] = [{"type": "input_text", "text": "What is this?"}, {"type": "input_image", "image_url": PIXEL}]
    items: list[Any] = [{"role": "developer", "content": "Be brief."}, {"role": "user", "content": parts}]
    assert "1 image" in client.responses.create(model="fast", input=items).output_text


@pytest.mark.covers("responses", "stream")
@TIERS
def test_events_are_numbered_and_end_in_the_whole(client: OpenAI, model: str) -> None:
    with client.responses.stream(model=model, input=ASKED) as stream:
        events = list(stream)
        whole = stream.get_final_response()
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert (events[0].type, events[-1].type) == ("response.created", "response.completed")
    text = "".join(event.delta for event in events if event.type == "response.output_text.delta")
    assert text == whole.output_text != ""


@pytest.mark.covers("responses", "tools")
@TIERS
def test_a_function_makes_a_round_trip(client: OpenAI, model: str) -> None:
    items: list[Any] = [{"role": "user", "content": "What is the weather in Paris?"}]
    made = client.responses.create(model=model, input=items, tools=[WEATHER])
    [call] = [item for item in made.output if item.type == "function_call"]
    assert call.name == "get_weather"
    assert "city" in json.loads(call.arguments)
    items += [call.model_dump(), {"type": "function_call_output", "call_id": call.call_id, "output": "18 degrees"}]
    assert "18 degrees" in client.responses.create(model=model, input=items, tools=[WEATHER]).output_text


@pytest.mark.covers("responses", "tools", "stream")
def test_a_function_call_streams(client: OpenAI) -> None:
    with client.responses.stream(model="auto", input="What is the weather in Paris?", tools=[WEATHER]) as stream:
        kinds = [event.type for event in stream]
    assert "response.function_call_arguments.delta" in kinds
    assert "response.function_call_arguments.done" in kinds


@pytest.mark.covers("responses", "response_format")
@TIERS
def test_a_schema_is_kept_and_parsed(client: OpenAI, model: str) -> None:
    assert isinstance(client.responses.parse(model=model, input=ASKED, text_format=Person).output_parsed, Person)


@pytest.mark.covers("responses", "store")
def test_a_stored_response_goes_on_and_is_deleted(client: OpenAI) -> None:
    first = client.responses.create(model="auto", input=ASKED, store=True)
    assert client.responses.retrieve(first.id).output_text == first.output_text
    second = client.responses.create(model="auto", input="why?", previous_response_id=first.id, store=True)
    assert second.previous_response_id == first.id
    client.responses.delete(first.id)
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(first.id)


@pytest.mark.covers("responses", "store")
def test_nothing_is_stored_unless_asked_for(client: OpenAI) -> None:
    made = client.responses.create(model="auto", input=ASKED)
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(made.id)


@pytest.mark.covers("responses", "reasoning_effort")
def test_effort_chooses_a_tier(client: OpenAI) -> None:
    raw = client.responses.with_raw_response.create(model="auto", input=ASKED, reasoning={"effort": "high"})
    assert (raw.headers["x-tierwise-tier"], raw.headers["x-tierwise-reason"]) == ("reasoning", "effort")


@pytest.mark.covers("responses", "max_completion_tokens")
def test_a_limit_makes_it_incomplete(client: OpenAI) -> None:
    made = client.responses.create(model="fast", input=ASKED, max_output_tokens=16)
    assert made.status == "incomplete"
    assert made.incomplete_details is not None
    assert made.incomplete_details.reason == "max_output_tokens"


@pytest.mark.covers("responses", "errors")
def test_errors_are_openais(client: OpenAI) -> None:
    with pytest.raises(openai.NotFoundError):
        client.responses.create(model="nothing", input=ASKED)
    with pytest.raises(openai.BadRequestError):
        client.responses.create(model="auto", input=[{"role": "wizard", "content": "x"}])  # type: ignore[list-item,misc]
    with pytest.raises(openai.APIStatusError):
        client.responses.create(model="auto", input=ASKED, previous_response_id="resp_nothing")


@pytest.mark.covers("responses", "stream")
async def test_the_async_client_responds(async_client: AsyncOpenAI) -> None:
    assert (await async_client.responses.create(model="auto", input=ASKED)).output_text
    async with async_client.responses.stream(model="auto", input=ASKED) as stream:
        kinds = [event.type async for event in stream]
    assert kinds[-1] == "response.completed"
