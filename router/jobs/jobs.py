"""Background jobs as endpoints and commands see them: submit one, look it up, hurry it, call it off."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import Engine

from router.clock import Clock
from router.database.engine import off_loop
from router.errors import InvalidRequest, NotFound, QuotaExhausted, RateLimited
from router.exchange import Exchange
from router.jobs import holds
from router.jobs.actions import TargetFinder
from router.jobs.bounds import work_out_bounds
from router.jobs.callback import CallbackRules
from router.jobs.engine import STEPS_VERSION
from router.jobs.job import PLAIN_QUEUE, Job, JobStatus, JobWish, JobWork
from router.jobs.quote import JobQuote, quote_fields
from router.jobs.quoter import JobQuoter, note_of
from router.jobs.recipes import Recipe, RecipeCast, RecipeFacts, RecipeWish, choose_recipe
from router.jobs.steps import JobBounds, JobStage
from router.jobs.store import JobStore
from router.jobs.watch import JobWatch
from router.jobs.windows import CompletionWindow
from router.jobs.workflow import JobRunner
from router.ledger.budgets import Payer
from router.ledger.job_calls import CLAIMED, ID_PREFIX
from router.ledger.persons import Claim, PersonAllowances, PersonLimit
from router.providers.base import ModelTarget
from router.settings import JobSettings
from router.types import DAY_US, Tier

TOO_DEAR = "what this request may cost does not cover one answer; allow more, or ask for fewer or shorter answers"
LOOK_EVERY_S = 0.1
ANSWER_WITHIN_S = 10.0
PRIORITIES = range(1, 101)  # 1 goes first
USUAL_PRIORITY = 50
LONGEST_INSTRUCTION = 8_000  # characters


class Jobs:
    """Submits, finds and changes jobs. `cast` tells who may play a part in the recipe of a request that was planned."""

    def __init__(
        self,
        books: Engine,
        store: JobStore,
        watch: JobWatch,
        runner: JobRunner,
        cast: Callable[[Exchange], RecipeCast],
        find_target: TargetFinder,
        quoter: JobQuoter,
        settings: JobSettings,
        sample_s: float,
        clock: Clock,
        callback_rules: CallbackRules,
        persons: PersonAllowances,
    ) -> None:
        self._callback_rules = callback_rules
        self._books = books
        self.store = store
        self._watch = watch
        self._runner = runner
        self._cast = cast
        self._find_target = find_target
        self._quoter = quoter
        self._settings = settings
        self._sample_s = sample_s
        self._clock = clock
        self._keep_us = settings.retention_days * DAY_US
        self._persons = persons

    async def submit(
        self,
        plan: Exchange,
        reply: bytes,
        row: Mapping[str, Any],
        wish: JobWish | None = None,
        *,
        cap_nanousd: int | None = None,
        allowance: PersonLimit | None = None,
    ) -> Job:
        """Accept a job: what it may cost at most is held, and it waits for a place. Nothing is sent yet.

        `row` is the quote of its tier, which the job's own goes over, and `allowance` what its end user may have a day
        where that is limited. Raises InvalidRequest, QuotaExhausted, RateLimited or Unavailable.
        """
        wish = wish or JobWish()
        if wish.notify is not None:
            self._callback_rules.require_allowed(wish.notify)
        chosen = await off_loop(lambda: self._choose(plan, wish, cap_nanousd))
        opening = msgspec.structs.replace(plan.opening, is_job=True)
        now_us = opening.opened_at
        job = Job(
            id=f"{ID_PREFIX}{opening.request_id}",
            key_id=opening.key_id,
            segment=opening.segment,
            status=JobStatus.QUEUED,
            queue=PLAIN_QUEUE,
            priority=wish.priority or USUAL_PRIORITY,
            created_at=now_us,
            expires_at=now_us + self._keep_us,
            time_limit_s=int(chosen.bounds.limit_s),
            quote={**row, **quote_fields(chosen.quote), "windows": chosen.windows},
            recipe=msgspec.to_builtins({**chosen.stored, "opening": opening}),
            held_nanousd=chosen.bounds.largest_nanousd,
            user_mark=opening.user_mark,
            version=STEPS_VERSION,
            callback=None if wish.notify is None else msgspec.to_builtins(wish.notify),
            work=JobWork.of(opening, plan.decision, plan.query, reply),
        )
        payer = Payer(opening.key_id, opening.segment, opening.first_tier)
        await off_loop(lambda: self._accept(job, payer, allowance))
        self._watch.wake()
        return job

    async def find(self, job_id: str, key_id: int | None) -> Job:
        """Return a job of this key; raises NotFound or Unavailable."""
        job = await off_loop(lambda: self.store.find(job_id, key_id, self._clock.now_us()))
        if job is None:
            raise NotFound(f"no response with the id {job_id[:128]!r} is stored for this key", param="response_id")
        return job

    async def position(self, job: Job) -> int | None:
        """Return how many jobs are in front of one that waits; None for others."""
        return await off_loop(lambda: self.store.count_before(job)) if job.status is JobStatus.QUEUED else None

    async def cancel(self, job_id: str, key_id: int | None) -> Job:
        """Call a job off; one that has ended stays as it is. Raises NotFound or Unavailable."""
        job = await self.find(job_id, key_id)
        if not job.status.is_final:
            now_us = self._clock.now_us()
            await off_loop(lambda: self.store.request_cancel(job_id, key_id, now_us, self._keep_us))
            job = await self.find(job_id, key_id)
            self._watch.wake()
            if job.started_at is None:
                await self._runner.settle_ended(job_id)
        return job

    async def answer_now(self, job_id: str, key_id: int | None) -> Job:
        """Settle a job on the answer that leads, and call off the rest; waits a little for the end.

        Where there is no answer yet, the first one that comes is taken. Raises NotFound or Unavailable.
        """
        job = await self.find(job_id, key_id)
        if job.status.is_final:
            return job
        now_us = self._clock.now_us()
        await off_loop(lambda: self.store.request_answer(job_id, key_id, now_us))
        self._watch.wake()
        for _ in range(int(ANSWER_WITHIN_S / LOOK_EVERY_S)):
            job = await self.find(job_id, key_id)
            if job.status.is_final:
                break
            await asyncio.sleep(LOOK_EVERY_S)
        return job

    async def instruct(self, job_id: str, key_id: int | None, text: str) -> Job:
        """Add an instruction that the next wave begins with. Raises InvalidRequest, NotFound or Unavailable."""
        if not 0 < len(text) <= LONGEST_INSTRUCTION:
            message = f"an instruction has 1 to {LONGEST_INSTRUCTION} characters, and this one has {len(text)}"
            raise InvalidRequest(message, param="instructions")
        await self.find(job_id, key_id)
        now_us = self._clock.now_us()
        match await off_loop(lambda: self.store.add_instruction(job_id, key_id, now_us, text)):
            case False:
                raise InvalidRequest("this response has ended; send a new request", code="response_ended")
            case None:
                raise InvalidRequest("this response has as many instructions as it may", param="instructions")
            case _:
                self._watch.wake()
        return await self.find(job_id, key_id)

    async def delete(self, job_id: str, key_id: int | None) -> bool:
        """Delete what is stored of a job, and cancel one that is at work; False where there is none."""
        now_us = self._clock.now_us()
        job = await off_loop(lambda: self.store.find(job_id, key_id, now_us))
        if job is None:
            return False
        await off_loop(lambda: self.store.delete(job_id, key_id, now_us, self._keep_us))
        self._watch.wake()
        if job.started_at is None:
            await self._runner.settle_ended(job_id)
        return True

    def _accept(self, job: Job, payer: Payer, allowance: PersonLimit | None) -> None:
        """Hold what a job may cost of budgets and of its end user's day, and store it: all or nothing."""
        waiting = self.store.count_waiting()
        if waiting >= self._settings.max_waiting:
            raise RateLimited(f"{waiting} jobs wait already; send it again later", retry_after_seconds=30)
        holds.hold(self._books, job.request_id, payer, job.held_nanousd, job.created_at)
        claim: Claim | None = None
        try:
            if allowance is not None and payer.tier is not Tier.FAST:
                claim = holds.claim_day(self._persons, job, allowance)
                job = msgspec.structs.replace(job, recipe={**job.recipe, CLAIMED: claim.nanousd})
            self.store.insert(job)
        except BaseException:
            if claim is not None:
                self._persons.give_back(claim, deep=1, nanousd=claim.nanousd)
            holds.release(self._books, job.request_id)
            raise

    def _choose(self, plan: Exchange, wish: JobWish, cap_nanousd: int | None) -> "_Chosen":
        """Choose the recipe, bound it and quote it. Blocking; raises InvalidRequest and QuotaExhausted."""
        self._require_allowed(wish)
        query, settings = plan.query, self._settings
        estimate = query.estimate
        facts = RecipeFacts(
            plan.decision.tier,
            estimate.answer_type,
            estimate.stakes,
            has_tools=bool(query.params.get("tools")),
            has_images=plan.has_attachments,
            n=query.n,
            p_sampled=estimate.p_fast,
        )
        window = wish.completion_window or CompletionWindow.SOONEST
        chosen = choose_recipe(RecipeWish(wish.recipe, wish.samples), facts, self._cast(plan))
        recipe = self._quoter.put_in_window(chosen, window)
        work = JobWork.of(plan.opening, plan.decision, query, b"{}")

        def find_target(stage: JobStage, model: str) -> ModelTarget:
            return self._find_target(work, recipe, stage, model)

        bounds = work_out_bounds(
            recipe,
            query,
            plan.calls,
            find_target,
            sample_s=self._sample_s,
            limit_s=min(wish.time_limit_s or window.seconds or settings.time_limit_s, settings.time_limit_s),
            at_once=settings.calls_of_one,
            cap_nanousd=cap_nanousd,
        )
        first = bounds.of(JobStage.SAMPLE, recipe.models[0]).nanousd
        if bounds.largest_nanousd is not None and (first or 0) > bounds.largest_nanousd:
            raise QuotaExhausted(TOO_DEAR)
        quote = self._quoter.quote(plan, recipe, bounds, find_target, self.store.count_waiting())
        windows = self._quoter.quote_windows(plan, chosen, bounds, find_target)
        return _Chosen(recipe, msgspec.structs.replace(bounds, largest_nanousd=quote.largest_nanousd), quote, windows)

    def _require_allowed(self, wish: JobWish) -> None:
        if wish.priority is not None and wish.priority not in PRIORITIES:
            message = f"priority: {wish.priority} is not from {PRIORITIES[0]} (first) to {PRIORITIES[-1]}"
            raise InvalidRequest(message, param="x_tierwise.priority")
        limit_s = self._settings.time_limit_s
        if wish.time_limit_s is not None and not 1 <= wish.time_limit_s <= limit_s:
            message = f"time_limit_s: {wish.time_limit_s} is not from 1 to {limit_s} seconds (jobs.time_limit_s)"
            raise InvalidRequest(message, param="x_tierwise.time_limit_s")


class _Chosen(NamedTuple):
    """How a job will be worked on, and what its caller is told."""

    recipe: Recipe
    bounds: JobBounds
    quote: JobQuote
    windows: dict[str, Any]

    @property
    def stored(self) -> dict[str, Any]:
        """What is kept of it with the job."""
        return {"recipe": self.recipe, "bounds": self.bounds, "told": note_of(self.recipe, self.quote)}
