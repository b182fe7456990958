"""What of a conversation's state goes through a client of Anthropic's dialect in blocks of thinking. Pure.

Signed thinking goes as it is, both ways. Thinking that nobody signed gets a mark of ours for a signature, so that it
comes back as plain thinking and never as Anthropic's. What other families want back (OpenRouter's reasoning details,
Gemini's thought signatures beside a call) travels as the data of a redacted block, which clients keep and do not read.
"""

from typing import Any

from router.api.packing import pack, unpack
from router.providers.state import EXTRA_CONTENT, clean_call_state, clean_state, join_state
from router.providers.thinking_blocks import LARGEST_OPAQUE

UNSIGNED = "tierwise-unsigned"
STATE = "tierwise-state-"
ON_MESSAGE, ON_CALLS = "message", "calls"


def state_block(message: dict[str, Any] | None, calls: dict[str, Any] | None = None) -> dict[str, str] | None:
    """Pack what a family wants back on its message and on calls by their ids; None where there is none, or too much."""
    state = {ON_MESSAGE: message or {}, ON_CALLS: calls or {}}
    if not message and not calls:
        return None
    data = STATE + pack(state)
    return {"type": "redacted_thinking", "data": data} if len(data) <= LARGEST_OPAQUE else None


def state_in(data: str) -> dict[str, Any] | None:
    """Unpack what `state_block` packed; None for the data of others."""
    return unpack(data.removeprefix(STATE), dict[str, Any]) or {} if data.startswith(STATE) else None


def is_unsigned(signature: str) -> bool:
    """Tell whether a thinking block is one that nobody signed."""
    return not signature or signature.startswith(UNSIGNED)


def restore(message: dict[str, Any], state: dict[str, Any], dropped: set[str]) -> None:
    """Put unpacked state back where the family that made it looks for it; what cannot be is named in `dropped`."""
    if isinstance(given := state.get(ON_MESSAGE), dict):
        cleaned = clean_state(given, dropped)
        message |= join_state({key: message[key] for key in cleaned if key in message}, cleaned)
    if isinstance(calls := state.get(ON_CALLS), dict):
        for call in message.get("tool_calls", ()):
            if call["id"] in calls:
                call |= clean_call_state({EXTRA_CONTENT: calls[call["id"]]}, dropped)
