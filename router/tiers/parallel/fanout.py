"""The samples of one request under way: sent in batches, gathered as they end, called off when not needed.

Every sample is streamed, so that calling it off closes the upstream connection and what had arrived can be counted.
A sample that fails, hangs or breaks off is a failed sample, never a failed request.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from router.errors import ProviderError
from router.ledger.entries import CallIntent
from router.providers.base import Choice, Completion, Delta, ModelTarget, ProviderRequest
from router.providers.collecting import fold
from router.tiers.calls import Calls, ProviderCall
from router.tiers.vote.keys import VoteKey
from router.types import CallKind, Tier

_log = logging.getLogger(__name__)


class Slots:
    """A bound on samples in flight over all requests; takers are served in order of arrival."""

    def __init__(self, limit: int) -> None:
        self.free = limit
        self._waiting: deque[asyncio.Future[None]] = deque()

    def take(self, wanted: int) -> int:
        """Take up to `wanted` places, as many as are free."""
        taken = max(0, min(wanted, self.free))
        self.free -= taken
        return taken

    def give_back(self, count: int = 1) -> None:
        """Return places and wake who waits for one."""
        self.free += count
        for waiter in self._waiting:
            if not waiter.done():
                waiter.set_result(None)
                break

    async def wait(self) -> None:
        """Wait until a place may be free."""
        if self.free > 0:
            return
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(waiter)
        try:
            await waiter
        finally:
            self._waiting.remove(waiter)


class Fate(StrEnum):
    """What became of a sample's vote."""

    PENDING = "pending"
    VOTED = "voted"
    INVALID = "invalid"
    NON_ANSWER = "non_answer"
    REFUSAL = "refusal"
    QUESTION_BACK = "question_back"
    REJECTED = "rejected"
    FAILED = "failed"
    LATE = "late"
    CANCELLED = "cancelled"
    SHADOW = "shadow"


@dataclass(slots=True, eq=False)
class Sample:
    """One sample: what was asked, what came back, and what it votes for."""

    index: int
    form: str
    call: ProviderCall
    request: ProviderRequest
    fate: Fate = Fate.PENDING
    choice: Choice | None = None
    completion: Completion | None = None
    error: ProviderError | None = None
    key: VoteKey | None = None
    seconds: float = 0.0

    @classmethod
    def of_choice(cls, index: int, choice: Choice, model: str = "recorded") -> "Sample":
        """Make a sample of an answer that came some other time: no call of a request stands behind it."""
        intent = CallIntent("", index, CallKind.SAMPLE, Tier.PARALLEL, model, None, None, 0)
        request = ProviderRequest(ModelTarget(model), [], {})
        return cls(index, "recorded", ProviderCall(intent, None, 0.0), request, choice=choice)

    def trace_entry(self) -> dict[str, Any]:
        """Return what the trace says of it."""
        return {
            "call_no": self.call.call_no,
            "model": self.request.target.name,
            "form": self.form,
            "status": self.call.status,
            "fate": self.fate,
            "vote": self.key.value[:200] if self.key else None,
            "cost_nanousd": self.call.cost_nanousd,
        }


class FanOut:
    """Sends samples within the bounds and hands them over as they end, in order where they end together."""

    def __init__(
        self,
        calls: Calls,
        tier: Tier,
        slots: Slots,
        at_once: int,
        timeout_s: float,
        input_bound_tokens: int,
        first_index: int = 0,
    ) -> None:
        self.samples: list[Sample] = []
        self._first_index = first_index
        self._calls = calls
        self._tier = tier
        self._slots = slots
        self._at_once = at_once
        self._timeout_s = timeout_s
        self._input_bound_tokens = input_bound_tokens
        self._running: dict[asyncio.Task[None], Sample] = {}
        self._begun = asyncio.Event()

    @property
    def running(self) -> int:
        """How many samples are in flight."""
        return len(self._running)

    def send(self, batch: Sequence[tuple[str, ProviderRequest]], kind: CallKind = CallKind.SAMPLE) -> int:
        """Send as many of the batch as there are places for, in one write; returns how many."""
        places = self._slots.take(min(len(batch), self._at_once - self.running))
        if not places:
            return 0
        chosen = batch[:places]
        try:
            requests = [request for _, request in chosen]
            calls = self._calls.dispatch(requests, kind, self._tier, self._input_bound_tokens)
        except BaseException:
            self._slots.give_back(places)
            raise
        for (form, request), call in zip(chosen, calls, strict=True):
            sample = Sample(self._first_index + len(self.samples), form, call, request)
            self.samples.append(sample)
            task = asyncio.create_task(self._run(sample))
            task.add_done_callback(lambda _: self._slots.give_back())
            self._running[task] = sample
        return places

    async def arrivals(self, timeout_s: float | None) -> list[Sample]:
        """Wait for samples to end and return them; none when the time is up first."""
        if not self._running:
            return []
        done, _ = await asyncio.wait(self._running, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
        ended = [self._running.pop(task) for task in done]
        for task in done:
            task.result()
        return sorted(ended, key=lambda sample: sample.index)

    async def lead(self, grace_s: float) -> list[Sample]:
        """Wait for the first samples to end, or so long after one of them has begun to answer; returns those ended."""
        if not self._running:
            return []
        begun = asyncio.create_task(self._begun.wait())
        try:
            await asyncio.wait([*self._running, begun], return_when=asyncio.FIRST_COMPLETED)
        finally:
            begun.cancel()
        return await self.arrivals(grace_s)

    async def room(self) -> None:
        """Wait until another sample may be sent."""
        await self._slots.wait()

    async def call_off(self) -> None:
        """Cancel what is in flight and book it; what never began is booked as not sent."""
        if not self._running:
            return
        for task in self._running:
            task.cancel()
        try:
            await asyncio.shield(asyncio.gather(*self._running, return_exceptions=True))
        finally:
            for task, sample in self._running.items():
                sample.fate = Fate.CANCELLED if sample.choice is None else Fate.LATE
                if task.done():
                    self._calls.withhold(sample.call)
            self._running.clear()

    async def _run(self, sample: Sample) -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        deltas: list[Delta] = []
        try:
            async with (
                asyncio.timeout(self._timeout_s),
                aclosing(self._calls.stream(sample.call, sample.request)) as stream,
            ):
                async for delta in stream:
                    deltas.append(delta)
                    self._begun.set()
            if not any(delta.finish_reason for delta in deltas):
                raise ProviderError(f"{sample.request.target.name} broke off its answer")
            sample.completion = fold(deltas, sample.request.target.name)
            sample.choice = sample.completion.choices[0]
        except ProviderError as error:
            sample.fate, sample.error = Fate.FAILED, error
        except TimeoutError:
            sample.fate = Fate.FAILED
            sample.error = ProviderError(f"{sample.request.target.name} took longer than {self._timeout_s:g} s")
        except Exception as error:  # a malformed answer may break anything on its way; it must not break the others
            _log.warning("a sample of %s failed unexpectedly", sample.request.target.name, exc_info=error)
            sample.fate, sample.error = Fate.FAILED, ProviderError(f"{sample.request.target.name} answered nonsense")
        sample.seconds = loop.time() - began
