"""One action of a job: its prompt, its calls, what was read of the answer. Runs in the event loop of the server.

The numbers of its calls are reserved in the database before anything is sent, by a statement that only the worker that
runs the job can make; a number is never used again. What came is returned as an `ActionRecord`, which is checkpointed
before the results are spooled: an action is settled with its checkpoint, and what has none was lost with its worker.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass, field
from typing import Any, assert_never

import msgspec

from router.clock import Clock
from router.database.engine import AWAY_PAUSE_S, off_loop
from router.errors import Cause, ProviderError, Unavailable
from router.jobs.job import Job, JobWork
from router.jobs.prompts import ask_for_fault, ask_to_revise, ask_to_synthesise, prompt_bytes, read_fault
from router.jobs.recipes import Recipe, RecipeName
from router.jobs.steps import JobAction, JobBounds, JobStage
from router.jobs.store import CallRefused, JobStore
from router.jobs.trail import AnswerCame, CallFailed, FaultSought, Trail, VerdictCame, sample_name
from router.ledger.entries import CallResult
from router.ledger.prices import PriceBook
from router.providers.base import Choice, Completion, Delta, ModelTarget, Provider, ProviderRequest
from router.providers.collecting import fold
from router.tiers.base import TierRequest
from router.tiers.calls import Books, Calls
from router.tiers.parallel.planning import sample_bound, sample_requests
from router.tiers.permits import Permits, TargetBook
from router.tiers.single import SingleTier
from router.tiers.vote import judge
from router.tiers.vote.checkers import CheckBudget, CheckerPool
from router.tiers.vote.keys import Asked, VoteKey, read_question, read_sample
from router.tiers.vote.readings import Said
from router.tiers.vote.verifiers import Ruling, Verifier
from router.types import CallKind, CallStatus, Tier

ATTEMPTS_AT_ONE = 5  # at one action, where its provider is overloaded or away
USUAL_ATTEMPTS = 2  # of them, the last ones, are made with the usual service where a cheaper one was asked for
LONGEST_PAUSE_S = 30.0
PASSING = frozenset(
    {Cause.RATE_LIMITED, Cause.OVERLOADED, Cause.UNREACHABLE, Cause.TIMEOUT_CONNECT, Cause.BREAKER_OPEN}
)
CallEvent = AnswerCame | VerdictCame | FaultSought | CallFailed
TargetFinder = Callable[[JobWork, Recipe, JobStage, str], ModelTarget]


class ClaimLost(asyncio.CancelledError):
    """Another worker runs the job by now: this one stops, as if it had died, and checkpoints nothing more."""


class ActionRecord(msgspec.Struct):
    """What came of an action, as it is checkpointed: its event, the answer's text, and what its calls cost.

    `has_no_room`: it was not taken, because what is held for the job does not cover it.
    """

    event: CallEvent
    model: str
    stage: JobStage
    choice: Choice | None = None
    fault: str | None = None
    form: str | None = None
    call_no: int | None = None
    provider_model: str | None = None
    service_tier: str | None = None
    dropped: list[str] = []
    results: list[CallResult] = []
    seconds: float = 0.0
    status: CallStatus | None = None
    error: str | None = None
    has_no_room: bool = False


class Interrupt:
    """Calls off actions of a job, by name or all of them. Belongs to the event loop."""

    def __init__(self) -> None:
        self.is_leaving = False  # this worker stops, and another one will go on
        self._tasks: dict[str, asyncio.Task[Any]] = {}
        self._is_over = False

    def add(self, name: str, task: asyncio.Task[Any]) -> None:
        """Have an action called off by its name."""
        self._tasks[name] = task
        task.add_done_callback(lambda _: self._tasks.pop(name, None))
        if self._is_over:
            task.cancel()

    def call_off(self, names: Sequence[str] | None = None) -> None:
        """Call off the actions of these names, or all, those that have yet to begin too."""
        self._is_over = self._is_over or names is None
        for name, task in list(self._tasks.items()):
            if names is None or name in names:
                task.cancel()

    def leave(self) -> None:
        """Stop everything without an end: nothing of it is checkpointed."""
        self.is_leaving = True
        self.call_off()

    @property
    def names(self) -> Sequence[str]:
        """The actions under way."""
        return list(self._tasks)


@dataclass(slots=True)
class JobStretch:
    """A job as one worker runs it: which stretch this is, what has come, and what may still be called off."""

    job: Job
    work: JobWork
    recipe: Recipe
    bounds: JobBounds
    claim: int
    query: TierRequest
    question: Asked
    trail: Trail
    began_us: int = 0
    wants_answer: bool = False  # as soon as there is one
    has_answer: bool = False
    told: dict[str, Any] = field(default_factory=dict)  # of its progress, and when
    told_ms: float = 0.0
    added: Sequence[str] = ()  # instructions, those for a later wave too
    records: dict[str, ActionRecord] = field(default_factory=dict)
    instructions: Sequence[str] = ()
    interrupt: Interrupt = field(default_factory=Interrupt)
    budget: CheckBudget = field(default_factory=CheckBudget)
    places: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(16))

    @classmethod
    def of(cls, job: Job, recipe: Recipe, bounds: JobBounds, claim: int) -> "JobStretch":
        """Begin a stretch of a job whose texts are there."""
        if job.work is None:
            raise Unavailable("the job's request was deleted")
        query = job.work.query()
        question = read_question(query.estimate.answer_type, query.messages, query.params)
        stretch = cls(job, job.work, recipe, bounds, claim, query, question, Trail(recipe))
        stretch.told, stretch.added = job.progress, [instruction.text for instruction in job.instructions]
        stretch.places = asyncio.Semaphore(bounds.at_once)
        return stretch

    def text_of(self, name: str) -> str:
        """Return what an action answered."""
        choice = self.records[name].choice
        return (choice.content or "") if choice is not None else ""


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
    ) -> None:
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
        known = [call.cost_nanousd for call in calls]
        cost = None if None in known else sum(cost for cost in known if cost is not None)
        at_s = round((self._clock.now_us() - stretch.began_us) / 1e6, 3)
        record.event = msgspec.structs.replace(record.event, at_s=at_s, cost_nanousd=cost)
        record.results = [entry for one, _ in made for entry in one.waiting if isinstance(entry, CallResult)]
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
