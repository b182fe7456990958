"""openai-python, unmodified: its error classes, its retries, its time-outs."""

from typing import Any

import httpx
import openai
import pytest
from openai import OpenAI

from scripts.showcase.serving import Instance
from tests.e2e.clients.test_openai_requests import SAID, WEATHER

WRONG: dict[str, dict[str, Any]] = {
    "messages": {"messages": []},
    "messages[0].role": {"messages": [{"role": "wizard", "content": "x"}]},
    "messages[0].content": {"messages": [{"role": "user"}]},
    "temperature": {"temperature": 3},
    "top_p": {"top_p": -1},
    "n": {"n": 0},
    "max_tokens": {"max_tokens": -5},
    "top_logprobs": {"top_logprobs": 2},
    "tool_choice": {"tool_choice": "required"},
    "tools[0].function.name": {"tools": [{"type": "function", "function": {}}]},
    "response_format.type": {"response_format": {"type": "yaml"}},
    "stop": {"stop": ["a", "b", "c", "d", "e"]},
}


def ask(client: OpenAI, **parameters: Any) -> Any:
    return client.chat.completions.create(**({"model": "auto", "messages": SAID} | parameters))


@pytest.mark.covers("errors")
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("param", WRONG)
def test_a_wrong_parameter_is_named(client: OpenAI, param: str, stream: bool) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        ask(client, **WRONG[param], stream=stream)
    assert caught.value.param == param
    assert caught.value.type == "invalid_request_error"
    assert isinstance(caught.value.body, dict)
    assert set(caught.value.body) == {"message", "type", "param", "code"}


@pytest.mark.covers("errors", "stream_options")
def test_stream_options_need_a_stream(client: OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        ask(client, stream_options={"include_usage": True})
    assert caught.value.param == "stream_options"


@pytest.mark.covers("errors", "x-request-id")
def test_an_unknown_model_is_not_found(client: OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as caught:
        ask(client, model="gpt-99")
    assert (caught.value.code, caught.value.param) == ("model_not_found", "model")
    assert caught.value.request_id
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("gpt-99")


@pytest.mark.covers("errors")
def test_an_unknown_key_is_refused(instance: Instance) -> None:
    stranger = OpenAI(base_url=instance.v1, api_key="tw-wrong", max_retries=0)
    with stranger, pytest.raises(openai.AuthenticationError) as caught:
        ask(stranger)
    assert caught.value.code == "invalid_api_key"
    assert "tw-wrong" not in caught.value.message


@pytest.mark.covers("errors")
def test_routes_and_methods_that_are_not_there(client: OpenAI) -> None:
    with pytest.raises(openai.NotFoundError):
        client.embeddings.create(model="auto", input="x")
    with pytest.raises(openai.APIStatusError) as caught:
        client.get("/chat/completions", cast_to=object)
    assert caught.value.status_code == 405


@pytest.mark.covers("errors")
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("model", "statuses"), [("refused", {400}), ("limited", {429}), ("down", {429, 503})])
def test_what_a_provider_refuses_is_an_http_error(client: OpenAI, model: str, statuses: set[int], stream: bool) -> None:
    with pytest.raises(openai.APIStatusError) as caught:
        list(ask(client, model=model, stream=stream))
    assert caught.value.status_code in statuses
    assert caught.value.request_id


@pytest.mark.covers("errors", "stream")
def test_what_breaks_in_a_stream_is_raised_in_it(client: OpenAI) -> None:
    seen: list[Any] = []
    with pytest.raises(openai.APIError) as caught:
        seen.extend(ask(client, model="broken", stream=True))
    assert seen
    assert not isinstance(caught.value, openai.APIStatusError)


@pytest.mark.covers("errors")
def test_a_time_out_of_the_client_is_its_own(client: OpenAI) -> None:
    with pytest.raises(openai.APITimeoutError):
        ask(client.with_options(timeout=0.2), model="slow")


def attempts(instance: Instance, model: str) -> int:
    """Count how often the client tries."""
    seen: list[httpx.Request] = []
    transport = httpx.HTTPTransport()

    class Counting(httpx.BaseTransport):
        def handle_request(self, request: httpx.Request) -> httpx.Response:
            seen.append(request)
            return transport.handle_request(request)

        def close(self) -> None:
            transport.close()

    http = httpx.Client(transport=Counting())
    client = OpenAI(base_url=instance.v1, api_key=instance.key, max_retries=1, http_client=http)
    with client, pytest.raises(openai.APIStatusError):
        ask(client, model=model)
    return len(seen)


@pytest.mark.covers("retries")
@pytest.mark.parametrize(("model", "tries"), [("down", 2), ("limited", 2), ("refused", 1), ("gpt-99", 1)])
def test_the_client_retries_what_may_pass(instance: Instance, model: str, tries: int) -> None:
    assert attempts(instance, model) == tries


@pytest.mark.covers("retries")
def test_the_client_does_not_pay_twice_for_a_dispatched_deep_call(instance: Instance) -> None:
    assert attempts(instance, "deep-and-down") == 1


@pytest.mark.covers("errors", "tools")
def test_functions_and_tools_exclude_each_other(client: OpenAI) -> None:
    with pytest.raises(openai.BadRequestError):
        ask(client, tools=[WEATHER], functions=[WEATHER["function"]])
