"""Admission: how many requests are answered at once, how many wait, and how long."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from router.errors import RateLimited

RETRY_SECONDS = 2


class Gate:
    """A bounded number of places with a bounded queue before it, per worker."""

    def __init__(self, places: int, queue: int, timeout_s: float) -> None:
        self._all = places
        self._places = asyncio.Semaphore(places)
        self._queue = queue
        self._timeout_s = timeout_s
        self.waiting = 0
        self.inside = 0

    @asynccontextmanager
    async def place(self) -> AsyncIterator[None]:
        """Hold a place; raises RateLimited when the queue is full or the wait too long."""
        if self._places.locked():
            await self._wait()
        else:
            await self._places.acquire()
        self.inside += 1
        try:
            yield
        finally:
            self.inside -= 1
            self._places.release()

    def headers(self) -> list[tuple[bytes, bytes]]:
        """The places as OpenAI's rate-limit headers: requests at once, not per minute; nothing limits tokens."""
        free = max(self._all - self.inside, 0)
        return [
            (b"x-ratelimit-limit-requests", b"%d" % self._all),
            (b"x-ratelimit-remaining-requests", b"%d" % free),
            (b"x-ratelimit-reset-requests", b"0s" if free else b"%ds" % RETRY_SECONDS),
        ]

    async def _wait(self) -> None:
        if self.waiting >= self._queue:
            raise RateLimited("too many requests are waiting", retry_after_seconds=RETRY_SECONDS)
        self.waiting += 1
        try:
            async with asyncio.timeout(self._timeout_s):
                await self._places.acquire()
        except TimeoutError:
            raise RateLimited("no place became free in time", retry_after_seconds=5) from None
        finally:
            self.waiting -= 1
