"""The parallel tier: many samples, one answer.

Samples are buffered: a stream shows the role and progress at once, then the winner's text. What is not accepted is
handed to the escalation tier with its two most frequent answers as hints; without one it is answered and flagged.
"""

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field

import msgspec

from classifier.types import AnswerType, Stakes
from router.errors import InvalidRequest, ProviderError
from router.ledger.entries import join_key
from router.providers.base import Delta, ModelTarget
from router.providers.caches import LONG_BYTES
from router.providers.collecting import says_something
from router.tiers.base import Answer, TierRequest, TierRunner
from router.tiers.calls import Calls
from router.tiers.chain import choose_admitted
from router.tiers.parallel.calibration import CalibrationTable, join_names
from router.tiers.parallel.fanout import FanOut, Sample, Slots
from router.tiers.parallel.outcome import VoteOutcome, deltas_of, drop_streamed_text, progress_text
from router.tiers.parallel.planning import (
    cost_so_far,
    escalation_query,
    sample_bound,
    sample_requests,
    samples_bound,
    within_sample_cap,
    worst_case,
)
from router.tiers.parallel.prompts import with_hints
from router.tiers.parallel.sampling import Progress, Sampling, SamplingPlan, StopReason
from router.tiers.parallel.shadow import ShadowSlice, observe
from router.tiers.parallel.stopping import expect, least_unanimous, reachable, require_reachable, under_pressure
from router.tiers.parallel.voting import TestVector, Vote
from router.tiers.parallel.warmth import PrefixWarmth
from router.tiers.vote import judge
from router.tiers.vote.checkers import CheckerPool
from router.tiers.vote.keys import Asked, read_question
from router.tiers.vote.rates import worthwhile_samples
from router.tiers.vote.verifiers import Verifier, default_verifiers
from router.types import CallKind, Tier

HIGH_STAKES_CONFIDENCE = 0.99
WEIGHED = frozenset(
    {StopReason.ACCEPTED, StopReason.SETTLED, StopReason.FUTILE, StopReason.HOPELESS, StopReason.EXHAUSTED}
)
LEAST_AGREEMENT = 0.3  # of samples, however rarely they are right
HARD_QUESTION = 0.05  # P(correct) for which more samples must still be worth it


@dataclass(frozen=True, slots=True)
class ParallelOptions:
    """How the tier samples. Refuses a confidence that `max_samples` cannot reach."""

    targets: tuple[ModelTarget, ...]
    max_samples: int = 8
    confidence: float = 0.95
    escalation: TierRunner | None = None
    confidence_by_type: Mapping[AnswerType, float] = field(default_factory=dict)
    judges: tuple[ModelTarget, ...] = ()
    price_ratio: float = 30.0  # what a strong call costs, in samples
    at_once: int = 16
    at_once_overall: int = 64
    sample_timeout_s: float = 120.0
    least_wait_s: float = 1.0  # given to a straggler before the vote goes on without it
    open_samples: int = 4
    token_confidence: float | None = None
    runs_code: bool = False

    def __post_init__(self) -> None:
        if not self.targets:
            raise ValueError("tiers.parallel.models: needs a model")
        require_reachable(self.confidence, self.max_samples)
        for answer_type, confidence in self.confidence_by_type.items():
            require_reachable(confidence, self.max_samples, f"tiers.parallel ({answer_type})")


class ParallelTier:
    """Samples, votes, stops early, escalates.

    `tests` returns recorded test vectors of programs. `shadow` observes coverage on a slice of the queries.
    """

    def __init__(
        self,
        settings: ParallelOptions,
        *,
        checkers: CheckerPool | None = None,
        verifiers: Sequence[Verifier] | None = None,
        calibration: CalibrationTable | None = None,
        tests: TestVector | None = None,
        shadow: ShadowSlice | None = None,
    ) -> None:
        self.settings = settings
        self.checkers = checkers or CheckerPool()
        self.calibration = calibration or CalibrationTable()
        self._verifiers = (
            tuple(verifiers)
            if verifiers is not None
            else default_verifiers(self.checkers, runs_code=settings.runs_code)
        )
        self._tests = tests
        self._shadow = shadow
        self._slots = Slots(settings.at_once_overall)
        self._warmth = PrefixWarmth()

    async def answer(self, query: TierRequest, calls: Calls) -> Answer:
        """Return the winner, or what the escalation tier says; raises ProviderError when nothing came back."""
        async with aclosing(self._sample_and_vote(query, calls)) as steps:
            async for step in steps:
                if isinstance(step, VoteOutcome):
                    answer = await self._answer(query, calls, step)
                    await self._book(query, calls, step, answer)
                    return answer
        raise AssertionError("unreachable: sampling ends in an outcome")

    async def stream(self, query: TierRequest, calls: Calls) -> AsyncGenerator[Delta | Answer]:
        """Yield the role at once, progress as thinking, then the winner's text."""
        sent = ""
        async with aclosing(self._sample_and_vote(query, calls)) as steps:
            async for step in steps:
                if isinstance(step, VoteOutcome):
                    async with aclosing(self._answer_stream(query, calls, step)) as deltas:
                        async for delta in deltas:
                            if isinstance(delta, Answer):
                                await self._book(query, calls, step, delta)
                            yield delta
                    return
                if not sent:
                    for index in range(query.n):
                        yield Delta(index=index)
                if (text := progress_text(step)) != sent:
                    sent = text
                    yield Delta(reasoning=text)

    def worst_case(self, query: TierRequest, calls: Calls) -> int:
        """Bound what an answer costs: all samples and an escalation."""
        worst = samples_bound(query, self.settings.targets, calls, max(self._most(query), query.n))
        worst += worst_case(self.settings.escalation, query, calls)
        return worst if query.cost_cap_nanousd is None else min(worst, query.cost_cap_nanousd)

    def predict_stop(
        self, p_sampled: float, is_votable: bool, samples: int | None, confidence: float | None
    ) -> tuple[float, float]:
        """Return how many samples a query is expected to take, and P(the escalation tier is asked).

        `p_sampled` is P(a sample is right); right samples agree, of wrong ones half. `samples` and `confidence` are the
        policy's where it has them. What no vote counts takes a fixed number and is answered.
        """
        if not is_votable:
            return float(self.settings.open_samples), 0.0
        most = self.settings.max_samples if samples is None else min(samples, self.settings.max_samples)
        asked = min(self.settings.confidence if confidence is None else confidence, reachable(most))
        p_leader = round(max(p_sampled, LEAST_AGREEMENT), 2)
        taken, p_open = expect(p_leader, (1.0 - p_leader) / 2, most, asked)
        return taken, p_open if self.settings.escalation is not None else 0.0

    def within_cap(self, query: TierRequest, calls: Calls, cap_nanousd: int) -> TierRequest | None:
        """Return the query under a cap that the tier keeps to; None where it does not cover what can be accepted."""
        capped = msgspec.structs.replace(query, cost_cap_nanousd=cap_nanousd)
        least = max(least_unanimous(self.settings.confidence), query.n)
        fitted = within_sample_cap(capped, self.settings.targets, calls, least)
        return capped if samples_bound(fitted, self.settings.targets, calls, least) <= cap_nanousd else None

    async def close(self) -> None:
        """End the checker processes."""
        await self.checkers.close()

    async def _sample_and_vote(self, query: TierRequest, calls: Calls) -> AsyncGenerator[Progress | VoteOutcome]:
        settings = self.settings
        question = read_question(query.estimate.answer_type, query.messages, query.params)
        vote = Vote(question, self.checkers, self._verifiers, self._tests)
        fan = FanOut(
            calls, Tier.PARALLEL, self._slots, settings.at_once, settings.sample_timeout_s, sample_bound(query)
        )
        models = join_names(t.name for t in settings.targets)
        skips = self._skips(query, calls, join_key(models, question.answer_type))
        asked = settings.targets if skips else choose_admitted(settings.targets, calls.permits)
        if not asked and not self._can_escalate(query, calls):
            raise calls.permits.refusal(settings.targets)
        sampling = Sampling(self._plan(query, calls, question, asked or settings.targets), vote, fan, calls)
        outcome = VoteOutcome(query, sampling, self.calibration, models)
        if skips or not asked:
            sampling.reason = StopReason.NOT_WORTH_SAMPLING if skips else StopReason.UPSTREAM_FAILED
            yield Progress(0, 0, 0)
        else:
            async with aclosing(sampling.run()) as steps:
                async for step in steps:
                    yield step
            self._follow_labels(query, calls, outcome)
        outcome.escalates = outcome.is_undecided and self._can_escalate(query, calls)
        yield outcome

    def _confidence(self, query: TierRequest, question: Asked) -> float:
        """Return the confidence asked of a vote: of its answer type, else of all; the policy's, else as configured."""
        by_type = {**self.settings.confidence_by_type, **(query.confidence_by_type or {})}
        overall = self.settings.confidence if query.confidence is None else query.confidence
        return by_type.get(question.answer_type, overall)

    def _plan(
        self, query: TierRequest, calls: Calls, question: Asked, targets: tuple[ModelTarget, ...]
    ) -> SamplingPlan:
        """Decide what may be spent; `targets` are sampled."""
        settings, most = self.settings, self._most(query)
        confidence = self._confidence(query, question)
        if query.estimate.stakes is Stakes.HIGH:
            confidence = max(confidence, HIGH_STAKES_CONFIDENCE)
        # A policy may be older than the configuration: what its samples cannot reach is not asked of them.
        confidence, most = under_pressure(min(confidence, reachable(most)), most, query.pressure)
        most = max(self._worthwhile(query, question, most, confidence), query.n)
        is_long = query.input_bound_tokens >= LONG_BYTES
        sampled = within_sample_cap(query, targets, calls, max(least_unanimous(confidence), query.n))
        return SamplingPlan(
            max_samples=most,
            confidence=confidence,
            least_usable=query.n,
            open_samples=max(settings.open_samples, query.n),
            price_ratio=settings.price_ratio,
            least_wait_s=settings.least_wait_s,
            cost_cap_nanousd=query.cost_cap_nanousd,
            input_bound_tokens=sample_bound(query),
            request=sample_requests(
                sampled,
                targets,
                question,
                wants_logprobs=settings.token_confidence is not None,
                is_long=is_long,
            ),
            can_escalate=lambda: self._can_escalate(query, calls),
            leads=self._leads(query, targets, is_long=is_long),
            token_confidence=settings.token_confidence,
        )

    def _leads(self, query: TierRequest, targets: tuple[ModelTarget, ...], *, is_long: bool) -> int:
        """Return how many samples go ahead: one of each model that would read a long prompt anew, or a lone first."""
        now_s = asyncio.get_running_loop().time()
        cold = [t for t in targets if self._warmth.is_cold(t.name, query.messages, now_s)] if is_long else []
        if cold:
            return len(targets)
        return 0 if self.settings.token_confidence is None else 1

    def _most(self, query: TierRequest) -> int:
        """Return the samples that the policy allows, and never more than the configuration does."""
        most = self.settings.max_samples
        return most if query.max_samples is None else min(query.max_samples, most)

    def require_samples(self, query: TierRequest) -> None:
        """Refuse more choices than samples are allowed; raises InvalidRequest naming what allows no more."""
        most = self._most(query)
        if query.n > most:
            named = (
                "tiers.parallel.max_samples" if most == self.settings.max_samples else "the policy's parallel_samples"
            )
            raise InvalidRequest(f"n: {query.n} is more than the {most} of {named}", param="n", code="invalid_value")

    def _worthwhile(self, query: TierRequest, question: Asked, most: int, confidence: float) -> int:
        """Cap the samples where a verifier that selects is too weak for more to help."""
        selecting = [verifier.rates for verifier in self._verifiers if verifier.proves and verifier.applies(question)]
        chosen = judge.choose_judge(self.settings.judges, self.settings.targets)
        if self.settings.escalation is None and chosen is not None and self.calibration.may_judge(chosen.name):
            selecting.append(self.calibration.judge_rates(chosen.name))
        for rates in selecting:
            tpr, fpr = rates.true_positive.value, rates.false_positive.high
            few = worthwhile_samples(min(query.estimate.p_fast, HARD_QUESTION), tpr, fpr, most)
            most = min(most, max(least_unanimous(confidence), few))
        return most

    async def _answer(self, query: TierRequest, calls: Calls, outcome: VoteOutcome) -> Answer:
        strong = self._escalation_query(query, calls) if outcome.escalates else None
        if strong is not None and self.settings.escalation is not None:
            try:
                answer = await self.settings.escalation.answer(_add_hints(strong, outcome), calls)
                return outcome.mark_escalated(answer, [c.content for c in answer.choices])
            except ProviderError:
                if not outcome.has_answer:
                    raise
        return await self._from_samples(query, calls, outcome)

    async def _answer_stream(
        self, query: TierRequest, calls: Calls, outcome: VoteOutcome
    ) -> AsyncGenerator[Delta | Answer]:
        asked = self._escalation_query(query, calls) if outcome.escalates else None
        if asked is not None and self.settings.escalation is not None:
            has_begun, texts = False, [""] * query.n
            yield Delta(reasoning="No agreement: asking a stronger model.\n")
            strong = self.settings.escalation.stream(_add_hints(asked, outcome), calls)
            assert isinstance(strong, AsyncGenerator)
            try:
                async with aclosing(strong) as steps:
                    async for step in steps:
                        if isinstance(step, Answer):
                            yield outcome.mark_escalated(step, texts)
                            return
                        has_begun = has_begun or says_something(step)
                        if step.content and step.index < query.n:
                            texts[step.index] += step.content
                        yield step
            except ProviderError:
                if has_begun or not outcome.has_answer:
                    raise
        answer = await self._from_samples(query, calls, outcome)
        for delta in deltas_of(answer):
            yield delta
        yield drop_streamed_text(answer)

    async def _from_samples(self, query: TierRequest, calls: Calls, outcome: VoteOutcome) -> Answer:
        """Answer from what is there; a judge that labels have shown to be able decides a contested top two."""
        outcome.escalates = False
        if not outcome.has_answer:
            raise outcome.failure()
        ballot = self._ballot(outcome)
        if ballot is not None and not self._is_on_trial(query, ballot.judge):
            if not self._affords(query, calls, ballot):
                return outcome.answer()
            won = await judge.decide(calls, Tier.PARALLEL, ballot.judge, ballot.question, ballot.texts)
            outcome.judged = None if won is None else ballot.samples[won]
        return outcome.answer()

    def _ballot(self, outcome: VoteOutcome) -> "_Ballot | None":
        """Return what a judge would be asked, where there is one and the top two are close."""
        contested = outcome.contested
        chosen = judge.choose_judge(self.settings.judges, self.settings.targets)
        if contested is None or chosen is None:
            return None
        first, second = (s.choice.content or "" if s.choice else "" for s in contested)
        return _Ballot(chosen, outcome.sampling.vote.question.question, contested, (first, second))

    def _affords(self, query: TierRequest, calls: Calls, ballot: "_Ballot") -> bool:
        """Tell whether what is left of the request's cap pays for a judge."""
        bound = judge.worst_case(calls, ballot.judge, ballot.question, ballot.texts) or 0
        return query.cost_cap_nanousd is None or cost_so_far(calls) + bound <= query.cost_cap_nanousd

    def _is_on_trial(self, query: TierRequest, chosen: ModelTarget) -> bool:
        """Tell whether a judge is only watched: until labels speak for it, and on a tenth of the queries ever after."""
        return _is_of_a_tenth(query) or not self.calibration.may_judge(chosen.name)

    async def _try_judge(self, query: TierRequest, calls: Calls, outcome: VoteOutcome) -> None:
        """Ask a judge on trial about what the client gets, so that a label will tell how good it is."""
        ballot = None if outcome.escalates else self._ballot(outcome)
        if ballot is None or self._shadow is None or not self._is_on_trial(query, ballot.judge):
            return
        bound = judge.worst_case(calls, ballot.judge, ballot.question, ballot.texts) or 0
        async with self._shadow.paying(calls, bound) as is_paid:
            if is_paid:
                asked = (ballot.judge, ballot.question, ballot.texts)
                won = await judge.decide(calls, Tier.PARALLEL, *asked, CallKind.SHADOW)
                outcome.judge = ballot.judge.name
                outcome.judge_accepts = None if won is None else won == 0

    def _can_escalate(self, query: TierRequest, calls: Calls) -> bool:
        """Tell whether there is a stronger tier and what is left of the request's cap pays for it."""
        return self._escalation_query(query, calls) is not None

    def _escalation_query(self, query: TierRequest, calls: Calls) -> TierRequest | None:
        return escalation_query(self.settings.escalation, query, calls)

    def _skips(self, query: TierRequest, calls: Calls, key: str) -> bool:
        """Tell whether labels have shown that sampling first does not pay.

        An explicit choice is still honoured, and a tenth of the queries is sampled on, or nothing more were learnt.
        """
        if query.explicit or _is_of_a_tenth(query) or not self._can_escalate(query, calls):
            return False
        return not self.calibration.is_worth_sampling(key, query.estimate.p_reasoning, self.settings.price_ratio)

    def _follow_labels(self, query: TierRequest, calls: Calls, outcome: VoteOutcome) -> None:
        """Let labels distrust an agreement that was accepted, or trust one that was not, against a strong answer."""
        sampling = outcome.sampling
        if sampling.reason not in WEIGHED or not sampling.vote.top[0] or not self._can_escalate(query, calls):
            return
        is_worth_keeping = self.calibration.is_worth_keeping(outcome.ending(), self.settings.price_ratio)
        if is_worth_keeping is False and sampling.reason is StopReason.ACCEPTED:
            sampling.reason = StopReason.DISTRUSTED
        elif is_worth_keeping and sampling.reason is not StopReason.ACCEPTED:
            sampling.reason = StopReason.TRUSTED

    async def _book(self, query: TierRequest, calls: Calls, outcome: VoteOutcome, answer: Answer) -> None:
        """Keep for the books how the vote ended, and look at coverage on the shadow slice."""
        await self._observe(query, calls, outcome)
        await self._try_judge(query, calls, outcome)
        calls.note(outcome.ending(answer.confidence or 0.0))

    async def _observe(self, query: TierRequest, calls: Calls, outcome: VoteOutcome) -> None:
        """On the shadow slice, take the samples that stopping early saved."""
        if self._shadow is None or not outcome.has_answer or not self._shadow.holds(query.request_id):
            return
        vote = Vote(outcome.sampling.vote.question, self.checkers, self._verifiers, self._tests)
        await observe(self._shadow, outcome, vote, calls, self._slots, self.settings.sample_timeout_s)


@dataclass(frozen=True, slots=True)
class _Ballot:
    """Two answers to one question, put to a judge; the first is what the votes chose."""

    judge: ModelTarget
    question: str
    samples: tuple[Sample, Sample]
    texts: tuple[str, str]


def _is_of_a_tenth(query: TierRequest) -> bool:
    """Choose a tenth of the queries, by the end of the request id, which is random."""
    return int(query.request_id[-8:], 16) % 10 == 0


def _add_hints(query: TierRequest, outcome: VoteOutcome) -> TierRequest:
    return msgspec.structs.replace(query, messages=with_hints(query.messages, outcome.hints))
