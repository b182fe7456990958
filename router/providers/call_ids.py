"""Ids of tool calls as each family takes them: a conversation may hold calls that others made. Pure.

An id that fits and is the only one of its name goes out as it is. Any other becomes a hash of itself, the same in every
turn, so that prompt caches hold.
"""

import hashlib
import re
from dataclasses import dataclass
from typing import Any

from router.providers.base import ModelTarget
from router.providers.state import SIGNED_ID

NINE = 9  # Mistral's ids have nine letters or digits, no more and no fewer


@dataclass(frozen=True, slots=True)
class IdForm:
    """What a family's ids look like. `prefix` and `digits` make a new one; `unique`: in the whole conversation."""

    pattern: re.Pattern[str]
    prefix: str
    digits: int
    unique: bool = False


_MISTRAL = IdForm(re.compile(rf"[a-zA-Z0-9]{{{NINE}}}"), "", NINE)
_ANTHROPIC = IdForm(re.compile(r"[a-zA-Z0-9_-]{1,128}"), "toolu_", 24, unique=True)
_BEDROCK = IdForm(re.compile(r"[a-zA-Z0-9_.:-]{1,64}"), "tooluse_", 22, unique=True)
_OPENAI = IdForm(re.compile(r".{1,40}", re.DOTALL), "call_", 24)
_PLAIN = IdForm(re.compile(r".{1,256}", re.DOTALL), "call_", 24)


def id_form(target: ModelTarget) -> IdForm:
    """Return the form of the ids that a target takes."""
    model = target.model.lower()
    match target.provider:
        case "mistral":
            return _MISTRAL
        case "anthropic":
            return _ANTHROPIC
        case "bedrock":
            return _BEDROCK
        case "vertex_ai" | "azure_ai" if "claude" in model:
            return _ANTHROPIC
        case "openai" | "azure":
            if any(name in model for name in ("mistral", "magistral", "devstral", "ministral", "codestral", "pixtral")):
                return _MISTRAL
            return _OPENAI
        case "hosted_vllm" | "azure_ai" | "vertex_ai" if "mistral" in model:
            return _MISTRAL
        case _:
            return _PLAIN


class CallIds:
    """Gives the tool calls of one conversation their ids, in order, and their results the same."""

    __slots__ = ("_form", "_keeps_signatures", "_latest", "_seen")

    def __init__(self, form: IdForm, *, keeps_signatures: bool) -> None:
        self._form = form
        self._keeps_signatures = keeps_signatures
        self._latest: dict[str, str] = {}
        self._seen: set[str] = set()

    def of_call(self, given: str) -> str:
        """Return the id of a call."""
        is_plain = SIGNED_ID not in given
        if is_plain and not self._form.unique and self._form.pattern.fullmatch(given) is not None:
            return given
        bare = given if is_plain or self._keeps_signatures else given.partition(SIGNED_ID)[0]
        own = bare if self._fits(bare) else _hash_of(self._form, bare)
        repeated = 0
        while self._form.unique and own in self._seen:
            repeated += 1
            own = _hash_of(self._form, f"{bare}#{repeated}")
        self._seen.add(own)
        self._latest[given] = own
        return own

    def of_result(self, given: str) -> str:
        """Return the id of a call's result: that of the last call with this id."""
        known = self._latest.get(given)
        if known is not None:
            return known
        bare = given if SIGNED_ID not in given or self._keeps_signatures else given.partition(SIGNED_ID)[0]
        return bare if self._fits(bare) else _hash_of(self._form, bare)

    def _fits(self, own: str) -> bool:
        return (self._keeps_signatures and SIGNED_ID in own) or self._form.pattern.fullmatch(own) is not None


def _hash_of(form: IdForm, given: str) -> str:
    return form.prefix + hashlib.sha256(given.encode("utf-8", "replace")).hexdigest()[: form.digits]


def has_calls(messages: list[dict[str, Any]]) -> bool:
    """Tell whether a conversation has tool calls or their results."""
    return any(message.get("tool_calls") or message["role"] == "tool" for message in messages)
