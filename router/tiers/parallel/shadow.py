"""The shadow slice: on a few queries the samples that stopping early saved are taken after all, to see what was missed.

They are booked as shadow calls, which the client neither waits for in its text nor pays.
"""

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Protocol

from router.errors import Unavailable
from router.providers.base import ProviderRequest
from router.tiers.calls import Calls
from router.tiers.parallel.coverage import Coverage
from router.tiers.parallel.fanout import FanOut, Fate, Sample, Slots
from router.tiers.parallel.outcome import VoteOutcome, row_of
from router.tiers.parallel.voting import Vote
from router.types import CallKind, Tier


class ShadowBudget(Protocol):
    """What observing may cost, over all workers."""

    async def take(self, bound_nanousd: int) -> int | None:
        """Take the most that calls may cost; the day it is taken from, None where it does not fit."""
        ...

    async def give_back(self, unspent_nanousd: int, day: int) -> None:
        """Return what was not spent."""
        ...


@dataclass(frozen=True, slots=True)
class ShadowSlice:
    """Which queries are observed (`share` of them, by request id), what that may cost, and who is told."""

    share: float
    budget: ShadowBudget
    on_coverage: Callable[[Coverage], None]

    def holds(self, request_id: str) -> bool:
        """Tell whether a request is in the slice; the end of its id is random."""
        return int(request_id[-8:], 16) / 2**32 < self.share

    @asynccontextmanager
    async def paying(self, calls: Calls, bound_nanousd: int) -> AsyncGenerator[bool]:
        """Hold the most that what comes next may cost, and give back what it did not; False where it does not fit."""
        day = await self.budget.take(bound_nanousd)
        made = len(calls.made)
        try:
            yield day is not None
        finally:
            unspent = bound_nanousd - sum(call.cost_nanousd or 0 for call in calls.made[made:])
            if day is not None and unspent > 0:
                await self.budget.give_back(unspent, day)


async def observe(
    shadow: ShadowSlice, outcome: VoteOutcome, vote: Vote, calls: Calls, slots: Slots, timeout_s: float
) -> None:
    """Take the samples that are missing to the most that was planned, and report the whole vote."""
    sampling = outcome.sampling
    seen = [s for s in sampling.fan.samples if s.choice is not None]
    first = len(sampling.fan.samples)
    missing = [sampling.plan.request(first + i) for i in range(sampling.plan.max_samples - len(seen))]
    bound = sum(calls.worst_case(request, sampling.plan.input_bound_tokens) or 0 for _, request in missing)
    fan = FanOut(
        calls, Tier.PARALLEL, slots, sampling.plan.max_samples, timeout_s, sampling.plan.input_bound_tokens, first
    )
    async with shadow.paying(calls, bound) as is_paid:
        if not is_paid:
            return
        try:
            extra = await _all(fan, missing)
        except Unavailable:
            return
    for sample in [*seen, *extra]:
        await vote.count(sample)
    name = {index: c.key.value for c in vote.tally.clusters for index in c.members}
    leader = sampling.vote.tally.ranked[:1]
    for sample in extra:
        sample.fate = Fate.SHADOW
    shadow.on_coverage(
        Coverage(
            outcome.query.request_id,
            outcome.models,
            row_of(vote),
            tuple(name.get(s.index) for s in [*seen, *extra]),
            name.get(leader[0].members[0]) if leader else None,
            first,
        )
    )


async def _all(fan: FanOut, batch: list[tuple[str, ProviderRequest]]) -> list[Sample]:
    ended: list[Sample] = []
    try:
        while batch or fan.running:
            if batch and not fan.running:
                await fan.room()
            del batch[: fan.send(batch, CallKind.SHADOW)]
            ended += await fan.arrivals(None)
    finally:
        await fan.call_off()
    return sorted((s for s in ended if s.choice is not None), key=lambda s: s.index)
