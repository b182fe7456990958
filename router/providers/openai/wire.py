"""OpenAI's answers on the wire, as typed structs: whole bodies and stream chunks, lenient where backends differ.

`decode` is strict and fast. What it refuses is read by `router.providers.openai.salvage`, field by field.
"""

from typing import Any

import msgspec

from router.providers.base import Choice, Delta
from router.providers.openai.endings import ending_of
from router.providers.openai.tool_calls import ANY_ANSWER, MOST_CHOICES, Expectation, whole_calls
from router.providers.state import state_of
from router.providers.thinking_blocks import clean_blocks

WORDY = frozenset({"text", "output_text", "thinking", "reasoning", "reasoning_content", "refusal", "summary_text"})
DEEPEST = 32  # parts within parts that are looked through
UNSAID_PARTS, UNREAD_LOGPROBS = "response.content", "response.logprobs"  # notes of what is left out


class WireContent(msgspec.Struct):
    """What a message or a delta says. Backends name the thinking in three ways; content may come in parts."""

    content: str | list[Any] | None = None
    reasoning_content: Any = None
    reasoning: Any = None
    thinking: Any = None
    refusal: str | None = None
    tool_calls: list[dict[str, Any]] | None = None
    function_call: dict[str, Any] | None = None  # as it was before there were tools
    reasoning_details: Any = None  # what their makers want back, opaque
    extra_content: Any = None
    reasoning_opaque: Any = None
    thinking_blocks: Any = None


class WireChoice(msgspec.Struct):
    """One choice, of a whole answer (`message`, or `text` of the completions of old) or of a chunk (`delta`)."""

    index: int | None = None
    message: WireContent | None = None
    delta: WireContent | None = None
    text: str | None = None
    finish_reason: str | None = None
    logprobs: dict[str, Any] | None = None
    error: Any = None
    usage: dict[str, Any] | None = None
    stop_reason: Any = None  # vLLM's: the stop word that ended it, or the number of a token

    @property
    def words(self) -> WireContent:
        """What the choice says, wherever it stands."""
        return self.delta or self.message or WireContent(self.text)


class WireAnswer(msgspec.Struct):
    """A body or a chunk. Usage may stand at the top, in a choice, or under a vendor's own key."""

    choices: list[WireChoice] | None = None
    usage: dict[str, Any] | None = None
    service_tier: str | None = None
    system_fingerprint: str | None = None
    error: Any = None
    x_groq: Any = None
    usageMetadata: Any = None
    timings: Any = None


class PlainFunction(msgspec.Struct, forbid_unknown_fields=True):
    """More of a call's arguments."""

    arguments: str
    name: None = None


class PlainPiece(msgspec.Struct, forbid_unknown_fields=True):
    """A piece of a call that brings nothing but arguments."""

    index: int
    function: PlainFunction
    id: None = None
    type: str | None = None


class PlainDelta(msgspec.Struct, forbid_unknown_fields=True):
    """A delta of text, thinking or arguments, as most are; other keys that say nothing are null."""

    content: str | None = None
    reasoning_content: str | None = None
    tool_calls: list[PlainPiece] | None = None
    role: str | None = None
    refusal: None = None
    function_call: None = None
    reasoning: None = None


class PlainChoice(msgspec.Struct):
    """A choice whose delta is plain, and with which nothing else is told."""

    delta: PlainDelta
    index: int = 0
    finish_reason: None = None
    logprobs: None = None
    usage: None = None
    error: None = None


class PlainChunk(msgspec.Struct):
    """A chunk of one or more plain choices, and nothing else of interest."""

    choices: list[PlainChoice]
    service_tier: str | None = None
    system_fingerprint: str | None = None
    usage: None = None
    error: None = None
    x_groq: None = None
    usageMetadata: None = None
    timings: None = None


decode = msgspec.json.Decoder(WireAnswer).decode
decode_plain = msgspec.json.Decoder(PlainChunk).decode  # raises for every chunk that says more


def usage_of(answer: WireAnswer) -> dict[str, Any] | None:
    """Return the usage that an answer reports, wherever it stands; None where there is none."""
    if answer.usage:
        return answer.usage
    for choice in answer.choices or ():
        if choice.usage:
            return choice.usage
    if answer.x_groq is None and answer.usageMetadata is None and answer.timings is None:
        return None
    groq = answer.x_groq.get("usage") if isinstance(answer.x_groq, dict) else None
    return next(
        (found for found in (groq, answer.usageMetadata, answer.timings) if found and type(found) is dict), None
    )


def index_of(wire: WireChoice, place: int, choices: int) -> int:
    """Return a choice's number: its own, or its place where it has none of those that were asked for."""
    index = wire.index
    return index if index is not None and 0 <= index < choices else min(place, choices - 1)


def choice_of(wire: WireChoice, place: int = 0, expected: Expectation = ANY_ANSWER) -> Choice:
    """Return a whole choice in our shape."""
    words = wire.words
    content, reasoning = text_and_thinking(words)
    calls = whole_calls(calls_in(words), expected) if words.tool_calls or words.function_call else None
    return Choice(
        index=index_of(wire, place, MOST_CHOICES),
        content=content,
        reasoning=reasoning,
        refusal=words.refusal,
        tool_calls=calls or None,
        logprobs=None if wire.logprobs is None else logprobs_of(wire.logprobs),
        finish_reason=ending_of(wire.finish_reason, has_calls=bool(calls), names_tool=expected.names_tool),
        thinking_blocks=clean_blocks(words.thinking_blocks) if words.thinking_blocks else None,
        state=state_in(words),
        stop_sequence=wire.stop_reason if isinstance(wire.stop_reason, str) else None,
    )


def delta_of(wire: WireChoice, place: int = 0, choices: int = MOST_CHOICES) -> Delta:
    """Return one step of a choice in our shape, its finish reason and its tool calls as they came."""
    words = wire.words
    content, reasoning = text_and_thinking(words)
    delta = Delta(
        index_of(wire, place, choices),
        content or None,
        reasoning or None,
        words.refusal or None,
        calls_in(words) or None,
        None if wire.logprobs is None else logprobs_of(wire.logprobs),
        wire.finish_reason or None,
    )
    if wire.stop_reason is not None and isinstance(wire.stop_reason, str):
        delta.stop_sequence = wire.stop_reason
    delta.state = state_in(words)
    if words.thinking_blocks and isinstance(words.thinking_blocks, list):
        delta.thinking_blocks = [block for block in words.thinking_blocks if isinstance(block, dict)] or None
    return delta


def state_in(words: WireContent) -> dict[str, Any] | None:
    """Return the state that comes with a message or a delta; most have none."""
    if not (words.reasoning_details or words.extra_content or words.reasoning_opaque):
        return None
    return state_of(words.reasoning_details, words.extra_content, words.reasoning_opaque)


def calls_in(words: WireContent) -> list[dict[str, Any]]:
    """Return the tool calls of a message or a delta; the one function of old is a tool call too."""
    if words.tool_calls or words.function_call is None:
        return words.tool_calls or []
    return [{"index": 0, "function": words.function_call}] if words.function_call else []


def text_and_thinking(words: WireContent) -> tuple[str | None, str | None]:
    """Return the visible text and the thinking."""
    content, reasoning = words.content, words.reasoning_content or words.reasoning or words.thinking
    if reasoning is not None and not isinstance(reasoning, str):
        reasoning = _text_of(reasoning)
    if content is None or isinstance(content, str):
        return content, reasoning
    visible, thoughts = [], []
    for part in content:
        match part:
            case {"type": "thinking" | "reasoning" | "reasoning_content" as kind}:
                thoughts.append(
                    _text_of(part.get(kind) or part.get("summary") or part.get("text") or part.get("content"))
                )
            case _:
                visible.append(_text_of(part))
    return "".join(visible) or None, "".join(thoughts) or reasoning


def note_losses(wire: WireChoice, dropped: list[str]) -> None:
    """Name what a choice says and our shape has no place for: parts without words, other log probabilities."""
    words = wire.delta or wire.message
    content = words.content if words else None
    if isinstance(content, list) and UNSAID_PARTS not in dropped and not all(map(_has_words, content)):
        dropped.append(UNSAID_PARTS)
    if wire.logprobs and logprobs_of(wire.logprobs) is None and any(wire.logprobs.values()):
        dropped += [UNREAD_LOGPROBS] if UNREAD_LOGPROBS not in dropped else []


def logprobs_of(logprobs: Any) -> dict[str, Any] | None:
    """Return log probabilities where they have OpenAI's shape, None where they have another."""
    if not isinstance(logprobs, dict):
        return None
    kept = {kind: tokens for kind in ("content", "refusal") if _are_tokens(tokens := logprobs.get(kind))}
    return kept or None


def _are_tokens(tokens: Any) -> bool:
    return isinstance(tokens, list) and all(
        isinstance(token, dict)
        and isinstance(token.get("token"), str)
        and isinstance(token.get("top_logprobs"), (list, type(None)))
        and all(isinstance(top, dict) for top in token.get("top_logprobs") or ())
        for token in tokens
    )


def _has_words(part: Any) -> bool:
    """Tell whether a part is of text or thinking, be it empty."""
    match part:
        case {"type": str(kind)} if kind not in WORDY and not _text_of(part):
            return False
        case _:
            return part is None or isinstance(part, (str, list, dict))


def _text_of(part: Any, level: int = 0) -> str:
    """Return the text in a part of a message, as deep as anybody puts it."""
    if level > DEEPEST:
        return ""
    match part:
        case str():
            return part
        case list():
            return "".join([_text_of(one, level + 1) for one in part])
        case {"text": str() | dict() | list() as inner} | {"content": str() | list() as inner}:
            return _text_of(inner, level + 1)
        case {"thinking": str() | list() as inner} | {"summary": str() | list() as inner}:
            return _text_of(inner, level + 1)
        case {"value": str(inner)} | {"refusal": str(inner)}:
            return inner
        case _:
            return ""
