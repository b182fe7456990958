"""JSON answers and tool calls as canonical objects: key order and number spelling do not matter. Pure."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from router.tiers.vote.fences import inner_blocks

LONGEST = 200_000


class NoJson(ValueError):
    """The text holds no JSON value."""


def parse_json(text: str) -> Any:
    """Read the JSON value of an answer, fenced or bare; raises NoJson."""
    if len(text) > LONGEST:
        raise NoJson
    fenced = inner_blocks(text)
    body = fenced[-1].lstrip() if fenced else text
    if fenced and body[:4].casefold() == "json":
        body = body[4:]
    try:
        return json.loads(body, parse_constant=_refuse)
    except (ValueError, RecursionError):
        raise NoJson from None


def canonical(value: Any) -> str:
    """Write a JSON value so that equal values have equal texts: keys sorted, 1.0 as 1."""
    return json.dumps(_even(value), sort_keys=True, ensure_ascii=False, separators=(",", ":"))


def json_key(text: str) -> str | None:
    """Return the canonical form of a JSON answer, None when it is no JSON."""
    try:
        return canonical(parse_json(text))
    except (NoJson, RecursionError):
        return None


def tools_key(tool_calls: Sequence[Mapping[str, Any]]) -> str | None:
    """Return a set of calls without order; None when one has no name or its arguments are no JSON object."""
    calls = []
    for call in tool_calls:
        function = call.get("function")
        if not isinstance(function, Mapping) or not function.get("name"):
            return None
        try:
            arguments = parse_json(function.get("arguments") or "{}")
        except NoJson:
            return None
        if not isinstance(arguments, dict):
            return None
        try:
            calls.append(canonical([function["name"], arguments]))
        except RecursionError:
            return None
    return "[" + ",".join(sorted(calls)) + "]"


def _even(value: Any) -> Any:
    match value:
        case float() if value.is_integer() and abs(value) < 1e15:
            return int(value)
        case dict():
            return {key: _even(item) for key, item in value.items()}
        case list():
            return [_even(item) for item in value]
        case _:
            return value


def _refuse(constant: str) -> Any:
    raise ValueError(constant)
