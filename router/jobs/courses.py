"""How a recipe is likely to go, before anything is bought: courses imagined by the same rules that run it. Pure.

An imagined model is right with a probability of its own for each question, from a beta distribution around what is
expected. On recorded questions that were asked three times it lies near 0 or 1 (`CONCENTRATION`, see
`docs/measured/quotes.md`): whoever fails once mostly fails again, and a vote gains less than independent samples would.
"""

import math
from collections.abc import Sequence
from functools import lru_cache
from random import Random
from typing import NamedTuple

import msgspec

from classifier.types import AnswerType
from router.jobs.next_step import step_after
from router.jobs.recipes import Recipe
from router.jobs.steps import CallBound, JobAction, JobBounds, JobStage, JobStep, call_name
from router.jobs.trail import AnswerCame, FaultSought, JobEvent, Trail, VerdictCame
from router.tiers.parallel.stopping import votes_needed
from router.tiers.vote.keys import VoteKey
from router.tiers.vote.readings import Said

COURSES = 64
CONCENTRATION = 0.3
WRONG_THAT_AGREE = 0.5  # of wrong answers, as the forecast of votes has it
# What is assumed of who judges and checks, until labels say more.
PREFERS_RIGHT, CANNOT_TELL = 0.75, 0.3
FINDS_FAULT, INVENTS_FAULT = (
    (0.4, 0.9),
    (0.25, 0.05),
)  # where the finisher could not solve the question, and where it could
GAINS_FROM_RIGHT = 0.3  # of the distance to 1, where a right answer is among those shown
SEED = 20
SOMEONE = "someone"
NO_BOUNDS = JobBounds(None, math.inf, {call_name(stage, SOMEONE): CallBound(None, 0.0) for stage in JobStage}, 1_024)


class CallGroup(NamedTuple):
    """Calls of one stage made at once, of which so many came before the job went on; `first` numbers samples."""

    stage: JobStage
    first: int
    size: int
    came: int

    def models(self, recipe: Recipe) -> list[str]:
        """Name the model of each call."""
        if self.stage is JobStage.SAMPLE:
            return [recipe.models[index % len(recipe.models)] for index in range(self.first, self.first + self.size)]
        model = recipe.judge if self.stage is JobStage.JUDGE else recipe.finisher
        return [model or ""] * self.size


class Course(NamedTuple):
    """One way that a job may go: its calls in order, and whether its answer is right."""

    groups: tuple[CallGroup, ...]
    is_right: bool


def imagine(recipe: Recipe, p_sampled: float, p_finisher: float) -> tuple[Course, ...]:
    """Imagine courses of a recipe, for chances that a sample and that the finisher is right; the same for the same.

    Which models play a part makes no difference here, so that most courses are imagined already.
    """
    someone = {name: SOMEONE for name in ("judge", "finisher") if getattr(recipe, name) is not None}
    answer_type = AnswerType.OPEN if recipe.is_open else AnswerType.ENTITY
    ratio = 2.0 ** round(math.log2(max(recipe.price_ratio, 1.0)))
    alike = msgspec.structs.replace(
        recipe, models=(SOMEONE,), answer_type=answer_type, price_ratio=ratio, services=(), batched=(), **someone
    )
    return _imagine(alike, p_sampled, p_finisher)


@lru_cache(maxsize=1024)
def _imagine(recipe: Recipe, p_sampled: float, p_finisher: float) -> tuple[Course, ...]:
    random = Random(SEED)
    return tuple(_Imagined(recipe, p_sampled, p_finisher, random).run() for _ in range(COURSES))


class _Imagined:
    """One imagined question, worked on by a recipe."""

    def __init__(self, recipe: Recipe, p_sampled: float, p_finisher: float, random: Random) -> None:
        self._random = random
        self._recipe = recipe
        self._rate = _rate(p_sampled, random)
        gain = (p_finisher - p_sampled) / (1.0 - p_sampled) if p_sampled < p_finisher else 0.0
        self._finisher_rate = max(self._rate, _rate(gain, random))
        self._right: dict[str, bool] = {}

    def run(self) -> Course:
        trail, groups = Trail(self._recipe), list[CallGroup]()
        while isinstance(step := step_after(trail, NO_BOUNDS), JobStep):
            came = 0
            for action in step.actions:
                trail.note(self._come(action))
                came += 1
                v1, v2 = trail.top
                if step.stage is JobStage.SAMPLE and v1 and v1 >= votes_needed(v2, self._recipe.confidence):
                    break
            groups.append(CallGroup(step.stage, step.actions[0].index, len(step.actions), came))
        return Course(tuple(groups), step.answer is not None and self._right[step.answer])

    def _come(self, action: JobAction) -> JobEvent:
        match action.stage:
            case JobStage.JUDGE:
                return VerdictCame(action.name, 0.0, None, self._judge(action.of))
            case JobStage.VERIFY:
                low, high = INVENTS_FAULT if self._right[action.of[0]] else FINDS_FAULT
                has_fault = self._random.random() < low + (high - low) * self._finisher_rate
                return FaultSought(action.name, 0.0, None, has_fault)
            case JobStage.SAMPLE:
                return self._answer(action, self._rate)
            case _:
                helped = GAINS_FROM_RIGHT if any(self._right[name] for name in action.of) else 0.0
                return self._answer(action, self._finisher_rate + (1.0 - self._finisher_rate) * helped)

    def _answer(self, action: JobAction, rate: float) -> AnswerCame:
        is_right = self._right[action.name] = self._random.random() < rate
        if self._recipe.is_open:
            return AnswerCame(action.name, 0.0, None, Said.UNREADABLE)
        value = "right" if is_right else "wrong"
        if not is_right and self._random.random() > WRONG_THAT_AGREE:
            value = action.name
        return AnswerCame(action.name, 0.0, None, Said.ANSWER, VoteKey("entity", value))

    def _judge(self, of: Sequence[str]) -> int | None:
        first, second = (self._right[name] for name in of)
        if self._random.random() < CANNOT_TELL:
            return None
        if first == second:
            return self._random.randrange(2)
        prefers_first = first if self._random.random() < PREFERS_RIGHT else second
        return 0 if prefers_first else 1


def _rate(p: float, random: Random) -> float:
    """Draw how likely a model is right on one question, where it is right on a share p of all."""
    if not 0.0 < p < 1.0:
        return min(max(p, 0.0), 1.0)
    return random.betavariate(CONCENTRATION * p, CONCENTRATION * (1.0 - p))
