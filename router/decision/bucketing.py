"""The bucket of a conversation: 64 bits of a hash by which it keeps its policy while a canary runs. Nothing is stored.

A conversation is what the client says it is (`metadata.conversation_id`, or a header), else its first user turn; in
either case that of one key. Every worker comes to the same bucket.
"""

from collections.abc import Mapping, Sequence
from hashlib import blake2b
from typing import Any

import msgspec

LONGEST_READ = 2_000  # characters of a first turn that count

_encode = msgspec.json.Encoder().encode


def bucket_of(key_id: int | None, conversation: str | None, messages: Sequence[Mapping[str, Any]]) -> int:
    """The bucket of a conversation; messages are looked at only where the client does not name it."""
    named = f"{key_id}:{conversation}" if conversation is not None else f"{key_id}\n{_first_turn(messages)}"
    return int.from_bytes(blake2b(named.encode("utf-8", "replace"), digest_size=8).digest())


def _first_turn(messages: Sequence[Mapping[str, Any]]) -> str:
    for message in messages:
        if message.get("role") == "user":
            content = message.get("content")
            text = content if isinstance(content, str) else _encode(content).decode("utf-8", "replace")
            return text[:LONGEST_READ]
    return ""
