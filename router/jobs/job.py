"""A background job as a value: what was asked, how far it is, what came of it. Knows no database and no HTTP."""

from collections.abc import Sequence
from enum import IntEnum
from typing import Any

import msgspec

from classifier.types import AnswerType, Estimate, Forecast, Stakes
from router.jobs.callback import Callback
from router.jobs.recipes import RecipeName
from router.jobs.windows import CompletionWindow
from router.ledger.entries import Opening
from router.ledger.job_calls import ID_PREFIX
from router.tiers.base import Answer, TierRequest
from router.types import Decision

PLAIN_QUEUE = "default"


class WrongJob(ValueError):
    """What was asked of a job cannot be done; the message says why."""


class JobStatus(IntEnum):
    """Where a job stands; stored, never renumbered. Its name in small letters is what clients read."""

    QUEUED = 1
    IN_PROGRESS = 2
    COMPLETED = 3
    FAILED = 4
    CANCELLED = 5
    INCOMPLETE = 6

    @property
    def word(self) -> str:
        """The word for clients."""
        return self.name.lower()

    @property
    def is_final(self) -> bool:
        """Whether nothing more will happen to it."""
        return self not in UNFINISHED


UNFINISHED = (JobStatus.QUEUED, JobStatus.IN_PROGRESS)


class EstimateKept(msgspec.Struct, frozen=True):
    """What a job keeps of the estimate of its query."""

    p_fast: float
    p_reasoning: float
    uncertainty: float
    answer_type: AnswerType
    stakes: Stakes
    output_fast: tuple[int, ...]  # at the 10, 50 and 90 % points
    output_reasoning: tuple[int, ...]
    version: str

    @classmethod
    def of(cls, estimate: Estimate) -> "EstimateKept":
        """Take it over without the features that it was read from."""
        return cls(
            estimate.p_fast,
            estimate.p_reasoning,
            estimate.uncertainty,
            estimate.answer_type,
            estimate.stakes,
            tuple(estimate.output_fast),
            tuple(estimate.output_reasoning),
            estimate.version,
        )

    def estimate(self) -> Estimate:
        """Return it as tiers take it."""
        return Estimate(
            self.p_fast,
            self.p_reasoning,
            self.uncertainty,
            self.answer_type,
            self.stakes,
            Forecast(*self.output_fast),
            Forecast(*self.output_reasoning),
            self.version,
        )


class JobWork(msgspec.Struct, frozen=True):
    """What a job needs to run on any worker, and the response as the endpoint began it (`reply`, its own JSON)."""

    opening: Opening
    decision: Decision
    estimate: EstimateKept
    messages: list[dict[str, Any]]
    params: dict[str, Any]
    input_bound_tokens: int
    reply: msgspec.Raw
    effort: str | None = None
    max_visible_tokens: int | None = None
    max_output_tokens: int | None = None
    conversation: str | None = None

    @classmethod
    def of(cls, opening: Opening, decision: Decision, query: TierRequest, reply: bytes) -> "JobWork":
        """Take over what the exchange prepared."""
        return cls(
            opening=opening,
            decision=decision,
            estimate=EstimateKept.of(query.estimate),
            messages=query.messages,
            params=query.params,
            input_bound_tokens=query.input_bound_tokens,
            reply=msgspec.Raw(reply),
            effort=query.effort,
            max_visible_tokens=query.max_visible_tokens,
            max_output_tokens=query.max_output_tokens,
            conversation=query.conversation,
        )

    def query(self) -> TierRequest:
        """Return the query as tiers take it."""
        return TierRequest(
            request_id=self.opening.request_id,
            messages=self.messages,
            params=self.params,
            estimate=self.estimate.estimate(),
            input_bound_tokens=self.input_bound_tokens,
            effort=self.effort,
            max_visible_tokens=self.max_visible_tokens,
            max_output_tokens=self.max_output_tokens,
            explicit=True,
            conversation=self.conversation,
        )


class Instruction(msgspec.Struct, frozen=True):
    """What the caller added while the job was at work; the next wave begins with it."""

    at: int
    text: str


class Job(msgspec.Struct, frozen=True):
    """One job. Times in microseconds since the epoch, money in nano-dollars."""

    id: str
    key_id: int | None
    segment: str
    status: JobStatus
    queue: str
    priority: int
    created_at: int
    expires_at: int
    time_limit_s: int
    quote: dict[str, Any]
    recipe: dict[str, Any]
    held_nanousd: int | None = None
    spent_nanousd: int = 0
    progress: dict[str, Any] = {}
    started_at: int | None = None
    finished_at: int | None = None
    booked_at: int | None = None
    cancelled_at: int | None = None
    answer_asked_at: int | None = None
    deleted_at: int | None = None
    user_mark: int | None = None
    version: int = 0
    claim: int = 0
    next_call: int = 0
    worker: str | None = None
    callback: dict[str, Any] | None = None
    error: dict[str, Any] | None = None
    work: JobWork | None = None
    answer: Answer | None = None
    trace: dict[str, Any] | None = None
    instructions: Sequence[Instruction] = ()

    @property
    def request_id(self) -> str:
        """The request that it is in the books."""
        return self.id.removeprefix(ID_PREFIX)


class JobWish(msgspec.Struct, frozen=True):
    """What a caller may say of a job beside the request itself."""

    recipe: RecipeName | None = None
    samples: int | None = None
    priority: int | None = None
    time_limit_s: int | None = None
    completion_window: CompletionWindow | None = None
    notify: Callback | None = None


class Wishes(msgspec.Struct, frozen=True):
    """What was asked of a job since it began; looked up while it works, and before each wave."""

    is_cancelled: bool
    wants_answer: bool
    instructions: int


class Ending(msgspec.Struct, frozen=True):
    """The end of a job, as it is stored."""

    status: JobStatus
    answer: Answer | None = None
    trace: dict[str, Any] | None = None
    error: dict[str, Any] | None = None
