"""Which prefixes of prompts a provider is likely to have in its cache: those that this worker sent not long ago.

Providers cache prompts from about a thousand tokens on, for some minutes. Kept are hashes, no text.
"""

from collections.abc import Mapping, Sequence
from hashlib import blake2b
from typing import Any

import msgspec
from cachetools import TTLCache

from router.providers.caches import LONG_BYTES

WARM_S = 240.0
REMEMBERED = 10_000

_encoder = msgspec.json.Encoder()


class PrefixWarmth:
    """The conversations that each model was asked about in the last minutes."""

    def __init__(self) -> None:
        self._now_s = 0.0
        self._known: TTLCache[bytes, None] = TTLCache(REMEMBERED, WARM_S, timer=lambda: self._now_s)

    def is_cold(self, target: str, messages: Sequence[Mapping[str, Any]], now_s: float) -> bool:
        """Tell whether a model has to read these messages anew, and remember that it is asked to.

        A conversation is warm where it, or it as it was one turn ago, was asked before.
        """
        self._now_s = now_s
        whole, before = _digest(target, messages), _digest(target, messages[:-2])
        is_warm = whole in self._known or (
            before in self._known and sum(len(_encoder.encode(m)) for m in messages[-2:]) < LONG_BYTES
        )
        self._known[whole] = None
        return not is_warm


def _digest(target: str, messages: Sequence[Mapping[str, Any]]) -> bytes:
    return blake2b(_encoder.encode((target, messages)), digest_size=16).digest()
