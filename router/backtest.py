"""What a policy would have done with the requests of the past: shares, cost, what is left, waiting time.

Pure. Three assumptions, which every report of these figures repeats. A request keeps its own cost and time in the tier
that it took; in another one it costs and takes what requests of its segment did there on average. The share cap sees
one worker's window of scores, at first that of the first thousand. What was able to take a request then, was able to
take it in any tier. Shadow calls are left out: no threshold moves them.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from router.policy import NEVER, Policy, ScoreWindow
from router.traffic import FAST, PARALLEL, REASONING, TIERS, Bools, Floats, Ints, Traffic
from router.types import Tier

WINDOW = 1_000
MOST_BLOCKS = 400
REPLICATES = 400
REPLICATES_OF_QUANTILES = 100
LEAST_OBSERVED = 30  # requests of a segment in a tier, for a mean of their own; else all segments' is taken
LEAST_OBSERVED_AT_ALL = 10
FIGURES = (
    "share_fast",
    "share_reasoning",
    "share_parallel",
    "deep_share",
    "cost_usd_per_1k",
    "revenue_usd_per_1k",
    "contribution_usd_per_1k",
    "margin",
    "wait_mean_s",
    "wait_p95_s",
)


@dataclass(frozen=True, slots=True)
class Measured:
    """A figure with its 95 % interval and standard error; NaN is not known."""

    value: float
    low: float
    high: float
    error: float


Figures = dict[str, Measured]


def rolling_cuts(scores: Floats, share: float) -> Floats:
    """The lowest score that the share cap let through at each request; -inf is no cap."""
    if share >= 1.0:
        return np.full(len(scores), -np.inf)
    if share <= 0.0:
        return np.full(len(scores), np.inf)
    window = ScoreWindow(scores[:WINDOW].tolist(), WINDOW)
    cuts = np.empty(len(scores))
    for place, score in enumerate(scores.tolist()):
        cut = window.cut(share)
        cuts[place] = -np.inf if cut is None else cut
        window.add(score)
    return cuts


def greedy(scores: Floats, may_vote: Bools, policy: Policy, cuts: Floats) -> Ints:
    """The open tier with the highest threshold, row by row, as `router.policy.decide` takes it."""
    reasoning, parallel = policy.reasoning_threshold, policy.parallel_threshold
    is_open = scores >= np.maximum(reasoning, cuts)
    may_sample = (scores >= np.maximum(parallel, cuts)) & may_vote
    first, second = (PARALLEL, REASONING) if parallel > reasoning else (REASONING, PARALLEL)
    opened = {REASONING: is_open, PARALLEL: may_sample}
    taken: Ints = np.where(opened[first], first, np.where(opened[second], second, FAST)).astype(np.int64)
    return taken


def chances(scores: Floats, may_vote: Bools, policy: Policy, cuts: Floats) -> Floats:
    """With which probability each row goes to each tier: the greedy choice, and the exploration slice."""
    taken = greedy(scores, may_vote, policy, cuts)
    is_greedy: Bools = taken[:, None] == np.arange(len(TIERS))
    choices = is_greedy.copy()
    choices[:, FAST] = True
    if policy.max_deep_share > 0:
        choices[:, REASONING] |= policy.threshold(Tier.REASONING) <= NEVER
        choices[:, PARALLEL] |= may_vote & (policy.threshold(Tier.PARALLEL) <= NEVER)
    each = policy.explore / choices.sum(axis=1, keepdims=True)
    found: Floats = np.where(choices, each, 0.0) + np.where(is_greedy, 1.0 - policy.explore, 0.0)
    return found


def replayed(traffic: Traffic, policy: Policy, cuts: Floats | None = None) -> Floats:
    """The chances of every row under a policy."""
    if cuts is None:
        cuts = rolling_cuts(traffic.scores, policy.max_deep_share)
    return chances(traffic.scores, traffic.may_vote, policy, cuts)


def always(traffic: Traffic, tier: int = FAST) -> Floats:
    """The chances when every row goes to one tier."""
    return np.tile(np.eye(len(TIERS))[tier], (len(traffic), 1))


def shuffled(traffic: Traffic, matched: Floats) -> Floats:
    """As much of every tier as in `matched`, given to queries at random: what a router must beat at equal cost."""
    spread = np.empty_like(matched)
    for group in (traffic.may_vote, ~traffic.may_vote):
        if group.any():
            spread[group] = matched[group].mean(axis=0)
    return spread


class Backtest:
    """Measures policies on the same requests and the same resamplings, so that figures can be compared."""

    def __init__(self, traffic: Traffic, seed: int = 1, replicates: int = REPLICATES) -> None:
        if not len(traffic):
            raise ValueError("there are no requests to replay")
        self.traffic = traffic
        count = len(traffic)
        blocks = min(count, MOST_BLOCKS)
        # Neighbours in time stay together: what they have in common is no independent evidence.
        self._starts = np.arange(blocks) * count // blocks
        self._block = np.repeat(np.arange(blocks), np.diff(np.append(self._starts, count)))
        dice = np.random.default_rng(seed)
        self._weights = dice.multinomial(blocks, np.full(blocks, 1 / blocks), replicates).astype(np.float64)
        self._cost = _Means(self, traffic.cost_usd)
        self._wait = _Means(self, traffic.total_ms / 1e3)
        self._revenue = _known_or_mean(traffic.revenue_usd)

    def figures(self, chances: Floats, rows: Bools | None = None, *, quantiles: bool = True) -> Figures:
        """Measure what the chances mean, for all rows or for some; `quantiles` can be left out to save time."""
        kept = np.ones(len(self.traffic), bool) if rows is None else rows
        chosen = np.where(kept[:, None], chances, 0.0)
        count = self.summed(kept.astype(np.float64))
        shares = [self.summed(chosen[:, place]) / count for place in range(len(TIERS))]
        cost = self._cost.totals(chosen, kept) / count
        revenue = self.summed(np.where(kept, self._revenue, 0.0)) / count
        with np.errstate(invalid="ignore", divide="ignore"):
            margin = (revenue - cost) / revenue
        wait = self._wait.totals(chosen, kept) / count
        p95 = self._p95(chosen, kept) if quantiles else np.full(2, np.nan)
        columns = (
            *shares,
            shares[REASONING] + shares[PARALLEL],
            cost * 1e3,
            revenue * 1e3,
            (revenue - cost) * 1e3,
            margin,
            wait,
            p95,
        )
        return {name: measured(column) for name, column in zip(FIGURES, columns, strict=True)}

    def summed(self, column: Floats) -> Floats:
        """Add a column up: over all requests first, then over each resampling of their blocks."""
        sums = np.add.reduceat(column, self._starts, axis=0)
        return np.concatenate((sums.sum(axis=0)[None], self._weights @ sums))

    def _p95(self, chosen: Floats, kept: Bools) -> Floats:
        """The time that 95 % wait at most: every tier's own distribution, in the shares that it would have."""
        traffic = self.traffic
        known = kept & ~np.isnan(traffic.total_ms)
        shares = chosen[kept].mean(axis=0)
        observed = np.bincount(traffic.tiers[known], minlength=len(TIERS))
        if (observed[shares > 0.001] < LEAST_OBSERVED_AT_ALL).any():
            return np.full(2, np.nan)
        order = np.flatnonzero(known)[np.argsort(traffic.total_ms[known])]
        tiers, times, block = traffic.tiers[order], traffic.total_ms[order] / 1e3, self._block[order]
        found = []
        for weights in (np.ones(self._weights.shape[1]), *self._weights[:REPLICATES_OF_QUANTILES]):
            weight = weights[block]
            total = np.bincount(tiers, weight, minlength=len(TIERS))
            run = np.cumsum(weight * (shares / np.maximum(total, 1e-12))[tiers])
            found.append(times[min(np.searchsorted(run, 0.95 * run[-1]), len(times) - 1)])
        return np.array(found)


class _Means:
    """What requests cost (or take) by segment and tier, and from it what a policy would have."""

    def __init__(self, backtest: Backtest, values: Floats) -> None:
        self._backtest = backtest
        traffic = backtest.traffic
        self._values, self._is_known = np.nan_to_num(values), ~np.isnan(values)
        width = len(TIERS)
        segments = len(traffic.segment_names)
        own = traffic.segments * width + traffic.tiers
        observed = np.bincount(own[self._is_known], minlength=segments * width)
        pooled = np.bincount(traffic.tiers[self._is_known], minlength=width)
        # The cell whose mean stands for a segment in a tier: its own, or the one of all segments behind them.
        everyone = np.arange(segments * width, (segments + 1) * width)
        cells = np.where(
            observed.reshape(segments, width) >= LEAST_OBSERVED,
            np.arange(segments * width).reshape(segments, width),
            everyone,
        )
        self._cells = cells
        self._is_unknown = pooled < LEAST_OBSERVED_AT_ALL
        self._count = (segments + 1) * width
        sums, counts = self._by_cell(own, self._values), self._by_cell(own, np.ones(len(own)))
        with np.errstate(invalid="ignore", divide="ignore"):
            means = np.where(counts > 0, sums / np.maximum(counts, 1e-12), np.nan)
        self._means = np.where(np.isnan(means), np.nan_to_num(means[0]), means)

    def _by_cell(self, own: Ints, values: Floats) -> Floats:
        """Sums over what is known, by cell, for all requests and every resampling."""
        traffic, known = self._backtest.traffic, self._is_known
        columns = []
        for cell in range(self._count):
            place = cell - (self._count - len(TIERS))
            within = traffic.tiers == place if place >= 0 else own == cell
            columns.append(self._backtest.summed(np.where(within & known, values, 0.0)))
        return np.stack(columns, axis=1)

    def totals(self, chosen: Floats, kept: Bools) -> Floats:
        """What these chances cost in all; NaN where too few requests ever took a tier that they need."""
        traffic = self._backtest.traffic
        own = chosen[np.arange(len(traffic)), traffic.tiers]
        total = self._backtest.summed(np.where(self._is_known, own * self._values, 0.0))
        for place in range(len(TIERS)):
            elsewhere = np.where((traffic.tiers == place) & self._is_known, 0.0, chosen[:, place])
            if self._is_unknown[place] and elsewhere.sum() > 0.001 * kept.sum():
                return np.full_like(total, np.nan)
            for segment in np.unique(traffic.segments[kept]).tolist():
                needed = self._backtest.summed(np.where(traffic.segments == segment, elsewhere, 0.0))
                total = total + needed * self._means[:, self._cells[segment, place]]
        return total


def measured(column: Floats) -> Measured:
    """Read a figure and its interval from its value and those of the resamplings."""
    value, resampled = float(column[0]), column[1:]
    if np.isnan(resampled).any():
        return Measured(value, np.nan, np.nan, np.nan)
    low, high = np.quantile(resampled, [0.025, 0.975]).tolist()
    return Measured(value, low, high, float(resampled.std()))


def segments_of(traffic: Traffic) -> Sequence[tuple[str, Bools]]:
    """The segments that have requests, and which ones these are."""
    found = [(name, traffic.segments == place) for place, name in enumerate(traffic.segment_names)]
    return [(name, rows) for name, rows in found if rows.any()]


def _known_or_mean(values: Floats) -> Floats:
    known = ~np.isnan(values)
    return np.where(known, values, values[known].mean()) if known.any() else values
