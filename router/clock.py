"""The real clock, what is due by it, and the making of request ids: only here time and randomness come from."""

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


class Timetable:
    """What is done again and again. Everything is due when it is first asked for, and then every so many seconds."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._due_ms: dict[str, float] = {}

    def is_due(self, what: str, every_s: float) -> bool:
        """Tell whether it is time for it, and count on from now if it is."""
        now_ms = self._clock.ticks_ms()
        if now_ms < self._due_ms.get(what, now_ms):
            return False
        self._due_ms[what] = now_ms + every_s * 1_000
        return True


def request_id(now_us: int, entropy: bytes | None = None) -> str:
    """Make a UUIDv7 (RFC 9562) as 32 hex digits: time-ordered, so that the books' index stays compact."""
    random = int.from_bytes(entropy if entropy is not None else os.urandom(10), "big")
    value = (now_us // 1000) << 80 | 0x7 << 76 | (random >> 68 & 0xFFF) << 64 | 0b10 << 62 | random & (1 << 62) - 1
    return f"{value:032x}"
