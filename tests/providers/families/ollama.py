"""Servers like Ollama: its native dialect, lines of JSON, and its dialect of OpenAI's."""

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
    parts_of,
    pieces,
    require,
    sends,
    text_of,
    told,
)

ENDINGS = {"stop": "stop", "length": "length", "calls": "stop"}


async def ollama(request: web.Request) -> web.StreamResponse:
    """Answer POST /api/chat and POST /v1/chat/completions."""
    body = json.loads(await request.read())
    if "thinks-not" in body["model"] and body.get("tools"):
        return told({"error": f"registry.ollama.ai/library/{body['model']} does not support tools"}, 400)
    return await (_native(request, body) if request.path.endswith("/api/chat") else _openai(request, body))


async def _native(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
    try:
        asked = _read(body)
    except Refused as error:
        return told({"error": error.message}, error.status)
    asked.thinks, asked.has_schema = bool(body.get("think")), isinstance(body.get("format"), dict)
    asked.is_cut = 0 < body.get("options", {}).get("num_predict", 0) <= 16
    said = answer_to(asked)
    end = {"done": True, "done_reason": ENDINGS[said.ending], "prompt_eval_count": 20, "eval_count": 9}
    calls = [{"function": {"name": name, "arguments": arguments}} for _, name, arguments in said.calls]
    if body.get("stream"):
        return await sends(request, _lines(said, calls, end), "application/x-ndjson")
    message: dict[str, Any] = {"role": "assistant", "content": said.text}
    message |= {"thinking": said.thinking} if said.thinking else {}
    message |= {"tool_calls": calls} if calls else {}
    return told({"model": "m", "created_at": "2026-01-01T00:00:00Z", "message": message, **end})


async def _openai(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
    try:
        asked = _read(body)
    except Refused as error:
        return told({"error": {"message": error.message, "type": "invalid_request_error"}}, error.status)
    asked.thinks = body.get("reasoning_effort") not in (None, "none")
    asked.has_schema = (body.get("response_format") or {}).get("type") == "json_schema"
    asked.is_cut = body.get("max_tokens", 99) <= 16
    said = answer_to(asked)
    usage = {"prompt_tokens": 20, "completion_tokens": 9, "total_tokens": 29}
    calls = [
        {"id": own, "index": 0, "type": "function", "function": {"name": name, "arguments": json.dumps(arguments)}}
        for own, name, arguments in said.calls
    ]
    ending = "tool_calls" if calls else ENDINGS[said.ending]
    if not body.get("stream"):
        message = {"role": "assistant", "content": said.text, "reasoning": said.thinking, "tool_calls": calls or None}
        choice = {"index": 0, "message": message, "finish_reason": ending}
        return told({"id": "o", "object": "chat.completion", "model": "m", "choices": [choice], "usage": usage})
    return await sends(request, _chunks(said, calls, ending, usage), "text/event-stream")


def _read(body: dict[str, Any]) -> Asked:
    asked = Asked(tools=[tool["function"]["name"] for tool in body.get("tools") or ()])
    for message in body["messages"]:
        require(message["role"] in ("system", "user", "assistant", "tool"), f"invalid role: {message['role']}")
        parts = parts_of(message.get("content"))
        text = text_of(parts)
        if message["role"] == "system":
            asked.system = text
        elif message["role"] == "tool":
            asked.results.append(text)
        else:
            asked.text, asked.results = text, []
            in_parts = any(part["type"] == "image_url" for part in parts)
            asked.has_picture = bool(message.get("images")) or in_parts
    return asked


def _lines(said: Said, calls: list[dict[str, Any]], end: dict[str, Any]) -> Iterator[bytes]:
    def line(message: dict[str, Any], **more: Any) -> bytes:
        base = {"model": "m", "created_at": "2026-01-01T00:00:00Z", "message": {"role": "assistant", **message}}
        return json.dumps({"done": False, **base, **more}).encode() + b"\n"

    for piece in pieces(said.thinking):
        yield line({"content": "", "thinking": piece})
    for piece in pieces(said.text):
        yield line({"content": piece})
    for call in calls:
        yield line({"content": "", "tool_calls": [call]})
    yield line({"content": ""}, **end)


def _chunks(said: Said, calls: list[dict[str, Any]], ending: str, usage: dict[str, int]) -> Iterator[bytes]:
    def chunk(delta: dict[str, Any], finish: str | None = None) -> bytes:
        choice = {"index": 0, "delta": {"role": "assistant", "content": "", **delta}, "finish_reason": finish}
        return event({"id": "o", "object": "chat.completion.chunk", "model": "m", "choices": [choice]})

    for piece in pieces(said.thinking):
        yield chunk({"reasoning": piece})
    for piece in pieces(said.text):
        yield chunk({"content": piece})
    for call in calls:
        yield chunk({"tool_calls": [call]})
    yield chunk({}, ending)
    yield event({"id": "o", "object": "chat.completion.chunk", "model": "m", "choices": [], "usage": usage})
    yield b"data: [DONE]\n\n"
