"""Bodies that no client should send: always a clear 4xx with OpenAI's error body, never a 5xx, a hang or a trace."""

import json
import socket
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scripts.showcase.serving import Instance
from tests.e2e.clients.test_openai_requests import SAID, WEATHER
from tests.e2e.clients.test_schema import assert_valid

GOOD: dict[str, Any] = {
    "model": "auto",
    "messages": SAID,
    "stream": False,
    "n": 1,
    "temperature": 1,
    "top_p": 1,
    "max_tokens": 5,
    "max_completion_tokens": 5,
    "stop": ["x"],
    "seed": 1,
    "logprobs": True,
    "top_logprobs": 1,
    "logit_bias": {"1": 1},
    "presence_penalty": 0,
    "tools": [WEATHER],
    "tool_choice": "auto",
    "functions": None,
    "response_format": {"type": "text"},
    "reasoning_effort": "low",
    "metadata": {"a": "b"},
    "stream_options": None,
    "user": "u",
    "service_tier": "auto",
    "modalities": ["text"],
}
scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20)
    | st.sampled_from(["auto", "user", "assistant", "tool", "text", "json_schema", "high"])
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
parts = st.fixed_dictionaries({"type": st.sampled_from(["text", "image_url", "file", "refusal"]) | scalars}, optional={
    "text": values, "image_url": values | st.fixed_dictionaries({"url": scalars}), "file": values, "refusal": values,
})  # fmt: skip
messages = st.fixed_dictionaries(
    {"role": st.sampled_from(["user", "system", "assistant", "tool", "function", "developer"]) | scalars},
    optional={
        "content": values | st.lists(parts, max_size=3),
        "tool_calls": values
        | st.lists(st.fixed_dictionaries({"function": values, "id": scalars, "type": scalars}), max_size=2),
        "function_call": values,
        "tool_call_id": scalars,
        "name": scalars,
    },
)
schemas = st.recursive(
    st.sampled_from([{"type": "string"}, {"type": "integer"}, {"type": "wizard"}, {"enum": []}, {"$ref": "#"}, True]),
    lambda inner: st.fixed_dictionaries(
        {"type": st.sampled_from(["object", "array", ["string", "null"]])},
        optional={
            "properties": st.dictionaries(st.text(max_size=4), inner, max_size=2),
            "items": inner,
            "anyOf": st.lists(inner, max_size=2),
            "required": values,
        },
    ),
    max_leaves=6,
)
functions = st.fixed_dictionaries({"name": st.text(max_size=8)}, optional={"parameters": schemas, "strict": values})
# Nearly right: what gets past the first look.
plausible: dict[str, st.SearchStrategy[Any]] = {
    "model": st.sampled_from(["auto", "fast", "reasoning", "parallel", "echo"]),
    "messages": st.lists(messages, min_size=1, max_size=4),
    "stream": st.booleans(),
    "n": st.integers(1, 3),
    "temperature": st.floats(0, 2),
    "max_tokens": st.integers(1, 10**7),
    "max_completion_tokens": st.integers(1, 10**7),
    "stop": st.text(max_size=3) | st.lists(st.text(max_size=3), max_size=4),
    "seed": st.integers(-(2**63), 2**63 - 1),
    "logit_bias": st.dictionaries(st.text(max_size=4), st.integers(-100, 100), max_size=3),
    "tools": st.lists(st.fixed_dictionaries({"type": st.just("function"), "function": functions}), max_size=3),
    "tool_choice": st.sampled_from(["none", "required"]) | st.fixed_dictionaries({"function": functions}),
    "functions": st.lists(functions, max_size=2),
    "function_call": st.sampled_from(["none", "auto"]) | functions,
    "response_format": st.fixed_dictionaries(
        {"type": st.just("json_schema")},
        optional={"json_schema": st.fixed_dictionaries({"name": st.text(max_size=4)}, optional={"schema": schemas})},
    ),
    "reasoning_effort": st.sampled_from(["none", "minimal", "low", "medium", "high", "xhigh", "max"]),
    "metadata": st.dictionaries(st.text(max_size=70), st.text(max_size=600), max_size=20),
    "user": st.text(max_size=600),
    "reasoning": values,
}
BARE = {"model": "auto", "messages": SAID}
broken = st.fixed_dictionaries({}, optional=dict.fromkeys(GOOD, values)).map(lambda wrong: BARE | wrong)
one_wrong = st.sampled_from(sorted(GOOD)).flatmap(lambda name: st.builds(lambda value: GOOD | {name: value}, values))
nearly_right = st.fixed_dictionaries({}, optional=plausible).map(lambda chosen: BARE | chosen)
bodies = nearly_right | nearly_right | one_wrong | broken | values


@pytest.fixture(scope="module")
def http(instance: Instance) -> Iterator[httpx.Client]:
    headers = {"authorization": f"Bearer {instance.key}", "content-type": "application/json"}
    with httpx.Client(base_url=instance.v1, headers=headers, timeout=60) as client:
        yield client


def assert_clear(reply: httpx.Response) -> None:
    assert reply.status_code < 500, reply.text
    assert reply.headers["x-request-id"]
    if reply.status_code != 200:
        assert reply.status_code >= 400
        assert_valid(reply.json(), "error")
        assert "Traceback" not in reply.text


@pytest.mark.covers("fuzz")
@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(body=bodies)
def test_a_fuzzed_body_is_answered_or_clearly_refused(http: httpx.Client, body: object) -> None:
    assert_clear(http.post("/chat/completions", content=json.dumps(body).encode()))


BYTES: dict[str, bytes] = {
    "empty": b"",
    "invalid-utf-8": b'{"model": "auto", "messages": [{"role": "user", "content": "\xff\xfe"}]}',
    "lone-surrogate": b'{"model": "auto", "messages": [{"role": "user", "content": "\\ud800"}]}',
    "nan": b'{"model": "auto", "messages": [{"role": "user", "content": "x"}], "temperature": NaN}',
    "infinity": b'{"model": "auto", "messages": [{"role": "user", "content": "x"}], "top_p": 1e999}',
    "huge-number": b'{"model": "auto", "messages": [{"role": "user", "content": "x"}], "seed": ' + b"9" * 5000 + b"}",
    "deep-lists": b'{"model": "auto", "messages": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "deep-objects": b'{"a":' * 50_000 + b"1" + b"}" * 50_000,
    "deep-schema": b'{"model": "auto", "messages": [{"role": "user", "content": "x"}], "response_format": '
    b'{"type": "json_schema", "json_schema": {"name": "x", "schema": '
    + b'{"items":' * 900
    + b"{}"
    + b"}" * 900
    + b"}}}",
    "trailing": b'{"model": "auto", "messages": [{"role": "user", "content": "x"}]} garbage',
    "null-byte": b"\x00",
    "bom": b'\xef\xbb\xbf{"model": "auto", "messages": []}',
    "image-without-url": b'{"model": "auto", "messages": [{"role": "user", "content": [{"type": "image_url"}]}]}',
}


@pytest.mark.covers("fuzz")
@pytest.mark.parametrize("body", BYTES.values(), ids=BYTES)
def test_strange_bytes_are_answered_or_clearly_refused(http: httpx.Client, body: bytes) -> None:
    assert_clear(http.post("/chat/completions", content=body))


@pytest.mark.covers("fuzz")
def test_duplicate_keys_and_null_parameters_are_read(http: httpx.Client) -> None:
    body = b'{"model": "nothing", "model": "auto", "temperature": null, "messages": [{"role": "user", "content": "x"}]}'
    assert http.post("/chat/completions", content=body).status_code == 200


@pytest.mark.covers("fuzz", "messages")
def test_a_long_prompt_and_many_messages_are_answered(http: httpx.Client) -> None:
    long = {"model": "auto", "messages": [{"role": "user", "content": "word " * 40_000}]}
    assert http.post("/chat/completions", json=long).status_code == 200
    many = [{"role": ("user", "assistant")[place % 2], "content": "x"} for place in range(10_001)]
    assert http.post("/chat/completions", json={"model": "auto", "messages": many}).status_code == 200


@pytest.mark.covers("errors")
def test_a_body_too_large_is_refused(http: httpx.Client) -> None:
    reply = http.post("/chat/completions", content=b'{"model": "' + b"x" * 21_000_000 + b'"}')
    assert reply.status_code == 413
    assert_valid(reply.json(), "error")


@pytest.mark.covers("errors")
@pytest.mark.parametrize("encoding", ["gzip", "br"])
def test_a_compressed_body_is_clearly_refused(http: httpx.Client, encoding: str) -> None:
    assert_clear(http.post("/chat/completions", content=b"\x1f\x8b", headers={"content-encoding": encoding}))


@pytest.mark.covers("fuzz")
def test_a_connection_left_half_open_does_no_harm(instance: Instance, http: httpx.Client) -> None:
    where = urlsplit(instance.url)
    head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {instance.key}\r\n"
    with socket.create_connection((where.hostname, where.port), timeout=60) as half:
        half.sendall(f"{head}content-type: application/json\r\ncontent-length: 100\r\n\r\n{{".encode())
        assert http.post("/chat/completions", json={"model": "auto", "messages": SAID}).status_code == 200
    assert http.post("/chat/completions", json={"model": "auto", "messages": SAID}).status_code == 200
