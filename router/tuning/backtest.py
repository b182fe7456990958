"""What a policy would have done with the requests of the past: shares, cost, what is left, waiting time.

Pure. Three assumptions, which every report of these figures repeats (`router.tuning.comparison`). A request keeps its
own cost and time in the tier that it took; in another one it costs and takes what requests like it did there
(`router.tuning.counterfactual`). The share cap sees one worker's window of scores, at first that of the first thousand.
What was able to take a request then, was able to take it in any tier. Shadow calls are left out: no threshold moves
them.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from classifier.types import Interval
from router.decision.policy import NEVER, Policy, SegmentDials
from router.decision.share_cap import WINDOW_SCORES, ScoreWindow
from router.tuning.counterfactual import LEAST_OBSERVED, Counterfactual, design_of
from router.tuning.resampling import Resampling, interval_of
from router.tuning.traffic import FAST, PARALLEL, REASONING, TIERS, Bools, Floats, Ints, Traffic, fill_unknown
from router.types import Tier

REPLICATES = 400
REPLICATES_OF_QUANTILES = 100
MOST_COUNTRIES = 20
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
    "first_byte_mean_s",
)

Figures = dict[str, Interval]
UNKNOWN = np.full(2, np.nan)


def rolling_cuts(worths: Floats, share: float) -> Floats:
    """Return the lowest worth that the share cap let through at each request; -inf is no cap."""
    if share >= 1.0:
        return np.full(len(worths), -np.inf)
    if share <= 0.0:
        return np.full(len(worths), np.inf)
    window = ScoreWindow(worths[:WINDOW_SCORES].tolist(), WINDOW_SCORES)
    cuts = np.empty(len(worths))
    for place, worth in enumerate(worths.tolist()):
        cut = window.cut(share)
        cuts[place] = -np.inf if cut is None else cut
        window.add(worth)
    return cuts


def greedy(worths: Floats, may_vote: Bools, policy: Policy, cuts: Floats) -> Ints:
    """Return the open tier with the highest threshold, row by row, as `router.decision.rules.decide` takes it."""
    reasoning, parallel = policy.reasoning_threshold, policy.parallel_threshold
    is_open = worths >= np.maximum(reasoning, cuts)
    may_sample = (worths >= np.maximum(parallel, cuts)) & may_vote
    first, second = (PARALLEL, REASONING) if parallel > reasoning else (REASONING, PARALLEL)
    opened = {REASONING: is_open, PARALLEL: may_sample}
    taken: Ints = np.where(opened[first], first, np.where(opened[second], second, FAST)).astype(np.int64)
    return taken


def chances(worths: Floats, may_vote: Bools, policy: Policy, cuts: Floats) -> Floats:
    """Return with which probability each row goes to each tier: the greedy choice, and the exploration slice."""
    taken = greedy(worths, may_vote, policy, cuts)
    is_greedy: Bools = taken[:, None] == np.arange(len(TIERS))
    choices = is_greedy.copy()
    choices[:, FAST] = True
    if policy.max_deep_share > 0:
        choices[:, REASONING] |= policy.threshold(Tier.REASONING) <= NEVER
        choices[:, PARALLEL] |= may_vote & (policy.threshold(Tier.PARALLEL) <= NEVER)
    each = policy.explore / choices.sum(axis=1, keepdims=True)
    mix: Floats = np.where(choices, each, 0.0) + np.where(is_greedy, 1.0 - policy.explore, 0.0)
    return mix


class Caps:
    """The share cap as one worker's windows set it: one for all, and one for each segment with a share of its own.

    What was worked out once is remembered.
    """

    def __init__(self, traffic: Traffic) -> None:
        self._traffic = traffic
        self._found: dict[tuple[float, float, tuple[int, ...]], Floats] = {}

    def cuts(self, policy: Policy) -> Floats:
        """Return the lowest worth that the cap let through at each request."""
        segments = self._traffic.segments
        shares = {place: dials.max_deep_share for place, dials in self._own(policy).items()}
        apart = {place: share for place, share in shares.items() if share is not None}
        together = tuple(place for place in range(len(self._traffic.segment_names)) if place not in apart)
        cuts = np.empty(len(self._traffic))
        for share, places in ((policy.max_deep_share, together), *((s, (place,)) for place, s in apart.items())):
            rows = np.isin(segments, places)
            key = (share, policy.cost_sensitivity, places)
            if key not in self._found:
                worths = self._traffic.worths(policy.cost_sensitivity)
                self._found[key] = rolling_cuts(worths[rows], share)
            cuts[rows] = self._found[key]
        return cuts

    def _own(self, policy: Policy) -> dict[int, SegmentDials]:
        names = self._traffic.segment_names
        return {place: policy.segments[name] for place, name in enumerate(names) if name in policy.segments}


def replay(traffic: Traffic, policy: Policy, caps: Caps | None = None) -> Floats:
    """Return the chances of every row under a policy, with the dials that its segment has of its own."""
    cuts = (caps or Caps(traffic)).cuts(policy)
    mix, worths = np.empty((len(traffic), len(TIERS))), traffic.worths(policy.cost_sensitivity)
    own = [place for place, name in enumerate(traffic.segment_names) if name in policy.segments]
    groups = [(policy.for_segment(traffic.segment_names[place]), traffic.segments == place) for place in own]
    for dials, rows in ((policy, ~np.isin(traffic.segments, own)), *groups):
        if rows.any():
            mix[rows] = chances(worths[rows], traffic.may_vote[rows], dials, cuts[rows])
    return mix


def always(traffic: Traffic, tier: int = FAST) -> Floats:
    """Return the chances when every row goes to one tier."""
    return np.tile(np.eye(len(TIERS))[tier], (len(traffic), 1))


def as_it_was(traffic: Traffic) -> Floats:
    """Return the chances with which every row goes where it went."""
    chances: Floats = np.eye(len(TIERS))[traffic.tiers]
    return chances


def shuffle(traffic: Traffic, matched: Floats) -> Floats:
    """Give as much of every tier as in `matched` to queries at random: what a router must beat at equal cost."""
    spread = np.empty_like(matched)
    for group in (traffic.may_vote, ~traffic.may_vote):
        if group.any():
            spread[group] = matched[group].mean(axis=0)
    return spread


@dataclass(frozen=True, slots=True)
class Effect:
    """What other choices change for some requests: a value, then that of each resampling, in each column.

    `tiers` are the requests that each tier of TIERS gains, `cost_usd` is what all of them cost more.
    """

    requests: int
    tiers: Sequence[Floats]
    cost_usd: Floats


def shares_and_money(shares: Sequence[Floats], cost: Floats, revenue: Floats) -> tuple[Floats, ...]:
    """Return the figures before the waiting times, from the tiers' shares and a request's mean cost and revenue."""
    with np.errstate(invalid="ignore", divide="ignore"):
        margin = (revenue - cost) / revenue
    deep = shares[REASONING] + shares[PARALLEL]
    return *shares, deep, cost * 1e3, revenue * 1e3, (revenue - cost) * 1e3, margin


class Backtest:
    """Measures policies on the same requests and the same resamplings, so that figures can be compared."""

    def __init__(self, traffic: Traffic, seed: int = 1, replicates: int = REPLICATES) -> None:
        if not len(traffic):
            raise ValueError("there are no requests to replay")
        self.traffic = traffic
        self._resampling = Resampling(len(traffic), seed, replicates)
        design = design_of(traffic)
        self._cost, self._wait, self._first_byte = (
            Counterfactual(traffic, design, values, self._resampling)
            for values in (traffic.cost_usd, traffic.total_ms / 1e3, traffic.first_byte_ms / 1e3)
        )
        self._revenue = fill_unknown(traffic.revenue_usd)
        self._then: dict[bytes, tuple[list[Floats], Floats]] = {}

    def figures(
        self, chances: Floats, rows: Bools | None = None, *, quantiles: bool = True, waits: bool = True
    ) -> Figures:
        """Measure what the chances mean, for all rows or for some; quantiles or all of waiting save time left out."""
        return self.measure(chances, rows, quantiles=quantiles, waits=waits)[0]

    def effect(self, chances: Floats, rows: Bools | None = None) -> Effect:
        """Tell what the chances change against what was done: how many requests each tier gains, and at what cost."""
        return self.measure(chances, rows, waits=False)[1]

    def measure(
        self, chances: Floats, rows: Bools | None = None, *, quantiles: bool = True, waits: bool = True
    ) -> tuple[Figures, Effect]:
        """Return both: the figures, and what the chances change against what was done."""
        kept = np.ones(len(self.traffic), bool) if rows is None else rows
        chosen = np.where(kept[:, None], chances, 0.0)
        summed = self._resampling.add_up
        count = summed(kept.astype(np.float64))
        sent = [summed(chosen[:, place]) for place in range(len(TIERS))]
        cost = self._cost.totals(chosen, kept)
        revenue = summed(np.where(kept, self._revenue, 0.0)) / count
        columns = (
            *shares_and_money([tier / count for tier in sent], cost / count, revenue),
            *(self._waits(chosen, kept, count, quantiles=quantiles) if waits else (UNKNOWN, UNKNOWN, UNKNOWN)),
        )
        sent_then, cost_then = self._as_it_was(kept)
        gains = [now - then for now, then in zip(sent, sent_then, strict=True)]
        figures = {name: interval_of(column) for name, column in zip(FIGURES, columns, strict=True)}
        return figures, Effect(int(kept.sum()), gains, cost - cost_then)

    def _as_it_was(self, kept: Bools) -> tuple[list[Floats], Floats]:
        """Return what each tier was sent and what that cost, remembered: it is the same for all chances."""
        key = kept.tobytes()
        if key not in self._then:
            was = np.where(kept[:, None], as_it_was(self.traffic), 0.0)
            sent = [self._resampling.add_up(was[:, place]) for place in range(len(TIERS))]
            self._then[key] = sent, self._cost.totals(was, kept)
        return self._then[key]

    def chance_usd_per_1k(self, chances: Floats, rows: Bools | None = None) -> float:
        """Tell how much the cost of as many other requests varies by chance alone, as a standard error."""
        kept = np.ones(len(self.traffic), bool) if rows is None else rows
        return self._cost.chance(np.where(kept[:, None], chances, 0.0)) / float(kept.sum()) * 1e3

    def _waits(self, chosen: Floats, kept: Bools, count: Floats, *, quantiles: bool) -> tuple[Floats, Floats, Floats]:
        return (
            self._wait.totals(chosen, kept) / count,
            self._p95(chosen, kept) if quantiles else UNKNOWN,
            self._first_byte.totals(chosen, kept) / count,
        )

    def _p95(self, chosen: Floats, kept: Bools) -> Floats:
        """Return the time that 95 % wait at most, from each tier's times, stretched and weighted as they would be."""
        traffic = self.traffic
        known = kept & ~np.isnan(traffic.total_ms)
        shares = chosen[kept].mean(axis=0)
        observed = np.bincount(traffic.tiers[known], minlength=len(TIERS))
        if (observed[shares > 0.001] < LEAST_OBSERVED).any():
            return np.full(2, np.nan)
        times = traffic.total_ms / 1e3 * self._longer(chosen, known)[traffic.tiers]
        order = np.flatnonzero(known)[np.argsort(times[known])]
        tiers, times, block = traffic.tiers[order], times[order], self._resampling.block[order]
        percentiles = []
        weights_of_all = np.ones(self._resampling.weights.shape[1])
        for weights in (weights_of_all, *self._resampling.weights[:REPLICATES_OF_QUANTILES]):
            weight = weights[block]
            total = np.bincount(tiers, weight, minlength=len(TIERS))
            run = np.cumsum(weight * (shares / np.maximum(total, 1e-12))[tiers])
            percentiles.append(times[min(np.searchsorted(run, 0.95 * run[-1]), len(times) - 1)])
        return np.array(percentiles)

    def _longer(self, chosen: Floats, known: Bools) -> Floats:
        """Tell how much longer than now each tier would take, with the requests that it would have."""
        expected, factors = self._wait.expected, np.ones(len(TIERS))
        for place in range(len(TIERS)):
            now, would = known & (self.traffic.tiers == place), chosen[:, place]
            if now.any() and would.sum() > 0 and not np.isnan(expected[now, place]).any():
                factors[place] = np.average(expected[:, place], weights=would) / expected[now, place].mean()
        return factors


def segments_of(traffic: Traffic) -> Sequence[tuple[str, Bools]]:
    """Return the segments that have requests, and which ones these are."""
    return _groups(traffic.segments, traffic.segment_names)


def countries_of(traffic: Traffic, most: int = MOST_COUNTRIES) -> Sequence[tuple[str, Bools]]:
    """Return the countries with the most requests, and which ones these are."""
    groups = _groups(traffic.countries, traffic.country_names)
    return sorted(groups, key=lambda group: (-int(group[1].sum()), group[0]))[:most]


def _groups(codes: Ints, names: Sequence[str]) -> list[tuple[str, Bools]]:
    groups = [(name, codes == place) for place, name in enumerate(names)]
    return [(name, rows) for name, rows in groups if rows.any()]
