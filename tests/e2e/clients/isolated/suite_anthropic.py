# mypy: ignore-errors
"""Anthropic's own client for Python, unmodified, pointed at the served instance."""

import base64
import json
import os
import urllib.request
import warnings

import anthropic
import pytest
from pydantic import BaseModel

warnings.filterwarnings("ignore", message="The model .* is deprecated")
TIERS = ["auto", "fast", "reasoning", "parallel"]
HELLO = [{"role": "user", "content": "Why is the sky blue?"}]
PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n").decode()
WEATHER = {
    "name": "get_weather",
    "description": "The weather of a city",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
STEP = {"name": "step", "description": "Go on", "input_schema": {"type": "object", "properties": {}}}
CLAUDE = os.environ.get("TIERWISE_TEST_CLAUDE_URL")


class City(BaseModel):
    name: str
    inhabitants: int


@pytest.fixture(scope="session")
def client(url, key):
    return anthropic.Anthropic(base_url=url.removesuffix("/v1"), api_key=key, max_retries=0)


@pytest.mark.covers("messages-api", "usage")
@pytest.mark.parametrize("model", TIERS)
def test_a_message_is_answered(client, model):
    made = client.messages.create(model=model, max_tokens=2000, messages=HELLO)
    assert (made.type, made.role, made.model, made.stop_reason) == ("message", "assistant", model, "end_turn")
    assert made.content[-1].text
    assert made.usage.input_tokens > 0
    assert made.usage.output_tokens > 0
    assert made._request_id


@pytest.mark.covers("messages-api", "stream")
@pytest.mark.parametrize("model", TIERS)
def test_a_stream_is_joined_to_the_message(client, model):
    with client.messages.stream(model=model, max_tokens=2000, messages=HELLO) as stream:
        text = "".join(stream.text_stream)
        made = stream.get_final_message()
    assert made.content[-1].text
    assert text.endswith(made.content[-1].text)
    assert made.stop_reason == "end_turn"
    assert made.usage.input_tokens > 0


@pytest.mark.covers("messages-api", "stream")
def test_raw_events_come_in_anthropics_order(client):
    kinds = [event.type for event in client.messages.create(model="fast", max_tokens=99, messages=HELLO, stream=True)]
    assert kinds[:2] == ["message_start", "content_block_start"]
    assert kinds[-3:] == ["content_block_stop", "message_delta", "message_stop"]


@pytest.mark.covers("messages-api")
async def test_the_async_client_asks_and_streams(url, key):
    async with anthropic.AsyncAnthropic(base_url=url.removesuffix("/v1"), auth_token=key, max_retries=0) as client:
        made = await client.messages.create(model="fast", max_tokens=99, messages=HELLO)
        async with client.messages.stream(model="fast", max_tokens=99, messages=HELLO) as stream:
            assert (await stream.get_final_message()).content[0].text == made.content[0].text


@pytest.mark.covers("tools")
@pytest.mark.parametrize("streamed", [False, True])
def test_tools_make_a_round_trip(client, streamed):
    messages = [{"role": "user", "content": "What is the weather in Paris?"}]

    def ask():
        asked = {"model": "fast", "max_tokens": 500, "tools": [WEATHER], "messages": messages}
        if not streamed:
            return client.messages.create(**asked)
        with client.messages.stream(**asked) as stream:
            return stream.get_final_message()

    first = ask()
    assert first.stop_reason == "tool_use"
    [call] = [block for block in first.content if block.type == "tool_use"]
    assert call.input == {"city": "Paris"}
    messages.append({"role": "assistant", "content": first.content})
    result = {"type": "tool_result", "tool_use_id": call.id, "content": "18 degrees"}
    messages.append({"role": "user", "content": [result]})
    assert "18 degrees" in ask().content[-1].text


@pytest.mark.covers("tools")
def test_the_tool_runner_runs(client):
    called = []

    @anthropic.beta_tool
    def weather(city: str) -> str:
        """The weather of a city.

        Args:
            city: its name
        """
        called.append(city)
        return "18 degrees"

    asked = [{"role": "user", "content": "What is the weather in Paris?"}]
    runner = client.beta.messages.tool_runner(model="fast", max_tokens=500, tools=[weather], messages=asked)
    assert "18 degrees" in runner.until_done().content[-1].text
    assert called


@pytest.mark.covers("tool_choice")
def test_the_tool_choice_is_respected(client):
    asked = {"model": "fast", "max_tokens": 500, "tools": [WEATHER], "messages": HELLO}
    for choice in ({"type": "any"}, {"type": "tool", "name": "get_weather", "disable_parallel_tool_use": True}):
        assert client.messages.create(**asked, tool_choice=choice).stop_reason == "tool_use"
    assert client.messages.create(**asked, tool_choice={"type": "none"}).stop_reason == "end_turn"


@pytest.mark.covers("image_url")
def test_pictures_and_documents_reach_the_model(client):
    source = {"type": "base64", "media_type": "image/png", "data": PNG}
    note = {"type": "text", "media_type": "text/plain", "data": "The sky is blue."}
    blocks = [
        {"type": "image", "source": source},
        {"type": "document", "source": note, "title": "Note"},
        {"type": "text", "text": "What is this?"},
    ]
    assert client.messages.create(model="fast", max_tokens=200, messages=[{"role": "user", "content": blocks}]).content


@pytest.mark.covers("response_format")
def test_an_output_is_parsed(client):
    made = client.messages.parse(model="fast", max_tokens=500, messages=HELLO, output_format=City)
    assert isinstance(made.parsed_output, City)


@pytest.mark.covers("stop", "max_tokens")
def test_stop_reasons_are_anthropics(client):
    asked = {"model": "echo", "messages": [{"role": "user", "content": "one two three four"}]}
    assert client.messages.create(**asked, max_tokens=1).stop_reason == "max_tokens"
    cut = client.messages.create(**asked, max_tokens=99, stop_sequences=["three"])
    assert (cut.stop_reason, cut.stop_sequence) == ("stop_sequence", "three")


@pytest.mark.covers("system", "temperature", "top_p", "metadata")
def test_settings_and_systems_are_accepted(client):
    made = client.messages.create(
        model="fast",
        max_tokens=99,
        messages=HELLO,
        system=[{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}],
        metadata={"user_id": "u"},
        service_tier="auto",
        extra_body={"temperature": 0.5, "top_p": 0.9, "top_k": 5},  # not in every version of the client
    )
    assert made.content


@pytest.mark.covers("reasoning_content")
def test_thinking_is_a_block_and_comes_back(client):
    thinking = {"type": "enabled", "budget_tokens": 1500}
    made = client.messages.create(model="reasoning", max_tokens=3000, messages=HELLO, thinking=thinking)
    assert [block.type for block in made.content] == ["thinking", "text"]
    assert made.content[0].signature
    turns = [*HELLO, {"role": "assistant", "content": made.content}, {"role": "user", "content": "And at sunset?"}]
    assert client.messages.create(model="reasoning", max_tokens=3000, messages=turns, thinking=thinking).content


@pytest.mark.covers("count_tokens")
def test_tokens_are_counted(client):
    plain = client.messages.count_tokens(model="auto", messages=HELLO)
    more = client.messages.count_tokens(model="auto", messages=HELLO, system="Be brief.", tools=[WEATHER])
    assert 0 < plain.input_tokens < more.input_tokens


@pytest.mark.covers("models")
def test_models_are_listed_and_found(client):
    listed = [model.id for model in client.models.list()]
    assert set(TIERS) <= set(listed)
    assert client.models.retrieve("auto").type == "model"


@pytest.mark.covers("aliases")
def test_anthropics_names_stand_for_ours(client):
    for name in ("claude-sonnet-4-5", "claude-haiku-4-5-20251001"):
        assert client.messages.create(model=name, max_tokens=99, messages=HELLO).model == name


@pytest.mark.covers("errors")
@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize(
    ("model", "error", "kind"),
    [
        ("gpt-9", anthropic.NotFoundError, "not_found_error"),
        ("limited", anthropic.RateLimitError, "rate_limit_error"),
        ("refused", anthropic.BadRequestError, "invalid_request_error"),
        ("down", anthropic.InternalServerError, "overloaded_error"),
    ],
)
def test_errors_become_the_clients_own(client, model, error, kind, streamed):
    with pytest.raises(anthropic.APIStatusError) as caught:
        client.messages.create(model=model, max_tokens=9, messages=HELLO, stream=streamed)
    assert isinstance(caught.value, error) or caught.value.status_code == 529
    assert caught.value.type == kind
    assert caught.value.request_id


@pytest.mark.covers("errors")
def test_what_is_wrong_and_who_is_unknown(client):
    with pytest.raises(anthropic.BadRequestError, match=r"messages\.0"):
        client.messages.create(model="fast", max_tokens=9, messages=[{"role": "user", "content": [{"type": "x"}]}])
    with pytest.raises(anthropic.AuthenticationError):
        client.with_options(api_key="tw-unknown").messages.create(model="fast", max_tokens=9, messages=HELLO)


@pytest.mark.covers("errors", "stream")
def test_a_stream_that_breaks_off_raises(client):
    with pytest.raises(anthropic.APIStatusError) as caught:
        list(client.messages.create(model="broken", max_tokens=9, messages=HELLO, stream=True))
    assert caught.value.type == "api_error"


def loop(client, turns, model_of, *, thinking, mark=False):
    """Run a tool loop of so many turns, streamed and whole in turn; returns the last message."""
    messages = [{"role": "user", "content": f"Please loop {turns * 3}, one step at a time."}]
    made = None
    for turn in range(turns):
        asked = {"max_tokens": 4000, "messages": messages, "tools": [STEP], **thinking}
        if turn % 2:
            made = client.messages.create(model=model_of(turn), **asked)
        else:
            with client.messages.stream(model=model_of(turn), **asked) as stream:
                made = stream.get_final_message()
        messages.append(
            {"role": "assistant", "content": [block.model_dump(exclude_none=True) for block in made.content]}
        )
        results = [
            {"type": "tool_result", "tool_use_id": block.id, "content": f"done {turn}", "is_error": turn % 11 == 5}
            for block in made.content
            if block.type == "tool_use"
        ]
        messages.append({"role": "user", "content": results or "Go on."})
    return made


def tally():
    with urllib.request.urlopen(f"{CLAUDE}/tally") as reply:
        return json.load(reply)


needs_claude = pytest.mark.skipif(CLAUDE is None, reason="no server of Anthropic's dialect behind the instance")
BUDGET = {"thinking": {"type": "enabled", "budget_tokens": 2000}}


@needs_claude
@pytest.mark.covers("tools", "thinking-signatures")
@pytest.mark.parametrize(
    "thinking", [BUDGET, {"thinking": {"type": "adaptive"}}, {}], ids=["budget", "adaptive", "none"]
)
def test_an_agent_works_for_two_hundred_turns(client, thinking):
    before = tally()
    model = "claude-adaptive" if thinking.get("thinking", {}).get("type") == "adaptive" else "claude"
    made = loop(client, 200, lambda turn: model, thinking=thinking)
    after = tally()
    assert after["refused"] == before["refused"]
    assert after["answered"] == before["answered"] + 200
    if thinking:
        assert made.content[0].type == "thinking"
        assert not made.content[0].signature.startswith("tierwise")


@needs_claude
@pytest.mark.covers("tools", "thinking-signatures")
def test_an_agent_may_change_models_on_its_way(client):
    before = tally()
    models = ("claude", "claude", "fast", "claude", "reasoning", "claude-adaptive")
    loop(client, 60, lambda turn: models[turn % len(models)], thinking=BUDGET)
    assert tally()["refused"] == before["refused"]


@needs_claude
@pytest.mark.covers("cache_control", "usage")
def test_marks_of_caches_and_their_usage_go_through(client):
    mark = {"cache_control": {"type": "ephemeral"}}
    made = client.messages.create(
        model="claude",
        max_tokens=99,
        system=[{"type": "text", "text": "Be brief.", **mark}],
        messages=[{"role": "user", "content": [{"type": "text", "text": "Hello", **mark}]}],
    )
    usage = made.usage
    assert (usage.input_tokens, usage.cache_creation_input_tokens, usage.cache_read_input_tokens) == (20, 5, 100)
