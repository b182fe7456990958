"""The worths (scores at what queries cost) that a share cap looks at. Pure: what comes in, in which order, counts."""

import math
from bisect import bisect_left, insort
from collections import deque
from collections.abc import Iterable, Sequence
from functools import cache
from typing import NamedTuple

WINDOW_SCORES = 1_000
GOLDEN_RATIO = 0.6180339887498949


class Decided(NamedTuple):
    """One `auto` query that a score decided: its score, and whether it went deep."""

    score: float
    is_deep: bool


@cache
def _order_of(size: int) -> Sequence[int]:
    """Places from lowest to highest in an order in which every beginning is spread over all of them."""
    return sorted(range(size), key=lambda place: place * GOLDEN_RATIO % 1.0)


class ScoreWindow:
    """The last scores of `auto` queries, filled up with the artefact's reference distribution where there are too few.

    Only queries that a score decided belong in it: no overrides, no efforts, no housekeeping. While fewer of them went
    deep than the cap allows, nothing is refused for its sake.
    """

    def __init__(self, reference: Sequence[float], size: int = WINDOW_SCORES, recent: Iterable[Decided] = ()) -> None:
        """Begin with the reference, then take in what was decided before, oldest first."""
        ordered, decided = sorted(reference), list(recent)
        # Low and high ones leave in turn, so that the distribution keeps its shape while real scores replace it.
        spread = [ordered[place * len(ordered) // size] for place in _order_of(size)] if ordered else []
        self._arrived = deque([*spread, *(each.score for each in decided)], maxlen=size)
        self._sorted = sorted(self._arrived)
        self._went_deep = deque((each.is_deep for each in decided), maxlen=size)
        self._deep = sum(self._went_deep)

    def __len__(self) -> int:
        return len(self._sorted)

    @property
    def deep_share(self) -> float:
        """The share of real queries in the window that went deep; 0 where there are none."""
        return self._deep / len(self._went_deep) if self._went_deep else 0.0

    def add(self, score: float, is_deep: bool = False) -> None:
        """Take a decided query in; the oldest leaves a full window."""
        if len(self._arrived) == self._arrived.maxlen:
            del self._sorted[bisect_left(self._sorted, self._arrived[0])]
        self._arrived.append(score)
        insort(self._sorted, score)
        if len(self._went_deep) == self._went_deep.maxlen:
            self._deep -= self._went_deep[0]
        self._went_deep.append(is_deep)
        self._deep += is_deep

    def cap(self, share: float) -> float | None:
        """The score below which the cap refuses at present; None while the deep share is below it."""
        return None if self.deep_share < share else self.cut(share)

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
