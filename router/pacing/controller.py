"""The multiplier of both thresholds, moved so that settled spending follows a plan: dual descent with bounded steps.

Pure, and nothing acts on it by itself: it computes the next multiplier, and `router.pacing.multipliers` puts it into
effect. The multiplier is the shadow price of a dollar: a deep answer is worth buying when its gain is above multiplier
x cost. It must be fed settled money: estimates that are off by a few percent make it run dry early. That a budget is
never exceeded is the work of holds; its own work is that the budget is not spent on the first queries of a day.
(Balseiro, Lu, Mirrokni 2022, "The Best of Many Worlds".)
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from router.decision.policy import NEVER, Policy
from router.types import HOUR_US, HOURS_A_WEEK

MOST_ERROR = 1.0
LEAST_MOVED = 0.01  # a threshold of 0 counts as this much when it is raised, or no multiplier would move it
FULL_PRESSURE_AT = 4.0  # the multiplier at which the parallel tier samples as little as it can


@dataclass(frozen=True, slots=True)
class Rule:
    """How eagerly the multiplier follows; all on a logarithmic scale, so 0.1 is about ten percent."""

    follow: float = 0.15
    damp: float = 0.1
    largest_step: float = 0.1
    dead_band: float = 0.02
    least_multiplier: float = 1e-3
    most_multiplier: float = 1e3

    def __post_init__(self) -> None:
        if not 0 < self.least_multiplier < self.most_multiplier < math.inf:
            raise ValueError("least_multiplier and most_multiplier: must be above 0 and in this order")
        if min(self.follow, self.damp, self.dead_band) < 0 or self.largest_step <= 0:
            raise ValueError("follow, damp, dead_band and largest_step: must not be negative")


@dataclass(frozen=True, slots=True)
class Pace:
    """Where the controller stands; `error` is how far spending was above (or below) what was due, logarithmic."""

    multiplier: float = 1.0
    error: float = 0.0
    is_frozen: bool = False


@dataclass(frozen=True, slots=True)
class WeekPlan:
    """How spending is spread over the hours of a week (168 weights; the first hour of the epoch is the first).

    Hours of which nothing is known count as the mean of the others; with no history at all time itself is the plan.
    """

    weights: tuple[float, ...]

    @classmethod
    def of(cls, costs: Sequence[float]) -> "WeekPlan":
        """Make a plan of what the hours of a week cost; 0 is not known."""
        known = [cost for cost in costs if cost > 0]
        mean = sum(known) / len(known) if known else 1.0
        return cls(tuple(cost if cost > 0 else mean for cost in costs))

    def between(self, since_us: int, until_us: int) -> float:
        """What the plan has from an instant to another."""
        planned, at = 0.0, since_us
        while at < until_us:
            hour = at // HOUR_US
            stop = min((hour + 1) * HOUR_US, until_us)
            planned += self.weights[hour % HOURS_A_WEEK] * (stop - at) / HOUR_US
            at = stop
        return planned


def due_usd(planned_usd: float, left_usd: float, planned_left_usd: float) -> float:
    """What an interval may spend: its part of the plan, in proportion to what is really left.

    All three look forward: what is planned for the interval, what is left of the budget, and what is planned from the
    interval to the end.
    """
    if planned_left_usd <= 0:
        return max(left_usd, 0.0)
    return max(left_usd, 0.0) * planned_usd / planned_left_usd


def due_for_margin_usd(revenue_usd: float, min_margin: float, overspent_usd: float = 0.0) -> float:
    """What an interval may spend to keep a margin, less what earlier ones spent too much."""
    return max(revenue_usd * (1.0 - min_margin) - overspent_usd, 0.0)


def next_pace(pace: Pace, spent_usd: float | None, due: float | None, rule: Rule) -> Pace:
    """Move the multiplier after an interval; where data are missing it stays, and is marked as frozen."""
    if spent_usd is None or due is None or not math.isfinite(spent_usd) or not math.isfinite(due):
        return replace(pace, is_frozen=True)
    error = _error(spent_usd, due)
    if abs(error) <= rule.dead_band:
        return Pace(pace.multiplier, error)
    # After missing data there is no slope to damp.
    slope = 0.0 if pace.is_frozen else error - pace.error
    step = min(max(rule.follow * error + rule.damp * slope, -rule.largest_step), rule.largest_step)
    return Pace(min(max(pace.multiplier * math.exp(step), rule.least_multiplier), rule.most_multiplier), error)


def stricter(*paces: Pace) -> Pace:
    """The pace with the highest multiplier, of several controllers (budget, margin)."""
    return max(paces, key=lambda pace: pace.multiplier)


@lru_cache(maxsize=256)
def apply_multiplier(policy: Policy, multiplier: float) -> Policy:
    """Multiply the thresholds of a policy; what is switched off stays so."""
    if multiplier == 1.0:
        return policy

    def move(threshold: float) -> float:
        if threshold > NEVER:
            return threshold
        if multiplier < 1.0:
            return threshold * multiplier if threshold > 0 else threshold
        return min(max(threshold, LEAST_MOVED) * multiplier, NEVER)

    return replace(
        policy,
        parallel_threshold=move(policy.parallel_threshold),
        reasoning_threshold=move(policy.reasoning_threshold),
    )


def pressure(multiplier: float) -> float:
    """How sparing the parallel tier should be: 0 up to a multiplier of 1, and 1 (as few samples as can decide) at 4."""
    return min(max(math.log(multiplier) / math.log(FULL_PRESSURE_AT), 0.0), 1.0) if multiplier > 0 else 0.0


def _error(spent_usd: float, due: float) -> float:
    if spent_usd <= 0.0 or due <= 0.0:
        return 0.0 if spent_usd == due else math.copysign(MOST_ERROR, spent_usd - due)
    return min(max(math.log(spent_usd) - math.log(due), -MOST_ERROR), MOST_ERROR)
