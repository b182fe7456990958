"""What a request would have cost, or how long it would have taken, in a tier that it did not take.

Pure. One regression per tier on what is known before the decision (score, P(correct), answer type, length of the
prompt, segment, whether samples can be voted on): quasi-Poisson with a log link, so amounts stay positive and add up
to what was observed. Rows that were explored hold it down where the thresholds never sent anything; elsewhere it
reaches a little beyond what was seen. Its own uncertainty is part of every interval, that of its form included.
"""

from dataclasses import dataclass

import numpy as np

from router.tuning.resampling import Resampling
from router.tuning.traffic import TIERS, Bools, Floats, Ints, Traffic, fill_unknown

KNOTS = (0.3, 0.6)
# Observations of the usual noise against which each feature has to speak: for what all tiers share, then for what one
# tier has beside that.
SHARED_WEIGHT, OWN_WEIGHT = 30.0, 120.0
LEAST_NOISE = 0.01
LEAST_IN_GROUP = 30  # rows of a segment or an answer type, for a level of their own
LEAST_OBSERVED = 10  # requests in a tier, below which nothing is known of it
# By how much a regression may be off, as a whole, for requests of a kind that its tier has not seen: what draws of the
# past do not show. With 14 pairs of models it was off by 8 to 24 % (root mean squares by tier).
MISFIT = 0.1
STEPS = 25
FARTHEST = 0.5  # beyond what was fitted, on a logarithmic scale
MOST_SWING = 6.0


@dataclass(frozen=True, slots=True)
class _Fit:
    """A tier's regression: level x exp(design @ (shape + coefficients)), and how resampling moves the coefficients."""

    level: float
    shape: Floats
    coefficients: Floats
    low: float
    high: float
    moves: Floats  # resamplings x coefficients
    noise: float  # variance around what is expected, in parts of its square

    def predict(self, design: Floats) -> tuple[Floats, Bools]:
        """Return the amounts, and where they follow the coefficients."""
        swing = design @ (self.shape + self.coefficients)
        return self.level * np.exp(np.clip(swing, self.low, self.high)), (swing > self.low) & (swing < self.high)


class Counterfactual:
    """One quantity (cost, time) of every request in every tier, with the uncertainty of what was not observed."""

    def __init__(self, traffic: Traffic, design: Floats, values: Floats, resampling: Resampling) -> None:
        self._traffic = traffic
        self._design = design
        self._values = values
        self._resampling = resampling
        self._is_known = ~np.isnan(values)
        self._levels = [self._level(place) for place in range(len(TIERS))]
        self._shape = self._pool_shape()
        self._fits = [self._fit(place) for place in range(len(TIERS))]
        shape = (len(TIERS), len(traffic))
        self._expected, self._follows = np.full(shape, np.nan), np.zeros(shape)
        for place, fit in enumerate(self._fits):
            if fit is not None:
                self._expected[place], self._follows[place] = fit.predict(design)

    @property
    def expected(self) -> Floats:
        """What is expected of each request in each tier (rows x tiers); NaN where a tier is not known."""
        return self._expected.T

    @property
    def follows(self) -> Floats:
        """Where what is expected follows the coefficients, 1 or 0 (rows x tiers): beyond it they move nothing."""
        return self._follows.T

    @property
    def moves(self) -> tuple[Floats | None, ...]:
        """How resampling moves each tier's coefficients (draws x columns of the design); None where not known."""
        return tuple(None if fit is None else fit.moves for fit in self._fits)

    def totals(self, chosen: Floats, kept: Bools) -> Floats:
        """Return what these chances cost in all, then in each resampling; NaN where a tier they need is not known."""
        own = chosen[np.arange(len(self._traffic)), self._traffic.tiers]
        booked = np.where(self._is_known, own * np.where(self._is_known, self._values, 0.0), 0.0)
        total = np.zeros(1)
        moved = None
        for place, fit in enumerate(self._fits):
            elsewhere = np.where((self._traffic.tiers == place) & self._is_known, 0.0, chosen[:, place])
            if fit is None:
                if elsewhere.sum() > 0.001 * kept.sum():
                    return np.full_like(self._resampling.add_up(booked), np.nan)
                continue
            amounts = elsewhere * self._expected[place]
            booked = booked + amounts
            shift = fit.moves @ (self._design.T @ (amounts * self._follows[place]))
            moved = shift if moved is None else moved + shift
        total = self._resampling.add_up(booked)
        if moved is not None:
            total = total + np.concatenate(([0.0], moved))
        return total

    def chance(self, chosen: Floats) -> float:
        """Tell how much the total of as many other requests varies by chance alone, as a standard error."""
        own = chosen[np.arange(len(self._traffic)), self._traffic.tiers]
        booked = np.where(self._is_known, own * np.where(self._is_known, self._values, 0.0), 0.0)
        apart = 0.0
        for place, fit in enumerate(self._fits):
            if fit is not None:
                elsewhere = np.where((self._traffic.tiers == place) & self._is_known, 0.0, chosen[:, place])
                booked = booked + elsewhere * self._expected[place]
                apart += fit.noise * float((elsewhere * self._expected[place] ** 2).sum())
        return float(np.hypot(self._resampling.add_up(booked)[1:].std(), np.sqrt(apart)))

    def _rows(self, place: int) -> Ints:
        return np.flatnonzero((self._traffic.tiers == place) & self._is_known)

    def _level(self, place: int) -> float | None:
        """Return the mean of a tier; None where too few took it."""
        values = self._values[self._rows(place)]
        return float(values.mean()) if len(values) >= LEAST_OBSERVED and values.mean() > 0 else None

    def _pool_shape(self) -> Floats:
        """Return what all tiers have in common: a question that is long in one of them is long in the others."""
        levels = np.array([np.nan if level is None else level for level in self._levels])[self._traffic.tiers]
        rows = np.flatnonzero(self._is_known & ~np.isnan(levels))
        tiers = (self._traffic.tiers[rows, None] == np.arange(1, len(TIERS))).astype(np.float64)
        design, ratios = np.hstack((self._design[rows], tiers)), self._values[rows] / levels[rows]
        shape = np.zeros(self._design.shape[1])
        if len(rows):
            penalty = _penalty(design.shape[1], SHARED_WEIGHT * max(float(ratios.var()), LEAST_NOISE))
            penalty[len(shape) :] = 1.0  # a tier's own level, as good as free
            shape[1:] = _regress(design, ratios, penalty, np.zeros(len(rows)))[0][1 : len(shape)]
        return shape

    def _fit(self, place: int) -> _Fit | None:
        level, rows = self._levels[place], self._rows(place)
        if level is None:
            return None
        design, ratios = self._design[rows], self._values[rows] / level
        common = design @ self._shape
        noise = max(float(ratios.var()), LEAST_NOISE)
        penalty = _penalty(design.shape[1], OWN_WEIGHT * noise)
        coefficients, curvature = _regress(design, ratios, penalty, common)
        swing = common + design @ coefficients
        # What drawing other blocks does to the coefficients, to first order; what the prior and the form leave open.
        pulls = self._resampling.moves(rows, design * (ratios - np.exp(swing))[:, None])
        left_open = self._resampling.normal(design.shape[1] + 1, place)
        pulls += left_open[:, 1:] * np.sqrt(noise * penalty)
        moves = np.asarray(np.linalg.solve(curvature, pulls.T).T, np.float64)
        moves[:, 0] += MISFIT * left_open[:, 0]
        ends = float(swing.min()) - FARTHEST, float(swing.max()) + FARTHEST
        return _Fit(level, self._shape, coefficients, *ends, moves, noise)


def design_of(traffic: Traffic) -> Floats:
    """Return what is known of requests before they are decided, as columns: the first is 1, the others have mean 0."""
    score = _standardise(traffic.scores)
    knots = np.unique(np.quantile(score, KNOTS))
    columns = [score, *(np.maximum(score - knot, 0.0) for knot in knots)]
    for known in (traffic.p_fast, traffic.p_reasoning, np.log1p(traffic.input_tokens)):
        scaled = _standardise(fill_unknown(known, otherwise=0.0))
        columns += [scaled, scaled**2]
    columns.append(traffic.may_vote.astype(np.float64))
    columns += _groups(traffic.answer_types) + _groups(traffic.segments)
    design = np.column_stack([np.ones(len(score)), *columns])
    design[:, 1:] -= design[:, 1:].mean(axis=0)
    varies = design.std(axis=0) > 1e-9
    varies[0] = True
    return np.ascontiguousarray(design[:, varies])


def _standardise(values: Floats) -> Floats:
    """Divide by the standard deviation. What is made of it (a bend, a group) is not scaled again: rare is not cheap."""
    spread = float(values.std())
    scaled: Floats = (values - values.mean()) / (spread if spread > 1e-9 else 1.0)
    return scaled


def _groups(codes: Ints) -> list[Floats]:
    counts = np.bincount(codes)
    large = np.flatnonzero(counts >= LEAST_IN_GROUP)
    return [(codes == code).astype(np.float64) for code in large.tolist()] if len(large) > 1 else []


def _penalty(columns: int, weight: float) -> Floats:
    """Tell how strongly each coefficient is held at 0; the first, a level, is free."""
    penalty = np.full(columns, weight)
    penalty[0] = 0.0
    return penalty


def _regress(design: Floats, ratios: Floats, penalty: Floats, common: Floats) -> tuple[Floats, Floats]:
    """Fit a penalised quasi-Poisson by Newton steps, on top of what is common; also return the curvature there."""
    coefficients = np.zeros(design.shape[1])

    def swing(at: Floats) -> Floats:
        return np.clip(common + design @ at, -MOST_SWING, MOST_SWING)

    def loss(at: Floats) -> float:
        return float((np.exp(swing(at)) - ratios * swing(at)).sum() + 0.5 * penalty @ at**2)

    curvature, now = np.eye(design.shape[1]), loss(coefficients)
    for _ in range(STEPS):
        means = np.exp(swing(coefficients))
        curvature = (design * means[:, None]).T @ design + np.diag(penalty)
        step = np.linalg.solve(curvature, design.T @ (ratios - means) - penalty * coefficients)
        while (after := loss(coefficients + step)) > now + 1e-9 * abs(now) and np.abs(step).max() > 1e-9:
            step = step / 2
        coefficients, gain, now = coefficients + step, now - after, after
        if gain < 1e-7 * max(abs(now), 1.0):
            break
    return coefficients, curvature
