"""Admission: how many requests are answered at once, how many wait, and how long."""

import asyncio
from contextlib import AbstractAsyncContextManager

from router.errors import RateLimited

RETRY_SECONDS = 2


class AdmissionControl:
    """A bounded number of places with a bounded queue before it, per worker."""

    def __init__(self, places: int, queue: int, timeout_s: float) -> None:
        self._all = places
        self._places = asyncio.Semaphore(places)
        self._queue = queue
        self._timeout_s = timeout_s
        self.waiting = 0
        self.inside = 0

    def place(self) -> AbstractAsyncContextManager[None]:
        """Hold a place; raises RateLimited when the queue is full or the wait too long."""
        return _Place(self)

    async def enter(self) -> None:
        """Take a place, as `place` does."""
        if self.inside >= self._all or self.waiting:
            await self._wait()
        else:
            await self._places.acquire()
        self.inside += 1

    def leave(self) -> None:
        """Give a place back."""
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


class _Place(AbstractAsyncContextManager[None]):
    """A place while it is held."""

    def __init__(self, admission: AdmissionControl) -> None:
        self._admission = admission

    async def __aenter__(self) -> None:
        await self._admission.enter()

    async def __aexit__(self, *raised: object) -> None:
        self._admission.leave()
