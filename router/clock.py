"""The real clock and the making of request ids: the only places where time and randomness come from."""

import os
import time
from typing import Protocol


class Clock(Protocol):
    """Time as a parameter."""

    def now_us(self) -> int:
        """Microseconds since the epoch."""
        ...

    def ticks_ms(self) -> float:
        """Monotonic milliseconds."""
        ...


class SystemClock:
    """Wall time for the books, monotonic time for durations."""

    def now_us(self) -> int:
        """Microseconds since the epoch."""
        return time.time_ns() // 1000

    def ticks_ms(self) -> float:
        """Monotonic milliseconds."""
        return time.perf_counter_ns() / 1e6


def request_id(now_us: int, entropy: bytes | None = None) -> str:
    """Make a UUIDv7 (RFC 9562) as 32 hex digits: time-ordered, so that the books' index stays compact."""
    random = int.from_bytes(entropy if entropy is not None else os.urandom(10), "big")
    value = (now_us // 1000) << 80 | 0x7 << 76 | (random >> 68 & 0xFFF) << 64 | 0b10 << 62 | random & (1 << 62) - 1
    return f"{value:032x}"
