"""What a job may do next, and the bounds that no step exceeds. Values only, all of which can be stored as JSON."""

from collections.abc import Mapping, Sequence
from enum import StrEnum

import msgspec

from router.jobs.recipes import Recipe


class JobStage(StrEnum):
    """What a call of a job is for."""

    SAMPLE = "sample"
    JUDGE = "judge"  # two answers compared, in both orders: two calls
    VERIFY = "verify"  # an answer read for a fault
    REVISE = "revise"  # an answer written anew, its fault shown
    SYNTHESISE = "synthesise"  # an answer written from several


class JobAction(msgspec.Struct, frozen=True):
    """One thing to do. Its name is unique in its job, and is what its answer goes by: what came of `s4` is `s4`.

    `index` is a sample's number, which chooses its prompt form and seed; `of` names the answers that are read for it.
    """

    name: str
    stage: JobStage
    model: str
    index: int = 0
    of: tuple[str, ...] = ()


class JobStep(msgspec.Struct, frozen=True):
    """Actions to take at once, so many in flight as bounds allow; together they cost and last no more than stated.

    What is in flight and not named here is not wanted any more.
    """

    stage: JobStage
    actions: tuple[JobAction, ...]
    most_nanousd: int
    most_s: float


class JobVerdict(StrEnum):
    """Why a job is done; an operator and the caller read it."""

    ACCEPTED = "accepted"  # by the vote
    PROVEN = "proven"  # by a verifier that proves
    SETTLED = "settled"  # no sample could change the vote any more
    ASIDE = "aside"  # most samples refuse or ask back
    SAMPLED = "sampled"  # as many answers as were wanted
    JUDGED = "judged"
    VERIFIED = "verified"  # the only candidate in which no fault was found
    REVISED = "revised"
    SYNTHESISED = "synthesised"
    UNDECIDED = "undecided"  # all was tried; the leader answers
    OUT_OF_MONEY = "out_of_money"
    OUT_OF_TIME = "out_of_time"
    ANSWERED_NOW = "answered_now"
    FAILED = "failed"  # no call came back with an answer


class JobDone(msgspec.Struct, frozen=True):
    """The end of a job: which answer it is (None where there is none), and the others, best first."""

    verdict: JobVerdict
    answer: str | None
    others: tuple[str, ...] = ()


class CallBound(msgspec.Struct, frozen=True):
    """What one action costs at most (None: its model has no price), and the seconds that it is given."""

    nanousd: int | None
    seconds: float


class JobBounds(msgspec.Struct, frozen=True):
    """What a job may cost and last in all (None: no limit of money), how much runs at once, and what each call takes.

    `calls` are by `call_name`. They are fixed when the job is accepted: what is left follows from what came.
    """

    largest_nanousd: int | None
    limit_s: float
    calls: Mapping[str, CallBound]
    at_once: int = 16

    def of(self, stage: JobStage, model: str) -> CallBound:
        """Return the bound of one action."""
        return self.calls[call_name(stage, model)]

    def cost(self, actions: Sequence[JobAction]) -> int:
        """Bound what actions cost together; what has no price counts nothing."""
        return sum(self.of(action.stage, action.model).nanousd or 0 for action in actions)


def call_name(stage: JobStage, model: str) -> str:
    """Name the bound of a stage's calls to a model."""
    return f"{stage}:{model}"


def finish_bounds(recipe: Recipe, bounds: JobBounds) -> int:
    """Bound what all that may follow sampling costs, in nano-dollars."""
    total = 0
    if recipe.judge is not None and recipe.judged:
        total += (bounds.of(JobStage.JUDGE, recipe.judge).nanousd or 0) * recipe.judged
    if recipe.finisher is not None:
        counts = {
            JobStage.VERIFY: recipe.verified,
            JobStage.REVISE: recipe.revised,
            JobStage.SYNTHESISE: int(recipe.synthesised > 0),
        }
        total += sum((bounds.of(stage, recipe.finisher).nanousd or 0) * n for stage, n in counts.items() if n)
    return total


def most_of(recipe: Recipe, bounds: JobBounds) -> int | None:
    """Bound what the whole recipe costs where nothing else does; None where one of its models has no price."""
    of_samples = [bounds.of(JobStage.SAMPLE, model).nanousd for model in recipe.models]
    used = [bound for name, bound in bounds.calls.items() if not name.startswith(f"{JobStage.SAMPLE}:")]
    if None in of_samples or any(bound.nanousd is None for bound in used):
        return None
    samples = sum(of_samples[i % len(of_samples)] or 0 for i in range(recipe.samples))
    return samples + finish_bounds(recipe, bounds)
