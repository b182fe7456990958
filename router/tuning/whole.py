"""All requests of a stretch of time as the books count them, and what moving those that a score decided makes of them.

Pure. What no score decided (overrides, explicit models, housekeeping) and what no answer needed (shadow calls) stays
as it was booked. Of what a score decided the back-test says by how much its tiers and its cost would differ from what
was booked; where it replayed a part of these requests only, the difference counts for all of them.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from router.tuning.backtest import FIGURES, Effect, Figures, shares_and_money
from router.tuning.resampling import interval_of
from router.tuning.traffic import PARALLEL, REASONING, TIERS, Floats

MONEY_AND_SHARES = FIGURES[:8]  # waiting and quality are known of what was replayed only


@dataclass(frozen=True, slots=True)
class Whole:
    """The sums of the books over some requests, as Overview shows them; NaN is not known.

    `tiers` counts the requests that each tier of TIERS answered, `decided` those that a score decided. `left_noise_usd`
    is the standard error by chance of what all others cost, so many as they are.
    """

    requests: int
    decided: int
    tiers: tuple[int, ...]
    deep: int
    cost_usd: float
    revenue_usd: float
    left_noise_usd: float = 0.0

    def columns(self, effect: Effect | None = None) -> dict[str, Floats]:
        """Return the figures as they were, or with these requests moved: values, then those of each resampling."""
        if effect is None or not effect.requests:
            tiers: list[Floats] = [np.full(2, float(count)) for count in self.tiers]
            deep, cost = np.full(2, float(self.deep)), np.full(2, self.cost_usd)
        else:
            scale = self.decided / effect.requests
            gained = [scale * gain for gain in effect.tiers]
            tiers = [count + gain for count, gain in zip(self.tiers, gained, strict=True)]
            deep = self.deep + gained[REASONING] + gained[PARALLEL]
            cost = self.cost_usd + scale * effect.cost_usd
        count = max(self.requests, 1)
        revenue = np.full(len(cost), self.revenue_usd / count)
        columns = shares_and_money([tier / count for tier in tiers], cost / count, revenue)
        named = dict(zip(MONEY_AND_SHARES, columns, strict=True))
        return named | {"deep_share": deep / count}

    def figures(self, effect: Effect | None = None) -> Figures:
        """Return the figures with their intervals: of what was moved only, since the rest is booked."""
        return {name: interval_of(column) for name, column in self.columns(effect).items()}


NOTHING = Whole(0, 0, (0,) * len(TIERS), 0, 0.0, 0.0)


@dataclass(frozen=True, slots=True)
class Wholes:
    """The sums of a stretch of time, of everything and by segment: of all segments that had a request."""

    total: Whole = NOTHING
    segments: Mapping[str, Whole] = field(default_factory=dict)

    def of(self, segment: str | None) -> Whole:
        """Return the sums of a segment; those of everything for None."""
        return self.total if segment is None else self.segments.get(segment, NOTHING)


def difference(one: Mapping[str, Floats], other: Mapping[str, Floats]) -> Figures:
    """Tell by how much one's figures are above another's, on the same resamplings."""
    return {name: interval_of(column - other[name]) for name, column in one.items()}


def noise_of(sums: Sequence[tuple[int, float]]) -> float:
    """Tell how much a cost varies by chance, from the requests and US dollars of like stretches of time, such as hours.

    That of so many requests as there were: how many come is no chance of their cost.
    """
    requests = sum(count for count, _ in sums)
    if not requests:
        return 0.0
    mean = sum(cost for _, cost in sums) / requests
    return math.sqrt(sum((cost - mean * count) ** 2 for count, cost in sums))
