"""What of a conversation's state goes through a client of Anthropic's dialect in blocks of thinking. Pure.

Signed thinking goes as it is, both ways. Thinking that nobody signed gets a mark of ours for a signature, so that it
comes back as plain thinking and never as Anthropic's. What other families want back (OpenRouter's reasoning details,
Gemini's thought signatures beside a call) travels as the data of a redacted block, which clients keep and do not read.
"""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Any

import msgspec

from router.providers.thinking_blocks import LARGEST_OPAQUE

UNSIGNED = "tierwise-unsigned"
STATE = "tierwise-state-"
DETAILS = "reasoning_details"
EXTRA = "extra_content"
CALLS = "calls"
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(dict[str, Any]).decode


def state_block(state: dict[str, Any]) -> dict[str, str] | None:
    """Pack the state of another family into a block; None where there is none, or too much of it."""
    if not state:
        return None
    data = STATE + urlsafe_b64encode(_encode(state)).decode()
    return {"type": "redacted_thinking", "data": data} if len(data) <= LARGEST_OPAQUE else None


def state_in(data: str) -> dict[str, Any] | None:
    """Unpack what `state_block` packed; None for the data of others."""
    if not data.startswith(STATE):
        return None
    try:
        return _decode(urlsafe_b64decode(data.removeprefix(STATE)))
    except (ValueError, msgspec.MsgspecError):
        return {}


def is_unsigned(signature: str) -> bool:
    """Tell whether a thinking block is one that nobody signed."""
    return not signature or signature.startswith(UNSIGNED)


def restore(message: dict[str, Any], state: dict[str, Any]) -> None:
    """Put unpacked state back where the family that made it looks for it."""
    if isinstance(details := state.get(DETAILS), list):
        message[DETAILS] = [*message.get(DETAILS, ()), *details]
    if isinstance(extra := state.get(EXTRA), dict):
        message[EXTRA] = extra
    if isinstance(calls := state.get(CALLS), dict):
        for call in message.get("tool_calls", ()):
            if isinstance(extra := calls.get(call["id"]), dict):
                call[EXTRA] = extra
