"""Signs of life on streams that say nothing for long, so that proxies and clients do not hang up. Not output.

One timer for all streams of an endpoint, which runs only while there are any.
"""

import asyncio
import math
from collections.abc import Callable
from time import monotonic
from typing import Protocol

SENDING = math.inf  # no silence while something is being sent
TICKS_PER_INTERVAL = 20
SHORTEST_TICK_S, LONGEST_TICK_S = 0.01, 1.0


class Silenceable(Protocol):
    """A stream that can be silent."""

    spoke_at: float
    beat: asyncio.Task[None] | None

    async def say_alive(self, piece: bytes) -> None:
        """Send a sign of life."""
        ...


class KeepAlive:
    """Watches streams, and lets no more than so many seconds pass without a byte; 0 watches nothing."""

    def __init__(self, interval_s: float) -> None:
        self._interval_s = interval_s
        self._tick_s = min(max(interval_s / TICKS_PER_INTERVAL, SHORTEST_TICK_S), LONGEST_TICK_S)
        self._streams: dict[Silenceable, Callable[[], bytes]] = {}
        self._timer: asyncio.TimerHandle | None = None

    def add(self, stream: Silenceable, sign: Callable[[], bytes]) -> None:
        """Watch a stream from now on; `sign` writes what is sent."""
        if not self._interval_s:
            return
        stream.spoke_at = monotonic()
        self._streams[stream] = sign
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._tick_s, self._look)

    def discard(self, stream: Silenceable) -> None:
        """Watch a stream no more; a sign that is on its way is the stream's to wait for."""
        self._streams.pop(stream, None)

    def _look(self) -> None:
        if not self._streams:
            self._timer = None
            return
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(self._tick_s, self._look)
        latest = monotonic() + self._tick_s - self._interval_s
        for stream, sign in self._streams.items():
            if stream.spoke_at < latest and stream.beat is None:
                stream.beat = loop.create_task(_beat(stream, sign()))


async def _beat(stream: Silenceable, piece: bytes) -> None:
    try:
        await stream.say_alive(piece)
    except OSError:  # the client is gone; who watches for that says so
        pass
    finally:
        stream.beat = None
