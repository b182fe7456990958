"""A job from its beginning to its end: look, act, look again, until its recipe is done. Everything it needs is given.

`Checkpoints` makes it durable: what a step returned is not done again by whoever runs the job anew. The order of steps
follows from what earlier steps returned alone, so that a second run comes to the same steps.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import partial
from typing import Any, Protocol, TypeVar

import msgspec

from router.clock import Clock
from router.database.engine import patiently
from router.errors import RouterError, Unavailable
from router.jobs.actions import JobActor
from router.jobs.ending import end_without_money, ending_of, error_of, progress_of
from router.jobs.job import Ending, Job, JobStatus, Wishes
from router.jobs.next_step import next_step, step_after
from router.jobs.recipes import read_recipe
from router.jobs.steps import JobAction, JobBounds, JobDone, JobStep
from router.jobs.store import JobStore
from router.jobs.stretch import ActionRecord, JobStretch
from router.jobs.trail import AnswerWanted, CallLost, InstructionsCame, JobEvent, TimePassed, Trail
from router.ledger.entries import CallResult, Closing, Opening
from router.tiers.calls import Books
from router.types import Outcome

log = logging.getLogger(__name__)

PROGRESS_EVERY_MS = 500.0
MOST_STRETCHES = 100  # a job that was begun so often ends its workers
FAULT = "an internal error ended this job; the server's log tells more"
ENGINE = "dbos"
OUTCOMES = {JobStatus.COMPLETED: Outcome.OK, JobStatus.INCOMPLETE: Outcome.OK, JobStatus.CANCELLED: Outcome.CANCELLED}
Json = dict[str, Any]
Result = TypeVar("Result")


class Checkpoints(Protocol):
    """Makes a run durable. Steps that are begun together are begun in the same order in every run."""

    async def step(self, name: str, work: Callable[[], Awaitable[Json]]) -> Json:
        """Do a piece of work, or return what it returned in an earlier run."""
        ...


class Look(msgspec.Struct, frozen=True):
    """What a job sees before it decides what is next. Money in nano-dollars, seconds since it began."""

    at_s: float
    spent_nanousd: int
    is_over: bool
    wants_answer: bool = False
    instructions: int = 0


class JobRunner:
    """Runs jobs. `tell_end` is told how a job ended once it is settled; telling it twice must change nothing.

    `has_unsettled` tells of a job whether a batch of its calls may still come to something.
    """

    def __init__(
        self,
        store: JobStore,
        actor: JobActor,
        books: Books,
        clock: Clock,
        worker: str,
        keep_us: int,
        tell_end: Callable[[Job], Awaitable[None]],
        has_unsettled: Callable[[str], bool],
    ) -> None:
        self._has_unsettled = has_unsettled
        self._store = store
        self._actor = actor
        self._books = books
        self._clock = clock
        self._worker = worker
        self._keep_us = keep_us
        self._tell_end = tell_end
        self.running: dict[str, JobStretch] = {}
        self._telling: set[asyncio.Task[None]] = set()

    async def run(self, job_id: str, checkpoints: Checkpoints) -> None:
        """Run a job to its end; again after a kill, which goes on where the checkpoints end."""
        job = await patiently(lambda: self._store.get(job_id))
        if job is None:
            return
        claim = await patiently(lambda: self._store.begin(job_id, self._worker, self._clock.now_us()))
        if claim is not None:
            await self._run(job, claim, checkpoints)
        await self.settle_ended(job_id)

    async def settle_ended(self, job_id: str) -> None:
        """Book a job that has ended, and tell who wants to know; doing so again changes nothing.

        It is no step of the job: a run that finds it ended, as after a kill, has none of the steps before.
        """
        await self._settle(job_id)
        job = await patiently(lambda: self._store.get(job_id))
        if job is not None and job.status.is_final:
            await self._tell_end(job)

    async def fail(self, job: Job, why: str) -> None:
        """End a job that cannot be run, book it, and tell who wants to know."""
        await self._end(job.id, None, Ending(JobStatus.FAILED, error={"code": "server_error", "message": why}))
        await self.settle_ended(job.id)

    def hear(self, job_id: str, wishes: Wishes) -> None:
        """Act on what was asked of a job that runs here: what is under way is called off where it is not wanted."""
        if (stretch := self.running.get(job_id)) is not None:
            stretch.wants_answer = wishes.wants_answer
            if wishes.is_cancelled or (wishes.wants_answer and stretch.has_answer):
                stretch.interrupt.call_off()

    def leave_all(self) -> None:
        """Stop every job without an end: another worker has taken over."""
        for stretch in self.running.values():
            stretch.interrupt.leave()

    @staticmethod
    def results_of(steps: Iterable[Any]) -> list[CallResult]:
        """Return the results of calls among what the steps of a job returned."""
        found: list[CallResult] = []
        for step in steps:
            if isinstance(step, dict) and "results" in step:
                found += msgspec.convert(step, ActionRecord).results
        return found

    async def _run(self, job: Job, claim: int, checkpoints: Checkpoints) -> None:
        try:
            stretch = self._begin_stretch(job, claim)
            self.running[job.id] = stretch
            ending = await self._work(stretch, checkpoints)
        except RouterError as error:
            ending = Ending(JobStatus.FAILED, error=error_of(error))
        except Exception as error:
            if is_of_engine(error):
                raise
            log.exception("job %s failed", job.id)
            ending = Ending(JobStatus.FAILED, error={"code": "server_error", "message": FAULT})
        finally:
            if (stretch_run := self.running.pop(job.id, None)) is not None:
                stretch_run.interrupt.leave()
            if saved := self._actor.drop(job.id):  # calls that were cut, as where this worker stops
                await asyncio.shield(patiently(lambda: self._store.give_back(job.id, saved)))
        await self._end(job.id, claim, ending or Ending(JobStatus.CANCELLED))  # changes nothing of one that has ended

    def _begin_stretch(self, job: Job, claim: int) -> JobStretch:
        """Read what a job needs; raises RouterError where it cannot be run by this version, or any more."""
        if claim > MOST_STRETCHES:
            raise Unavailable(f"the job was begun {claim} times and did not come to an end")
        try:
            recipe = read_recipe(msgspec.json.encode(job.recipe["recipe"]))
            bounds = msgspec.convert(job.recipe["bounds"], JobBounds)
            return JobStretch.of(job, recipe, bounds, claim)
        except (msgspec.ValidationError, KeyError) as error:
            raise Unavailable(f"the job was stored by another version and cannot be read: {error}") from None

    async def _work(self, stretch: JobStretch, checkpoints: Checkpoints) -> Ending | None:
        """Look and act until the job is done; None where its caller ended it."""
        began = await checkpoints.step("begin", partial(self._note_beginning, stretch))
        stretch.began_us = began["began_us"]
        while True:
            seen = msgspec.convert(await checkpoints.step("look", partial(self._look, stretch)), Look)
            stretch.instructions = stretch.added[: seen.instructions]
            take_in(stretch.trail, seen)
            following = next_step(stretch.recipe, stretch.trail.events, stretch.bounds)
            if seen.is_over:
                return None
            if isinstance(following, JobDone):
                return ending_of(stretch, following)
            if not await self._act(stretch, following, checkpoints):
                return ending_of(stretch, end_without_money(stretch.trail, stretch.bounds))

    async def _note_beginning(self, stretch: JobStretch) -> Json:
        return {"began_us": stretch.job.started_at or self._clock.now_us()}

    async def _look(self, stretch: JobStretch) -> Json:
        job = await patiently(lambda: self._store.get(stretch.job.id))
        if job is None or job.work is None:
            return {"at_s": stretch.trail.at_s, "spent_nanousd": 0, "is_over": True}
        stretch.added = [instruction.text for instruction in job.instructions]
        look = Look(
            round((self._clock.now_us() - stretch.began_us) / 1e6, 3),
            job.spent_nanousd,
            job.status.is_final,
            job.answer_asked_at is not None,
            len(job.instructions),
        )
        return to_plain(look)

    async def _act(self, stretch: JobStretch, step: JobStep, checkpoints: Checkpoints) -> bool:
        """Take the actions of a step, all at once; the trail has them in the order in which they ended.

        Returns False where what is held for the job did not cover one of them.
        """
        await self._note_progress(stretch, stretch.trail)
        live = Trail.of(stretch.recipe, stretch.trail.events)
        self._actor.plan_batches(stretch, step, lambda: self._tell_soon(stretch, live))
        taken = [self._take(stretch, live, action, checkpoints) for action in step.actions]
        records: Sequence[ActionRecord] = await asyncio.gather(*taken)
        for record in sorted(records, key=lambda record: record.event.at_s):
            stretch.trail.note(record.event)
        await self._note_progress(stretch, stretch.trail)
        return not any(record.has_no_room for record in records)

    async def _take(
        self, stretch: JobStretch, live: Trail, action: JobAction, checkpoints: Checkpoints
    ) -> ActionRecord:
        async def act() -> Json:
            return to_plain(await self._actor.take(stretch, action))

        record = msgspec.convert(await checkpoints.step(action.stage, act), ActionRecord)
        stretch.records[action.name] = record
        saved = self._actor.book(stretch.job.id, action.name)
        if saved:
            await patiently(lambda: self._store.give_back(stretch.job.id, saved))
        live.note(record.event)
        if self._clock.ticks_ms() - stretch.told_ms > PROGRESS_EVERY_MS:
            await self._note_progress(stretch, live, is_told=False)
        stretch.has_answer = bool(live.readable)
        if stretch.wants_answer and stretch.has_answer:
            stretch.interrupt.call_off()
        else:
            call_off_unwanted(stretch, live)
        return record

    def _tell_soon(self, stretch: JobStretch, live: Trail) -> None:
        """Say that a batch has come on, while its samples wait."""
        task = asyncio.create_task(self._note_progress(stretch, live, is_told=False))
        self._telling.add(task)
        task.add_done_callback(self._telling.discard)

    async def _note_progress(self, stretch: JobStretch, trail: Trail, *, is_told: bool = True) -> None:
        stretch.told_ms = self._clock.ticks_ms()
        progress = progress_of(stretch, trail, is_told=is_told)
        if progress != stretch.told:
            stretch.told = progress
            await patiently(lambda: self._store.note_progress(stretch.job.id, stretch.claim, progress))

    async def _end(self, job_id: str, claim: int | None, ending: Ending) -> None:
        now_us, keep_us = self._clock.now_us(), self._keep_us
        await patiently(lambda: self._store.finish(job_id, claim, ending, now_us, keep_us))

    async def _settle(self, job_id: str) -> None:
        """Write the request of a job that ended into the spool, unless it is in the books or a batch is still out."""
        job = await patiently(lambda: self._store.get(job_id))
        if job is None or not job.status.is_final or job.booked_at is not None:
            return
        if await patiently(lambda: self._has_unsettled(job_id)):
            return  # `BatchKeeper` comes back to it
        opening = msgspec.convert(job.recipe["opening"], Opening)
        ended_us = job.finished_at or self._clock.now_us()
        closing = Closing(
            job.request_id,
            ended_us,
            job.answer.final_tier if job.answer else opening.first_tier,
            OUTCOMES.get(job.status, Outcome.ERROR),
            job.answer.call_no if job.answer else None,
            None,
            (ended_us - job.created_at) // 1_000,
        )
        self._books.write([opening, closing])


def take_in(trail: Trail, seen: Look) -> None:
    """Let a trail know what was asked for meanwhile, and what was lost with a worker that died."""
    events: list[JobEvent] = []
    if (lost := seen.spent_nanousd - trail.spent_nanousd) > 0:
        events.append(CallLost(f"lost:{len(trail.events)}", seen.at_s, lost))
    if seen.wants_answer and not trail.is_answer_wanted:
        events.append(AnswerWanted(seen.at_s))
    events += [InstructionsCame(seen.at_s)] * max(seen.instructions - trail.round, 0)
    for event in (*events, TimePassed(seen.at_s)):
        trail.note(event)


def call_off_unwanted(stretch: JobStretch, live: Trail) -> None:
    """Call off what is under way and would change nothing any more."""
    if under_way := stretch.interrupt.names:
        following = step_after(live, stretch.bounds)
        wanted = {action.name for action in following.actions} if isinstance(following, JobStep) else set()
        stretch.interrupt.call_off([name for name in under_way if name not in wanted])


def is_of_engine(error: Exception) -> bool:
    """Tell whether an error is the engine's own, as where another worker has taken the job over."""
    return type(error).__module__.partition(".")[0] == ENGINE


def to_plain(value: msgspec.Struct) -> Json:
    """Return a struct as plain values that can be written as JSON."""
    made: Json = msgspec.to_builtins(value)
    return made
