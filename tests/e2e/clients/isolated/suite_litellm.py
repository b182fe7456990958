# mypy: ignore-errors
"""litellm as a client of an OpenAI-compatible endpoint."""

import json

import litellm
import pytest

SAID = [{"role": "user", "content": "What is the weather in Paris?"}]
TOOL = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}


@pytest.fixture(params=["auto", "fast", "reasoning", "parallel"])
def ask(request, url, key):
    def call(function=litellm.completion, model=request.param, **parameters):
        target = {"model": f"openai/{model}", "api_base": url, "api_key": key, "num_retries": 0, "max_retries": 0}
        return function(**({"messages": SAID} | target | parameters))

    return call


@pytest.mark.covers("messages", "usage")
def test_completion(ask):
    made = ask()
    assert made.choices[0].message.content
    assert made.choices[0].finish_reason == "stop"
    assert made.usage.total_tokens > 0


@pytest.mark.covers("reasoning_content")
def test_thinking_is_read(ask):
    assert ask(model="reasoning").choices[0].message.reasoning_content


@pytest.mark.covers("stream", "stream_options")
def test_stream(ask):
    chunks = list(ask(stream=True, stream_options={"include_usage": True}))
    whole = litellm.stream_chunk_builder(chunks, messages=SAID)
    assert whole.choices[0].message.content
    assert whole.usage.completion_tokens > 0


@pytest.mark.covers("tools")
def test_tools(ask):
    made = ask(tools=[TOOL])
    [call] = made.choices[0].message.tool_calls
    assert call.function.name == "get_weather"
    assert "city" in json.loads(call.function.arguments)
    streamed = litellm.stream_chunk_builder(list(ask(tools=[TOOL], stream=True)), messages=SAID)
    assert streamed.choices[0].message.tool_calls[0].function.name == "get_weather"


@pytest.mark.covers("response_format")
def test_json(ask):
    assert json.loads(ask(response_format={"type": "json_object"}).choices[0].message.content)


@pytest.mark.covers("messages", "stream")
async def test_async(ask):
    assert (await ask(litellm.acompletion)).choices[0].message.content
    stream = await ask(litellm.acompletion, stream=True)
    assert [chunk async for chunk in stream]


@pytest.mark.covers("errors")
@pytest.mark.parametrize(
    ("parameters", "error"),
    [
        ({"model": "nothing"}, litellm.NotFoundError),
        ({"api_key": "tw-wrong"}, litellm.AuthenticationError),
        ({"messages": []}, litellm.BadRequestError),
        ({"model": "limited"}, litellm.RateLimitError),
    ],
    ids=["404", "401", "400", "429"],
)
def test_errors_become_litellms(ask, parameters, error):
    with pytest.raises(error):
        ask(**parameters)
