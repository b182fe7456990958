# mypy: ignore-errors
"""pydantic-ai agents with the OpenAI chat model."""

import pytest
from pydantic import BaseModel
from pydantic_ai import Agent, NativeOutput, ToolOutput
from pydantic_ai.exceptions import ModelHTTPError
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider


class City(BaseModel):
    name: str
    inhabitants: int


def a_model(name, url, key):
    return OpenAIChatModel(name, provider=OpenAIProvider(base_url=url, api_key=key))


@pytest.fixture(params=["auto", "fast", "reasoning", "parallel"])
def model(request, url, key):
    return a_model(request.param, url, key)


@pytest.mark.covers("messages", "usage")
async def test_an_agent_answers_and_counts(model):
    run = await Agent(model, instructions="Be brief.").run("Why is the sky blue?")
    assert run.output
    assert run.usage.output_tokens > 0


@pytest.mark.covers("messages")
async def test_a_second_turn_has_the_first_as_history(model):
    agent = Agent(model)
    first = await agent.run("Why is the sky blue?")
    assert (await agent.run("And at sunset?", message_history=first.new_messages())).output


@pytest.mark.covers("stream")
async def test_a_stream_ends_in_the_whole_text(model):
    async with Agent(model).run_stream("Why is the sky blue?") as run:
        texts = [text async for text in run.stream_text()]
    assert texts[-1]


@pytest.mark.covers("tools")
async def test_tools_are_called(model):
    agent, called = Agent(model), []

    @agent.tool_plain
    def weather(city: str) -> str:
        """The weather of a city."""
        called.append(city)
        return "18 degrees"

    run = await agent.run("What is the weather in Paris?")
    assert called
    assert "18 degrees" in run.output


@pytest.mark.covers("response_format", "tools", "tool_choice")
@pytest.mark.parametrize("form", [ToolOutput, NativeOutput])
async def test_output_types(model, form):
    run = await Agent(model, output_type=form(City)).run("Describe the city of Rome")
    assert isinstance(run.output, City)


@pytest.mark.covers("errors")
async def test_errors_keep_their_status(url, key):
    with pytest.raises(ModelHTTPError) as caught:
        await Agent(a_model("nothing", url, key)).run("x")
    assert caught.value.status_code == 404
