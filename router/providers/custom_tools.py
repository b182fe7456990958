"""Free-form tools (`type: "custom"`) for models that know functions only: a function of one text, and back."""

import json
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Any

import msgspec

from router.providers.base import Completion, Delta, Provider, ProviderRequest
from router.types import UNREADABLE

INPUT = "input"


# Families that know free-form tools themselves, or of which nobody knows that they do not.
TAKES_CUSTOM = frozenset({"openai", "azure", "openrouter"})


def needs_functions(request: ProviderRequest) -> bool:
    """Tell whether a request has free-form tools, or calls of them, and its target knows functions only."""
    if request.target.provider in TAKES_CUSTOM:
        return False
    tools = request.params.get("tools")
    return bool(tools and custom_names(tools)) or any(_has_custom(message) for message in request.messages)


async def complete_with_functions(provider: Provider, request: ProviderRequest) -> Completion:
    """Return a whole answer of a provider that knows functions only; raises ProviderError."""
    names = custom_names(request.params.get("tools"))
    completion = await provider.complete(_with_functions(request, names))
    for choice in completion.choices if names else ():
        choice.tool_calls = whole_custom_calls(choice.tool_calls, names)
    return completion


async def stream_with_functions(provider: Provider, request: ProviderRequest) -> AsyncGenerator[Delta]:
    """Yield the answer of a provider that knows functions only; raises ProviderError."""
    names = custom_names(request.params.get("tools"))
    deltas = provider.stream(_with_functions(request, names))
    assert isinstance(deltas, AsyncGenerator)
    pieces: dict[int, CustomCallPieces] = {}
    async with aclosing(deltas):
        async for delta in deltas:
            if names and (delta.tool_calls or delta.finish_reason):
                own = pieces.setdefault(delta.index, CustomCallPieces(names))
                passed = own.add(delta.tool_calls or [])
                delta.tool_calls = passed + (own.end() if delta.finish_reason else []) or None
            yield delta


def _with_functions(request: ProviderRequest, names: frozenset[str]) -> ProviderRequest:
    """Return the request with free-form tools, and calls of an earlier turn, as functions."""
    messages = calls_as_functions(request.messages)
    if not names and messages is request.messages:
        return request
    params = as_functions(request.params) if names else request.params
    return msgspec.structs.replace(request, params=params, messages=messages)


def custom_names(tools: Sequence[dict[str, Any]] | None) -> frozenset[str]:
    """Return the names of the free-form tools among these."""
    bodies = (tool["custom"] for tool in tools or () if tool.get("type") == "custom" and "custom" in tool)
    return frozenset(body["name"] for body in bodies)


def as_functions(params: dict[str, Any]) -> dict[str, Any]:
    """Return the parameters with free-form tools written as functions."""
    translated = {**params, "tools": [_as_function(tool) for tool in params["tools"]]}
    match params.get("tool_choice"):
        case {"type": "custom", "custom": {"name": name}}:
            translated["tool_choice"] = {"type": "function", "function": {"name": name}}
    return translated


def calls_as_functions(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the messages with free-form calls written as calls of functions; the same list where there are none."""
    if not any(_has_custom(message) for message in messages):
        return messages
    return [
        {**message, "tool_calls": [_call_as_function(call) for call in message["tool_calls"]]}
        if _has_custom(message)
        else message
        for message in messages
    ]


def _has_custom(message: dict[str, Any]) -> bool:
    calls = message.get("tool_calls") or ()
    return any(call.get("type") == "custom" for call in calls)


def whole_custom_calls(calls: list[dict[str, Any]] | None, names: frozenset[str]) -> list[dict[str, Any]] | None:
    """Turn the calls of an answer back."""
    return calls and [_as_custom(call) if call["function"]["name"] in names else call for call in calls]


class CustomCallPieces:
    """Turns streamed calls back: the pieces of a free-form one are held until it is whole."""

    def __init__(self, names: frozenset[str]) -> None:
        self._names = names
        self._held: dict[int, dict[str, Any]] = {}

    def add(self, pieces: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Return the pieces that may go on."""
        passed = []
        for piece in pieces:
            function, place = piece.get("function") or {}, piece["index"]
            if place in self._held:
                self._held[place]["function"]["arguments"] += function.get("arguments") or ""
            elif function.get("name") in self._names:
                self._held[place] = {**piece, "function": {"arguments": "", **function}}
            else:
                passed.append(piece)
        return passed

    def end(self) -> list[dict[str, Any]]:
        """Return the calls that were held, whole."""
        held, self._held = self._held, {}
        return [_as_custom(call) for call in held.values()]


def _as_function(tool: dict[str, Any]) -> dict[str, Any]:
    if tool.get("type") != "custom" or "custom" not in tool:
        return tool
    custom = tool["custom"]
    about = "The whole input, as plain text."
    grammar = (custom.get("format") or {}).get("grammar") or custom.get("format") or {}
    if definition := grammar.get("definition"):
        about += f" It keeps to this {grammar.get('syntax', '')} grammar:\n{definition}"
    function = {
        "name": custom["name"],
        "description": custom.get("description") or "",
        "parameters": {
            "type": "object",
            "properties": {INPUT: {"type": "string", "description": about}},
            "required": [INPUT],
        },
    }
    return {"type": "function", "function": function}


def _call_as_function(call: dict[str, Any]) -> dict[str, Any]:
    if call.get("type") != "custom":
        return call
    custom = call["custom"]
    arguments = json.dumps({INPUT: custom.get("input") or ""}, ensure_ascii=False)
    rest = {key: value for key, value in call.items() if key not in ("type", "custom")}
    return {**rest, "type": "function", "function": {"name": custom["name"], "arguments": arguments}}


def _as_custom(call: dict[str, Any]) -> dict[str, Any]:
    function = call["function"]
    text = function.get("arguments") or ""
    try:
        found = msgspec.json.decode(text)
    except UNREADABLE:
        found = None
    if isinstance(found, dict) and isinstance(found.get(INPUT), str):
        text = found[INPUT]
    rest = {key: value for key, value in call.items() if key not in ("type", "function")}
    return {**rest, "type": "custom", "custom": {"name": function.get("name") or "", "input": text}}
