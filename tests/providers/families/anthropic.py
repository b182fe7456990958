"""A server that speaks Anthropic's dialect, and refuses what that one refuses."""

import hashlib
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
    only,
    parts_of,
    pieces,
    require,
    sends,
    text_of,
    told,
)

KNOWN = {
    "model", "messages", "system", "max_tokens", "stream", "tools", "tool_choice", "thinking", "temperature", "top_p",
    "top_k", "stop_sequences", "metadata", "output_format", "output_config", "service_tier",
}  # fmt: skip
ID = re.compile(r"[a-zA-Z0-9_-]+")
NAME = re.compile(r"[a-zA-Z0-9_-]{1,128}")
ENDINGS = {"stop": "end_turn", "length": "max_tokens", "calls": "tool_use"}


def signature_of(thinking: str) -> str:
    """Sign thinking: it comes back as it went out, or is refused."""
    return "sig-" + hashlib.sha256(thinking.encode()).hexdigest()[:12]


async def anthropic(request: web.Request) -> web.StreamResponse:
    """Answer POST /v1/messages."""
    body = json.loads(await request.read())
    try:
        require(request.headers.get("x-api-key") == "sk-family", "invalid x-api-key", 401)
        require(request.headers.get("anthropic-version"), "anthropic-version: header is required")
        asked = read(body)
    except Refused as error:
        kind = "authentication_error" if error.status == 401 else error.kind
        return told({"type": "error", "error": {"type": kind, "message": error.message}}, error.status)
    said = answer_to(asked, ("toolu_01", "toolu_02"))
    if not asked.streams:
        usage = {"input_tokens": 20, "output_tokens": 9, "cache_read_input_tokens": 0}
        return told({**_head(), "content": list(_blocks(said)), "stop_reason": ENDINGS[said.ending], "usage": usage})
    return await sends(request, _events(said), "text/event-stream")


def read(body: dict[str, Any]) -> Asked:
    """Read a request strictly."""
    only(body, KNOWN, lambda key: f"{key}: Extra inputs are not permitted")
    require(isinstance(body.get("max_tokens"), int), "max_tokens: Field required")
    thinking = body.get("thinking") or {}
    is_thinking = thinking.get("type") in ("enabled", "adaptive")
    if thinking.get("type") == "enabled":
        require(
            1024 <= thinking["budget_tokens"] < body["max_tokens"], "`max_tokens` must be greater than budget_tokens"
        )
    if is_thinking:
        require(body.get("temperature", 1) == 1, "`temperature` may only be set to 1 when thinking is enabled.")
    system = body.get("system") or ""
    text_of_system = system if isinstance(system, str) else " ".join(part["text"] for part in system)
    tools = [tool["name"] for tool in body.get("tools") or ()]
    for place, name in enumerate(tools):
        require(NAME.fullmatch(name), f"tools.{place}.custom.name: String should match pattern '{NAME.pattern}'")
    asked = Asked(system=text_of_system, tools=[] if "json_tool_call" in tools else tools, thinks=is_thinking)
    asked.has_schema = (
        "output_format" in body or "format" in (body.get("output_config") or {}) or "json_tool_call" in tools
    )
    asked.is_cut = body["max_tokens"] <= 16
    asked.streams = bool(body.get("stream"))
    _read_messages(body["messages"], asked, is_thinking=is_thinking)
    if "json_tool_call" in tools:
        asked.tools, asked.text = ["json_tool_call"], "weather Oslo"
    return asked


def _read_messages(messages: list[dict[str, Any]], asked: Asked, *, is_thinking: bool) -> None:
    waiting: list[str] = []
    seen: set[str] = set()
    before = "assistant"
    for place, message in enumerate(messages):
        role, content = message["role"], message["content"]
        require(role in ("user", "assistant") and role != before, "messages: roles must alternate, user first")
        before = role
        blocks = parts_of(content)
        at = f"messages.{place}"
        results = [block for block in blocks if block["type"] == "tool_result"]
        require(
            sorted(block["tool_use_id"] for block in results) == sorted(waiting),
            f"{at}: `tool_use` ids were found without `tool_result` blocks immediately after",
        )
        waiting = []
        for number, block in enumerate(blocks):
            _check_block(block, f"{at}.content.{number}", seen)
            if block["type"] == "tool_use":
                waiting.append(block["id"])
        if role == "assistant" and waiting and is_thinking and place == len(messages) - 2:
            require(
                blocks[0]["type"] in ("thinking", "redacted_thinking"),
                f"{at}.content.0.type: Expected `thinking` or `redacted_thinking`, but found `{blocks[0]['type']}`.",
            )
        asked.text, asked.results = text_of(blocks), [_text(block["content"]) for block in results]
        asked.has_picture = any(block["type"] == "image" for block in blocks)
    require(before == "user", "the conversation must end with a user message")


def _check_block(block: dict[str, Any], at: str, seen: set[str]) -> None:
    match block["type"]:
        case "text":
            require(block["text"].strip(), "messages: text content blocks must be non-empty")
        case "tool_use":
            require(ID.fullmatch(block["id"]), f"{at}.tool_use.id: String should match pattern '^[a-zA-Z0-9_-]+$'")
            require(block["id"] not in seen, f"{at}: `tool_use` ids must be unique")
            require(isinstance(block["input"], dict), f"{at}.tool_use.input: Input should be a valid dictionary")
            seen.add(block["id"])
        case "thinking":
            is_own = block["signature"] == signature_of(block["thinking"])
            require(is_own, f"{at}: Invalid `signature` in `thinking` block")
        case "image":
            require(block["source"]["type"] in ("base64", "url"), f"{at}.image.source: unknown")
        case "tool_result" | "redacted_thinking" | "document":
            pass
        case other:
            raise Refused(f"{at}: Input tag '{other}' found using 'type' does not match any of the expected tags")


def _text(content: Any) -> str:
    return content if isinstance(content, str) else " ".join(block.get("text", "") for block in content)


def _head() -> dict[str, Any]:
    return {"id": "msg_1", "type": "message", "role": "assistant", "model": "claude", "stop_sequence": None}


def _blocks(said: Said) -> Iterator[dict[str, Any]]:
    if said.thinking:
        yield {"type": "thinking", "thinking": said.thinking, "signature": signature_of(said.thinking)}
    if said.text:
        yield {"type": "text", "text": said.text}
    for own, name, arguments in said.calls:
        yield {"type": "tool_use", "id": own, "name": name, "input": arguments}


def _events(said: Said) -> Iterator[bytes]:
    def named(kind: str, **fields: Any) -> bytes:
        return event({"type": kind, **fields}, kind)

    usage = {"input_tokens": 20, "output_tokens": 1}
    yield named("message_start", message={**_head(), "content": [], "stop_reason": None, "usage": usage})
    yield named("ping")
    for index, block in enumerate(_blocks(said)):
        match block["type"]:
            case "thinking":
                empty: dict[str, Any] = {"type": "thinking", "thinking": "", "signature": ""}
                deltas: list[dict[str, Any]] = [
                    {"type": "thinking_delta", "thinking": p} for p in pieces(said.thinking)
                ]
                deltas.append({"type": "signature_delta", "signature": block["signature"]})
            case "text":
                empty = {"type": "text", "text": ""}
                deltas = [{"type": "text_delta", "text": piece} for piece in pieces(block["text"])]
            case _:
                empty = {**block, "input": {}}
                parts = ["", *pieces(json.dumps(block["input"]))]
                deltas = [{"type": "input_json_delta", "partial_json": part} for part in parts]
        yield named("content_block_start", index=index, content_block=empty)
        for delta in deltas:
            yield named("content_block_delta", index=index, delta=delta)
        yield named("content_block_stop", index=index)
    ending = {"stop_reason": ENDINGS[said.ending], "stop_sequence": None}
    yield named("message_delta", delta=ending, usage={"output_tokens": 9})
    yield named("message_stop")
