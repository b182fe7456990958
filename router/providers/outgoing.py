"""What the messages of a request carry out to a provider: roles it knows, state it made itself, ids of its own form.

Pure. What stays here is named, so that the client is told: `messages.cache_control`, `messages.thinking_blocks`, ...
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from router.providers.base import ModelTarget
from router.providers.call_ids import CallIds, IdForm, id_form
from router.providers.state import (
    CACHE_CONTROL,
    EXTRA_CONTENT,
    NO_SIGNATURE,
    NO_THINKING,
    REASONING_CONTENT,
    SIGNED_ID,
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
    refused: frozenset[str] = frozenset(),
    wanted: frozenset[str] = frozenset(),
    keeps_signed_ids: bool = False,
) -> tuple[list[dict[str, Any]], list[str]]:
    """Return the messages as the backend takes them, and the names of what they lost.

    `refused` and `wanted` are keys that the backend was found not to take, or to insist on. `keeps_signed_ids`: who
    translates for it reads the signature of a thought out of a call's id.
    """
    manner = _manner(target.name, target.api_base, refused, wanted, keeps_signed_ids)
    return Shaper(manner).shape(messages)


@dataclass(frozen=True, slots=True)
class Manner:
    """How a target takes messages."""

    family: StateFamily
    form: IdForm
    keeps: frozenset[str]
    refused: frozenset[str]
    wanted: frozenset[str]
    takes_marks: bool  # that a prefix is worth keeping
    knows_developer: bool
    keeps_signatures: bool


@lru_cache(maxsize=1_024)
def _manner(
    name: str, api_base: str | None, refused: frozenset[str], wanted: frozenset[str], keeps_signed_ids: bool
) -> Manner:
    target = ModelTarget(name, api_base)
    family = state_family(target)
    return Manner(
        family,
        id_form(target),
        (PLAIN_KEYS | family.on_messages | wanted) - refused,
        refused,
        wanted,
        family.marks_cache and CACHE_CONTROL not in refused,
        target.provider == "openai" and DEVELOPER not in refused,
        keeps_signed_ids and family.signs_calls,
    )


class Shaper:
    """Shapes the messages of one request for one target."""

    __slots__ = ("_dropped", "_family", "_ids", "_keeps", "_manner", "_refused", "_wanted")

    def __init__(self, manner: Manner) -> None:
        self._manner = manner
        self._family = manner.family
        self._keeps = manner.keeps
        self._refused = manner.refused
        self._wanted = manner.wanted
        self._ids: CallIds | None = None
        self._dropped: set[str] = set()

    def shape(self, messages: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], list[str]]:
        """Return the messages and the names of what they lost."""
        shaped: list[dict[str, Any]] = []
        pictures: list[dict[str, Any]] = []  # of results of tools, until all results of the turn are there
        for message in messages:
            role = message["role"]
            if role == "assistant":
                if len(message) > 2 or self._wanted:
                    message = self._assistant(message)
            elif role == "tool":
                message = self._result(message)
            elif role == DEVELOPER and not self._manner.knows_developer:
                message = {**message, "role": "system"}
            if pictures and role != "tool":
                shaped.append({"role": "user", "content": pictures})
                pictures = []
            if type(message.get("content")) is list:
                message = self._parts(message)
                if not self._family.marks_cache and type(message["content"]) is list:
                    message, beside = _without_parts(message)
                    pictures += beside
            shaped.append(message)
        if pictures:
            shaped.append({"role": "user", "content": pictures})
        return shaped, sorted(self._dropped) if self._dropped else []

    def _call_ids(self) -> CallIds:
        if self._ids is None:
            self._ids = CallIds(self._manner.form, keeps_signatures=self._manner.keeps_signatures)
        return self._ids

    def _assistant(self, message: dict[str, Any]) -> dict[str, Any]:
        shaped: dict[str, Any] = {}
        keeps = self._keeps
        for key, value in message.items():
            if key in keeps:
                if value is not None or key == "content":
                    shaped[key] = value
            elif value and key not in _NOT_STATE:
                self._dropped.add(f"messages.{key}")
        if self._wanted and REASONING_CONTENT in self._wanted and not shaped.get(REASONING_CONTENT):
            shaped[REASONING_CONTENT] = message.get("reasoning") or NO_THINKING
        calls = shaped.get("tool_calls")
        if calls:
            shaped["tool_calls"] = [self._call(call, place) for place, call in enumerate(calls)]
        elif calls is not None:
            del shaped["tool_calls"]  # an empty list is refused by some, and says nothing
        return shaped

    def _call(self, call: dict[str, Any], place: int) -> dict[str, Any]:
        given = call.get("id")
        own = self._call_ids().of_call(given) if isinstance(given, str) else given
        is_signed = self._family.signs_calls and (SIGNED_ID in (given or "") or EXTRA_CONTENT in self._wanted)
        if len(call) == 3 and own == given and not is_signed and EXTRA_CONTENT not in call:
            return call  # id, type and function, and nothing to change
        shaped = {key: value for key, value in call.items() if key in CALL_KEYS}
        if own is not None:
            shaped["id"] = own
        if CACHE_CONTROL in call:
            if self._manner.takes_marks:
                shaped[CACHE_CONTROL] = call[CACHE_CONTROL]
            else:
                self._dropped.add(f"messages.{CACHE_CONTROL}")
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
        own = self._call_ids().of_result(given)
        return message if own == given else {**message, "tool_call_id": own}

    def _parts(self, message: dict[str, Any]) -> dict[str, Any]:
        marks = self._manner.takes_marks
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
