"""How long answers of each tier usually let a client wait for the first byte, as one worker saw it lately.

What is usual is the 95th percentile of the last answers. A tier that is closed for it still gets one query now and
then, or nobody would ever see that it is quick again.
"""

from bisect import bisect_left, insort
from collections import deque
from collections.abc import Callable

from router.types import Tier

KEPT = 40
LEAST_SEEN = 20
FORGOTTEN_AFTER_MS = 900_000.0
LOOKED_AT_EVERY_MS = 2_000.0
USUAL = 0.95


class WaitWindow:
    """The last waits of one tier, each with when it was seen."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, float]] = deque()
        self._sorted: list[float] = []
        self.looked_at_ms = -LOOKED_AT_EVERY_MS

    def add(self, now_ms: float, wait_ms: float) -> None:
        """Take a wait in."""
        if len(self._seen) == KEPT:
            self._drop()
        self._seen.append((now_ms, wait_ms))
        insort(self._sorted, wait_ms)

    def usual_ms(self, now_ms: float) -> float | None:
        """The wait that 95 % do not exceed; None where too few were seen lately."""
        while self._seen and self._seen[0][0] < now_ms - FORGOTTEN_AFTER_MS:
            self._drop()
        count = len(self._sorted)
        return self._sorted[min(int(USUAL * count), count - 1)] if count >= LEAST_SEEN else None

    def spread_ms(self, now_ms: float) -> tuple[float, float, float] | None:
        """The median wait and the ends of the 80 % around it; None where too few were seen lately.

        Changes nothing, so that another thread may ask.
        """
        waits = sorted(wait for seen, wait in self._seen.copy() if seen >= now_ms - FORGOTTEN_AFTER_MS)
        if len(waits) < LEAST_SEEN:
            return None
        low, middle, high = (waits[round(share * (len(waits) - 1))] for share in (0.1, 0.5, 0.9))
        return middle, low, high

    def _drop(self) -> None:
        _, wait_ms = self._seen.popleft()
        del self._sorted[bisect_left(self._sorted, wait_ms)]


class LatencyWindow:
    """The waits of all tiers; streamed and whole answers are apart, since a whole one's first byte is its last."""

    def __init__(self, ticks_ms: Callable[[], float]) -> None:
        self._ticks_ms = ticks_ms
        self._windows: dict[tuple[Tier, bool], WaitWindow] = {}

    def note_wait(self, tier: Tier, streamed: bool, wait_ms: float) -> None:
        """Note how long an answer of a tier let its client wait."""
        window = self._windows.get((tier, streamed))
        if window is None:
            window = self._windows[tier, streamed] = WaitWindow()
        window.add(self._ticks_ms(), wait_ms)

    def note_sent(self, tier: Tier, streamed: bool) -> None:
        """Note that a query goes to a tier now, from which will be seen how long it takes."""
        if (window := self._windows.get((tier, streamed))) is not None:
            window.looked_at_ms = self._ticks_ms()

    def spread_ms(self, tier: Tier, streamed: bool) -> tuple[float, float, float] | None:
        """The median wait of a tier's clients and the ends of the 80 % around it; None where too few were seen."""
        window = self._windows.get((tier, streamed))
        return None if window is None else window.spread_ms(self._ticks_ms())

    def is_too_slow(self, tier: Tier, streamed: bool, max_wait_s: float) -> bool:
        """Tell whether a tier is closed to a query: it usually takes longer, and somebody looked a moment ago."""
        window = self._windows.get((tier, streamed))
        if window is None:
            return False
        now_ms = self._ticks_ms()
        usual_ms = window.usual_ms(now_ms)
        is_slow = usual_ms is not None and usual_ms > max_wait_s * 1e3
        return is_slow and now_ms - window.looked_at_ms < LOOKED_AT_EVERY_MS
