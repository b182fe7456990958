"""A server that speaks Cohere's second dialect, and refuses what that one refuses."""

import json
from collections.abc import Iterator
from typing import Any

from aiohttp import web

from tests.providers.families.fakes import (
    Asked,
    Refused,
    Said,
    answer_to,
    event,
    only,
    parts_of,
    pieces,
    require,
    sends,
    text_of,
    told,
)

KNOWN = {
    "model", "messages", "tools", "tool_choice", "stream", "temperature", "max_tokens", "stop_sequences", "seed", "p",
    "k", "frequency_penalty", "presence_penalty", "response_format", "strict_tools", "thinking", "logprobs",
}  # fmt: skip
ENDINGS = {"stop": "COMPLETE", "length": "MAX_TOKENS", "calls": "TOOL_CALL"}
USAGE = {"billed_units": {"input_tokens": 5, "output_tokens": 9}, "tokens": {"input_tokens": 20, "output_tokens": 9}}


async def cohere(request: web.Request) -> web.StreamResponse:
    """Answer POST /v2/chat."""
    body = json.loads(await request.read())
    try:
        require(request.headers.get("authorization", "").lower() == "bearer sk-family", "invalid api token", 401)
        asked = read(body)
    except Refused as error:
        return told({"id": "x", "message": error.message}, error.status)
    said = answer_to(asked, ("look_a1", "look_b2"))
    if asked.streams:
        return await sends(request, _events(said), "text/event-stream")
    message: dict[str, Any] = {"role": "assistant"}
    if said.calls:
        message["tool_plan"] = "I will look."
        message["tool_calls"] = [_call(*call) for call in said.calls]
    else:
        message["content"] = [{"type": "text", "text": said.text}]
    return told({"id": "c", "finish_reason": ENDINGS[said.ending], "message": message, "usage": USAGE})


def read(body: dict[str, Any]) -> Asked:
    """Read a request strictly."""
    only(body, KNOWN, lambda key: f"invalid request: unknown field '{key}'")
    asked = Asked(tools=[tool["function"]["name"] for tool in body.get("tools") or ()])
    wanted = body.get("response_format") or {}
    require(wanted.get("type") in (None, "text", "json_object"), "invalid response_format type")
    asked.has_schema, asked.streams = "json_schema" in wanted, bool(body.get("stream"))
    asked.is_cut = body.get("max_tokens", 99) <= 16
    calls: set[str] = set()
    for message in body["messages"]:
        require(message.keys() <= {"role", "content", "tool_calls", "tool_call_id", "tool_plan"}, "unknown field")
        parts = parts_of(message.get("content"))
        text = text_of(parts)
        if message["role"] == "system":
            asked.system = text
        elif message["role"] == "tool":
            require(message["tool_call_id"] in calls, "tool_call_id does not match any tool call")
            asked.results.append(text)
        else:
            asked.text, asked.results = text, []
            asked.has_picture = any(part["type"] == "image_url" for part in parts)
            calls |= {call["id"] for call in message.get("tool_calls") or ()}
    return asked


def _call(own: str, name: str, arguments: dict[str, Any]) -> dict[str, Any]:
    return {"id": own, "type": "function", "function": {"name": name, "arguments": json.dumps(arguments)}}


def _events(said: Said) -> Iterator[bytes]:
    def named(kind: str, **fields: Any) -> bytes:
        return event({"type": kind, **fields}, kind)

    head = {"message": {"role": "assistant", "content": [], "tool_plan": "", "tool_calls": [], "citations": []}}
    yield named("message-start", id="c", delta=head)
    if said.text:
        yield named("content-start", index=0, delta={"message": {"content": {"type": "text", "text": ""}}})
        for piece in pieces(said.text):
            yield named("content-delta", index=0, delta={"message": {"content": {"text": piece}}})
        yield named("content-end", index=0)
    for index, (own, name, arguments) in enumerate(said.calls):
        yield named("tool-plan-delta", delta={"message": {"tool_plan": "I will look."}})
        begun = {"id": own, "type": "function", "function": {"name": name, "arguments": ""}}
        yield named("tool-call-start", index=index, delta={"message": {"tool_calls": begun}})
        for piece in pieces(json.dumps(arguments)):
            part = {"function": {"arguments": piece}}
            yield named("tool-call-delta", index=index, delta={"message": {"tool_calls": part}})
        yield named("tool-call-end", index=index)
    yield named("message-end", delta={"finish_reason": ENDINGS[said.ending], "usage": USAGE})
