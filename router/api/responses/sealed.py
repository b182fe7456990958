"""State of a provider, sealed into the `encrypted_content` of a reasoning item: how this API gives it back. Pure.

Clients keep these items and send them again as they came. Sealed is packed, not encrypted: nothing in it is secret
from the client, who sees the same thinking. What other services sealed is not understood here and is named.
"""

from typing import Any

import msgspec

from router.api.packing import pack, unpack
from router.providers.state import LARGEST_STATE, ON_MESSAGES, clean_call_state, clean_state
from router.providers.thinking_blocks import KEY as THINKING_BLOCKS

MARK = "tw1."
LARGEST_SEAL = 2 * LARGEST_STATE
_KEYS = (THINKING_BLOCKS, *ON_MESSAGES)


class Sealed(msgspec.Struct):
    """What one item carries: state of the assistant's message, and of its tool calls by their ids."""

    message: dict[str, Any] = {}
    calls: dict[str, dict[str, Any]] = {}

    def __bool__(self) -> bool:
        """Tell whether there is anything."""
        return bool(self.message or self.calls)


def seal(state: Sealed) -> str | None:
    """Pack state as a text; None where there is none, or more than is carried."""
    if not state:
        return None
    packed = pack(state)
    return MARK + packed if len(packed) <= LARGEST_SEAL else None


def unseal(text: object) -> Sealed | None:
    """Unpack what `seal` made, checked like anything that clients send; None for what it did not make."""
    if not isinstance(text, str) or not text.startswith(MARK) or len(text) > LARGEST_SEAL + len(MARK):
        return None
    found = unpack(text[len(MARK) :], Sealed)
    if found is None:
        return None
    lost: set[str] = set()
    message = clean_state({key: found.message.get(key) for key in _KEYS}, lost)
    calls = {call_id: state for call_id, given in found.calls.items() if (state := clean_call_state(given, lost))}
    return Sealed(message, calls)
