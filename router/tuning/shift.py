"""What moving the thresholds does to each tier: how many queries, at what cost, and what quality is promised.

Replays the scores of past requests: who changes tier when thresholds move is read from them, what it would cost there
from `router.tuning.counterfactual`. Both thresholds move together; overrides, efforts and housekeeping stay where they
are.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from sqlalchemy import Engine

from router.decision.policy import Policy
from router.policies.versions import in_force
from router.reports.window import Window
from router.tuning.backtest import replay
from router.tuning.counterfactual import Counterfactual, design_of
from router.tuning.off_policy import promises_of
from router.tuning.resampling import Resampling
from router.tuning.tradeoff import NEWEST, move_thresholds
from router.tuning.traffic import TIERS, Floats, Traffic
from router.tuning.traffic_reader import read

LEAST_REQUESTS = 1_000
FARTHEST = 1.5


@dataclass(frozen=True, slots=True)
class Moved:
    """By how much each tier's queries and cost change, and the promised quality; factors on what is now."""

    queries: Mapping[str, float]
    cost: Mapping[str, float]
    quality: float


class Shift:
    """Thresholds that can be moved over one sample of requests."""

    def __init__(self, traffic: Traffic, policy: Policy) -> None:
        self._traffic, self._policy = traffic, policy
        cost = Counterfactual(traffic, design_of(traffic), traffic.cost_usd, Resampling(len(traffic), 1, 2))
        self._cost = np.nan_to_num(cost.expected)
        self._promised = promises_of(traffic, np.flatnonzero(~np.isnan(traffic.rewards)))
        self._now = self._measure(replay(traffic, policy))
        self.by = lru_cache(maxsize=64)(self._by)

    def _by(self, move: float) -> Moved:
        """Move both thresholds by so much of the score; below nothing sends more to the deep tiers."""
        shares, cost, quality = self._measure(replay(self._traffic, move_thresholds(self._policy, move)))
        before_shares, before_cost, before_quality = self._now
        return Moved(
            _factors(shares, before_shares),
            _factors(cost, before_cost),
            quality / before_quality if before_quality else 1.0,
        )

    def _measure(self, chances: Floats) -> tuple[Floats, Floats, float]:
        cost_and_quality = (chances * self._cost).sum(axis=0), float((chances * self._promised).sum(axis=1).mean())
        return chances.sum(axis=0), *cost_and_quality


def of_traffic(engine: Engine, window: Window) -> Shift | None:
    """Take the newest requests of the window; None where there are too few to tell."""
    traffic = read(engine, window, NEWEST)
    return Shift(traffic, in_force(engine)) if len(traffic) >= LEAST_REQUESTS else None


def _factors(after: Floats, before: Floats) -> dict[str, float]:
    pairs = zip(TIERS, after.tolist(), before.tolist(), strict=True)
    return {str(tier): new / old if old > 0 else 1.0 for tier, new, old in pairs}
