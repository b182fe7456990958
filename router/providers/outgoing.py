"""What the messages of a request carry out to a provider: roles it knows, state it made itself, ids of its own form.

Pure. What stays here is named, so that the client is told: `messages.cache_control`, `messages.thinking_blocks`, ...
"""

from collections.abc import Set
from typing import Any

from router.providers.base import ModelTarget
from router.providers.call_ids import CallIds, id_form
from router.providers.state import (
    CACHE_CONTROL,
    EXTRA_CONTENT,
    NO_SIGNATURE,
    NO_THINKING,
    REASONING_CONTENT,
    StateFamily,
    extra_content_of,
    signature_of,
    state_family,
)

PLAIN_KEYS = frozenset({"role", "content", "name", "tool_calls", "refusal", "audio", "function_call"})
CALL_KEYS = frozenset({"id", "type", "function", "custom"})
THINKING_PARTS = frozenset({"thinking", "redacted_thinking"})
SHOWN_BELOW = "The result is shown below."
DEVELOPER = "developer"  # a role that only OpenAI's own models know for sure
# About ourselves: nobody made it, nobody wants it back.
_NOT_STATE = frozenset({"reasoning"})


def messages_for(
    target: ModelTarget,
    messages: list[dict[str, Any]],
    *,
    refused: Set[str] = frozenset(),
    wanted: Set[str] = frozenset(),
    keeps_signed_ids: bool = False,
) -> tuple[list[dict[str, Any]], list[str]]:
    """Return the messages as the backend takes them, and the names of what they lost.

    `refused` and `wanted` are keys that the backend was found not to take, or to insist on. `keeps_signed_ids`: who
    translates for it reads the signature of a thought out of a call's id.
    """
    return Shaper(target, refused, wanted, keeps_signed_ids=keeps_signed_ids).shape(messages)


class Shaper:
    """Shapes the messages of one request for one target."""

    __slots__ = ("_dropped", "_family", "_ids", "_keeps", "_knows_developer", "_refused", "_wanted")

    def __init__(
        self, target: ModelTarget, refused: Set[str], wanted: Set[str], *, keeps_signed_ids: bool = False
    ) -> None:
        self._family: StateFamily = state_family(target)
        self._keeps = (PLAIN_KEYS | self._family.on_messages | wanted) - refused
        self._knows_developer = target.provider == "openai" and DEVELOPER not in refused
        self._ids = CallIds(id_form(target), keeps_signatures=keeps_signed_ids and self._family.signs_calls)
        self._refused = refused
        self._wanted = wanted
        self._dropped: set[str] = set()

    def shape(self, messages: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], list[str]]:
        """Return the messages and the names of what they lost."""
        shaped: list[dict[str, Any]] = []
        pictures: list[dict[str, Any]] = []  # of results of tools, until all results of the turn are there
        for message in messages:
            match message["role"]:
                case "assistant":
                    message = self._assistant(message)
                case "tool":
                    message = self._result(message)
                case "developer" if not self._knows_developer:
                    message = {**message, "role": "system"}
            if type(message.get("content")) is list:
                message = self._parts(message)
            if pictures and message["role"] != "tool":
                shaped.append({"role": "user", "content": pictures})
                pictures = []
            if not self._family.marks_cache and type(message.get("content")) is list:
                message, beside = _without_parts(message)
                pictures += beside
            shaped.append(message)
        if pictures:
            shaped.append({"role": "user", "content": pictures})
        return shaped, sorted(self._dropped)

    def _assistant(self, message: dict[str, Any]) -> dict[str, Any]:
        shaped: dict[str, Any] = {}
        for key, value in message.items():
            if key in self._keeps:
                if value is not None or key == "content":
                    shaped[key] = value
            elif value and key not in _NOT_STATE:
                self._dropped.add(f"messages.{key}")
        if REASONING_CONTENT in self._wanted and not shaped.get(REASONING_CONTENT):
            shaped[REASONING_CONTENT] = message.get("reasoning") or NO_THINKING
        calls = shaped.get("tool_calls")
        if calls:
            shaped["tool_calls"] = [self._call(call, place) for place, call in enumerate(calls)]
        elif calls is not None:
            del shaped["tool_calls"]  # an empty list is refused by some, and says nothing
        return shaped

    def _call(self, call: dict[str, Any], place: int) -> dict[str, Any]:
        shaped = {key: value for key, value in call.items() if key in CALL_KEYS}
        if CACHE_CONTROL in call:
            if self._family.marks_cache and CACHE_CONTROL not in self._refused:
                shaped[CACHE_CONTROL] = call[CACHE_CONTROL]
            else:
                self._dropped.add(f"messages.{CACHE_CONTROL}")
        given = call.get("id")
        if isinstance(given, str):
            shaped["id"] = self._ids.of_call(given)
        if not self._family.signs_calls or EXTRA_CONTENT in self._refused:
            if EXTRA_CONTENT in call:
                self._dropped.add(f"messages.tool_calls.{EXTRA_CONTENT}")
            return shaped
        if extra := call.get(EXTRA_CONTENT):
            shaped[EXTRA_CONTENT] = extra
        elif (signature := signature_of(call)) is not None:
            shaped[EXTRA_CONTENT] = extra_content_of(signature)
        elif place == 0 and EXTRA_CONTENT in self._wanted:  # Google signs the first of several calls
            shaped[EXTRA_CONTENT] = extra_content_of(NO_SIGNATURE)
        return shaped

    def _result(self, message: dict[str, Any]) -> dict[str, Any]:
        given = message.get("tool_call_id")
        if not isinstance(given, str):
            return message
        own = self._ids.of_result(given)
        return message if own == given else {**message, "tool_call_id": own}

    def _parts(self, message: dict[str, Any]) -> dict[str, Any]:
        marks = self._family.marks_cache and CACHE_CONTROL not in self._refused
        parts = []
        for part in message["content"]:
            if part["type"] in THINKING_PARTS and not self._family.thinks_in_parts:
                self._dropped.add("messages.content.thinking")
                continue
            if CACHE_CONTROL in part and not marks:
                self._dropped.add(f"messages.{CACHE_CONTROL}")
                part = {key: value for key, value in part.items() if key != CACHE_CONTROL}
            parts.append(part)
        return {**message, "content": parts or ""}


def _without_parts(message: dict[str, Any]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Write a content of texts alone as one text, which every backend takes; and take pictures out of a tool's result.

    The pictures are to be shown by the user, after the results: only Anthropic's family takes them where they were.
    """
    content = message["content"]
    texts = [part["text"] for part in content if part["type"] == "text" and part.keys() == {"type", "text"}]
    if len(texts) == len(content):
        return {**message, "content": "\n".join(texts)}, []
    if message["role"] != "tool":
        return message, []
    beside = [part for part in content if part["type"] != "text"]
    return {**message, "content": "\n".join(texts) or SHOWN_BELOW}, beside
