"""OpenAI's answers on the wire, as typed structs: whole bodies and stream chunks, lenient where backends differ."""

from typing import Any

import msgspec

from router.providers.base import Choice, Delta

FINISH_REASONS = {
    "stop": "stop",
    "length": "length",
    "tool_calls": "tool_calls",
    "content_filter": "content_filter",
    "function_call": "function_call",
    "max_tokens": "length",
    "model_length": "length",
    "tool_use": "tool_calls",
    "safety": "content_filter",
}


class WireContent(msgspec.Struct):
    """What a message or a delta says. Backends name the thinking in three ways; content may come in parts."""

    content: str | list[Any] | None = None
    reasoning_content: Any = None
    reasoning: Any = None
    thinking: Any = None
    refusal: str | None = None
    tool_calls: list[dict[str, Any]] | None = None


class WireChoice(msgspec.Struct):
    """One choice, of a whole answer (`message`) or of a chunk (`delta`)."""

    index: int = 0
    message: WireContent | None = None
    delta: WireContent | None = None
    finish_reason: str | None = None
    logprobs: dict[str, Any] | None = None


class WireAnswer(msgspec.Struct):
    """A body or a chunk."""

    choices: list[WireChoice] | None = None
    usage: dict[str, Any] | None = None
    service_tier: str | None = None
    system_fingerprint: str | None = None
    error: Any = None


decode = msgspec.json.Decoder(WireAnswer).decode


def choice_of(wire: WireChoice) -> Choice:
    """Return a whole choice in our shape."""
    words = wire.message or WireContent()
    content, reasoning = text_and_thinking(words)
    return Choice(
        index=wire.index,
        content=content,
        reasoning=reasoning,
        refusal=words.refusal,
        tool_calls=[_whole(call) for call in words.tool_calls] if words.tool_calls else None,
        logprobs=wire.logprobs,
        finish_reason=finish_of(wire.finish_reason) or ("tool_calls" if words.tool_calls else "stop"),
    )


def delta_of(wire: WireChoice) -> Delta:
    """Return one step of a choice in our shape."""
    words = wire.delta or wire.message or WireContent()
    content, reasoning = text_and_thinking(words)
    return Delta(
        wire.index,
        content or None,
        reasoning or None,
        words.refusal or None,
        [_part(call, place) for place, call in enumerate(words.tool_calls)] if words.tool_calls else None,
        wire.logprobs,
        finish_of(wire.finish_reason),
    )


def finish_of(reason: str | None) -> str | None:
    """Return a finish reason that OpenAI's clients know."""
    return reason and FINISH_REASONS.get(reason.lower(), "stop")


def text_and_thinking(words: WireContent) -> tuple[str | None, str | None]:
    """Return the visible text and the thinking."""
    reasoning = words.reasoning_content or words.reasoning or words.thinking
    if words.content is None or isinstance(words.content, str):
        return words.content, reasoning if isinstance(reasoning, str) else None
    visible, thoughts = [], []
    for part in words.content:
        match part:
            case {"type": "thinking", "thinking": list() as steps}:
                thoughts += [step.get("text") or "" for step in steps if isinstance(step, dict)]
            case {"type": "thinking", "thinking": str(step)}:
                thoughts.append(step)
            case {"text": str(text)}:
                visible.append(text)
            case _:
                pass
    return "".join(visible) or None, "".join(thoughts) or None


def _whole(call: dict[str, Any]) -> dict[str, Any]:
    call.pop("index", None)
    return _with_text_arguments(call)


def _part(call: dict[str, Any], place: int) -> dict[str, Any]:
    if call.get("index") is None:  # some backends send whole calls without a number
        call["index"] = place
    return _with_text_arguments(call)


def _with_text_arguments(call: dict[str, Any]) -> dict[str, Any]:
    function = call.get("function")
    if isinstance(function, dict) and isinstance(function.get("arguments"), dict):
        function["arguments"] = msgspec.json.encode(function["arguments"]).decode()
    return call
