"""A job as one worker runs it: what came of its actions, what is under way, and what may still be called off."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from router.errors import Unavailable
from router.jobs.batches import Purchase
from router.jobs.job import Job, JobWork
from router.jobs.recipes import Recipe
from router.jobs.steps import JobBounds, JobStage
from router.jobs.trail import AnswerCame, CallFailed, FaultSought, Trail, VerdictCame
from router.ledger.entries import CallResult
from router.providers.base import Choice
from router.tiers.base import TierRequest
from router.tiers.vote.checkers import CheckBudget
from router.tiers.vote.keys import Asked, read_question
from router.types import CallStatus

CallEvent = AnswerCame | VerdictCame | FaultSought | CallFailed


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
    purchases: dict[str, Purchase] = field(default_factory=dict)  # batches of the wave under way, by sample

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
