"""State of a provider as one text in a field that clients keep and do not read. Pure.

Packed is not encrypted: nothing in it is secret from the client, who sees the same thinking.
"""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import TypeVar

import msgspec

_State = TypeVar("_State")
_encode = msgspec.json.Encoder().encode


def pack(state: object) -> str:
    """Write state as letters that go through every client."""
    return urlsafe_b64encode(_encode(state)).decode()


def unpack(text: str, kind: type[_State]) -> _State | None:
    """Read what `pack` wrote; None for what it did not write, or state of another kind."""
    try:
        return msgspec.json.decode(urlsafe_b64decode(text), type=kind)
    except (ValueError, msgspec.MsgspecError, RecursionError):
        return None
