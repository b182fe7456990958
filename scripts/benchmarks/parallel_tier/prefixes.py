"""What the input of a long conversation costs when its samples share a provider's cache."""

import asyncio
from collections.abc import AsyncGenerator

import msgspec

from classifier.types import AnswerType
from router.providers.base import Delta, ProviderRequest
from router.tiers.parallel.tier import ParallelOptions, ParallelTier
from scripts.benchmarks.parallel_tier.replay import CHEAP, METERED, StreamingProvider, VoteBooks, ask
from scripts.benchmarks.parallel_tier.tables import Table

TOKENS = (500, 2_000, 4_000, 16_000)
CACHED_PRICE = 0.1
STEPS = (1, 128)  # words; some providers cache whole prefixes, some in steps


class PrefixCache(StreamingProvider):
    """A provider that caches what it has read once it begins to answer; words stand for tokens. Votes never agree."""

    def __init__(self, step: int) -> None:
        self._step = step
        self._known: list[list[str]] = []
        self.fresh: list[int] = []
        self.cached: list[int] = []

    async def stream(self, request: ProviderRequest) -> AsyncGenerator[Delta]:
        words = msgspec.json.encode(request.messages).decode().split(" ")
        shared = max((_shared(words, known) for known in self._known), default=0) // self._step * self._step
        number = len(self.fresh)
        self.cached.append(shared)
        self.fresh.append(len(words) - shared)
        await asyncio.sleep(0.01)
        self._known.append(words)
        yield Delta(content=f"Answer: {number % 2}")
        await asyncio.sleep(0.01)
        yield Delta(finish_reason="stop", metered=METERED)

    @property
    def ratio(self) -> float:
        """What all input cost, in units of the first sample's."""
        return (sum(self.fresh) + CACHED_PRICE * sum(self.cached)) / self.fresh[0]


async def shared_prefixes() -> Table:
    """Take eight samples of conversations of several lengths."""
    table = Table(
        "Input of eight samples on a long conversation",
        f"The provider caches prefixes from when it begins to answer, whole or in steps of {STEPS[1]} tokens, at "
        f"{CACHED_PRICE:g} of the price. Words stand for tokens, and the votes are split, so that all eight samples "
        "are taken. Costs are in units of what one sample costs. Providers do not cache prompts below about a "
        "thousand tokens, and samples of such prompts wait for nobody.",
        ["tokens", "whole prefixes", "in steps", "bar", "read anew by each after the first"],
    )
    for tokens in TOKENS:
        whole, stepped = PrefixCache(STEPS[0]), PrefixCache(STEPS[1])
        for provider in (whole, stepped):
            await _ask(provider, tokens)
        bar = "1.8" if tokens == 4_000 else ""
        anew = f"{min(whole.fresh[1:])} to {max(whole.fresh[1:])}"
        table.rows.append([str(tokens), f"{whole.ratio:.2f}", f"{stepped.ratio:.2f}", bar, anew])
    return table


async def _ask(provider: PrefixCache, tokens: int) -> None:
    messages = [
        {"role": "user", "content": "word " * (tokens - 20)},
        {"role": "assistant", "content": "Noted."},
        {"role": "user", "content": "How many words was that?"},
    ]
    query, calls = ask(messages, AnswerType.NUMERIC, provider, VoteBooks(), 5 * tokens)
    await ParallelTier(ParallelOptions((CHEAP,))).answer(query, calls)


def _shared(one: list[str], other: list[str]) -> int:
    return next((n for n, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
