"""A double of a provider's prompt cache: it keeps what it read of prompts for five minutes, in blocks of 128 tokens.

As OpenAI's does, from 1,024 tokens on; a mark (`cache_control`) is not needed. Kept are hashes of prefixes, no text.
"""

from collections.abc import Sequence
from hashlib import blake2b
from typing import Any

import msgspec
from cachetools import TTLCache

from router.providers.counting import count_input_tokens

LIFETIME_S = 300.0
LEAST_TOKENS, BLOCK_TOKENS = 1_024, 128
MOST_PREFIXES = 20_000

_encode = msgspec.json.Encoder().encode


class ScriptedCache:
    """Prefixes of whole messages that models have read. `now_s` is asked with every prompt."""

    def __init__(self, lifetime_s: float = LIFETIME_S) -> None:
        self._now_s = 0.0
        self._read: TTLCache[bytes, None] = TTLCache(MOST_PREFIXES, lifetime_s, timer=lambda: self._now_s)

    def read(self, model: str, messages: Sequence[dict[str, Any]], now_s: float) -> int:
        """Read a prompt: returns how many of its tokens were cached, and keeps the whole of it."""
        self._now_s = now_s
        digest = blake2b(model.encode(), digest_size=16)
        marks = []
        for message in messages:
            digest.update(_encode(_without_marks(message)))
            marks.append(digest.digest())
        known = next((place for place in range(len(marks), 0, -1) if marks[place - 1] in self._read), 0)
        for mark in marks:
            self._read[mark] = None
        cached = count_input_tokens(messages[:known]) if known else 0
        return cached - cached % BLOCK_TOKENS if cached >= LEAST_TOKENS else 0


def _without_marks(message: dict[str, Any]) -> Any:
    """Return what a model reads of a message: texts alike, however they are marked and cut."""
    content = message.get("content")
    parts = content if isinstance(content, list) else [{"type": "text", "text": content}]
    return (
        message.get("role"),
        message.get("tool_calls"),
        [{k: v for k, v in part.items() if k != "cache_control"} for part in parts],
    )
