"""Waiting times of a preview: the time that 95 % wait at most, when tiers have other shares than now.

Pure. Every tier keeps the distribution of its own, stretched by how much longer its requests would take on average.
"""

import numpy as np

from router.tuning.backtest import REPLICATES_OF_QUANTILES
from router.tuning.counterfactual import LEAST_OBSERVED
from router.tuning.preview.cells import Cells
from router.tuning.traffic import TIERS, Floats

LEAST_SHARE = 0.001


class Times:
    """Distributions by segment and tier, as they are and in resamplings."""

    def __init__(self, cells: Cells) -> None:
        self._edges = cells.time_edges
        self._step = float(np.log(cells.time_edges[1] / cells.time_edges[0]))
        weights = np.concatenate((np.ones((1, cells.blocks)), cells.weights[:REPLICATES_OF_QUANTILES])).astype(
            np.float32
        )
        by_segment = {
            name: np.tensordot(weights, cells.times[place], axes=1) for place, name in enumerate(cells.segment_names)
        }
        self._upto: dict[str | None, Floats] = {None: _upto(sum(by_segment.values(), np.zeros(1, np.float32)))}
        self._observed: dict[str | None, Floats] = {None: cells.times.sum(axis=(0, 1, 3))}
        for place, name in enumerate(cells.segment_names):
            self._upto[name] = _upto(by_segment[name])
            self._observed[name] = cells.times[place].sum(axis=(0, 2))

    def nbytes(self) -> int:
        """Tell how much memory it keeps."""
        return sum(upto.nbytes for upto in self._upto.values())

    def p95(self, segment: str | None, shares: Floats, longer: Floats) -> Floats:
        """Return the seconds that 95 % wait at most, then of each resampling; NaN where a tier is not known."""
        if (self._observed[segment][shares > LEAST_SHARE] < LEAST_OBSERVED).any():
            return np.full(2, np.nan)
        upto = self._upto[segment]
        run = np.zeros((len(upto), upto.shape[2]))
        for tier in range(len(TIERS)):
            run += shares[tier] * _stretch(upto[:, tier], float(np.log(longer[tier])) / self._step)
        goal = 0.95 * run[:, -1:]
        at = (run < goal).sum(axis=1).clip(max=run.shape[1] - 1)
        rows = np.arange(len(run))
        below = np.where(at > 0, run[rows, np.maximum(at - 1, 0)], 0.0)
        inside = (goal[:, 0] - below) / np.maximum(run[rows, at] - below, 1e-12)
        seconds: Floats = self._edges[0] * np.exp(self._step * (at + np.clip(inside, 0.0, 1.0)))
        return seconds


def _upto(counts: Floats) -> Floats:
    """Return which part of the counts lies in a bin or below it, by draw, tier and bin."""
    run = np.cumsum(counts, axis=2, dtype=np.float64)
    parts: Floats = (run / np.maximum(run[:, :, -1:], 1e-12)).astype(np.float32)
    return parts


def _stretch(upto: Floats, bins: float) -> Floats:
    """Move the distribution up by so many bins; what would leave the last one stays in it."""
    if abs(bins) < 1e-9:
        return upto
    width = upto.shape[1]
    places = np.arange(width) - bins
    low = np.floor(places).astype(np.int64)
    part = places - low

    def at(place: np.ndarray) -> Floats:
        inside = upto[:, np.clip(place, 0, width - 1)]
        return np.where(place < 0, 0.0, inside)

    moved: Floats = at(low) * (1 - part) + at(low + 1) * part
    moved[:, -1] = upto[:, -1]
    return moved
