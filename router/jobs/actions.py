"""One action of a job: its prompt, its calls, what was read of the answer. Runs in the event loop of the server.

The numbers of its calls are reserved in the database before anything is sent, by a statement that only the worker that
runs the job can make; a number is never used again. What came is returned as an `ActionRecord`, which is checkpointed
before the results are spooled: an action is settled with its checkpoint, and what has none was lost with its worker.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import aclosing, suppress
from functools import partial
from typing import Any, assert_never

import msgspec

from router.clock import Clock
from router.database.engine import AWAY_PAUSE_S, off_loop
from router.errors import Cause, ProviderError, Unavailable
from router.jobs.batch_calls import BatchAnswer, times_of
from router.jobs.batches import Batches, BatchOrder, Purchase
from router.jobs.job import JobWork
from router.jobs.prompts import ask_for_fault, ask_to_revise, ask_to_synthesise, prompt_bytes, read_fault
from router.jobs.recipes import Recipe, RecipeName
from router.jobs.steps import JobAction, JobStage, JobStep
from router.jobs.store import CallRefused, JobStore
from router.jobs.stretch import ActionRecord, CallEvent, ClaimLost, JobStretch
from router.jobs.trail import AnswerCame, CallFailed, FaultSought, VerdictCame, sample_name
from router.jobs.windows import LEAST_IN_BATCH
from router.ledger.entries import CallResult
from router.ledger.prices import BATCH, PriceBook
from router.providers.base import Completion, Delta, ModelTarget, Provider, ProviderRequest
from router.providers.collecting import fold
from router.providers.custom_tools import needs_functions
from router.tiers.calls import Books, Calls
from router.tiers.parallel.planning import sample_bound, sample_requests
from router.tiers.permits import Permits, TargetBook
from router.tiers.single import SingleTier
from router.tiers.vote import judge
from router.tiers.vote.checkers import CheckerPool
from router.tiers.vote.keys import VoteKey, read_sample
from router.tiers.vote.readings import Said
from router.tiers.vote.verifiers import Ruling, Verifier
from router.types import CallKind, CallStatus, Tier

ATTEMPTS_AT_ONE = 5  # at one action, where its provider is overloaded or away
USUAL_ATTEMPTS = 2  # of them, the last ones, are made with the usual service where a cheaper one was asked for
LONGEST_PAUSE_S = 30.0
PASSING = frozenset(
    {Cause.RATE_LIMITED, Cause.OVERLOADED, Cause.UNREACHABLE, Cause.TIMEOUT_CONNECT, Cause.BREAKER_OPEN}
)
TargetFinder = Callable[[JobWork, Recipe, JobStage, str], ModelTarget]


class JobActor:
    """Takes actions. `may_act` tells whether this worker may still act for the jobs it runs."""

    def __init__(
        self,
        store: JobStore,
        books: Books,
        prices: PriceBook,
        provider_of: Callable[[ModelTarget], Provider],
        clock: Clock,
        targets: TargetBook | None,
        find_target: TargetFinder,
        checkers: CheckerPool,
        verifiers: Sequence[Verifier],
        tell_failure: Callable[[ProviderRequest, ProviderError], None],
        may_act: Callable[[], bool],
        places: int,
        batches: Batches,
    ) -> None:
        self._batches = batches
        self._store = store
        self._books = books
        self._prices = prices
        self._provider_of = provider_of
        self._clock = clock
        self._targets = targets
        self._find_target = find_target
        self._checkers = checkers
        self._verifiers = verifiers
        self._tell_failure = tell_failure
        self._may_act = may_act
        self._places = asyncio.Semaphore(places)
        self._unbooked: dict[tuple[str, str], list[tuple[Calls, int]]] = {}  # by job and action, with what is reserved

    def plan_batches(self, stretch: JobStretch, step: JobStep, tell: Callable[[], None]) -> None:
        """Have the samples of a step bought as batches, one a model, where that is worth it and time allows.

        The same follows from the same events, whoever runs the job; `tell` is called as batches come on.
        """
        stretch.purchases = {}
        for model in stretch.recipe.batched if step.stage is JobStage.SAMPLE else ():
            actions = [action for action in step.actions if action.model == model]
            times = times_of(stretch.recipe, stretch.bounds, actions, stretch.trail.at_s) if actions else None
            if times is None or len(actions) < LEAST_IN_BATCH:
                continue
            target = self._find_target(stretch.work, stretch.recipe, JobStage.SAMPLE, model)
            if needs_functions(self._request(stretch, actions[0], target)[1]):
                continue
            purchase = Purchase(
                stretch.job.id,
                stretch.job.request_id,
                stretch.claim,
                actions[0].name,
                target,
                self._tier(stretch, actions[0]),
                times,
                partial(self._order, stretch, actions, target),
                lambda: (self._clock.now_us() - stretch.began_us) / 1e6,
                tell,
            )
            stretch.purchases |= dict.fromkeys([action.name for action in actions], purchase)

    async def take(self, stretch: JobStretch, action: JobAction) -> ActionRecord:
        """Take an action, again where its provider is away for a moment; raises ClaimLost.

        What is called off meanwhile is recorded as a call that failed.
        """
        task = asyncio.create_task(self._take(stretch, action))
        stretch.interrupt.add(action.name, task)
        began_ms = self._clock.ticks_ms()
        made: list[tuple[Calls, int]] = []
        self._unbooked[stretch.job.id, action.name] = made
        try:
            record = await task
        except ClaimLost:
            raise
        except asyncio.CancelledError:
            if stretch.interrupt.is_leaving or ((outer := asyncio.current_task()) and outer.cancelling()):
                raise
            record = _fail_action(action, "called off", CallStatus.CANCELLED)
        except (ProviderError, TimeoutError) as error:
            record = _fail_action(action, str(error) or "it took too long", CallStatus.ERROR)
        return self._complete(stretch, action, record, made, self._clock.ticks_ms() - began_ms)

    def book(self, job_id: str, name: str) -> int:
        """Spool the results of an action that is checkpointed, where they are this worker's.

        Returns what they cost less than was reserved for them, in nano-dollars.
        """
        saved = 0
        for calls, bound in self._unbooked.pop((job_id, name), ()):
            calls.flush()
            calls.permits.close()
            saved += bound - sum(call.cost_nanousd or 0 for call in calls.made)
        return saved

    def drop(self, job_id: str) -> int:
        """Spool what is left of a job that this worker runs no more; returns what `book` does."""
        return sum(self.book(of_job, name) for of_job, name in list(self._unbooked) if of_job == job_id)

    async def _take(self, stretch: JobStretch, action: JobAction) -> ActionRecord:
        if (purchase := stretch.purchases.get(action.name)) is not None:
            await self._batches.wait_for(purchase, lambda: stretch.interrupt.is_leaving)
            if purchase.is_lost:
                raise ClaimLost(stretch.job.id)
            if (answer := purchase.answer_of(action.name)) is not None:
                return await self._record_batched(stretch, action, purchase, answer)
        async with stretch.places, self._places:
            for attempt in range(ATTEMPTS_AT_ONE):
                try:
                    async with asyncio.timeout(stretch.bounds.of(action.stage, action.model).seconds):
                        return await self._act(stretch, action, is_last=attempt >= ATTEMPTS_AT_ONE - USUAL_ATTEMPTS)
                except Unavailable:  # no room in the spool
                    pause_s = LONGEST_PAUSE_S
                except ProviderError as error:
                    if error.cause not in PASSING or attempt == ATTEMPTS_AT_ONE - 1:
                        raise
                    pause_s = min(max(error.retry_after_seconds or 0, 2.0**attempt), LONGEST_PAUSE_S)
                await asyncio.sleep(pause_s)
        raise ProviderError("the ledger's spool has no room", dispatched=False)

    async def _act(self, stretch: JobStretch, action: JobAction, *, is_last: bool) -> ActionRecord:
        """Make the calls of an action; at last with the usual service, whatever the caller has time for."""
        target = self._find_target(stretch.work, stretch.recipe, action.stage, action.model)
        if action.stage is JobStage.JUDGE:
            return await self._judge(stretch, action, target)
        form, request, bound_tokens = self._request(stretch, action, target)
        if (service := stretch.recipe.service_of(action.model)) is not None and not is_last:
            request = msgspec.structs.replace(request, params={**request.params, "service_tier": service})
        kind = CallKind.SAMPLE if action.stage is JobStage.SAMPLE else CallKind.ANSWER
        if action.stage is JobStage.VERIFY:
            kind = CallKind.JUDGE
        elif stretch.recipe.name is RecipeName.SINGLE:
            kind = CallKind.ANSWER
        calls = await self._calls(stretch, action, [request], bound_tokens)
        if calls is None:
            return _without_room(action)
        [call] = calls.dispatch([request], kind, self._tier(stretch, action), bound_tokens)
        completion = await _complete(calls, call, request)
        choice = completion.choices[0]
        record = ActionRecord(
            CallFailed(action.name, 0.0),
            action.model,
            action.stage,
            choice,
            form=form,
            call_no=call.call_no,
            provider_model=completion.provider_model,
            service_tier=completion.service_tier,
            dropped=[name for name in completion.dropped if name in stretch.query.params],
            status=CallStatus.OK,
        )
        record.event = await self._read(stretch, action, record)
        return record

    def _order(self, stretch: JobStretch, actions: Sequence[JobAction], target: ModelTarget) -> Sequence[BatchOrder]:
        """Write the calls of a batch, which has a service tier of its own."""
        orders = []
        for action in actions:
            _, request, bound_tokens = self._request(stretch, action, target)
            params = {name: value for name, value in request.params.items() if name != "service_tier"}
            orders.append(BatchOrder(action, msgspec.structs.replace(request, params=params), bound_tokens))
        return orders

    async def _record_batched(
        self, stretch: JobStretch, action: JobAction, purchase: Purchase, answer: BatchAnswer
    ) -> ActionRecord:
        """Record what a batch answered."""
        form, _, _ = self._request(stretch, action, purchase.target)
        call = purchase.call_of(action.name)
        record = ActionRecord(
            CallFailed(action.name, 0.0),
            action.model,
            action.stage,
            answer.choice,
            form=form,
            call_no=call.intent.call_no if call is not None else None,
            provider_model=purchase.target.name,
            service_tier=BATCH,
            dropped=[name for name in answer.dropped if name in stretch.query.params],
            status=CallStatus.OK,
        )
        record.event = await self._read(stretch, action, record)
        return record

    def _request(
        self, stretch: JobStretch, action: JobAction, target: ModelTarget
    ) -> tuple[str | None, ProviderRequest, int]:
        """Return the form, the request and the bound of its input in tokens."""
        query, recipe = stretch.query, stretch.recipe
        if stretch.instructions:
            added = [{"role": "user", "content": text} for text in stretch.instructions]
            size = query.input_bound_tokens + sum(len(text.encode()) for text in stretch.instructions)
            query = msgspec.structs.replace(query, messages=[*query.messages, *added], input_bound_tokens=size)
        if action.stage is JobStage.SAMPLE and recipe.name is not RecipeName.SINGLE:
            targets = [self._find_target(stretch.work, recipe, action.stage, model) for model in recipe.models]
            form, request = sample_requests(query, targets, stretch.question)(action.index)
            return form, request, sample_bound(query)
        texts = [stretch.text_of(name) for name in action.of]
        match action.stage:
            case JobStage.VERIFY:
                messages = ask_for_fault(query.messages, texts[0])
            case JobStage.REVISE:
                fault = stretch.records.get(f"v:{action.of[0]}")
                messages = ask_to_revise(query.messages, texts[0], (fault.fault if fault else None) or "not known")
            case JobStage.SYNTHESISE:
                messages = ask_to_synthesise(query.messages, texts)
            case _:
                messages = query.messages
        bound = query.input_bound_tokens + (prompt_bytes(len(texts)) if texts else 0)
        asked = msgspec.structs.replace(query, messages=messages, keeps_cache=False)
        return None, SingleTier(self._tier(stretch, action), [target]).request_to(asked, target, 1), bound

    def _tier(self, stretch: JobStretch, action: JobAction) -> Tier:
        """The tier that a call is booked under."""
        if action.stage is JobStage.SAMPLE or action.stage is JobStage.JUDGE:
            return stretch.work.decision.tier
        return Tier.REASONING

    async def _judge(self, stretch: JobStretch, action: JobAction, target: ModelTarget) -> ActionRecord:
        first, second = (stretch.text_of(name) for name in action.of)
        question = stretch.question.question
        probe = self._new_calls(stretch, 0)
        bound = judge.worst_case(probe, target, question, (first, second))
        calls = await self._reserve(stretch, bound, 2, action)
        if calls is None:
            return _without_room(action)
        won = await judge.decide(calls, self._tier(stretch, action), target, question, (first, second))
        event = VerdictCame(action.name, 0.0, 0, won)
        return ActionRecord(event, action.model, action.stage, status=CallStatus.OK)

    async def _calls(
        self, stretch: JobStretch, action: JobAction, requests: Sequence[ProviderRequest], bound_tokens: int
    ) -> Calls | None:
        probe = self._new_calls(stretch, 0)
        bounds = [probe.worst_case(request, bound_tokens) for request in requests]
        bound = None if None in bounds else sum(bound for bound in bounds if bound is not None)
        return await self._reserve(stretch, bound, len(requests), action)

    async def _reserve(self, stretch: JobStretch, bound: int | None, count: int, action: JobAction) -> Calls | None:
        """Reserve the numbers of calls, waiting for the database; None where what is held does not cover them.

        Raises ClaimLost, and ProviderError where the job has ended.
        """
        job_id, claim = stretch.job.id, stretch.claim
        number: int | CallRefused | None = None
        while number is None:
            if not self._may_act():
                await asyncio.sleep(AWAY_PAUSE_S)
                continue
            reserving = asyncio.ensure_future(off_loop(lambda: self._store.reserve(job_id, claim, bound, count)))
            try:
                number = await asyncio.shield(reserving)
            except asyncio.CancelledError:
                await self._reserve_for_nothing(stretch, action, reserving, bound)
                raise
            except Unavailable:  # the database is away: nothing is bought until it is back
                await asyncio.sleep(AWAY_PAUSE_S)
        match number:
            case CallRefused.LOST:
                raise ClaimLost(job_id)
            case CallRefused.NO_ROOM:
                return None
            case CallRefused.ENDED:
                raise ProviderError("called off", dispatched=False)
            case int():
                pass
            case _:
                assert_never(number)
        calls = self._new_calls(stretch, number)
        self._unbooked[job_id, action.name].append((calls, bound or 0))
        return calls

    async def _reserve_for_nothing(
        self,
        stretch: JobStretch,
        action: JobAction,
        reserving: "asyncio.Future[int | CallRefused]",
        bound: int | None,
    ) -> None:
        """Wait for what an action that was called off had begun to reserve, so that all of it is given back.

        It may be called off again meanwhile.
        """
        while not reserving.done():
            with suppress(asyncio.CancelledError):
                await asyncio.wait((reserving,))
        with suppress(Unavailable, asyncio.CancelledError):
            if isinstance(number := reserving.result(), int):
                self._unbooked[stretch.job.id, action.name].append((self._new_calls(stretch, number), bound or 0))

    def _new_calls(self, stretch: JobStretch, first_call_no: int) -> Calls:
        estimate = stretch.query.estimate
        return Calls(
            stretch.work.opening,
            self._books,
            self._prices,
            self._provider_of,
            self._clock,
            stretch.query.input_bound_tokens,
            tell_failure=self._tell_failure,
            permits=Permits(self._targets),
            forecasts=(estimate.output_fast, estimate.output_reasoning),
            first_call_no=first_call_no,
        )

    async def _read(self, stretch: JobStretch, action: JobAction, record: ActionRecord) -> CallEvent:
        """Read what an answer says; its time and cost are filled in at the end."""
        choice = record.choice
        assert choice is not None
        if action.stage is JobStage.VERIFY:
            record.fault = read_fault(choice.content or "")
            return FaultSought(action.name, 0.0, 0, None if record.fault is None else bool(record.fault))
        reading = read_sample(choice, stretch.question)
        said, is_proven = reading.said, False
        if stretch.recipe.name is RecipeName.SINGLE and said is Said.NON_ANSWER:
            said = Said.UNREADABLE  # whatever the one model says is its answer
        if said in (Said.ANSWER, Said.UNREADABLE):
            for verifier in self._verifiers:
                ruling = await verifier.rule(choice, stretch.question) if verifier.applies(stretch.question) else None
                if ruling is Ruling.WRONG:
                    return AnswerCame(action.name, 0.0, 0, Said.REJECTED)
                is_proven = is_proven or ruling is Ruling.RIGHT
        same_as = await self._find_equal(stretch, reading.key) if reading.key is not None else None
        return AnswerCame(action.name, 0.0, 0, said, reading.key, same_as, is_proven)

    async def _find_equal(self, stretch: JobStretch, key: VoteKey) -> str | None:
        """Name an answer that computer algebra holds equal to one whose spelling no other shares."""
        tally = stretch.trail.tally
        if tally.find(key) is not None or key.kind not in ("maths", "number"):
            return None
        for cluster in tally.ranked:
            other = cluster.key
            if other.kind in ("maths", "number") and (key.is_maths or other.is_maths):
                pair = key.bare or key.value, other.bare or other.value
                if await self._checkers.same_maths(*pair, stretch.budget):
                    return sample_name(cluster.members[0])
        return None

    def _complete(
        self,
        stretch: JobStretch,
        action: JobAction,
        record: ActionRecord,
        made: Sequence[tuple[Calls, int]],
        took_ms: float,
    ) -> ActionRecord:
        """Fill in what only the end tells: when it was, and what all calls cost."""
        calls = [call for one, _ in made for call in one.made]
        purchase = stretch.purchases.get(action.name)
        in_batch = purchase.call_of(action.name) if purchase is not None else None
        known = [call.cost_nanousd for call in (*([in_batch] if in_batch else ()), *calls)]
        cost = None if None in known else sum(cost for cost in known if cost is not None)
        at_s = round((self._clock.now_us() - stretch.began_us) / 1e6, 3)
        record.event = msgspec.structs.replace(record.event, at_s=at_s, cost_nanousd=cost)
        record.results = [entry for one, _ in made for entry in one.waiting if isinstance(entry, CallResult)]
        if in_batch is not None and in_batch.result is not None:
            record.results.append(in_batch.result)
        record.seconds = round(took_ms / 1_000, 3)
        if record.call_no is None and calls:
            record.call_no = calls[-1].call_no
        return record


async def _complete(calls: Calls, call: Any, request: ProviderRequest) -> Completion:
    """Stream a call, so that calling it off is felt at once, and return the whole answer; raises ProviderError."""
    deltas: list[Delta] = []
    async with aclosing(calls.stream(call, request)) as stream:
        async for delta in stream:
            deltas.append(delta)
    name = request.target.name
    if not any(delta.finish_reason for delta in deltas):
        raise ProviderError(f"{name} broke off its answer", cause=Cause.BROKEN_OFF)
    completion = fold(deltas, name)
    if not completion.choices:
        raise ProviderError(f"{name} returned no answer", cause=Cause.NONSENSE)
    return completion


def _fail_action(action: JobAction, why: str, status: CallStatus) -> ActionRecord:
    return ActionRecord(CallFailed(action.name, 0.0), action.model, action.stage, status=status, error=why)


def _without_room(action: JobAction) -> ActionRecord:
    event = CallFailed(action.name, 0.0, 0)
    return ActionRecord(event, action.model, action.stage, error="what is held does not cover it", has_no_room=True)
