"""A server that speaks Mistral's dialect of OpenAI's, and refuses what that one refuses."""

import json
import re
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

KNOWN = {
    "model", "messages", "temperature", "top_p", "max_tokens", "stream", "stop", "random_seed", "response_format",
    "tools", "tool_choice", "presence_penalty", "frequency_penalty", "n", "prediction", "parallel_tool_calls",
    "prompt_mode", "safe_prompt", "metadata",
}  # fmt: skip
ID = re.compile(r"[a-zA-Z0-9]{9}")
ENDINGS = {"stop": "stop", "length": "length", "calls": "tool_calls"}
USAGE = {"prompt_tokens": 20, "completion_tokens": 9, "total_tokens": 29}


async def mistral(request: web.Request) -> web.StreamResponse:
    """Answer POST /v1/chat/completions."""
    body = json.loads(await request.read())
    unknown = sorted(body.keys() - KNOWN)
    if unknown:
        found = {"type": "extra_forbidden", "loc": ["body", unknown[0]], "msg": "Extra inputs are not permitted"}
        return told({"object": "error", "message": {"detail": [found]}, "type": "invalid_request_error"}, 422)
    try:
        require(request.headers.get("authorization") == "Bearer sk-family", "Unauthorized", 401)
        asked = read(body)
    except Refused as error:
        return told({"object": "error", "message": error.message, "type": error.kind, "code": "3280"}, error.status)
    said = answer_to(asked, ("a1b2c3d4e", "f5g6h7i8j"))
    if asked.streams:
        return await sends(request, _chunks(said), "text/event-stream")
    message = {"role": "assistant", "content": _content(said), "tool_calls": [_call(*c) for c in said.calls] or None}
    choice = {"index": 0, "message": message, "finish_reason": ENDINGS[said.ending]}
    return told({"id": "m", "object": "chat.completion", "model": "m", "choices": [choice], "usage": USAGE})


def read(body: dict[str, Any]) -> Asked:
    """Read a request strictly."""
    asked = Asked(
        tools=[tool["function"]["name"] for tool in body.get("tools") or ()], streams=bool(body.get("stream"))
    )
    asked.has_schema = (body.get("response_format") or {}).get("type") == "json_schema"
    asked.is_cut = body.get("max_tokens", 99) <= 16
    asked.thinks = "magistral" in body["model"]
    ids: list[str] = []
    for message in body["messages"]:
        role, content = message["role"], message.get("content")
        require(role in ("system", "user", "assistant", "tool"), f"Unexpected role '{role}'")
        require(
            message.keys() <= {"role", "content", "tool_calls", "tool_call_id", "name", "prefix"},
            "extra_forbidden",
            422,
        )
        parts = parts_of(content)
        text = text_of(parts)
        if role == "system":
            asked.system = text
        elif role == "tool":
            own = message["tool_call_id"]
            require(own in ids, "Unexpected tool call id in tool results", 400)
            asked.results.append(text)
        else:
            require(
                role == "user" or content or message.get("tool_calls"), "Assistant message must have content or calls"
            )
            asked.text, asked.results = text, []
            asked.has_picture = any(part["type"] == "image_url" for part in parts)
            ids = [call["id"] for call in message.get("tool_calls") or ()]
            for own in ids:
                require(ID.fullmatch(own), f"Tool call id was {own} but must be a-z, A-Z, 0-9, with a length of 9.")
    require(body["messages"][-1]["role"] in ("user", "tool"), "Expected last role User or Tool for serving")
    return asked


def _content(said: Said) -> Any:
    if not said.thinking:
        return said.text
    thought = {"type": "thinking", "thinking": [{"type": "text", "text": said.thinking}], "closed": True}
    return [thought, {"type": "text", "text": said.text}]


def _call(own: str, name: str, arguments: dict[str, Any]) -> dict[str, Any]:
    return {"id": own, "function": {"name": name, "arguments": json.dumps(arguments)}, "index": 0}


def _chunks(said: Said) -> Iterator[bytes]:
    def chunk(delta: dict[str, Any], ending: str | None = None, **more: Any) -> bytes:
        choice = {"index": 0, "delta": delta, "finish_reason": ending}
        return event({"id": "m", "object": "chat.completion.chunk", "model": "m", "choices": [choice], **more})

    yield chunk({"role": "assistant", "content": ""})
    for piece in pieces(said.thinking):
        yield chunk({"content": [{"type": "thinking", "thinking": [{"type": "text", "text": piece}]}]})
    for piece in pieces(said.text):
        yield chunk({"content": piece})
    calls = [{**_call(*call), "index": place} for place, call in enumerate(said.calls)]
    yield chunk({"content": "", "tool_calls": calls or None}, ENDINGS[said.ending], usage=USAGE)
    yield b"data: [DONE]\n\n"
