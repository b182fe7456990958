"""Watches a model in service: do scores still look like the reference, and do probabilities still come true?

Pure bookkeeping over a bounded window: the caller feeds it and asks it, and turns the answers into metrics and alarms.
"""

from collections import deque
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

STABLE, SHIFTED = 0.1, 0.25  # usual reading of the population stability index: below, between, above
_BINS = 10
_FEWEST = 200


@dataclass(frozen=True, slots=True)
class Drift:
    """A reading; `value` is NaN and `is_alarming` False while there is too little to go by."""

    value: float
    threshold: float
    count: int

    @property
    def is_alarming(self) -> bool:
        """Whether the value is known and above its threshold."""
        return bool(self.value > self.threshold)


UNREAD = Drift(float("nan"), SHIFTED, 0)


class ScoreStability:
    """Population stability index of the last scores against the artefact's reference distribution."""

    def __init__(self, reference_scores: npt.ArrayLike, window: int = 5000) -> None:
        reference = np.asarray(reference_scores, np.float64)
        self._edges = np.unique(np.quantile(reference, np.linspace(0, 1, _BINS + 1)[1:-1]))
        self._expected = self._shares(reference)
        self._scores: deque[float] = deque(maxlen=window)

    def observe(self, score: float) -> None:
        """Count one decision."""
        self._scores.append(score)

    def reading(self) -> Drift:
        """The index over the window."""
        count = len(self._scores)
        if count < _FEWEST:
            return Drift(float("nan"), SHIFTED, count)
        shares = self._shares(np.fromiter(self._scores, np.float64, count))
        return Drift(float(np.sum((shares - self._expected) * np.log(shares / self._expected))), SHIFTED, count)

    def _shares(self, scores: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        counts = np.bincount(np.searchsorted(self._edges, scores), minlength=len(self._edges) + 1)
        # Half an observation in each bin keeps the logarithm finite.
        return np.asarray((counts + 0.5) / (counts.sum() + 0.5 * len(counts)), np.float64)


class CalibrationMonitor:
    """Promised against kept: P(correct) of answered queries against the feedback on them.

    Feedback comes from those who give it, so a gap can also be a change in who does: the alarm asks for a look.
    """

    def __init__(self, window: int = 2000, tolerance: float = 0.05) -> None:
        self._tolerance = tolerance
        self._pairs: deque[tuple[float, float]] = deque(maxlen=window)

    def observe(self, promised: float, kept: float) -> None:
        """Count one answer: the chance that was estimated, and the feedback in 0..1."""
        self._pairs.append((promised, kept))

    def gap(self) -> Drift:
        """Mean promise less mean feedback, as a distance; alarming beyond its tolerance and two standard errors."""
        count = len(self._pairs)
        if count < _FEWEST:
            return Drift(float("nan"), self._tolerance, count)
        promised, kept = np.array(self._pairs).T
        noise = 2.0 * float(np.std(promised - kept)) / count**0.5
        return Drift(abs(float(np.mean(promised - kept))), self._tolerance + noise, count)

    def ece(self) -> float:
        """Expected calibration error over bins of equal mass; NaN while there is too little to go by."""
        if len(self._pairs) < _FEWEST:
            return float("nan")
        promised, kept = np.array(self._pairs).T
        parts = np.array_split(np.argsort(promised, kind="stable"), _BINS)
        return float(sum(abs(promised[part].mean() - kept[part].mean()) * len(part) for part in parts) / len(promised))
