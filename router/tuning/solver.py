"""From a target to thresholds: moves both by the same distance until what is allowed is used and not exceeded.

Pure. A target is of all requests where it is told what the books say of them (`router.tuning.whole`), else of the
queries that a score decided. It counts as met when the next stretch of traffic of the same length and kind will meet it
with 97.5 % probability: the margin covers the noise of the past that is solved on and that of the future. Thresholds
stay at 0 or above, since below a deep answer is expected to be no better; a tier that is switched off stays off.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from router.decision.policy import NEVER, Policy, SegmentDials
from router.decision.worth import SCORE_DIGITS
from router.reports.formatting import format_usd
from router.tuning import backtest, off_policy
from router.tuning.backtest import Backtest, Caps, Figures
from router.tuning.off_policy import Quality
from router.tuning.targets import Allowances, SolverTargets, Unsolvable
from router.tuning.traffic import FAST, Bools, Floats, Traffic
from router.tuning.whole import Whole

SCANNED = 40
HALVINGS = 12
REPLICATES = 200
FULL_USE = 0.9


@dataclass(frozen=True, slots=True)
class Solution:
    """Thresholds that meet the limits, what binds them, and what they are predicted to do.

    `figures` are of the queries that a score decided, `whole` of all requests, None where these were not told.
    """

    policy: Policy
    binding: str
    used: float | None  # of the binding allowance, as predicted; None where nothing binds
    figures: Figures
    quality: Quality
    note: str | None
    requests: int
    whole: Figures | None = None


@dataclass(frozen=True, slots=True)
class _Point:
    """One place of the thresholds: how much of each allowance it uses (1 is all of it), safely and as expected."""

    shift: float
    safe_use: dict[str, float]
    use: dict[str, float]
    is_good: bool

    @property
    def worst(self) -> str | None:
        """The limit that is used most; None where nothing limits."""
        return max(self.safe_use, key=self.safe_use.__getitem__) if self.safe_use else None

    @property
    def is_affordable(self) -> bool:
        """Tell whether every allowance will do, safely."""
        return all(use <= 1.0 for use in self.safe_use.values())


class Solver:
    """Tries thresholds on one stretch of traffic: the policy's, or those of one segment for what is its own."""

    def __init__(
        self,
        traffic: Traffic,
        base: Policy,
        targets: SolverTargets,
        seed: int = 1,
        segment: str | None = None,
        whole: Whole | None = None,
    ) -> None:
        self._targets = targets
        self._policy = base
        self._segment = segment
        self._rows = _rows_of(traffic, segment)
        self._whole = whole
        own = base if segment is None else base.for_segment(segment)
        tiers = traffic.tiers[self._rows]
        self._allowances = Allowances(targets, whole, len(tiers), int((tiers != FAST).sum()))
        self._cap = share = self._allowances.cap()
        self._base = own if share is None else replace(own, max_deep_share=share)  # the cap stands guard
        self._on = [t for t in (own.parallel_threshold, own.reasoning_threshold) if t <= NEVER]
        if not self._on:
            raise Unsolvable("both deep tiers are switched off: set a threshold of 1.1 or less first")
        self._traffic = traffic
        self._backtest = Backtest(traffic, seed, REPLICATES)
        self._caps = Caps(traffic)

    def solve(self) -> Solution:
        """Find the deepest thresholds that every spending limit allows, or the cheapest that are good enough."""
        points = [self._point(shift) for shift in self._shifts()]
        if any(self._targets.spending()[name] is not None for name in self._targets.spending()):
            return self._solution(self._deepest(points))
        return self._solution(self._cheapest(points))

    def policy(self, shift: float) -> Policy:
        """Return the base policy with its (or the segment's) thresholds moved; what is switched off stays so."""
        moved = {
            "parallel_threshold": _move_threshold(self._base.parallel_threshold, shift),
            "reasoning_threshold": _move_threshold(self._base.reasoning_threshold, shift),
        }
        if self._segment is None:
            return replace(self._base, **moved)  # type: ignore[arg-type]
        if self._cap is not None:
            moved["max_deep_share"] = self._cap
        dials = replace(self._policy.segments.get(self._segment, SegmentDials()), **moved)
        return replace(self._policy, segments={**self._policy.segments, self._segment: dials})

    def _shifts(self) -> list[float]:
        """Return the distances worth trying, from the deepest to where both tiers are closed."""
        lowest, highest = -min(self._on), NEVER - min(self._on)
        lowest = min(lowest, 0.0)
        worths = self._traffic.worths(self._base.cost_sensitivity)[self._rows]
        scanned = np.quantile(worths, np.linspace(0, 1, SCANNED))
        places = {float(worth) - threshold for worth in scanned for threshold in self._on}
        within = sorted(place for place in places if lowest < place < highest)
        return [lowest, *within, highest]

    def _deepest(self, points: list[_Point]) -> _Point:
        """Find the deepest affordable point, and come closer to the next deeper one by halving.

        Coming from the deep end: far from what was logged less is known, so a cheaper point may look less safe.
        """
        best, beyond = None, None
        for point in points:
            if point.is_affordable:
                best = point
                break
            beyond = point
        if best is None:
            raise Unsolvable(self._too_dear(points[-1]))
        if beyond is not None:
            best = self._closer(best, beyond, lambda point: point.is_affordable)
        if self._targets.min_quality is not None and not best.is_good:
            raise Unsolvable(
                f"min_quality {self._targets.min_quality:g} cannot be shown within {best.worst}: "
                f"{self._describe_quality(best.shift)}"
            )
        return best

    def _cheapest(self, points: list[_Point]) -> _Point:
        """Find the first good point from the cheap end, and come closer than that by halving."""
        for place in range(len(points) - 1, -1, -1):
            if points[place].is_good:
                if place == len(points) - 1:
                    return points[place]
                return self._closer(points[place], points[place + 1], lambda point: point.is_good)
        raise Unsolvable(
            f"min_quality {self._targets.min_quality:g} cannot be shown: {self._describe_quality(points[0].shift)}"
        )

    def _closer(self, fits: _Point, does_not: _Point, test: Callable[[_Point], bool]) -> _Point:
        for _ in range(HALVINGS):
            middle = self._point((fits.shift + does_not.shift) / 2)
            if test(middle):
                fits = middle
            else:
                does_not = middle
        return fits

    def _chances(self, shift: float) -> Floats:
        return backtest.replay(self._traffic, self.policy(shift), self._caps)

    def _figures(self, chances: Floats, *, waits: bool = True) -> Figures:
        return self._backtest.figures(chances, self._rows, waits=waits)

    def _quality(self, chances: Floats) -> Quality:
        return off_policy.quality(self._traffic.rows(self._rows), chances[self._rows])

    def _point(self, shift: float) -> _Point:
        chances = self._chances(shift)
        figures, effect = self._backtest.measure(chances, self._rows, waits=False)
        chance = self._backtest.chance_usd_per_1k(chances, self._rows)
        used = self._allowances.use_of(figures, chance, effect)
        good = self._targets.min_quality is None or self._is_good(chances)
        return _Point(shift, used.safe, used.expected, good)

    def _is_good(self, chances: Floats) -> bool:
        quality = self._quality(chances)
        least = self._targets.min_quality
        assert least is not None
        return quality.doubt is None and quality.doubly_robust.low >= least

    def _describe_quality(self, shift: float) -> str:
        quality = self._quality(self._chances(shift))
        if quality.doubt is not None:
            return f"not enough evidence, {quality.doubt}"
        interval = quality.doubly_robust
        return f"{interval.value:.3f} is estimated, {interval.low:.3f} to {interval.high:.3f}"

    def _too_dear(self, cheapest: _Point) -> str:
        chances = self._chances(cheapest.shift)
        decided = self._figures(chances, waits=False)
        whole = self._whole_figures(chances)
        figures = decided if whole is None else whole
        if math.isnan(figures["cost_usd_per_1k"].value) or any(math.isnan(use) for use in cheapest.safe_use.values()):
            return "not enough evidence: what these requests cost or earn in a tier is not known"
        of_all = ""
        if self._whole is not None:
            left = self._whole.requests - self._whole.decided
            of_all = f", {left:,} of {self._whole.requests:,} requests counted that no score decided"
        return (
            f"{cheapest.worst} cannot be met: with thresholds at their highest and explore at {self._base.explore:g}, "
            f"deep answers are {figures['deep_share'].value:.2%}, a thousand queries cost "
            f"{format_usd(figures['cost_usd_per_1k'].value)} and earn "
            f"{format_usd(figures['revenue_usd_per_1k'].value)}, a margin of {figures['margin'].value:.1%}{of_all}"
        )

    def _whole_figures(self, chances: Floats) -> Figures | None:
        return None if self._whole is None else self._whole.figures(self._backtest.effect(chances, self._rows))

    def _solution(self, point: _Point) -> Solution:
        policy, chances = self.policy(point.shift), self._chances(point.shift)
        figures = self._figures(chances)
        binding, used = self._binding(point)
        note, count = None, int(self._rows.sum())
        if used is not None and used < FULL_USE:
            note = (
                f"only {used:.0%} of the allowance is used: so few requests ({count}) leave that much "
                f"uncertain; a longer window leaves less"
            )
        return Solution(
            policy, binding, used, figures, self._quality(chances), note, count, self._whole_figures(chances)
        )

    def _binding(self, point: _Point) -> tuple[str, float | None]:
        if not point.safe_use:
            return "min_quality", None
        lowest = self._shifts()[0]
        if point.shift > lowest:
            name = point.worst
            assert name is not None
            return name, point.use[name]
        cuts = self._caps.cuts(self.policy(point.shift))[self._rows]
        if (cuts > _move_threshold(self._base.reasoning_threshold, point.shift)).mean() > 0.5:
            return "the policy's own max_deep_share", None
        return "nothing: the thresholds are as low as a gain allows", None


def _rows_of(traffic: Traffic, segment: str | None) -> Bools:
    """Return the requests that a target speaks of; raises Unsolvable where there are none."""
    if segment is None:
        return np.ones(len(traffic), bool)
    if segment not in traffic.segment_names:
        raise Unsolvable(f"no query of the segment {segment!r} was decided by a score in this time")
    rows: Bools = traffic.segments == traffic.segment_names.index(segment)
    return rows


def _move_threshold(threshold: float, shift: float) -> float:
    if threshold > NEVER:
        return threshold
    # Rounded up, so that what was affordable stays so.
    moved = math.ceil((threshold + shift) * 10**SCORE_DIGITS - 1e-6) / 10**SCORE_DIGITS
    return float(min(max(moved, -1.0), NEVER))  # still on, so that exploration goes on
