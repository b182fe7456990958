"""What the strict decoder refused, read as far as a person could read it.

A field of a type that nobody can use costs that field: it is read as absent. Letters cut in two stay halves (see
`letters`) for whoever joins the pieces. JSON is read where only its escapes, numbers or control characters are wrong;
JSON that is cut off is not made up.
"""

import json
import re
from collections.abc import Iterator
from typing import Any, TypeVar, get_type_hints

import msgspec

from router.providers.openai.letters import whole_letters
from router.providers.openai.wire import WireAnswer, WireChoice, WireContent

MOST_DIGITS = 18  # of a whole number: a longer one counts nothing
MOST_LEVELS = 64
NO_PROBABILITY = -9999.0  # OpenAI's own word for minus infinity
WRAPPERS = ("data", "result", "response", "output")  # keys under which gateways put the whole answer
# What goes on in the next piece, by how deep it lies in a chunk: its letters are joined by who joins the pieces.
GOES_ON = {
    3: frozenset({"text"}),
    4: frozenset({"content", "reasoning_content", "reasoning", "thinking", "refusal"}),
    7: frozenset({"arguments", "input"}),
}
NOTED = frozenset({"content", "tool_calls", "logprobs"})  # what a client may miss
UNREAD_CHUNK = "response.chunk"

_BAD_ESCAPE = re.compile(r'\\(?:(["\\/bfnrt]|u[0-9a-fA-F]{4})|)')
_Struct = TypeVar("_Struct", bound=msgspec.Struct)
_TYPES: dict[type[msgspec.Struct], dict[str, Any]] = {
    kind: get_type_hints(kind) for kind in (WireAnswer, WireChoice, WireContent)
}


def objects_in(raw: bytes, charset: str | None = None) -> list[dict[str, Any]]:
    """Return the JSON objects in these bytes, one after the other or in a list; a wrapped answer is unwrapped."""
    text = _text_of(raw, charset)
    found = list(_documents(text)) or list(_documents(_BAD_ESCAPE.sub(_escape, text)))
    if len(found) == 1 and isinstance(found[0], str):
        found = list(_documents(found[0]))
    if len(found) == 1 and isinstance(found[0], list):
        found = found[0]
    return [_unwrap(clean(one)) for one in found if isinstance(one, dict)]


def answer_of(found: dict[str, Any], dropped: list[str]) -> WireAnswer:
    """Read an answer field by field; what a client may miss and cannot be read is named in `dropped`."""
    choices = found.get("choices")
    if isinstance(choices, dict):
        choices = [choices] if choices.keys() & {"message", "delta", "text"} else list(choices.values())
    if isinstance(choices, list):
        choices = [_choice_of(choice, dropped) for choice in choices if isinstance(choice, dict)]
    return _fields(WireAnswer, {**found, "choices": choices}, dropped)


def _choice_of(found: dict[str, Any], dropped: list[str]) -> WireChoice:
    said = {key: _content_of(found[key], dropped) for key in ("message", "delta") if found.get(key) is not None}
    reason = found.get("finish_reason")
    if isinstance(reason, dict):
        reason = reason.get("type") or reason.get("reason")
    return _fields(WireChoice, {**found, **said, "finish_reason": reason}, dropped)


def _content_of(found: Any, dropped: list[str]) -> WireContent | None:
    if isinstance(found, str):
        return WireContent(found)
    if not isinstance(found, dict):
        return None
    found = dict(found)
    match found.get("content"):
        case dict() as part:
            found["content"] = [part]
        case bool() | int() | float() as number:
            found["content"] = json.dumps(number)
    match found.get("tool_calls"):
        case {}:
            calls = [found["tool_calls"]] if found["tool_calls"] else None
        case list() as given:
            calls = [call for call in given if isinstance(call, dict)]
            if len(calls) < sum(call is not None for call in given):
                dropped.append("response.tool_calls")
        case other:
            calls = other
    return _fields(WireContent, {**found, "tool_calls": calls}, dropped)


def _fields(kind: type[_Struct], found: dict[str, Any], dropped: list[str]) -> _Struct:
    """Build a struct from what fits of the fields found."""
    fitting = {}
    for name, wanted in _TYPES[kind].items():
        value = found.get(name)
        if value is None:
            continue
        try:
            fitting[name] = msgspec.convert(value, wanted, strict=False)
        except msgspec.MsgspecError:
            if name in NOTED and value not in ("", [], {}, False):
                dropped.append(f"response.{name}")
    return kind(**fitting)


def _text_of(raw: bytes, charset: str | None) -> str:
    """Decode bytes; those that are no UTF-8 stay what they are, see `letters`."""
    encoding = json.detect_encoding(raw[:4])
    if not encoding.startswith("utf-8"):
        return raw.decode(encoding, "replace")
    raw = raw.removeprefix(b"\xef\xbb\xbf")
    try:
        return raw.decode()
    except UnicodeDecodeError:
        try:
            return raw.decode(charset) if charset else raw.decode(errors="surrogateescape")
        except (LookupError, UnicodeError):
            return raw.decode(errors="surrogateescape")


def _documents(text: str) -> Iterator[Any]:
    """Yield the JSON values in a text, one after the other; it ends at what is none."""
    decoder = json.JSONDecoder(strict=False, parse_constant=_constant, parse_float=_float, parse_int=_int)
    at = 0
    while at < len(text):
        try:
            found, at = decoder.raw_decode(text, at)
        except (ValueError, RecursionError):
            return
        yield found
        while at < len(text) and text[at] in " \t\r\n,":
            at += 1


def _escape(match: re.Match[str]) -> str:
    return match[0] if match[1] else r"\\"


def _constant(name: str) -> float | None:
    return NO_PROBABILITY if name == "-Infinity" else None


def _float(digits: str) -> float | None:
    number = float(digits)
    return number if abs(number) < float("inf") else None


def _int(digits: str) -> int | float:
    return int(digits) if len(digits) <= MOST_DIGITS else _float(digits[:300]) or 0


def clean(found: Any, level: int = 0, key: str = "") -> Any:
    """Return it with whole letters everywhere, but for what goes on in the next piece."""
    match found:
        case str():
            return found if found.isascii() or key in GOES_ON.get(level, ()) else whole_letters(found)
        case dict() if level < MOST_LEVELS:
            return {whole_letters(k): clean(value, level + 1, k) for k, value in found.items()}
        case list() if level < MOST_LEVELS:
            return [clean(value, level + 1, key) for value in found]
        case dict() | list():
            return None
        case _:
            return found


def _unwrap(found: dict[str, Any]) -> dict[str, Any]:
    if not found.get("choices"):
        for key in WRAPPERS:
            inner = found.get(key)
            if isinstance(inner, dict) and inner.get("choices"):
                return inner
    return found
