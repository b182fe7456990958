"""openai-python, unmodified: every request parameter that has a meaning, without streaming."""

import json
from typing import Any, Literal

import pytest
from openai import OpenAI
from openai.types.chat import (
    ChatCompletion,
    ChatCompletionFunctionToolParam,
    ChatCompletionMessageParam,
    ChatCompletionNamedToolChoiceParam,
)
from pydantic import BaseModel

PIXEL = "data:image/gif;base64,R0lGODlhAQABAAAAACH5BAEKAAEALAAAAAABAAEAAAICTAEAOw=="
WEATHER: ChatCompletionFunctionToolParam = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather of a city",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "unit": {"type": "string", "enum": ["celsius", "fahrenheit"]}},
            "required": ["city"],
        },
    },
}
SAID: list[ChatCompletionMessageParam] = [{"role": "user", "content": "Why is the sky blue?"}]


class Person(BaseModel):
    name: str
    age: int


def ask(client: OpenAI, **parameters: Any) -> ChatCompletion:
    made = client.chat.completions.create(**({"model": "auto", "messages": SAID} | parameters))
    assert isinstance(made, ChatCompletion)
    return made


@pytest.mark.covers("model", "messages", "usage")
def test_a_completion_has_what_openai_promises(client: OpenAI) -> None:
    made = ask(client)
    assert made.id.startswith("chatcmpl-")
    assert (made.object, made.model) == ("chat.completion", "auto")
    [choice] = made.choices
    assert (choice.index, choice.finish_reason, choice.message.role) == (0, "stop", "assistant")
    assert choice.message.content
    assert made.usage is not None
    assert made.usage.total_tokens == made.usage.prompt_tokens + made.usage.completion_tokens


@pytest.mark.covers("x-request-id")
def test_the_request_id_is_exposed(client: OpenAI) -> None:
    first, second = ask(client)._request_id, ask(client)._request_id
    assert first
    assert first != second


@pytest.mark.covers("x-tierwise-*", "x_tierwise")
def test_the_decision_is_in_the_headers_and_the_body(client: OpenAI) -> None:
    raw = client.chat.completions.with_raw_response.create(model="auto", messages=SAID)
    assert raw.headers["x-tierwise-tier"] in ("fast", "reasoning", "parallel")
    for name in ("reason", "score", "policy", "overhead-ms"):
        assert raw.headers[f"x-tierwise-{name}"]
    extra = raw.parse().model_extra
    assert extra is not None
    assert extra["x_tierwise"]["final_tier"] == raw.headers["x-tierwise-tier"]
    assert extra["x_tierwise"]["provider_model"].startswith("scripted/")


@pytest.mark.covers("model")
@pytest.mark.parametrize("tier", ["fast", "reasoning", "parallel"])
def test_a_tier_can_be_named(client: OpenAI, tier: str) -> None:
    raw = client.chat.completions.with_raw_response.create(model=tier, messages=SAID)
    assert (raw.headers["x-tierwise-tier"], raw.headers["x-tierwise-reason"]) == (tier, "override")
    assert raw.parse().model == tier


@pytest.mark.covers("model")
def test_an_explicit_model_answers_under_its_name(client: OpenAI) -> None:
    made = ask(client, model="echo", messages=[{"role": "user", "content": "say this back"}])
    assert (made.model, made.choices[0].message.content) == ("echo", "say this back")


@pytest.mark.covers("reasoning_content")
def test_thinking_has_two_names_and_is_not_in_the_content(client: OpenAI) -> None:
    message = ask(client, model="reasoning").choices[0].message
    extra = message.model_extra
    assert extra is not None
    assert extra["reasoning_content"] == extra["reasoning"] != ""
    assert extra["reasoning"] not in (message.content or "")


@pytest.mark.covers("messages")
@pytest.mark.parametrize("role", ["system", "developer"])
def test_instructions_come_from_system_or_developer(client: OpenAI, role: str) -> None:
    assert ask(client, messages=[{"role": role, "content": "Be brief."}, *SAID]).choices[0].message.content


@pytest.mark.covers("messages")
def test_a_conversation_with_names_and_an_empty_assistant(client: OpenAI) -> None:
    messages = [
        {"role": "user", "name": "ada", "content": "Hello"},
        {"role": "assistant", "content": ""},
        {"role": "user", "content": [{"type": "text", "text": "And"}, {"type": "text", "text": "again"}]},
    ]
    assert ask(client, messages=messages).choices[0].message.content


@pytest.mark.covers("image_url")
@pytest.mark.parametrize("url", [PIXEL, "https://example.com/cat.png"])
def test_images_reach_the_model(client: OpenAI, url: str) -> None:
    parts = [
        {"type": "text", "text": "What is this?"},
        {"type": "image_url", "image_url": {"url": url, "detail": "low"}},
    ]
    assert "1 image" in str(ask(client, messages=[{"role": "user", "content": parts}]).choices[0].message.content)


@pytest.mark.covers("n")
def test_several_choices_are_given(client: OpenAI) -> None:
    assert [choice.index for choice in ask(client, n=3).choices] == [0, 1, 2]


@pytest.mark.covers("max_tokens", "max_completion_tokens")
@pytest.mark.parametrize("limit", ["max_tokens", "max_completion_tokens"])
def test_a_limit_cuts_the_answer(client: OpenAI, limit: str) -> None:
    made = ask(client, **{limit: 3})
    assert made.choices[0].finish_reason == "length"
    assert made.usage is not None
    assert made.usage.completion_tokens <= 3


@pytest.mark.covers("max_tokens")
def test_max_tokens_bounds_only_the_visible_text(client: OpenAI) -> None:
    made = ask(client, model="reasoning", max_tokens=3)
    assert made.usage is not None
    assert made.usage.completion_tokens_details is not None
    thought = made.usage.completion_tokens_details.reasoning_tokens or 0
    assert thought > 0
    assert made.usage.completion_tokens - thought <= 3


@pytest.mark.covers("stop")
def test_a_stop_word_ends_the_answer(client: OpenAI) -> None:
    said = [{"role": "user", "content": "one two three four"}]
    for stop in ("three", ["three", "nine"]):
        assert ask(client, model="echo", messages=said, stop=stop).choices[0].message.content == "one two "


@pytest.mark.covers("seed")
def test_a_seed_repeats_the_answer(client: OpenAI) -> None:
    first, second = (ask(client, model="fast", seed=7).choices[0].message.content for _ in range(2))
    assert first == second


@pytest.mark.covers("logprobs", "top_logprobs")
def test_log_probabilities_are_given(client: OpenAI) -> None:
    logprobs = ask(client, model="fast", logprobs=True, top_logprobs=2).choices[0].logprobs
    assert logprobs is not None
    assert logprobs.content
    assert len(logprobs.content[0].top_logprobs) == 2
    assert logprobs.content[0].logprob <= 0


@pytest.mark.covers(
    "temperature", "top_p", "presence_penalty", "frequency_penalty", "logit_bias", "verbosity", "parallel_tool_calls"
)
@pytest.mark.parametrize(
    "parameter",
    [
        {"temperature": 0.0},
        {"temperature": 2},
        {"top_p": 0.5},
        {"presence_penalty": 1.5, "frequency_penalty": -0.5},
        {"logit_bias": {"50256": -100}},
        {"verbosity": "low"},
        {"tools": [WEATHER], "parallel_tool_calls": False},
    ],
    ids=lambda parameter: "+".join(parameter),
)
def test_a_setting_is_accepted(client: OpenAI, parameter: dict[str, Any]) -> None:
    assert ask(client, **parameter).choices


@pytest.mark.covers("metadata", "store", "user", "safety_identifier", "prompt_cache_key")
def test_bookkeeping_parameters_are_accepted(client: OpenAI) -> None:
    made = ask(
        client,
        metadata={"conversation_id": "c1"},
        store=False,
        user="u1",
        safety_identifier="s1",
        prompt_cache_key="p1",
    )
    assert made.choices


@pytest.mark.covers("service_tier")
def test_the_service_tier_that_was_used_is_echoed(client: OpenAI) -> None:
    assert ask(client, service_tier="flex").service_tier == "default"


@pytest.mark.covers("reasoning_effort")
@pytest.mark.parametrize(
    ("effort", "tier"),
    [
        ("none", "fast"),
        ("minimal", "fast"),
        ("low", "reasoning"),
        ("medium", "reasoning"),
        ("high", "reasoning"),
        ("xhigh", "parallel"),
        ("max", "parallel"),
    ],
)
def test_effort_chooses_a_tier_for_auto(client: OpenAI, effort: Any, tier: str) -> None:
    raw = client.chat.completions.with_raw_response.create(model="auto", messages=SAID, reasoning_effort=effort)
    assert (raw.headers["x-tierwise-tier"], raw.headers["x-tierwise-reason"]) == (tier, "effort")


@pytest.mark.covers("reasoning_effort")
def test_a_named_tier_beats_the_effort(client: OpenAI) -> None:
    raw = client.chat.completions.with_raw_response.create(model="fast", messages=SAID, reasoning_effort="high")
    assert raw.headers["x-tierwise-tier"] == "fast"


@pytest.mark.covers("response_format")
def test_json_mode_gives_an_object(client: OpenAI) -> None:
    made = ask(client, response_format={"type": "json_object"})
    assert isinstance(json.loads(made.choices[0].message.content or ""), dict)


@pytest.mark.covers("response_format")
@pytest.mark.parametrize("model", ["auto", "fast", "reasoning", "parallel"])
def test_a_schema_is_kept_and_parsed(client: OpenAI, model: str) -> None:
    parsed = client.chat.completions.parse(model=model, messages=SAID, response_format=Person).choices[0].message.parsed
    assert isinstance(parsed, Person)


@pytest.mark.covers("tools", "tool_choice")
@pytest.mark.parametrize("model", ["auto", "fast", "reasoning", "parallel"])
def test_a_tool_makes_a_round_trip(client: OpenAI, model: str) -> None:
    asked: list[ChatCompletionMessageParam] = [{"role": "user", "content": "What is the weather in Paris?"}]
    made = ask(client, model=model, messages=asked, tools=[WEATHER])
    assert made.choices[0].finish_reason == "tool_calls"
    message = made.choices[0].message
    [call] = message.tool_calls or []
    assert call.type == "function"
    assert call.function.name == "get_weather"
    assert "city" in json.loads(call.function.arguments)
    asked += [message.model_dump(exclude_none=True), {"role": "tool", "tool_call_id": call.id, "content": "18 degrees"}]  # type: ignore[list-item]
    assert "18 degrees" in str(ask(client, model=model, messages=asked, tools=[WEATHER]).choices[0].message.content)


NAMED: ChatCompletionNamedToolChoiceParam = {"type": "function", "function": {"name": "get_weather"}}


@pytest.mark.covers("tool_choice")
@pytest.mark.parametrize(
    ("choice", "calls"), [("none", False), ("auto", True), ("required", True), (NAMED, True)], ids=str
)
def test_the_tool_choice_is_respected(
    client: OpenAI, choice: Literal["none", "auto", "required"] | ChatCompletionNamedToolChoiceParam, calls: bool
) -> None:
    made = ask(client, model="fast", tools=[WEATHER], tool_choice=choice)
    assert bool(made.choices[0].message.tool_calls) is calls


@pytest.mark.covers("functions", "function_call")
def test_legacy_functions_make_a_round_trip(client: OpenAI) -> None:
    asked: list[Any] = [{"role": "user", "content": "What is the weather in Paris?"}]
    made = ask(client, messages=asked, functions=[WEATHER["function"]], function_call={"name": "get_weather"})
    called = made.choices[0].message.function_call
    assert made.choices[0].finish_reason == "function_call"
    assert called is not None
    asked += [
        {"role": "assistant", "content": None, "function_call": called.model_dump()},
        {"role": "function", "name": "get_weather", "content": "18 degrees"},
    ]
    answer = ask(client, messages=asked, functions=[WEATHER["function"]])
    assert "18 degrees" in str(answer.choices[0].message.content)


@pytest.mark.covers("unknown parameters")
def test_unknown_parameters_are_ignored_with_a_note(client: OpenAI) -> None:
    made = ask(client, extra_body={"repetition_penalty": 1.1})
    assert "repetition_penalty" in json.dumps((made.model_extra or {})["x_tierwise"])


@pytest.mark.covers("unknown parameters")
@pytest.mark.parametrize("key", ["api_base", "base_url", "api_key", "extra_headers", "model_list", "mock_response"])
def test_a_client_cannot_steer_the_server(client: OpenAI, key: str) -> None:
    made = ask(client, extra_body={key: "http://127.0.0.1:9/secret"})
    assert "secret" not in made.model_dump_json()
    assert made.choices[0].message.content


@pytest.mark.covers("models")
def test_models_are_listed_and_found(client: OpenAI) -> None:
    listed = [model.id for model in client.models.list()]
    assert {"auto", "fast", "reasoning", "parallel", "echo"} <= set(listed)
    for name in listed:
        assert client.models.retrieve(name).id == name
