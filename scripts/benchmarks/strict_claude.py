"""A server that speaks Anthropic's dialect as strictly as theirs, for suites of clients: it refuses what theirs would.

Signatures must come back with the thinking they were made for, a turn of tools must begin with its thinking, results
must answer calls. It calls the tool of a request as often as the first message says (`loop 200`), then ends.
"""

import asyncio
import hashlib
import hmac
import json
import re
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from threading import Event, Thread
from typing import Any

from aiohttp import web

KEY = "sk-ant-strict"
SECRET = b"strict"
MOST_CACHE_MARKS = 4
KNOWN = frozenset(
    {
        "model",
        "messages",
        "max_tokens",
        "system",
        "stream",
        "temperature",
        "top_p",
        "top_k",
        "stop_sequences",
        "tools",
        "tool_choice",
        "thinking",
        "metadata",
        "output_config",
        "service_tier",
        "cache_control",
    }
)
_LOOP = re.compile(r"loop (\d+)")
_ID = re.compile(r"[a-zA-Z0-9_-]+")


class Refused(Exception):
    """The request is not as Anthropic's API wants it."""


class StrictClaude:
    """The server, and what it refused."""

    def __init__(self) -> None:
        self.port = 0
        self.answered = 0
        self.refused: list[str] = []

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    async def messages(self, request: web.Request) -> web.StreamResponse:
        """POST /v1/messages."""
        try:
            body = json.loads(await request.read())
            check(body, request.headers)
        except (ValueError, Refused) as error:
            self.refused.append(str(error))
            told = {"type": "error", "error": {"type": "invalid_request_error", "message": str(error)}}
            return web.json_response(told, status=400)
        self.answered += 1
        message = reply_to(body, self.answered)
        if not body.get("stream"):
            return web.json_response(message)
        response = web.StreamResponse(headers={"content-type": "text/event-stream; charset=utf-8"})
        await response.prepare(request)
        async for event in events_of(message):
            await response.write(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode())
        return response

    async def tally(self, request: web.Request) -> web.StreamResponse:
        """GET /tally: what was answered, and why what was refused was."""
        return web.json_response({"answered": self.answered, "refused": self.refused})


@contextmanager
def strict_claude() -> Iterator[StrictClaude]:
    """Serve from a thread for as long as the block lasts."""
    claude, is_ready = StrictClaude(), Event()
    loop = asyncio.new_event_loop()

    async def start() -> None:
        app = web.Application(client_max_size=64 << 20)
        app.router.add_post("/v1/messages", claude.messages)
        app.router.add_get("/tally", claude.tally)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        claude.port = runner.addresses[0][1]
        is_ready.set()

    def run() -> None:
        loop.run_until_complete(start())
        loop.run_forever()

    Thread(target=run, daemon=True).start()
    is_ready.wait(20)
    try:
        yield claude
    finally:
        loop.call_soon_threadsafe(loop.stop)


def check(body: Mapping[str, Any], headers: Mapping[str, str]) -> None:
    """Raise Refused for what Anthropic's API would refuse."""
    _require(headers.get("x-api-key") == KEY, "invalid x-api-key")
    _require("anthropic-version" in headers, "anthropic-version: header is required")
    for name in body:
        _require(name in KNOWN, f"{name}: Extra inputs are not permitted")
    _require(isinstance(body.get("max_tokens"), int), "max_tokens: Field required")
    thinking = body.get("thinking") or {}
    thinks = thinking.get("type") in ("enabled", "adaptive")
    if thinking.get("type") == "enabled":
        budget = thinking.get("budget_tokens", 0)
        _require(budget >= 1024, "thinking.enabled.budget_tokens: Input should be greater than or equal to 1024")
        _require(body["max_tokens"] > budget, "`max_tokens` must be greater than `thinking.budget_tokens`")
    if thinks:
        _require(body.get("temperature", 1) == 1, "`temperature` may only be set to 1 when thinking is enabled")
        forced = (body.get("tool_choice") or {}).get("type") in ("any", "tool")
        _require(not forced, "Thinking may not be enabled when tool_choice forces tool use")
    marks = json.dumps(body).count('"cache_control"')
    _require(marks <= MOST_CACHE_MARKS, f"A maximum of 4 blocks with cache_control may be provided. Found {marks}")
    _check_messages(body["messages"], thinks=thinks)


def _check_messages(messages: list[dict[str, Any]], *, thinks: bool) -> None:
    _require(bool(messages), "messages: at least one message is required")
    _require(messages[0]["role"] == "user", "messages: first message must use the user role")
    open_calls: set[str] = set()
    for place, message in enumerate(messages):
        blocks = _blocks(message["content"])
        _require(bool(blocks), f"messages.{place}: all messages must have non-empty content")
        results = [block["tool_use_id"] for block in blocks if block["type"] == "tool_result"]
        if message["role"] == "user":
            _require(set(results) <= open_calls, f"messages.{place}: unexpected `tool_use_id` found in `tool_result`")
            lacking = f"messages.{place}: `tool_use` ids were found without `tool_result` blocks immediately after"
            _require(open_calls <= set(results), lacking)
            _require(len(results) == len(set(results)), f"messages.{place}: each tool_use must have a single result")
        open_calls = {block["id"] for block in blocks if block["type"] == "tool_use"}
        for block in blocks:
            _check_block(block, f"messages.{place}")
    _require(not open_calls, "messages: `tool_use` ids were found without `tool_result` blocks immediately after")
    for place in _places_of_turn(messages) if thinks else ():
        first = _blocks(messages[place]["content"])[0]["type"]
        expected = f"messages.{place}.content.0.type: Expected `thinking` or `redacted_thinking`, but found `{first}`"
        _require(first in ("thinking", "redacted_thinking"), expected)


def _places_of_turn(messages: list[dict[str, Any]]) -> Iterator[int]:
    """The assistant's messages with calls since a person last said something."""
    for place in range(len(messages) - 1, -1, -1):
        blocks = _blocks(messages[place]["content"])
        if messages[place]["role"] == "user" and not any(block["type"] == "tool_result" for block in blocks):
            return
        if messages[place]["role"] == "assistant" and any(block["type"] == "tool_use" for block in blocks):
            yield place


def _check_block(block: dict[str, Any], at: str) -> None:
    match block:
        case {"type": "text", "text": text}:
            _require(bool(text.strip()), f"{at}: text content blocks must be non-empty")
        case {"type": "thinking", "thinking": text, "signature": signature}:
            _require(signature == signature_for(text), f"{at}: Invalid `signature` in `thinking` block")
        case {"type": "redacted_thinking", "data": data}:
            _require(data.startswith("strict-"), f"{at}: Invalid `data` in `redacted_thinking` block")
        case {"type": "tool_use", "id": call_id, "name": str(), "input": dict()}:
            _require(bool(_ID.fullmatch(call_id)), f"{at}.tool_use.id: String should match pattern '^[a-zA-Z0-9_-]+$'")
        case {"type": "tool_result" | "image" | "document"}:
            pass
        case _:
            raise Refused(f"{at}: {block.get('type')} is no block that can be read")


def _blocks(content: Any) -> list[dict[str, Any]]:
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


def _require(holds: bool, message: str) -> None:
    if not holds:
        raise Refused(message)


def signature_for(text: str) -> str:
    """Sign a piece of thinking."""
    return hmac.new(SECRET, text.encode(), hashlib.sha256).hexdigest()


def reply_to(body: Mapping[str, Any], number: int) -> dict[str, Any]:
    """Answer: think, say something, and call the tool until it was called often enough."""
    messages, tools = body["messages"], body.get("tools") or []
    wanted = next((int(found[1]) for message in messages if (found := _LOOP.search(json.dumps(message)))), 0)
    made = sum(block["type"] == "tool_use" for message in messages for block in _blocks(message["content"]))
    content: list[dict[str, Any]] = []
    if (body.get("thinking") or {}).get("type") in ("enabled", "adaptive"):
        thought = f"Step {number}: what is still missing? Übung, 思考."
        content.append({"type": "thinking", "thinking": thought, "signature": signature_for(thought)})
        if number % 7 == 0:
            content.append({"type": "redacted_thinking", "data": f"strict-{number}"})
    calls = tools and made < wanted
    if not calls or number % 3 == 0:
        content.append({"type": "text", "text": f"Answer {number}."})
    for part in range(1 + number % 2) if calls else ():
        given = {"step": made + part, "note": 'a "quoted" line\n'}
        name, call_id = tools[0]["name"], f"toolu_{number:06d}{part}"
        content.append({"type": "tool_use", "id": call_id, "name": name, "input": given})
    usage = {"input_tokens": 20, "cache_creation_input_tokens": 5, "cache_read_input_tokens": 100, "output_tokens": 40}
    return {
        "id": f"msg_{number}",
        "type": "message",
        "role": "assistant",
        "model": body["model"],
        "content": content,
        "stop_reason": "tool_use" if calls else "end_turn",
        "stop_sequence": None,
        "usage": usage,
    }


async def events_of(message: dict[str, Any]) -> AsyncIterator[dict[str, Any]]:
    """The events that spell out a message, in Anthropic's order."""
    usage = message["usage"]
    yield {
        "type": "message_start",
        "message": {**message, "content": [], "stop_reason": None, "usage": {**usage, "output_tokens": 1}},
    }
    yield {"type": "ping"}
    for index, block in enumerate(message["content"]):
        deltas: list[dict[str, Any]] = []
        begun = dict(block)
        match block["type"]:
            case "thinking":
                begun |= {"thinking": "", "signature": ""}
                deltas = [{"type": "thinking_delta", "thinking": piece} for piece in _cut(block["thinking"])]
                deltas.append({"type": "signature_delta", "signature": block["signature"]})
            case "text":
                begun["text"] = ""
                deltas = [{"type": "text_delta", "text": piece} for piece in _cut(block["text"])]
            case "tool_use":
                begun["input"] = {}
                deltas = [
                    {"type": "input_json_delta", "partial_json": piece} for piece in _cut(json.dumps(block["input"]))
                ]
        yield {"type": "content_block_start", "index": index, "content_block": begun}
        for delta in deltas:
            yield {"type": "content_block_delta", "index": index, "delta": delta}
        yield {"type": "content_block_stop", "index": index}
    ended = {"stop_reason": message["stop_reason"], "stop_sequence": None}
    yield {"type": "message_delta", "delta": ended, "usage": {"output_tokens": usage["output_tokens"]}}
    yield {"type": "message_stop"}


def _cut(text: str) -> list[str]:
    return [text[start : start + 9] for start in range(0, len(text), 9)]
