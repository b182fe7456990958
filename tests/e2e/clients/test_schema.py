"""Every response and every chunk against OpenAI's published schema: ours as JSON schema, and openai-python's types."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from jsonschema import Draft202012Validator
from openai.types import Model
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from scripts.showcase.serving import Instance
from tests.e2e.clients.test_openai_requests import SAID, WEATHER

SCHEMA = json.loads(Path(__file__).with_name("openai_schema.json").read_text(encoding="utf-8"))
PERSON = {
    "type": "object",
    "properties": {"name": {"type": "string"}},
    "required": ["name"],
    "additionalProperties": False,
}
REQUESTS: dict[str, dict[str, Any]] = {
    "plain": {},
    "usage": {"stream_options": {"include_usage": True}},
    "n": {"n": 2},
    "tools": {"tools": [WEATHER]},
    "functions": {"functions": [WEATHER["function"]]},
    "logprobs": {"logprobs": True, "top_logprobs": 2},
    "json": {"response_format": {"type": "json_object"}},
    "schema": {"response_format": {"type": "json_schema", "json_schema": {"name": "person", "schema": PERSON}}},
    "length": {"max_tokens": 2},
    "service-tier": {"service_tier": "priority"},
    "empty": {"messages": [{"role": "user", "content": ""}]},
}
WRONG: dict[str, tuple[str, str, bytes, int]] = {
    "not-json": ("POST", "/chat/completions", b"{", 400),
    "not-an-object": ("POST", "/chat/completions", b"[]", 400),
    "no-messages": ("POST", "/chat/completions", b'{"model": "auto"}', 400),
    "unknown-model": (
        "POST",
        "/chat/completions",
        b'{"model": "x", "messages": [{"role": "user", "content": "x"}]}',
        404,
    ),
    "unknown-route": ("POST", "/nothing", b"{}", 404),
    "wrong-method": ("GET", "/chat/completions", b"", 405),
    "unknown-listed-model": ("GET", "/models/x", b"", 404),
}


@pytest.fixture(scope="module")
def http(instance: Instance) -> Iterator[httpx.Client]:
    headers = {"authorization": f"Bearer {instance.key}", "content-type": "application/json"}
    with httpx.Client(base_url=instance.v1, headers=headers, timeout=60) as client:
        yield client


def assert_valid(body: object, definition: str) -> None:
    validator = Draft202012Validator({**SCHEMA, "$ref": f"#/$defs/{definition}"})
    assert [f"{error.json_path}: {error.message}" for error in validator.iter_errors(body)] == []


def body_of(model: str, parameters: dict[str, Any]) -> dict[str, Any]:
    return {"model": model, "messages": SAID} | parameters


MODELS = pytest.mark.parametrize("model", ["auto", "fast", "reasoning", "parallel"])
EACH = pytest.mark.parametrize("parameters", REQUESTS.values(), ids=REQUESTS)


@pytest.mark.covers("schema of responses")
@MODELS
@EACH
def test_a_completion_keeps_to_the_schema(http: httpx.Client, model: str, parameters: dict[str, Any]) -> None:
    wanted = {name: value for name, value in parameters.items() if name != "stream_options"}
    reply = http.post("/chat/completions", json=body_of(model, wanted))
    assert reply.status_code == 200, reply.text
    assert_valid(reply.json(), "chat_completion")
    ChatCompletion.model_validate_json(reply.content, strict=True)


@pytest.mark.covers("schema of chunks")
@MODELS
@EACH
def test_every_chunk_keeps_to_the_schema(http: httpx.Client, model: str, parameters: dict[str, Any]) -> None:
    reply = http.post("/chat/completions", json=body_of(model, parameters) | {"stream": True})
    assert reply.status_code == 200, reply.text
    *events, done, end = reply.text.split("\n\n")
    assert (done, end) == ("data: [DONE]", "")
    for event in events:
        assert event.startswith("data: ")
        assert_valid(json.loads(event[6:]), "chat_completion_chunk")
        ChatCompletionChunk.model_validate_json(event[6:], strict=True)


@pytest.mark.covers("errors")
@pytest.mark.parametrize("case", WRONG.values(), ids=WRONG)
def test_every_error_keeps_to_the_schema(http: httpx.Client, case: tuple[str, str, bytes, int]) -> None:
    method, path, body, status = case
    reply = http.request(method, path, content=body)
    assert reply.status_code == status
    assert_valid(reply.json(), "error")
    assert reply.headers["content-type"] == "application/json"
    assert reply.headers["x-request-id"]


@pytest.mark.covers("errors")
def test_an_error_in_a_stream_keeps_to_the_schema(http: httpx.Client) -> None:
    reply = http.post("/chat/completions", json=body_of("broken", {"stream": True}))
    assert reply.status_code == 200
    events = [event for event in reply.text.split("\n\n") if event.startswith("data: ")]
    failure = next(json.loads(event[6:]) for event in events if '"error"' in event)
    assert_valid(failure, "error")


@pytest.mark.covers("models")
def test_models_keep_to_the_schema(http: httpx.Client) -> None:
    listed = http.get("/models").json()
    assert_valid(listed, "models")
    for model in listed["data"]:
        Model.model_validate(model, strict=True)
        assert_valid(http.get(f"/models/{model['id']}").json(), "model")
