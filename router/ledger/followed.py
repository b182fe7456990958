"""Which requests a follower of the books reads next: what has come since it last read, and what may have come late.

Requests are booked once they are answered, and so later than others that came in after them.
"""

from router.database import ids

EVERY_US = 5_000_000
LATE_US = 60_000_000


class FollowedRequests:
    """What one follower has read, which looks back no farther than so many microseconds."""

    def __init__(self, lookback_us: int) -> None:
        self._lookback_us = lookback_us
        self._read_at = -EVERY_US

    def begin_at(self, now_us: int) -> str | None:
        """The smallest id of a request to read now; None where the last reading was a moment ago."""
        if now_us - self._read_at < EVERY_US:
            return None
        return ids.text_at(max(self._read_at - LATE_US, now_us - self._lookback_us) // 1_000)

    def note_read(self, now_us: int) -> None:
        """Note that everything was read that was booked by an instant."""
        self._read_at = now_us
