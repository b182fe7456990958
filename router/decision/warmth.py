"""What is warm of a prompt: what models have read of its conversation lately, and what a provider's cache makes of it.

This worker remembers the requests that it answered last, each with what models had read by then; the books tell of what
other workers answered (`router.ledger.read_prefixes`). Numbers and names of models, no text.
"""

from typing import NamedTuple

from cachetools import LRUCache

from router.ledger.read_prefixes import NO_PREFIXES, Prefixes
from router.providers.caches import PromptCache
from router.types import Tier

REMEMBERED_ANSWERS = 20_000


class PromptWarmth(NamedTuple):
    """What models have read of a prompt that is asked now, and whether it will be marked for who wants marks."""

    prefixes: Prefixes = NO_PREFIXES
    is_marked: bool = False


COLD = PromptWarmth()


class CachedInput(NamedTuple):
    """How many tokens of an input are expected to be read from a cache, and how many others written to one."""

    cached: int = 0
    written: int = 0


FRESH = CachedInput()


def expect_caching(
    cache: PromptCache | None, model: str, input_tokens: int, warmth: PromptWarmth, now_us: int
) -> CachedInput:
    """Tell how an input will be read by a model: from its cache as far as that is warm, the rest written to it."""
    if cache is None or input_tokens < cache.least_tokens or (cache.needs_marks and not warmth.is_marked):
        return FRESH
    read = warmth.prefixes.get(model)
    if read is None:
        return CachedInput(0, input_tokens)
    known = read.marked if cache.needs_marks else read.tokens
    warm = cache.warm_tokens(known, input_tokens, (now_us - read.at_us) / 1e6)
    return CachedInput(warm, input_tokens - warm)


class RememberedAnswer(NamedTuple):
    """Which tier answered a request in the end, and what models had read of its conversation by then."""

    tier: Tier
    prefixes: Prefixes


class AnsweredRequests:
    """The last requests of this worker, once they were answered."""

    def __init__(self, size: int = REMEMBERED_ANSWERS) -> None:
        self._known: LRUCache[str, RememberedAnswer] = LRUCache(size)

    def find(self, request_id: str) -> RememberedAnswer | None:
        """Find a request; None for one that is not known, or under way."""
        return self._known.get(request_id)

    def note(self, request_id: str, tier: Tier, before: Prefixes, read: Prefixes) -> None:
        """Note who answered, and what models read for it beside what they had read `before` of its conversation."""
        self._known[request_id] = RememberedAnswer(tier, {**before, **read} if read else before)
