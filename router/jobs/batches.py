"""Buys a wave of samples as one batch, and follows it to its end. Runs in the event loop of the server.

The order is what makes it safe to be killed at any point: numbers and bounds of all calls are kept, then the file is
uploaded and its id kept, then one request creates the batch, and its id is kept. Whoever comes later uploads again
where there is no file, looks for the batch where there is a file and no batch, and never creates a second one.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import msgspec

from router.clock import Clock
from router.database.engine import AWAY_PAUSE_S, patiently
from router.errors import Cause, ProviderError
from router.jobs.batch_calls import BatchAnswer, BatchCall, BatchTimes, KeptBatch, answers_of, settle_calls
from router.jobs.batch_store import BatchStore
from router.jobs.steps import JobAction
from router.jobs.store import CallRefused
from router.ledger.entries import CallIntent
from router.ledger.prices import BATCH, PriceBook
from router.providers.base import ModelTarget, ProviderRequest
from router.providers.batches import MOST_BYTES, Batch, BatchLine, BatchProvider
from router.tiers.calls import WORKED_PERHAPS, output_bound
from router.types import CallKind, Tier

log = logging.getLogger(__name__)

FIRST_PAUSE_S, LONGEST_PAUSE_S, LONGER = 2.0, 60.0, 1.5  # between looks
TRIES = 3  # to upload, to create where that is refused for now, to find what was perhaps created
FOR_NOW = frozenset({Cause.RATE_LIMITED, Cause.UNREACHABLE, Cause.TIMEOUT_CONNECT})
LOST = Batch("", "unknown")  # one that may be there, and that nobody can find
Result = TypeVar("Result")


class BatchOrder(msgspec.Struct, frozen=True):
    """One call that is to be in a batch, and the bound of its input in tokens."""

    action: JobAction
    request: ProviderRequest
    input_bound_tokens: int


@dataclass(slots=True)
class Purchase:
    """A batch as the worker follows it that runs its job. `tell` is called when its provider has done more of it."""

    job_id: str
    request_id: str
    claim: int
    name: str
    target: ModelTarget
    tier: Tier
    times: BatchTimes
    make_orders: Callable[[], Sequence[BatchOrder]]
    now_s: Callable[[], float]
    tell: Callable[[], None] = lambda: None
    kept: KeptBatch | None = None
    done: int = 0
    total: int = 0
    waiting: int = 0
    is_lost: bool = False  # another worker runs the job
    task: "asyncio.Task[None] | None" = None
    requests: Mapping[str, ProviderRequest] = field(default_factory=dict)  # by the ids of their calls

    def call_of(self, action: str) -> BatchCall | None:
        """Return the call of the batch that is for a sample; None where none was reserved."""
        return None if self.kept is None else self.kept.call_of(action)

    def answer_of(self, action: str) -> BatchAnswer | None:
        """Return what the batch answered for a sample."""
        return None if self.kept is None else self.kept.answers.get(action)


class Batches:
    """Buys batches. `provider_of` finds who takes them for a model, `may_act` tells whether this worker may buy.

    `pause_s` is the first pause between looks.
    """

    def __init__(
        self,
        store: BatchStore,
        prices: PriceBook,
        provider_of: Callable[[ModelTarget], BatchProvider | None],
        clock: Clock,
        may_act: Callable[[], bool],
        pause_s: float = FIRST_PAUSE_S,
    ) -> None:
        self._pause_s = pause_s
        self.store = store
        self._prices = prices
        self._provider_of = provider_of
        self._clock = clock
        self._may_act = may_act
        self._giving_up: set[asyncio.Task[None]] = set()

    async def wait_for(self, purchase: Purchase, is_leaving: Callable[[], bool]) -> None:
        """Wait until a batch is over, or not worth waiting for; the first who waits has it bought.

        Where the last who waits is called off, the batch is too, unless another worker is to go on with it.
        """
        if purchase.task is None:
            purchase.task = asyncio.create_task(self._buy(purchase))
        purchase.waiting += 1
        try:
            await asyncio.shield(purchase.task)
        except asyncio.CancelledError:
            if purchase.waiting == 1 and not purchase.task.done():
                purchase.task.cancel()
                if not is_leaving():
                    self._give_up_soon(purchase)
            raise
        finally:
            purchase.waiting -= 1

    async def find(self, kept: KeptBatch, target: ModelTarget) -> Batch | None:
        """Look at a batch, or for it where its id was not kept; None where it was never begun. Raises ProviderError."""
        provider = self._provider_of(target)
        if provider is None:
            raise ProviderError(f"{target.name} is sent no batches any more", dispatched=False)
        if kept.batch_id is not None:
            return await provider.look(target, kept.batch_id)
        return None if kept.file_id is None else await provider.find(target, kept.key, kept.file_id)

    async def call_off(self, target: ModelTarget, batch: Batch) -> None:
        """Ask for the end of a batch. Raises ProviderError."""
        if (provider := self._provider_of(target)) is not None:
            await provider.cancel(target, batch.id)

    async def settle(
        self,
        kept: KeptBatch,
        target: ModelTarget | None,
        batch: Batch | None,
        requests: Mapping[str, ProviderRequest],
        *,
        is_unknown: bool = False,
    ) -> KeptBatch:
        """Settle the calls of a batch that is over, or was never begun, and delete its files at the provider.

        With `is_unknown` nobody can tell what came of it. Raises ProviderError.
        """
        lines: Sequence[BatchLine] = ()
        provider = self._provider_of(target) if target is not None else None
        if batch is not None and target is not None and provider is not None:
            lines = await provider.read(target, batch, requests)
        now_us = self._clock.now_us()
        seconds = (now_us - kept.created_at) / 1e6
        told = LOST if is_unknown else batch
        calls = settle_calls(kept.calls, told, lines, self._prices.by_id(), requests, seconds)
        settled = msgspec.structs.replace(kept, calls=calls, answers=answers_of(calls, lines), settled_at=now_us)
        if not await patiently(lambda: self.store.settle(settled, now_us)):
            found = await patiently(lambda: self.store.get(kept.job_id, kept.name))
            settled = settled if found is None else found
        if target is not None and provider is not None:
            left = batch or LOST
            await provider.clear(target, msgspec.structs.replace(left, input_file_id=kept.file_id))
        return settled

    async def _buy(self, purchase: Purchase) -> None:
        """Have a wave answered by a batch, as far as it comes in time; what came of it is in `purchase.kept`."""
        job_id, name, provider = purchase.job_id, purchase.name, self._provider_of(purchase.target)
        purchase.kept = await patiently(lambda: self.store.get(job_id, name))
        if provider is None or (purchase.kept is not None and purchase.kept.settled_at is not None):
            return
        orders = purchase.make_orders()
        if purchase.kept is None and not await self._open(purchase, orders, provider):
            return
        kept = purchase.kept
        assert kept is not None
        by_action = {order.action.name: order.request for order in orders}
        purchase.requests = {call.custom_id: by_action[call.action] for call in kept.calls}
        batch = await self._begin(purchase, kept, provider)
        if batch is not None:
            batch = await self._follow(purchase, provider, batch)
            if not batch.is_over:
                await self._give_up(purchase)
                return
        await self._finish(purchase, batch)

    async def _open(self, purchase: Purchase, orders: Sequence[BatchOrder], provider: BatchProvider) -> bool:
        """Reserve the numbers and bounds of the calls; False where they cannot be had, or the file is too long."""
        if len(provider.write({order.action.name: order.request for order in orders})) > MOST_BYTES:
            return False
        now_us = self._clock.now_us()
        price = self._prices.in_effect(purchase.target.name, now_us)
        bounds = [
            None if price is None else price.hold(order.input_bound_tokens, output_bound(order.request), BATCH)
            for order in orders
        ]
        price_id = None if price is None else price.id

        def make(number: int) -> Sequence[BatchCall]:
            made = []
            for call_no, (order, bound) in enumerate(zip(orders, bounds, strict=True), number):
                kind, model = CallKind.SAMPLE, purchase.target.name
                intent = CallIntent(purchase.request_id, call_no, kind, purchase.tier, model, price_id, bound, now_us)
                made.append(BatchCall(order.action.name, intent))
            return made

        job_id, claim, total = purchase.job_id, purchase.claim, sum(bound or 0 for bound in bounds)
        kept = KeptBatch(job_id, purchase.name, now_us, now_us, purchase.target.name, ())
        opened: KeptBatch | CallRefused | None = None
        while opened is None:
            if not self._may_act():
                await asyncio.sleep(AWAY_PAUSE_S)
                continue
            opened = await patiently(lambda: self.store.open(kept, claim, total, len(orders), make))
        if isinstance(opened, CallRefused):
            purchase.is_lost = opened is CallRefused.LOST
            return False
        purchase.kept = opened
        return True

    async def _begin(self, purchase: Purchase, kept: KeptBatch, provider: BatchProvider) -> Batch | None:
        """Return the batch at the provider: the one that there is, or a new one; None where it takes none."""
        target, job_id, name = purchase.target, kept.job_id, kept.name
        if kept.batch_id is not None:
            return msgspec.structs.replace(LOST, id=kept.batch_id)
        if kept.file_id is not None:
            return await self._find(purchase, kept, provider)
        try:
            content, key = provider.write(purchase.requests), kept.key
            file_id = await self._again(lambda: provider.upload(target, key, content), lambda error: True)
            if not await patiently(lambda: self.store.note_file(job_id, name, file_id)):
                return None  # it was settled meanwhile
            purchase.kept = kept = msgspec.structs.replace(kept, file_id=file_id)
            return await self._create(purchase, kept, provider, file_id)
        except ProviderError as error:
            log.warning("no batch of %s: %s", target.name, error)
            return None

    async def _create(self, purchase: Purchase, kept: KeptBatch, provider: BatchProvider, file_id: str) -> Batch | None:
        """Create a batch by one request; a second one is made only where the first was surely refused."""
        target = purchase.target
        if not self._may_act():
            return None
        try:
            batch = await self._again(
                lambda: provider.create(target, kept.key, file_id), lambda error: error.cause in FOR_NOW
            )
        except ProviderError as error:
            if not _is_doubtful(error):
                raise
            return await self._find(purchase, kept, provider)
        return batch if await self._note(purchase, kept, provider, batch) else None

    async def _find(self, purchase: Purchase, kept: KeptBatch, provider: BatchProvider) -> Batch | None:
        """Find what was perhaps created, looking several times, as lists may come late."""
        tries = 0
        while tries < TRIES and purchase.now_s() < purchase.times.until_s + purchase.times.grace_s:
            try:
                batch = await self.find(kept, purchase.target)
                if batch is not None:
                    return batch if await self._note(purchase, kept, provider, batch) else None
                tries += 1
            except ProviderError as error:
                log.warning("batches of %s cannot be listed: %s", purchase.target.name, error)
            await asyncio.sleep(self._pause_s * LONGER**tries)
        return None if tries == TRIES else LOST

    async def _note(self, purchase: Purchase, kept: KeptBatch, provider: BatchProvider, batch: Batch) -> bool:
        """Keep the id of a batch; one that somebody meanwhile held for not begun is called off."""
        if await patiently(lambda: self.store.note_batch(kept.job_id, kept.name, batch.id)):
            return True
        await provider.cancel(purchase.target, batch.id)
        return False

    async def _follow(self, purchase: Purchase, provider: BatchProvider, batch: Batch) -> Batch:
        """Look at a batch until it is over, calling it off when its time is; returns how it stands in the end."""
        until_s, pause_s, is_called_off = purchase.times.until_s, self._pause_s, False
        while batch.id:
            try:
                batch = await provider.look(purchase.target, batch.id)
                if (batch.completed, batch.total) != (purchase.done, purchase.total):
                    purchase.done, purchase.total = batch.completed, batch.total
                    purchase.tell()
                if batch.is_over:
                    break
                if purchase.now_s() >= until_s and not is_called_off:
                    await provider.cancel(purchase.target, batch.id)
                    is_called_off, pause_s = True, self._pause_s
            except ProviderError as error:
                log.warning("a batch of %s cannot be looked at: %s", purchase.target.name, error)
            now_s, end_s = purchase.now_s(), until_s + purchase.times.grace_s
            if now_s >= end_s:
                break
            left_s = (until_s if now_s < until_s else end_s) - now_s
            await asyncio.sleep(max(min(pause_s, left_s), self._pause_s / 2))
            pause_s = min(pause_s * LONGER, LONGEST_PAUSE_S)
        return batch

    async def _finish(self, purchase: Purchase, batch: Batch | None) -> None:
        kept = purchase.kept
        assert kept is not None
        while True:
            try:
                purchase.kept = await self.settle(kept, purchase.target, batch, purchase.requests)
                return
            except ProviderError as error:
                log.warning("a batch of %s cannot be read: %s", purchase.target.name, error)
            if purchase.now_s() >= purchase.times.until_s + purchase.times.grace_s:
                await self._give_up(purchase)
                return
            await asyncio.sleep(self._pause_s)

    async def _give_up(self, purchase: Purchase) -> None:
        now_us = self._clock.now_us()
        await patiently(lambda: self.store.give_up(purchase.job_id, purchase.name, now_us))

    async def _again(
        self, work: Callable[[], Awaitable[Result]], may_repeat: Callable[[ProviderError], bool]
    ) -> Result:
        """Ask a provider, again where its refusal may pass; raises ProviderError."""
        for attempt in range(1, TRIES):
            try:
                return await work()
            except ProviderError as error:
                if not may_repeat(error):
                    raise
                pause_s = max(error.retry_after_seconds or 0.0, self._pause_s * LONGER**attempt)
                await asyncio.sleep(min(pause_s, LONGEST_PAUSE_S))
        return await work()

    def _give_up_soon(self, purchase: Purchase) -> None:
        task = asyncio.create_task(self._give_up(purchase))
        self._giving_up.add(task)
        task.add_done_callback(self._giving_up.discard)


def _is_doubtful(error: ProviderError) -> bool:
    """Tell whether a request that failed may have had its effect all the same."""
    status = error.provider_status
    return error.dispatched and (status is None or status < 400 or status >= 500 or status in WORKED_PERHAPS)
