"""Signed thinking, as Anthropic's family makes it and wants it back: the same blocks, unchanged. Pure.

A block is `{"type": "thinking", "thinking", "signature"}` or `{"type": "redacted_thinking", "data"}`, on an assistant's
message under the key `thinking_blocks`, which is also litellm's name for them. They are opaque, bounded in size, and
go to the family that signed them and to no other.
"""

from collections.abc import Iterable
from typing import Any

KEY = "thinking_blocks"  # of an assistant's message
MOST_BLOCKS = 256  # of one message
LARGEST_OPAQUE = 1_000_000  # characters of one signature, or of one block's data


def clean_blocks(given: object) -> list[dict[str, Any]] | None:
    """Return the blocks of a message with their own keys only; None where there is none that could be sent back."""
    if not isinstance(given, list):
        return None
    return [clean for block in given[:MOST_BLOCKS] if (clean := _clean(block)) is not None] or None


def add_pieces(blocks: list[dict[str, Any]], pieces: Iterable[dict[str, Any]]) -> None:
    """Join pieces of a stream to the blocks they continue: text until a signature, which ends its block."""
    for piece in pieces:
        if piece.get("type") == "redacted_thinking":
            blocks.append({"type": "redacted_thinking", "data": piece.get("data") or ""})
            continue
        if not blocks or blocks[-1]["type"] != "thinking" or blocks[-1]["signature"]:
            blocks.append({"type": "thinking", "thinking": "", "signature": ""})
        blocks[-1]["thinking"] += piece.get("thinking") or ""
        blocks[-1]["signature"] += piece.get("signature") or ""


def _clean(block: object) -> dict[str, Any] | None:
    match block:
        case {"type": "thinking", "thinking": str(text), "signature": str(signature)} if signature:
            is_kept = len(signature) <= LARGEST_OPAQUE
            return {"type": "thinking", "thinking": text, "signature": signature} if is_kept else None
        case {"type": "redacted_thinking", "data": str(opaque)} if opaque:
            return {"type": "redacted_thinking", "data": opaque} if len(opaque) <= LARGEST_OPAQUE else None
    return None
