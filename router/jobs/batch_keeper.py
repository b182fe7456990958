"""Looks after batches whose jobs do so no more: calls them off, settles what came of them, and has the job booked.

A job that ends while a batch is out is answered at once, and is booked when its last batch is over. Any worker may look
after any batch; who does so next is told by the time in its row.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping

from sqlalchemy.exc import SQLAlchemyError

from router.clock import Clock
from router.database.engine import off_loop
from router.errors import ProviderError, Unavailable
from router.jobs.batch_calls import KeptBatch
from router.jobs.batches import Batches
from router.jobs.store import JobStore
from router.providers.base import ModelTarget

log = logging.getLogger(__name__)

MOST_AT_ONCE = 20
FIRST_LOOK_US, LONGEST_US, PAUSE_GROWTH = 2_000_000, 300_000_000, 1.5
PERHAPS_CREATED_US = 120_000_000  # so long a batch whose id was not kept may still appear
UNKNOWN_AFTER_US = 48 * 3_600_000_000  # after which a batch that cannot be looked at is settled as unknown


class BatchKeeper:
    """Looks after what is left. `settle_ended` books a job that has ended; `targets` are the sampled models by name."""

    def __init__(
        self,
        batches: Batches,
        jobs: JobStore,
        targets: Mapping[str, ModelTarget],
        settle_ended: Callable[[str], Awaitable[None]],
        clock: Clock,
    ) -> None:
        self._batches = batches
        self._store = batches.store
        self._jobs = jobs
        self._targets = targets
        self._settle_ended = settle_ended
        self._clock = clock

    def look_after(self, home: asyncio.AbstractEventLoop) -> None:
        """Look after all that is due, in an event loop; belongs to a thread. Raises SQLAlchemyError."""
        now_us = self._clock.now_us()
        for batch in self._store.list_left(now_us, MOST_AT_ONCE):
            pause_us = min(FIRST_LOOK_US * PAUSE_GROWTH ** min(batch.looks, 50), LONGEST_US)
            if self._store.take(batch, now_us + int(pause_us)):
                asyncio.run_coroutine_threadsafe(self.tend(batch), home)

    async def tend(self, batch: KeptBatch) -> None:
        """Look after one batch, as far as that is possible now."""
        try:
            if batch.settled_at is None and not await self._settle(batch):
                return
            job = await off_loop(lambda: self._jobs.get(batch.job_id))
            if job is not None and job.status.is_final and job.booked_at is None:
                await self._settle_ended(batch.job_id)
            elif job is None or job.booked_at is not None:
                await off_loop(lambda: self._store.drop(batch))
        except (ProviderError, Unavailable, SQLAlchemyError) as error:
            log.warning("a batch of %s is looked at again later: %s", batch.model, error)
        except Exception:
            log.exception("a batch of %s could not be looked after", batch.model)

    async def _settle(self, batch: KeptBatch) -> bool:
        """Call a batch off, and settle it if it is over; tells whether it was."""
        now_us, target = self._clock.now_us(), self._targets.get(batch.model)
        try:
            if target is None:
                raise ProviderError(f"{batch.model} is sampled no more", dispatched=False)
            found = await self._batches.find(batch, target)
            if found is None:
                if batch.file_id is not None and now_us - batch.created_at < PERHAPS_CREATED_US:
                    return False
            elif not found.is_over:
                if found.status != "cancelling":
                    await self._batches.call_off(target, found)
                if now_us - batch.created_at < UNKNOWN_AFTER_US:
                    return False
            await self._batches.settle(batch, target, found, {}, is_unknown=found is not None and not found.is_over)
        except ProviderError:
            if now_us - batch.created_at < UNKNOWN_AFTER_US:
                raise
            await self._batches.settle(batch, None, None, {}, is_unknown=True)
        return True
