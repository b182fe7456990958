"""Scores in bins that are narrow where few requests reach: so sums from any threshold on are a look-up.

Pure. A threshold inside a bin cuts it in proportion; one that is an edge cuts exactly. Knows nothing of tiers.
"""

from collections.abc import Sequence

import numpy as np

from router.traffic import Floats, Ints

FINE = 64  # bins of equal steps in sqrt(share above): the best 6 % of the scores get a quarter of them
GRID = 0.02  # thresholds that people set
MOST_GRID = 200
ATOM = 0.002  # a score that this share of requests has to the last digit gets a bin of its own
WINDOW = 1_000


class ScoreBins:
    """Edges that fit these scores; `exact` are further thresholds to be cut exactly."""

    def __init__(self, scores: Floats, exact: Sequence[float] = ()) -> None:
        low, high = float(scores.min()), float(np.nextafter(scores.max(), np.inf))
        levels = 1.0 - np.linspace(1.0, 0.0, FINE + 1) ** 2
        grid = np.arange(np.floor(low / GRID), np.ceil(high / GRID) + 1) * GRID
        edges = [np.quantile(scores, levels), _atoms(scores), np.asarray(exact, np.float64), [0.0]]
        if len(grid) <= MOST_GRID:
            edges.append(np.round(grid, 6))
        found = np.unique(np.concatenate([np.asarray(some, np.float64) for some in edges]))
        self.edges: Floats = np.concatenate(([low], found[(found > low) & (found < high)], [high]))

    def __len__(self) -> int:
        return len(self.edges) - 1

    def of(self, scores: Floats) -> Ints:
        """The bin of each score."""
        found: Ints = np.clip(np.searchsorted(self.edges, scores, "right") - 1, 0, len(self) - 1).astype(np.int64)
        return found

    def places(self, thresholds: Floats) -> Floats:
        """Where thresholds lie, in bins from the lowest score: 2.5 is the middle of the third bin."""
        within = np.clip(thresholds, self.edges[0], self.edges[-1])
        whole = np.clip(np.searchsorted(self.edges, within, "right") - 1, 0, len(self) - 1)
        width = self.edges[whole + 1] - self.edges[whole]
        found: Floats = whole + (within - self.edges[whole]) / width
        return found


class CapCuts:
    """What the share cap let through at chosen moments, for any share: the score window as it stood then.

    The first requests stand for the reference distribution, as in a back-test.
    """

    def __init__(self, scores: Floats, moments: Ints) -> None:
        count = len(scores)
        size = min(WINDOW, count)
        ends = np.clip(moments, size, count)
        rows = ends[:, None] - size + np.arange(size)
        self._windows: Floats = np.sort(scores[rows], axis=1)

    def cuts(self, share: float) -> Floats:
        """The lowest score let through at each moment; -inf is no cap."""
        moments, size = self._windows.shape
        most = int(np.floor(share * size + 1e-9))
        if share >= 1.0 or most >= size:
            return np.full(moments, -np.inf)
        if most <= 0:
            return np.full(moments, np.inf)
        lowest, below = self._windows[:, size - most], self._windows[:, size - most - 1]
        found: Floats = np.where(lowest == below, np.nextafter(lowest, np.inf), lowest)
        return found


def _atoms(scores: Floats) -> Floats:
    """Scores that many requests share, and what comes right after each."""
    values, counts = np.unique(scores, return_counts=True)
    heavy = values[counts >= max(ATOM * len(scores), 3)]
    heaviest = heavy if len(heavy) <= MOST_GRID else heavy[:0]
    found: Floats = np.concatenate((heaviest, np.nextafter(heaviest, np.inf)))
    return found
