"""A job played without any model: what its steps ask for comes back at random, some of it failing or lost."""

from dataclasses import dataclass, field
from random import Random

from classifier.types import AnswerType, Stakes
from router.jobs.next_step import step_after
from router.jobs.recipes import Recipe, RecipeCast, RecipeFacts, RecipeName, RecipeWish, choose_recipe
from router.jobs.steps import CallBound, JobAction, JobBounds, JobDone, JobStage, JobStep, call_name
from router.jobs.trail import (
    AnswerCame,
    AnswerWanted,
    CallFailed,
    CallLost,
    FaultSought,
    InstructionsCame,
    JobEvent,
    TimePassed,
    Trail,
    VerdictCame,
)
from router.tiers.vote.keys import VoteKey
from router.tiers.vote.readings import Said
from router.types import Tier

CAST = RecipeCast({tier: f"model/{tier}" for tier in Tier}, ("model/a", "model/b"), "model/strong", "model/judge")
BOUNDED = [
    (JobStage.SAMPLE, "model/a"),
    (JobStage.SAMPLE, "model/b"),
    (JobStage.JUDGE, "model/judge"),
    (JobStage.JUDGE, "model/strong"),
    (JobStage.VERIFY, "model/strong"),
    (JobStage.REVISE, "model/strong"),
    (JobStage.SYNTHESISE, "model/strong"),
]


def a_recipe(
    answer_type: AnswerType = AnswerType.NUMERIC, name: RecipeName = RecipeName.DEEP, **facts: object
) -> Recipe:
    """A recipe as it is chosen for a question of the parallel tier."""
    wish = RecipeWish(name, facts.pop("samples", None))  # type: ignore[arg-type]
    return choose_recipe(wish, RecipeFacts(Tier.PARALLEL, answer_type, **facts), CAST)  # type: ignore[arg-type]


def some_bounds(largest: int | None = 1_000_000, limit_s: float = 10_000.0, call: int | None = 100) -> JobBounds:
    """Bounds in which every call costs and lasts the same at most: 10 s."""
    calls = {call_name(stage, model): CallBound(call, 10.0) for stage, model in BOUNDED}
    return JobBounds(largest, limit_s, calls)


def random_recipe(random: Random) -> Recipe:
    """Any recipe that a caller can get."""
    name = random.choice([RecipeName.VOTE, RecipeName.DEEP])
    wish = RecipeWish(name, random.choice([None, 1, 5, 16, 100]))
    facts = RecipeFacts(
        Tier.PARALLEL, random.choice(list(AnswerType)), random.choice(list(Stakes)), has_images=random.random() < 0.1
    )
    return choose_recipe(wish, facts, CAST)


def random_bounds(random: Random) -> JobBounds:
    """Bounds of which money or time may run out."""
    calls = {
        call_name(stage, model): CallBound(random.choice([None, 0, random.randint(1, 1_000)]), random.uniform(0, 30))
        for stage, model in BOUNDED
    }
    return JobBounds(
        random.choice([None, random.randint(0, 200_000)]), random.uniform(0, 2_000), calls, random.randint(1, 32)
    )


@dataclass
class Rehearsal:
    """Plays a job until it is done; `steps` are all that were decided, each after so many events."""

    recipe: Recipe
    bounds: JobBounds
    random: Random
    hurry: float = 0.0  # how likely the caller wants the answer now, at each turn
    talk: float = 0.0  # and says something more
    agreement: float = 0.5
    failing: float = 0.1
    events: list[JobEvent] = field(default_factory=list)
    steps: list[tuple[int, JobStep]] = field(default_factory=list)
    at_s: float = 0.0

    def play(self) -> JobDone:
        """Take every step; raises AssertionError where the job goes on for too long."""
        trail = Trail(self.recipe)
        for _ in range(20_000):
            for event in self.events[len(trail.events) :]:
                trail.note(event)
            step = step_after(trail, self.bounds)
            if isinstance(step, JobDone):
                return step
            self.steps.append((len(self.events), step))
            chosen = self.random.choice(step.actions[: self.bounds.at_once])
            self.at_s += self.random.uniform(0, step.most_s)
            self.events.append(self._come(chosen))
            self._interfere()
        raise AssertionError("a job went on for too long")

    def _come(self, action: JobAction) -> JobEvent:
        bound = self.bounds.of(action.stage, action.model).nanousd
        cost = None if bound is None else self.random.randint(0, bound)
        fate = self.random.random()
        if fate < self.failing / 2:
            return CallLost(action.name, self.at_s, bound)
        if fate < self.failing:
            return CallFailed(action.name, self.at_s, cost)
        match action.stage:
            case JobStage.JUDGE:
                return VerdictCame(action.name, self.at_s, cost, self.random.choice([0, 1, None]))
            case JobStage.VERIFY:
                return FaultSought(action.name, self.at_s, cost, self.random.choice([True, False, None]))
            case _:
                return self._answer(action.name, cost)

    def _answer(self, name: str, cost: int | None) -> AnswerCame:
        said = self.random.choices(list(Said), [8, 2, 1, 1, 1, 1])[0]
        value = "1" if self.random.random() < self.agreement else str(self.random.randint(2, 6))
        key = VoteKey("number", value, value) if said is Said.ANSWER and not self.recipe.is_open else None
        return AnswerCame(name, self.at_s, cost, said, key, is_proven=self.random.random() < 0.01)

    def _interfere(self) -> None:
        if self.random.random() < self.hurry:
            self.events.append(AnswerWanted(self.at_s))
        if self.random.random() < self.talk and sum(isinstance(e, InstructionsCame) for e in self.events) < 5:
            self.events.append(InstructionsCame(self.at_s))
        if self.random.random() < 0.02:
            self.at_s += self.random.uniform(0, 60)
            self.events.append(TimePassed(self.at_s))
