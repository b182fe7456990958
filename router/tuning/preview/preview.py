"""What a policy would do with past requests, in milliseconds: the back-test on bins of scores instead of on rows.

Pure. Once, every request goes into a cell (block of time, segment, may it be voted on, bin of its score), and a cell
keeps what its requests cost and took, or would in each tier by the very model of the back-test. From then on a policy
is a share of every cell for each tier; bins are of scores as costs leave them (`router.decision.worth`), so that a
preview speaks of policies with one cost sensitivity. Against `router.tuning.backtest` two things are approximate: a
threshold inside a bin cuts it in proportion, and the share cap is looked at in some moments of each block only.
"""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from cachetools import LRUCache, cachedmethod

from router.decision.policy import NEVER, Policy
from router.tuning.backtest import FIGURES, Effect, Figures, shares_and_money
from router.tuning.off_policy import Quality
from router.tuning.preview.cells import QUANTITIES, VOTES, Cells, cells_of
from router.tuning.preview.quality import Sent
from router.tuning.preview.times import Times
from router.tuning.resampling import interval_of
from router.tuning.traffic import FAST, PARALLEL, REASONING, TIERS, Floats, Traffic
from router.types import Tier

MOST_STANDING = 16
LEAST_ELSEWHERE = 0.001  # of the requests: below it a tier of which nothing is known does no harm


@dataclass(frozen=True, slots=True)
class Mix:
    """Which part of each cell goes to each tier: `by_block` has blocks x segments x tiers x cells.

    There may be one segment only, for all; `sent` is the same without blocks, weighted by requests.
    """

    by_block: Floats
    sent: Sent

    @property
    def overall(self) -> Floats:
        """Segments x tiers x cells."""
        return self.sent.chance


@dataclass(frozen=True, slots=True)
class MixOutcome:
    """What a mix comes to: each figure's value and that of each resampling, what ratings say, and what it changes."""

    columns: Mapping[str, Floats]
    quality: Quality
    effect: Effect

    def figures(self) -> Figures:
        """Return the figures with their intervals."""
        return {name: interval_of(column) for name, column in self.columns.items()}

    def above(self, other: "MixOutcome") -> Figures:
        """Tell by how much the figures are above another's on the same resamplings."""
        return {name: interval_of(column - other.columns[name]) for name, column in self.columns.items()}


class Preview:
    """Measures policies of one cost sensitivity on one stretch of traffic."""

    def __init__(self, cells: Cells, sensitivity: float = 0.0) -> None:
        self.sensitivity = sensitivity
        self._standing: LRUCache[Hashable, MixOutcome] = LRUCache(MOST_STANDING)
        self._then: LRUCache[Hashable, Figures] = LRUCache(MOST_STANDING)
        self._cells = cells
        self.requests = cells.requests
        self.segment_names = cells.segment_names
        self._times = Times(cells)

    @classmethod
    def of(cls, traffic: Traffic, *, exact: Sequence[float] = (), seed: int = 1, sensitivity: float = 0.0) -> "Preview":
        """Put requests into cells; `exact` are thresholds that should not fall inside a bin."""
        return cls(cells_of(traffic, exact, seed, sensitivity), sensitivity)

    def mix(self, policy: Policy) -> Mix:
        """Return the shares that a policy sends to each tier, with the exploration slice."""
        names = self.segment_names if policy.segments else self.segment_names[:1]
        dials = [policy.for_segment(name) for name in names]
        caps = [policy.segments[name].max_deep_share if name in policy.segments else None for name in names]
        apart = [place for place, cap in enumerate(caps) if cap is not None]
        known: dict[tuple[object, ...], Floats] = {}
        for place, one in enumerate(dials):
            key = _dials(one, place if place in apart else None)
            if key not in known:
                known[key] = self._greedy(one, self._cuts(one, place, apart))
        greedy = [known[_dials(one, place if place in apart else None)] for place, one in enumerate(dials)]
        explored = np.stack([self._exploration(one) for one in dials])
        return self._build_mix(np.stack(greedy, axis=1), explored, policy.explore)

    def always(self, tier: int = FAST) -> Mix:
        """Send everything to one tier."""
        one = np.eye(len(TIERS))[tier][None, None, :, None]
        return self._build_mix(np.broadcast_to(one, (1, 1, len(TIERS), self._cells.width)), np.zeros((1, 1, 1)), 0.0)

    def shuffle(self, matched: Mix) -> Mix:
        """Give as much of every tier as in `matched` to queries at random: the control at equal cost."""
        count = self._cells.count.sum(axis=0)[:, None, :]
        shape = (len(TIERS), VOTES, len(self._cells.bins))
        sent = (matched.overall * count).sum(axis=0).reshape(shape).sum(axis=2)
        there = count.sum(axis=0).reshape(1, *shape[1:]).sum(axis=2)
        share = np.repeat(sent / np.maximum(there, 1e-12), len(self._cells.bins), axis=1)
        return self._build_mix(np.zeros((1, 1, 1, 1)), share[None], 1.0)

    def quality(self, mix: Mix, segment: str | None = None) -> Quality:
        """Return what feedback would say of a mix, where there is enough of it."""
        kept = self._slice_of(segment)
        sent = mix.sent
        part = Sent(self._of(sent.greedy, kept, 0), self._of(sent.explored, kept, 0), sent.explore)
        return self._cells.ratings.quality(part, kept)

    def figures(self, mix: Mix, segment: str | None = None) -> Figures:
        """Measure a mix, for all requests or for those of a segment; raises KeyError where there are none."""
        return {name: interval_of(column) for name, column in self._columns(mix, segment).items()}

    def outcome(self, mix: Mix, segment: str | None = None) -> MixOutcome:
        """Measure a mix, judge its quality, and tell what it changes against what was done."""
        columns = self._columns(mix, segment)
        return MixOutcome(columns, self.quality(mix, segment), self._effect(columns, segment))

    @cachedmethod(lambda self: self._standing)
    def standing(self, policy: Policy | None, segment: str | None = None) -> MixOutcome:
        """Return (and remember) the outcome that others are compared with: of a policy in force, or of always fast."""
        return self.outcome(self.always() if policy is None else self.mix(policy), segment)

    @cachedmethod(lambda self: self._then)
    def as_it_was(self, segment: str | None = None) -> Figures:
        """Measure (and remember) what was done, by the tiers that requests took."""
        cells, kept = self._cells, self._slice_of(segment)
        count = cells.add_up(cells.count[:, kept].sum(axis=(1, 2)))
        taken = cells.taken[:, kept].sum(axis=1)
        shares = [cells.add_up(taken[:, place]) / count for place in range(len(TIERS))]
        revenue = cells.add_up(cells.revenue[:, kept].sum(axis=1)) / count
        cost, wait, first_byte = (self._was(name, kept) / count for name in QUANTITIES)
        p95 = self._times.p95(segment, np.array([share[0] for share in shares]), np.ones(len(TIERS)))
        columns = (*shares_and_money(shares, cost, revenue), wait, p95, first_byte)
        return {name: interval_of(column) for name, column in zip(FIGURES, columns, strict=True)}

    def effect(self, mix: Mix, segment: str | None = None) -> Effect:
        """Tell what a mix changes against what was done."""
        return self._effect(self._columns(mix, segment), segment)

    def _effect(self, columns: Mapping[str, Floats], segment: str | None) -> Effect:
        cells, kept = self._cells, self._slice_of(segment)
        count = cells.add_up(cells.count[:, kept].sum(axis=(1, 2)))
        taken = cells.taken[:, kept].sum(axis=1)
        shares = [columns[name] for name in FIGURES[: len(TIERS)]]
        gains = [share * count - cells.add_up(taken[:, place]) for place, share in enumerate(shares)]
        return Effect(round(count[0]), gains, columns["cost_usd_per_1k"] * count / 1e3 - self._was("cost", kept))

    def _was(self, name: str, kept: slice) -> Floats:
        return self._cells.add_up(self._cells.quantities[name].as_it_was[:, kept].sum(axis=1))

    def _columns(self, mix: Mix, segment: str | None) -> dict[str, Floats]:
        """Return each figure as a column: its value, then that of each resampling."""
        cells, kept = self._cells, self._slice_of(segment)
        count = cells.add_up(cells.count[:, kept].sum(axis=(1, 2)))
        masses = np.einsum("bsx,bstx->bt", cells.count[:, kept], self._of(mix.by_block, kept, 1))
        shares = [cells.add_up(masses[:, place]) / count for place in range(len(TIERS))]
        revenue = cells.add_up(cells.revenue[:, kept].sum(axis=1)) / count
        cost, wait, first_byte = (self._total(name, mix, kept) / count for name in QUANTITIES)
        overall = np.array([share[0] for share in shares])
        columns = (
            *shares_and_money(shares, cost, revenue),
            wait,
            self._times.p95(segment, overall, self._longer(mix, kept)),
            first_byte,
        )
        return dict(zip(FIGURES, columns, strict=True))

    def histogram(self, edges: Floats, segment: str | None = None) -> Floats:
        """Count the requests with a score between these edges, approximately where an edge is inside a bin."""
        counts = self._cells.count[:, self._slice_of(segment)].sum(axis=(0, 1)).reshape(VOTES, -1).sum(axis=0)
        upto = np.concatenate(([0.0], np.cumsum(counts)))
        requests: Floats = np.diff(np.interp(self._cells.bins.places(edges), np.arange(len(upto)), upto))
        return requests

    def nbytes(self) -> int:
        """Tell how much memory it keeps."""
        return self._cells.nbytes() + self._times.nbytes()

    def _slice_of(self, segment: str | None) -> slice:
        if segment is None:
            return slice(None)
        if segment not in self.segment_names:
            raise KeyError(segment)
        place = self.segment_names.index(segment)
        return slice(place, place + 1)  # a view: what is large is not copied

    def _of(self, mixed: Floats, kept: slice, axis: int) -> Floats:
        """Return the segments that are kept, of a mix that may have one for all."""
        if mixed.shape[axis] == 1:
            return mixed
        return mixed[kept] if axis == 0 else mixed[:, kept]

    def _cuts(self, policy: Policy, place: int, apart: Sequence[int]) -> Floats:
        """Return what the share cap let through: of a segment's own queries, or of all without a cap of their own."""
        caps, share = self._cells.caps, policy.max_deep_share
        return caps.own(place, share) if place in apart else caps.common(share, apart)

    def _greedy(self, policy: Policy, cuts: Floats) -> Floats:
        """Return the open tier with the highest threshold, for one set of dials (blocks x tiers x cells)."""
        cells = self._cells
        reasoning = self._open(np.maximum(cuts, policy.reasoning_threshold))
        parallel = self._open(np.maximum(cuts, policy.parallel_threshold))
        chances = np.zeros((len(reasoning), len(TIERS), VOTES, len(cells.bins)))
        chances[:, REASONING, 0] = reasoning
        chances[:, REASONING, 1], chances[:, PARALLEL, 1] = reasoning, parallel
        if policy.parallel_threshold > policy.reasoning_threshold:
            chances[:, REASONING, 1] -= parallel
        else:
            chances[:, PARALLEL, 1] -= reasoning
        chances[:, FAST] = 1.0 - chances[:, REASONING] - chances[:, PARALLEL]
        return chances.reshape(len(reasoning), len(TIERS), cells.width)

    def _exploration(self, policy: Policy) -> Floats:
        """Return the chance of each tier by exploration alone (tiers x cells)."""
        choices = np.zeros((len(TIERS), VOTES))
        choices[FAST] = 1.0
        if policy.max_deep_share > 0:
            choices[REASONING] = policy.threshold(Tier.REASONING) <= NEVER
            choices[PARALLEL, 1] = policy.threshold(Tier.PARALLEL) <= NEVER
        chances: Floats = np.repeat(policy.explore * choices / choices.sum(axis=0), len(self._cells.bins), axis=1)
        return chances

    def _open(self, thresholds: Floats) -> Floats:
        """Tell which part of each bin reaches the thresholds of a block's moments (blocks x bins)."""
        bins = self._cells.bins
        places = bins.places(thresholds).reshape(self._cells.blocks, -1)
        places[thresholds.reshape(places.shape) >= bins.edges[-1]] = len(bins)
        above = np.arange(1, len(bins) + 1) - places[:, :, None]
        parts: Floats = np.clip(above, 0.0, 1.0).mean(axis=1)
        return parts

    def _build_mix(self, greedy: Floats, explored: Floats, explore: float) -> Mix:
        by_block = greedy * (1.0 - explore) + explored
        if len(greedy) == 1:
            return Mix(by_block, Sent(greedy[0], explored, explore))
        count = self._cells.count if greedy.shape[1] > 1 else self._cells.count.sum(axis=1, keepdims=True)
        sums = np.maximum(count.sum(axis=0), 1e-12)
        overall = np.einsum("bsx,bstx->stx", count, greedy) / sums[:, None, :]
        return Mix(by_block, Sent(overall, explored, explore))

    def _total(self, name: str, mix: Mix, kept: slice) -> Floats:
        """Return what this mix costs (or takes) in all, then in each resampling; NaN where a tier is not known."""
        quantity, cells = self._cells.quantities[name], self._cells
        overall = self._of(mix.overall, kept, 0)
        requests = cells.count[:, kept].sum()
        booked = np.einsum("bstx,bstx->b", quantity.amounts[:, kept], self._of(mix.by_block, kept, 1))
        total = cells.add_up(booked)
        for place, moves in enumerate(quantity.moves):
            if moves is None:
                elsewhere = (quantity.elsewhere[kept, place] * overall[:, place]).sum()
                if elsewhere > LEAST_ELSEWHERE * requests:
                    return np.full_like(total, np.nan)
                continue
            pull = np.einsum("sxd,sx->d", quantity.pulls[kept, place], overall[:, place])
            total = total + np.concatenate(([0.0], moves @ pull))
        return total

    def _longer(self, mix: Mix, kept: slice) -> Floats:
        """Tell how much longer than now each tier would take, with the requests that it would have."""
        wait, count = self._cells.quantities["wait"], self._cells.count.sum(axis=0)[kept][:, None, :]
        overall = self._of(mix.overall, kept, 0)
        would = (overall * count).sum(axis=(0, 2))
        expected = (overall * wait.expected[kept]).sum(axis=(0, 2))
        now = wait.expectation_now(kept)
        with np.errstate(invalid="ignore", divide="ignore"):
            factors = expected / would / now
        return np.where(np.isfinite(factors) & (factors > 0), factors, 1.0)


def _dials(policy: Policy, apart: int | None) -> tuple[object, ...]:
    """Return what a mix depends on; `apart` is a segment with a share cap of its own."""
    return policy.reasoning_threshold, policy.parallel_threshold, policy.max_deep_share, apart
