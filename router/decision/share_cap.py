"""The scores that a share cap looks at. Pure: what comes in, and in which order, is all that counts."""

import math
from bisect import bisect_left, insort
from collections import deque
from collections.abc import Sequence

WINDOW_SCORES = 1_000
GOLDEN_RATIO = 0.6180339887498949


class ScoreWindow:
    """The last scores of `auto` queries, at first spread over the artefact's reference distribution.

    Only queries that a score decided belong in it: no overrides, no efforts, no housekeeping.
    """

    def __init__(self, reference: Sequence[float], size: int = WINDOW_SCORES) -> None:
        ordered = sorted(reference)
        spread = [ordered[place * len(ordered) // size] for place in range(size)] if ordered else []
        # Low and high ones leave in turn, so that the distribution keeps its shape while real scores replace it.
        order = sorted(range(len(spread)), key=lambda place: place * GOLDEN_RATIO % 1.0)
        self._arrived = deque((spread[place] for place in order), maxlen=size)
        self._sorted = spread

    def __len__(self) -> int:
        return len(self._sorted)

    def add(self, score: float) -> None:
        """Take a score in; the oldest leaves a full window."""
        if len(self._arrived) == self._arrived.maxlen:
            del self._sorted[bisect_left(self._sorted, self._arrived[0])]
        self._arrived.append(score)
        insort(self._sorted, score)

    def cut(self, share: float) -> float | None:
        """The (1 - share) quantile: the lowest score that at most this share of the window reaches; None is no cap."""
        count = len(self._sorted)
        most = math.floor(share * count + 1e-9)
        if most >= count:
            return None
        if most == 0:
            return math.inf
        lowest = self._sorted[count - most]
        return math.nextafter(lowest, math.inf) if self._sorted[count - most - 1] == lowest else lowest
