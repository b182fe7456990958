"""Chat completions and their chunks as the client sees them: OpenAI's schema, every required key, nullable ones null.

Encoding is typed and by hand-picked structs: about a microsecond a chunk.
"""

from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from router.providers.base import Choice, Delta
from router.providers.state import EXTRA_CONTENT
from router.types import Usage

SSE_DONE = b"data: [DONE]\n\n"
_encode = msgspec.json.Encoder().encode


class WireMessage(msgspec.Struct):
    """An assistant's message; thinking goes out under both names in use, never inside `content`."""

    content: str | None
    refusal: str | None
    role: str = "assistant"
    annotations: list[Any] = []
    reasoning_content: str | UnsetType = UNSET
    reasoning: str | UnsetType = UNSET
    tool_calls: list[dict[str, Any]] | UnsetType = UNSET
    function_call: dict[str, Any] | UnsetType = UNSET
    thinking_blocks: list[dict[str, Any]] | UnsetType = UNSET
    reasoning_details: list[Any] | UnsetType = UNSET
    extra_content: dict[str, Any] | UnsetType = UNSET
    reasoning_opaque: str | UnsetType = UNSET


class ChatChoice(msgspec.Struct):
    """One choice of a completion."""

    index: int
    message: WireMessage
    finish_reason: str
    logprobs: dict[str, Any] | None = None


class WireDelta(msgspec.Struct, omit_defaults=True):
    """One choice's step; only what is in it."""

    role: str | None = None
    content: str | None = None
    refusal: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    tool_calls: list[dict[str, Any]] | None = None
    function_call: dict[str, Any] | None = None
    thinking_blocks: list[dict[str, Any]] | None = None
    reasoning_details: list[Any] | None = None
    extra_content: dict[str, Any] | None = None
    reasoning_opaque: str | None = None


class WireChunkChoice(msgspec.Struct):
    """One choice of a chunk."""

    index: int
    delta: WireDelta
    logprobs: dict[str, Any] | None = None
    finish_reason: str | None = None


class WireCompletion(msgspec.Struct):
    """A whole chat completion."""

    id: str
    created: int
    model: str
    choices: list[ChatChoice]
    usage: dict[str, Any]
    x_tierwise: dict[str, Any]
    object: str = "chat.completion"
    service_tier: str | None = None
    system_fingerprint: str | None = None


class WireChunk(msgspec.Struct):
    """One chunk of a stream; the same id, created and model in all of a stream."""

    id: str
    created: int
    model: str
    choices: list[WireChunkChoice]
    usage: dict[str, Any] | UnsetType | None = UNSET
    object: str = "chat.completion.chunk"
    service_tier: str | None = None
    system_fingerprint: str | None = None
    x_tierwise: dict[str, Any] | UnsetType = UNSET


def usage_body(usage: Usage) -> dict[str, Any]:
    """Write usage as OpenAI does: cached inside prompt tokens, thinking inside completion tokens."""
    return {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.input_tokens + usage.output_tokens,
        "prompt_tokens_details": {
            "cached_tokens": usage.input_cached,
            "cache_write_tokens": usage.input_cache_write,
            "audio_tokens": 0,
        },
        "completion_tokens_details": {
            "reasoning_tokens": usage.output_reasoning,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def wire_choice(choice: Choice, *, legacy_functions: bool) -> ChatChoice:
    """Write one choice; with `legacy_functions` a tool call goes back as the `function_call` that was asked for."""
    message = WireMessage(choice.content, choice.refusal)
    if choice.reasoning:
        message.reasoning_content = message.reasoning = choice.reasoning
    if choice.thinking_blocks:
        message.thinking_blocks = choice.thinking_blocks
    for key, value in (choice.state or {}).items():
        setattr(message, key, value)
    finish_reason = choice.finish_reason
    if choice.tool_calls:
        calls = [whole_call(call, f"call_{place}") for place, call in enumerate(choice.tool_calls)]
        if legacy_functions:
            message.function_call = calls[0]["function"]
            finish_reason = "function_call"
        else:
            message.tool_calls = calls
    return ChatChoice(choice.index, message, finish_reason, wire_logprobs(choice.logprobs))


def wire_delta(delta: Delta, *, legacy_functions: bool) -> WireDelta:
    """Write one delta without its role; of several tool calls the legacy form has room for the first."""
    written = WireDelta(content=delta.content, refusal=delta.refusal)
    if delta.reasoning:
        written.reasoning_content = written.reasoning = delta.reasoning
    if delta.thinking_blocks:
        written.thinking_blocks = delta.thinking_blocks
    if delta.state:
        for key, value in delta.state.items():
            setattr(written, key, value)
    if delta.tool_calls:
        if not legacy_functions:
            written.tool_calls = delta.tool_calls
        elif not delta.tool_calls[0].get("index"):
            written.function_call = delta.tool_calls[0].get("function") or {}
    return written


def whole_call(call: dict[str, Any], otherwise_id: str) -> dict[str, Any]:
    """A function call with every key that clients rely on; calls of other kinds stay as they are."""
    if call.get("type", "function") != "function":
        return call
    function = call.get("function") or {}
    named = {"name": function.get("name") or "", "arguments": function.get("arguments") or ""}
    whole = {"id": call.get("id") or otherwise_id, "type": "function", "function": named}
    return {**whole, EXTRA_CONTENT: call[EXTRA_CONTENT]} if EXTRA_CONTENT in call else whole


def wire_logprobs(logprobs: dict[str, Any] | None) -> dict[str, Any] | None:
    """Log probabilities with the keys that backends leave out where they are null or empty."""
    if logprobs is None:
        return None
    return {kind: _tokens(logprobs.get(kind)) for kind in ("content", "refusal")}


def _tokens(tokens: list[dict[str, Any]] | None) -> list[dict[str, Any]] | None:
    if tokens is None:
        return None
    return [
        {"bytes": None, **token, "top_logprobs": [{"bytes": None, **top} for top in token.get("top_logprobs") or ()]}
        for token in tokens
    ]


def sse(chunk: WireChunk) -> bytes:
    """Frame a chunk as one server-sent event."""
    return b"data: " + _encode(chunk) + b"\n\n"


def encode_body(body: object) -> bytes:
    """Encode a response body."""
    return _encode(body)
