"""The sampling loop of one request: waves, stragglers, the stopping rule, the cost cap.

Accepted and settled are tested after every sample, futile at a wave's end. A straggler never holds up a decided vote,
and holds up an undecided one only while it is not much slower than the others.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from enum import StrEnum

from router.providers.base import ProviderRequest
from router.tiers.calls import Calls
from router.tiers.parallel.fanout import FanOut, Fate, Sample
from router.tiers.parallel.planning import cost_so_far
from router.tiers.parallel.stopping import Stop, agreement, can_be_accepted, check, is_hopeless, waves
from router.tiers.parallel.voting import Vote
from router.tiers.vote.clusters import token_confidence

FEW_READINGS = 3  # samples, before which more than half of them says little
LEAD_GRACE_S = 1.0  # after the first sample has begun to answer: by then its prompt is in the cache
PATIENCE = 3.0  # times as long as half of a wave took


class StopReason(StrEnum):
    """Why sampling ended; an operator reads it in the trace.

    Aside: most samples refuse or ask back. Silent: most do not answer at all.
    """

    ACCEPTED = "accepted"
    VERIFIED = "verified"
    FUTILE = "futile"
    HOPELESS = "hopeless"
    SETTLED = "settled"
    EXHAUSTED = "exhausted"
    COST_CAP = "cost_cap"
    NO_VOTE_KEY = "no_vote_key"
    UPSTREAM_FAILED = "upstream_failed"
    NOT_WORTH_SAMPLING = "not_worth_sampling"
    DISTRUSTED = "distrusted"
    TRUSTED = "trusted"
    ASIDE = "aside"
    SILENT = "silent"
    SURE = "sure"


@dataclass(frozen=True, slots=True)
class SamplingPlan:
    """What one request may spend, and what it asks for. `request` makes the form's name and the call of sample i.

    The first `leads` samples go ahead of the first wave's others, which find their prompt in the provider's cache.
    From a mean token probability of `token_confidence` on the first one is enough, or two that agree and are nearly so.
    """

    max_samples: int
    confidence: float
    least_usable: int
    open_samples: int
    price_ratio: float
    least_wait_s: float
    cost_cap_nanousd: int | None
    input_bound_tokens: int
    request: Callable[[int], tuple[str, ProviderRequest]]
    can_escalate: Callable[[], bool]
    leads: int = 0
    token_confidence: float | None = None


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the vote is."""

    ended: int
    planned: int
    agree: int


class Sampling:
    """Samples until the vote is decided; afterwards `reason`, `waves_sent` and the vote tell what came of it."""

    def __init__(self, plan: SamplingPlan, vote: Vote, fan: FanOut, calls: Calls) -> None:
        self.plan = plan
        self.vote = vote
        self.fan = fan
        self.reason = StopReason.EXHAUSTED
        self.waves_sent = 0
        self.ended = 0
        self._calls = calls
        self._to_send: list[tuple[str, ProviderRequest]] = []
        self._held: list[tuple[str, ProviderRequest]] = []
        self._first = 0
        self._size = 0
        self._began = 0.0
        self._half_s: float | None = None

    async def run(self) -> AsyncGenerator[Progress]:
        """Send wave after wave and yield progress after each sample; in the end what is in flight is called off."""
        try:
            sizes = waves(self.plan.max_samples)
            while (left := self.plan.max_samples - len(self.fan.samples)) > 0:
                if not self._begin_wave(min(left, sizes[min(self.waves_sent, len(sizes) - 1)])):
                    self.reason = StopReason.COST_CAP
                    return
                yield self._progress()
                while (batch := await self._next_ended()) is not None:
                    for sample in batch:
                        await self.vote.count(sample)
                        self.ended += 1
                        self._note_half()
                        yield self._progress()
                        is_last = sample is batch[-1] and not (self._to_send or self._held or self.fan.running)
                        if not is_last and self._is_over(at_wave_end=False):
                            return
                if self._is_over(at_wave_end=True):
                    return
        finally:
            await self.fan.call_off()
            for sample in self.fan.samples:
                if sample.fate is Fate.PENDING:
                    sample.fate = Fate.LATE

    def _begin_wave(self, size: int) -> bool:
        self._first = len(self.fan.samples)
        self._size = self._affordable(size)
        self._to_send = [self.plan.request(self._first + i) for i in range(self._size)]
        if self._first == 0 and self.plan.leads:
            self._to_send, self._held = self._to_send[: self.plan.leads], self._to_send[self.plan.leads :]
        self._began = asyncio.get_running_loop().time()
        self._half_s = None
        self.waves_sent += self._size > 0
        self._send()
        return self._size > 0

    async def _next_ended(self) -> list[Sample] | None:
        """Wait for samples to end; None when the wave has ended, or only stragglers of it are left."""
        if self._held:
            if not self.fan.running:
                await self.fan.room()
                self._send()
            ended = await self.fan.lead(LEAD_GRACE_S)
            if self.ended + len(ended) >= self.plan.leads or not self.plan.token_confidence:
                self._release()
            if ended:
                return ended
        while self._to_send or self.fan.running:
            if not self.fan.running:
                await self.fan.room()
            self._send()
            if ended := await self.fan.arrivals(self._patience_s()):
                return ended
            if self.fan.running and not self._to_send:
                return None
        return None

    def _release(self) -> None:
        """Send the others of the first wave too; its time begins with them."""
        self._to_send, self._held = [*self._to_send, *self._held], []
        self._began, self._half_s = asyncio.get_running_loop().time(), None

    def _is_over(self, *, at_wave_end: bool) -> bool:
        reason = self._judge(at_wave_end=at_wave_end)
        if reason is not None:
            self.reason = reason
        return reason is not None

    def _judge(self, *, at_wave_end: bool) -> StopReason | None:
        plan, vote = self.plan, self.vote
        usable = len(vote.answering) + len(vote.asides)
        if at_wave_end and vote.readings.all >= FEW_READINGS:
            if vote.readings.are_mostly_asides and usable >= plan.least_usable:
                return StopReason.ASIDE
            if vote.readings.are_mostly_silent and plan.can_escalate():
                return StopReason.SILENT
        if usable >= plan.least_usable:
            if vote.verified is not None:
                return StopReason.VERIFIED
            if plan.token_confidence is not None and self._is_sure(plan.token_confidence):
                return StopReason.SURE
            if vote.is_open:
                return StopReason.NO_VOTE_KEY if usable >= plan.open_samples else None
            remaining = plan.max_samples - self.ended
            v1, v2 = vote.top
            may_escalate = at_wave_end and plan.can_escalate()
            match check(v1, v2, remaining, plan.confidence, at_wave_end=may_escalate):
                case Stop.ACCEPTED:
                    return StopReason.ACCEPTED
                case Stop.FUTILE:
                    return StopReason.FUTILE if remaining else StopReason.EXHAUSTED
                case Stop.SETTLED if not (plan.can_escalate() and can_be_accepted(v1, v2, remaining, plan.confidence)):
                    return StopReason.SETTLED
                case _:
                    pass
            if may_escalate and is_hopeless(v1, v2, self.ended, remaining, plan.confidence, plan.price_ratio):
                return StopReason.HOPELESS
        wave = self.fan.samples[self._first :]
        if at_wave_end and wave and all(s.fate is Fate.FAILED for s in wave):
            return StopReason.UPSTREAM_FAILED
        return None

    def _is_sure(self, least: float) -> bool:
        """Tell whether the first sample, or the first two that agree, are said with such confidence as is enough."""
        first = [s for s in self.fan.samples if s.key is not None][:2]
        sure = [p for s in first if s.choice and (p := token_confidence(s.choice.logprobs)) is not None]
        if len(first) != self.ended or len(sure) != len(first):
            return False
        if len(sure) == 1:
            return sure[0] >= least
        return self.vote.top[0] == 2 and min(sure) >= 1 - 2 * (1 - least)

    def _affordable(self, wanted: int) -> int:
        """Return how many more samples fit under the cap even if each costs its worst case."""
        cap = self.plan.cost_cap_nanousd
        if cap is None:
            return wanted
        committed = cost_so_far(self._calls)
        first, fitting = len(self.fan.samples), 0
        for i in range(wanted):
            committed += self._calls.worst_case(self.plan.request(first + i)[1], self.plan.input_bound_tokens) or 0
            if committed > cap:
                break
            fitting += 1
        return fitting

    def _send(self) -> None:
        if self._to_send:
            del self._to_send[: self.fan.send(self._to_send)]

    def _note_half(self) -> None:
        wave = self.fan.samples[self._first :]
        if self._half_s is None and 2 * sum(s.fate is not Fate.PENDING for s in wave) >= self._size:
            self._half_s = asyncio.get_running_loop().time() - self._began

    def _patience_s(self) -> float | None:
        """Return how long to wait for what is left of the wave: for ever until half of it has come."""
        if self._half_s is None or self._to_send:
            return None
        until = self._began + max(self.plan.least_wait_s, PATIENCE * self._half_s)
        return max(0.0, until - asyncio.get_running_loop().time())

    def _progress(self) -> Progress:
        v1, _ = self.vote.top
        return Progress(self.ended, self.plan.max_samples, v1)


def share_of(vote: Vote) -> float:
    """Return the leader's share of the votes."""
    return vote.top[0] / vote.voters if vote.voters else 0.0


def agreement_of(vote: Vote) -> float:
    """Return P(the leader truly leads), 0 where nobody voted."""
    v1, v2 = vote.top
    return agreement(v1, v2) if v1 >= v2 and v1 else 0.0
