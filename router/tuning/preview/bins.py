"""Scores in bins that are narrow where few requests reach: so sums from any threshold on are a look-up.

Pure. A threshold inside a bin cuts it in proportion; one that is an edge cuts exactly. Knows nothing of tiers.
"""

from collections.abc import Sequence

import numpy as np

from router.decision.share_cap import WINDOW_SCORES
from router.tuning.traffic import Bools, Floats, Ints

FINE = 64  # bins of equal steps in sqrt(share above): the best 6 % of the scores get a quarter of them
GRID = 0.02  # thresholds that people set
MOST_GRID = 200
ATOM = 0.002  # a score that this share of requests has to the last digit gets a bin of its own


class ScoreBins:
    """Edges that fit these scores; `exact` are further thresholds to be cut exactly."""

    def __init__(self, scores: Floats, exact: Sequence[float] = ()) -> None:
        low, high = float(scores.min()), float(np.nextafter(scores.max(), np.inf))
        levels = 1.0 - np.linspace(1.0, 0.0, FINE + 1) ** 2
        grid = np.arange(np.floor(low / GRID), np.ceil(high / GRID) + 1) * GRID
        edges = [np.quantile(scores, levels), _atoms(scores), np.asarray(exact, np.float64), [0.0]]
        if len(grid) <= MOST_GRID:
            edges.append(np.round(grid, 6))
        inner = np.unique(np.concatenate([np.asarray(some, np.float64) for some in edges]))
        self.edges: Floats = np.concatenate(([low], inner[(inner > low) & (inner < high)], [high]))

    def __len__(self) -> int:
        return len(self.edges) - 1

    def of(self, scores: Floats) -> Ints:
        """Return the bin of each score."""
        bins: Ints = np.clip(np.searchsorted(self.edges, scores, "right") - 1, 0, len(self) - 1).astype(np.int64)
        return bins

    def places(self, thresholds: Floats) -> Floats:
        """Tell where thresholds lie, in bins from the lowest score: 2.5 is the middle of the third bin."""
        within = np.clip(thresholds, self.edges[0], self.edges[-1])
        whole = np.clip(np.searchsorted(self.edges, within, "right") - 1, 0, len(self) - 1)
        width = self.edges[whole + 1] - self.edges[whole]
        places: Floats = whole + (within - self.edges[whole]) / width
        return places


class CapCuts:
    """What the share cap let through at chosen moments, for any share: the windows of scores as they stood then.

    Segments with a cap of their own have windows of their own, as in `router.tuning.backtest.Caps`. Where some have,
    what the others share is the rest of the common window: fewer scores, of the same kind. The first requests stand for
    the reference distribution.
    """

    def __init__(self, scores: Floats, segments: Ints, moments: Ints, own_moments: Ints) -> None:
        self._common, order = _windows(scores, moments)
        self._segments = np.take_along_axis(segments[order[0]], order[1], axis=1).astype(np.int16)
        self._own: dict[int, Floats] = {}
        for segment in np.unique(segments).tolist():
            rows = np.flatnonzero(segments == segment)
            self._own[segment] = _windows(scores[rows], np.searchsorted(rows, own_moments))[0]

    def nbytes(self) -> int:
        """Tell how much memory the windows keep."""
        return self._common.nbytes + self._segments.nbytes + sum(own.nbytes for own in self._own.values())

    def own(self, segment: int, share: float) -> Floats:
        """Return the lowest score of a segment let through at each of its moments; -inf is no cap."""
        return _cuts(self._own[segment], share)

    def common(self, share: float, apart: Sequence[int] = ()) -> Floats:
        """Return the lowest score let through at each moment, of all segments but those that are apart."""
        there = ~np.isin(self._segments, list(apart)) if apart else None
        return _cuts(self._common, share, there)


def _windows(scores: Floats, moments: Ints) -> tuple[Floats, tuple[Ints, Ints]]:
    """Return the last scores before each moment, sorted; and where they come from."""
    size = min(WINDOW_SCORES, len(scores))
    rows = np.clip(moments, size, len(scores))[:, None] - size + np.arange(size)
    order = np.argsort(scores[rows], axis=1, kind="stable")
    windows: Floats = np.take_along_axis(scores[rows], order, axis=1)
    return windows, (rows, order)


def _cuts(windows: Floats, share: float, there: Bools | None = None) -> Floats:
    """Return the (1 - share) quantile of each window (of what is there in it), as `ScoreWindow` takes it."""
    if share >= 1.0:
        return np.full(len(windows), -np.inf)
    rows, size = np.arange(len(windows)), windows.shape[1]
    count = np.full(len(windows), size) if there is None else there.sum(axis=1)
    most = np.floor(share * count + 1e-9).astype(np.int64)
    wanted = np.clip(most, 1, None), np.clip(most + 1, 1, np.maximum(count, 1))
    if there is None:
        lowest, next_one = (windows[rows, size - np.minimum(one, size)] for one in wanted)
    else:
        above = np.cumsum(there[:, ::-1], axis=1, dtype=np.int32)  # how many, from the highest down
        lowest, next_one = (windows[rows, -1 - np.argmax(above >= one[:, None], axis=1)] for one in wanted)
    quantiles = np.where((lowest == next_one) & (most < count), np.nextafter(lowest, np.inf), lowest)
    capped: Floats = np.where(most >= count, -np.inf, np.where(most <= 0, np.inf, quantiles))
    return capped


def _atoms(scores: Floats) -> Floats:
    """Return the scores that many requests share, and what comes right after each."""
    values, counts = np.unique(scores, return_counts=True)
    heavy = values[counts >= max(ATOM * len(scores), 3)]
    heaviest = heavy if len(heavy) <= MOST_GRID else heavy[:0]
    edges: Floats = np.concatenate((heaviest, np.nextafter(heaviest, np.inf)))
    return edges
