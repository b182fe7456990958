"""Counters that begin anew: in the memory of this worker, or in Redis for all workers and replicas.

A window begins with what is counted first in it and lasts a minute. While Redis is away this worker counts by itself.
"""

import asyncio
import logging
from collections.abc import Callable
from time import monotonic, time
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    from limits.aio.storage import RedisStorage

log = logging.getLogger(__name__)

WINDOW_S = 60
SWEEP_EVERY = 4_096  # counted things after which windows that are over are taken out
REDIS_WAIT_S = 0.5
REDIS_REST_S = 5.0  # how long Redis is left alone after a failure


class WindowState(NamedTuple):
    """What has been counted in a window, and in how many seconds it ends."""

    counted: int
    ends_in_s: float


class Windows(Protocol):
    """Counts things by name."""

    async def add(self, name: str, amount: int) -> WindowState:
        """Count an amount (below 0: take it back) and tell how the window stands then."""
        ...

    def note(self, name: str, amount: int) -> None:
        """Count an amount without waiting for it."""
        ...

    async def close(self) -> None:
        """Close the connections, if there are any."""
        ...


class MemoryWindows:
    """Windows of one worker."""

    def __init__(self, now_s: Callable[[], float] = monotonic) -> None:
        self._now_s = now_s
        self._windows: dict[str, tuple[int, float]] = {}
        self._until_sweep = SWEEP_EVERY

    async def add(self, name: str, amount: int) -> WindowState:
        """Count an amount and tell how the window stands then."""
        return self._add(name, amount)

    def note(self, name: str, amount: int) -> None:
        """Count an amount."""
        self._add(name, amount)

    async def close(self) -> None:
        """Do nothing: there are no connections."""

    def _add(self, name: str, amount: int) -> WindowState:
        now_s = self._now_s()
        count, ends_s = self._windows.get(name, (0, 0.0))
        if ends_s <= now_s:
            count, ends_s = 0, now_s + WINDOW_S
        count = max(count + amount, 0)
        self._windows[name] = count, ends_s
        self._until_sweep -= 1
        if not self._until_sweep:
            self._sweep(now_s)
        return WindowState(count, ends_s - now_s)

    def _sweep(self, now_s: float) -> None:
        self._windows = {name: window for name, window in self._windows.items() if window[1] > now_s}
        self._until_sweep = max(SWEEP_EVERY, len(self._windows))


class RedisWindows:
    """Windows in Redis, and those of this worker while that is away; Redis is first asked with the first request."""

    def __init__(self, url: str, open_storage: "Callable[[str], RedisStorage] | None" = None) -> None:
        self._url = url
        self._open = open_storage or _open_redis
        self._storage: RedisStorage | None = None
        self._memory = MemoryWindows()
        self._rests_until_s = 0.0
        self._is_away = False
        self._noting: set[asyncio.Task[WindowState]] = set()

    async def add(self, name: str, amount: int) -> WindowState:
        """Count an amount and tell how the window stands then."""
        if monotonic() < self._rests_until_s:
            return await self._memory.add(name, amount)
        try:
            async with asyncio.timeout(REDIS_WAIT_S):
                storage = self._storage = self._storage or self._open(self._url)
                count = await storage.incr(name, WINDOW_S, amount)
                ends_at = await storage.get_expiry(name)
        except Exception as error:  # whatever Redis, its client or the way there fail with: the limits stay
            self._rests_until_s = monotonic() + REDIS_REST_S
            if not self._is_away:
                log.warning("limits are counted in each worker by itself, Redis is away: %s", type(error).__name__)
            self._is_away = True
            return await self._memory.add(name, amount)
        if self._is_away:
            self._is_away = False
            log.warning("limits are counted in Redis again, for all workers together")
        return WindowState(count, max(ends_at - time(), 0.0))

    async def close(self) -> None:
        """Close the connections."""
        if self._storage is not None:
            bridge: Any = self._storage.bridge
            await bridge.get_connection().aclose()
            self._storage = None

    def note(self, name: str, amount: int) -> None:
        """Count an amount without waiting for it."""
        task = asyncio.ensure_future(self.add(name, amount))
        self._noting.add(task)
        task.add_done_callback(self._noting.discard)


def open_windows(storage: str) -> Windows:
    """Open the windows that `limits.storage` names; nothing is connected yet."""
    return MemoryWindows() if storage == "memory" else RedisWindows(storage)


def _open_redis(url: str) -> "RedisStorage":
    """Make the client; its library is loaded only here."""
    from limits.aio.storage import RedisStorage

    return RedisStorage(f"async+{url}", implementation="redispy", socket_timeout=REDIS_WAIT_S)
