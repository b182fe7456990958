"""The calls of a batch as a job keeps them, and what each came to once the batch is over. Pure."""

from collections.abc import Mapping, Sequence

import msgspec

from router.errors import Cause
from router.jobs.recipes import Recipe
from router.jobs.steps import JobAction, JobBounds, JobStage
from router.ledger.entries import CallIntent, CallResult
from router.ledger.prices import BATCH, Price
from router.providers.base import Choice, Completion, Metered, ProviderRequest
from router.providers.batches import Batch, BatchLine
from router.providers.plausibility import estimate_usage, hold_against
from router.tiers.calls import charge_of, texts_of
from router.types import CallStatus, Precision, Usage

CANCELLING_S = 660.0  # how long a batch that was called off may go on: OpenAI's word is ten minutes
LEAST_SHARE_OF_TIME = 0.05  # of a job's time; for less a batch is not begun
NOTHING = Metered(Usage(), Precision.EXACT)


class BatchCall(msgspec.Struct, frozen=True):
    """One call of a batch: the sample that it is for, its intent, and its result once it is settled."""

    action: str
    intent: CallIntent
    result: CallResult | None = None

    @property
    def custom_id(self) -> str:
        """What the provider knows it by: nothing of who asked."""
        return f"{self.intent.request_id}-{self.intent.call_no}"

    @property
    def cost_nanousd(self) -> int | None:
        """What it cost, or what it may while that is not known; None without a price."""
        return self.intent.hold_nanousd if self.result is None else self.result.cost_nanousd


class BatchAnswer(msgspec.Struct, frozen=True):
    """What a call of a batch answered."""

    choice: Choice
    dropped: list[str] = []


class KeptBatch(msgspec.Struct, frozen=True):
    """A batch as it is kept beside its job."""

    job_id: str
    name: str
    created_at: int
    look_at: int
    model: str
    calls: Sequence[BatchCall]
    settled_at: int | None = None
    unwanted_at: int | None = None
    looks: int = 0
    file_id: str | None = None
    batch_id: str | None = None
    answers: Mapping[str, BatchAnswer] = {}

    @property
    def key(self) -> str:
        """Our name of it at the provider."""
        return f"{self.job_id}-{self.name}"

    def call_of(self, action: str) -> BatchCall | None:
        """Return the call that is for a sample; None where another batch, or none, has it."""
        return next((call for call in self.calls if call.action == action), None)


class BatchTimes(msgspec.Struct, frozen=True):
    """Until when a batch is waited for, and how long after it was called off, in seconds of its job."""

    until_s: float
    grace_s: float


def times_of(recipe: Recipe, bounds: JobBounds, actions: Sequence[JobAction], now_s: float) -> BatchTimes | None:
    """Say how long a wave can wait for a batch; None where too little time is left for one.

    Kept is what usual calls for the wave and all that may follow it take at most, and the end of a batch that is called
    off; though never more than half of the job's time.
    """
    sample_s = max(bounds.of(JobStage.SAMPLE, action.model).seconds for action in actions)
    needed_s = sample_s * -(-len(actions) // bounds.at_once) + _finish_s(recipe, bounds) + CANCELLING_S
    kept_s = min(needed_s, bounds.limit_s / 2)
    until_s = bounds.limit_s - kept_s
    if until_s - now_s < bounds.limit_s * LEAST_SHARE_OF_TIME:
        return None
    return BatchTimes(until_s, min(CANCELLING_S, kept_s / 2))


def settle_calls(
    calls: Sequence[BatchCall],
    batch: Batch | None,
    lines: Sequence[BatchLine],
    prices: Mapping[int, Price],
    requests: Mapping[str, ProviderRequest],
    seconds: float,
) -> Sequence[BatchCall]:
    """Give every call of a batch that is over its result. `batch` is None where none was begun.

    A call of which nothing came is free where the provider tells that it was not made, and else costs its bound.
    """
    by_id = {line.custom_id: line for line in lines}
    answered = sum(line.completion is not None or line.is_billed for line in by_id.values())
    is_told = batch is None or batch.status == "failed" or (batch.total > 0 and answered >= batch.completed)
    settled = []
    for call in calls:
        line = by_id.get(call.custom_id)
        if line is None and is_told:
            line = BatchLine(call.custom_id, is_cancelled=True)
        price = prices.get(call.intent.price_id) if call.intent.price_id is not None else None
        result = _result_of(
            call.intent, line, price, requests.get(call.custom_id), seconds, was_begun=batch is not None
        )
        settled.append(msgspec.structs.replace(call, result=result))
    return settled


def answers_of(calls: Sequence[BatchCall], lines: Sequence[BatchLine]) -> Mapping[str, BatchAnswer]:
    """Return what was answered, by the sample that it is for."""
    by_id = {line.custom_id: line.completion for line in lines}
    found = {call.action: by_id.get(call.custom_id) for call in calls}
    return {name: BatchAnswer(c.choices[0], c.dropped) for name, c in found.items() if c is not None and c.choices}


def savings_of(calls: Sequence[BatchCall]) -> int:
    """Return what calls cost less than was reserved for them, in nano-dollars."""
    return sum((call.intent.hold_nanousd or 0) - (call.cost_nanousd or 0) for call in calls)


def _result_of(
    intent: CallIntent,
    line: BatchLine | None,
    price: Price | None,
    request: ProviderRequest | None,
    seconds: float,
    *,
    was_begun: bool,
) -> CallResult:
    cause, http_status = (line.cause, line.http_status) if line is not None else (None, None)
    if line is None:
        status, metered = CallStatus.UNKNOWN, None
    elif line.completion is not None:
        status, metered = CallStatus.OK, _usage_of(line.completion, request, intent, seconds)
    elif line.is_cancelled:
        status, metered = (CallStatus.CANCELLED, NOTHING) if was_begun else (CallStatus.NOT_SENT, None)
    else:
        status, metered, cause = CallStatus.ERROR, None if line.is_billed else NOTHING, cause or Cause.UNKNOWN
    precision, cost = charge_of(status, metered, price, BATCH, intent.hold_nanousd)
    return CallResult(
        intent.request_id,
        intent.call_no,
        status,
        precision,
        metered.usage if metered is not None else None,
        intent.price_id,
        cost,
        None,
        None,
        metered.raw if metered is not None else None,
        BATCH if metered is not None else None,
        cause,
        http_status,
    )


def _usage_of(
    completion: Completion, request: ProviderRequest | None, intent: CallIntent, seconds: float
) -> Metered | None:
    """Return the usage of an answer: what was reported where it can be true, None where it cannot be told."""
    reported = completion.metered
    if request is None:
        return reported
    visible, thinking = texts_of(completion)
    if reported is None:
        return estimate_usage(request, visible, thinking)
    size = sum(len(str(message.get("content"))) for message in request.messages)
    return hold_against(reported, request, visible, thinking, body_bytes=size, seconds=seconds)


def _finish_s(recipe: Recipe, bounds: JobBounds) -> float:
    """How long what may follow sampling takes at most, stage after stage."""
    total = 0.0
    if recipe.judge is not None and recipe.judged:
        total += bounds.of(JobStage.JUDGE, recipe.judge).seconds
    if recipe.finisher is not None:
        counts = {
            JobStage.VERIFY: recipe.verified,
            JobStage.REVISE: recipe.revised,
            JobStage.SYNTHESISE: recipe.synthesised,
        }
        total += sum(bounds.of(stage, recipe.finisher).seconds for stage, count in counts.items() if count)
    return total
