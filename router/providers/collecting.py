"""Folding the deltas of a stream into the whole answer."""

from collections.abc import AsyncIterator, Iterable
from typing import Any

from router.providers.base import Choice, Completion, Delta
from router.providers.state import join_state
from router.providers.thinking_blocks import add_pieces


async def collect(deltas: AsyncIterator[Delta], provider_model: str) -> Completion:
    """Read a stream to its end and return it as one Completion."""
    return fold([delta async for delta in deltas], provider_model)


def fold(deltas: Iterable[Delta], provider_model: str) -> Completion:
    """Return the Completion that these deltas spell out."""
    choices: dict[int, Choice] = {}
    completion = Completion([], None, provider_model)
    for delta in deltas:
        completion.metered = delta.metered or completion.metered
        completion.provider_model = delta.provider_model or completion.provider_model
        completion.service_tier = delta.service_tier or completion.service_tier
        completion.system_fingerprint = delta.system_fingerprint or completion.system_fingerprint
        completion.dropped = delta.dropped or completion.dropped
        if says_something(delta):
            _add(choices.setdefault(delta.index, Choice(index=delta.index)), delta)
    completion.choices = [choices[index] for index in sorted(choices)]
    return completion


def says_something(delta: Delta) -> bool:
    """Tell whether a client sees part of the answer in this delta."""
    return bool(
        delta.content
        or delta.reasoning
        or delta.refusal
        or delta.tool_calls
        or delta.finish_reason
        or delta.thinking_blocks
        or delta.state
    )


def _add(choice: Choice, delta: Delta) -> None:
    if delta.content:
        choice.content = (choice.content or "") + delta.content
    if delta.reasoning:
        choice.reasoning = (choice.reasoning or "") + delta.reasoning
    if delta.refusal:
        choice.refusal = (choice.refusal or "") + delta.refusal
    for part in delta.tool_calls or ():
        choice.tool_calls = choice.tool_calls or []
        _add_tool_call(choice.tool_calls, part)
    if delta.logprobs:
        _add_logprobs(choice, delta.logprobs)
    if delta.thinking_blocks:
        choice.thinking_blocks = choice.thinking_blocks or []
        add_pieces(choice.thinking_blocks, delta.thinking_blocks)
    if delta.state:
        choice.state = join_state(choice.state, delta.state)
    choice.stop_sequence = delta.stop_sequence or choice.stop_sequence
    choice.finish_reason = delta.finish_reason or choice.finish_reason


def _add_tool_call(calls: list[dict[str, Any]], part: dict[str, Any]) -> None:
    """Join a part to the call it continues: the one at its index. What is no text of it is taken as it comes."""
    index = part.get("index", len(calls))
    while len(calls) <= index:
        calls.append({"id": "", "type": ""})
    call = calls[index]
    call["id"] = part.get("id") or call["id"]
    call["type"] = part.get("type") or call["type"] or ("custom" if "custom" in part else "function")
    kind, text = ("custom", "input") if call["type"] == "custom" else ("function", "arguments")
    said, more = call.setdefault(kind, {"name": "", text: ""}), part.get(kind) or {}
    said["name"] += more.get("name") or ""
    said[text] += more.get(text) or ""
    call.update((key, value) for key, value in part.items() if key not in ("index", "id", "type", kind))


def _add_logprobs(choice: Choice, logprobs: dict[str, Any]) -> None:
    if choice.logprobs is None:
        choice.logprobs = {"content": None, "refusal": None}
    for key in ("content", "refusal"):
        if logprobs.get(key):
            choice.logprobs[key] = [*(choice.logprobs[key] or ()), *logprobs[key]]
