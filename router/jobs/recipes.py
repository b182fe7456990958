"""What a job does, as a value: samples in waves, then a judge, a check, a revision, a synthesis. Pure.

A recipe says what may be done and how often; `router.jobs.next_step` says what is done next, `router.jobs.bounds` what
it may cost. It is stored with its job, so it has a version: an older program refuses a newer recipe, and says so.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import msgspec

from classifier.types import AnswerType, Stakes
from router.errors import InvalidRequest, Unavailable
from router.tiers.parallel.stopping import least_unanimous, reachable
from router.tiers.parallel.tier import HARD_QUESTION, HIGH_STAKES_CONFIDENCE
from router.tiers.vote.rates import VerifierRates, worthwhile_samples
from router.types import Tier

RECIPE_VERSION = 2  # the latest that this program knows
PLAIN_VERSION, BATCHED_VERSION = 1, 2
MOST_SAMPLES = 1_024
DEEP_SAMPLES, DEEP_OPEN_SAMPLES = 64, 8  # where the caller names no number
DEEP_CONFIDENCE = 0.99
WAVES = (4, 4, 8, 8, 16, 32, 64, 128)  # the last one repeats
OPEN = frozenset({AnswerType.OPEN, AnswerType.FACTUAL})  # no vote key, unless most samples turn out to have one


class RecipeName(StrEnum):
    """What a caller may ask for: one answer, a vote as the parallel tier holds it, or all that can be done."""

    SINGLE = "single"
    VOTE = "vote"
    DEEP = "deep"


class Recipe(msgspec.Struct, frozen=True):
    """A bounded way to an answer; models by name.

    At most `samples` are taken in waves over `models`, until a vote is accepted with `confidence`. Then, where the vote
    is open: at most `judged` comparisons by `judge`, `verified` candidates read for faults and `revised` of them
    written anew, `synthesised` candidates shown to who writes the last answer (0: no such stage), all by `finisher`.
    With `doubts` an accepted answer is read for faults too: what most samples say may be what most get wrong.
    `price_ratio` is what a call of the finisher costs in samples; `least` is how many answers the caller wants;
    `services` are models with the service tiers that they are asked for, where the caller gives the job time, and
    `batched` those whose waves are bought as batches then.
    """

    name: RecipeName
    answer_type: AnswerType
    models: tuple[str, ...]
    samples: int
    confidence: float = 0.95
    waves: tuple[int, ...] = WAVES
    judge: str | None = None
    finisher: str | None = None
    judged: int = 0
    verified: int = 0
    revised: int = 0
    synthesised: int = 0
    price_ratio: float = 30.0
    least: int = 1
    doubts: bool = False
    services: tuple[tuple[str, str], ...] = ()
    batched: tuple[str, ...] = ()
    version: int = PLAIN_VERSION

    @property
    def can_finish(self) -> bool:
        """Tell whether anything but samples may be tried."""
        has_judge = self.judge is not None and self.judged > 0
        return has_judge or (self.finisher is not None and self.verified + self.synthesised > 0)

    def service_of(self, model: str) -> str | None:
        """Name the service tier that a model is asked for; None for the usual one."""
        return dict(self.services).get(model)

    @property
    def is_open(self) -> bool:
        """Tell whether answers of this kind have no vote key."""
        return self.answer_type in OPEN


@dataclass(frozen=True, slots=True)
class RecipeWish:
    """What the caller said of it: a recipe by name, and how many samples at most."""

    name: RecipeName | None = None
    samples: int | None = None


@dataclass(frozen=True, slots=True)
class RecipeFacts:
    """What is known of the request: the tier that was decided on, what its answer is like, and what stands in its way.

    `p_sampled` is P(a sample is right); `selecting` are the rates of verifiers that choose among samples here.
    """

    tier: Tier
    answer_type: AnswerType
    stakes: Stakes = Stakes.LOW
    has_tools: bool = False
    has_images: bool = False
    n: int = 1
    p_sampled: float = HARD_QUESTION
    selecting: Sequence[VerifierRates] = ()


@dataclass(frozen=True, slots=True)
class RecipeCast:
    """Who may play a part, by name, and the settings of the parallel tier that recipes follow.

    `single` is the first model of each tier; `escalates` tells whether an open vote goes to `finisher`.
    """

    single: Mapping[Tier, str]
    sampled: tuple[str, ...]
    finisher: str | None = None
    judge: str | None = None
    vote_samples: int = 8
    open_samples: int = 4
    confidence: float = 0.95
    price_ratio: float = 30.0
    escalates: bool = True
    most_samples: int = MOST_SAMPLES


def choose_recipe(wish: RecipeWish, facts: RecipeFacts, cast: RecipeCast) -> Recipe:
    """Choose how a request is worked on: as its tier would, unless the caller wished otherwise.

    Raises InvalidRequest for what the recipe cannot do, naming what to change.
    """
    name = wish.name or (RecipeName.VOTE if facts.tier is Tier.PARALLEL else RecipeName.SINGLE)
    require_possible(name, wish, facts, cast)
    if name is RecipeName.SINGLE:
        model = cast.single[facts.tier]
        return Recipe(name, facts.answer_type, (model,), 1, waves=(1,), least=facts.n)
    most = min(wish.samples or _usual_samples(name, facts, cast), cast.most_samples)
    confidence = cast.confidence
    if name is RecipeName.DEEP or facts.stakes is Stakes.HIGH:
        confidence = max(confidence, HIGH_STAKES_CONFIDENCE if facts.stakes is Stakes.HIGH else DEEP_CONFIDENCE)
    confidence = min(confidence, reachable(most))
    most = max(_worthwhile(most, confidence, facts), facts.n)
    return _with_finish(Recipe(name, facts.answer_type, cast.sampled, most, confidence, least=facts.n), facts, cast)


def require_possible(name: RecipeName, wish: RecipeWish, facts: RecipeFacts, cast: RecipeCast) -> None:
    """Refuse a wish that cannot be met; raises InvalidRequest in the caller's terms."""
    if wish.samples is not None and name is RecipeName.SINGLE:
        raise InvalidRequest(
            "samples: the recipe single takes one answer; ask for vote or deep", param="x_tierwise.samples"
        )
    if wish.samples is not None and not 1 <= wish.samples <= cast.most_samples:
        message = f"samples: {wish.samples} is not between 1 and {cast.most_samples}"
        raise InvalidRequest(message, param="x_tierwise.samples")
    if name is not RecipeName.DEEP:
        return
    if facts.has_tools:
        message = "tools: the recipe deep compares and rewrites texts; ask for the recipe vote, or leave out tools"
        raise InvalidRequest(message, param="tools")
    if facts.n > 1:
        raise InvalidRequest("n: the recipe deep comes to one answer; ask for vote, or leave out n", param="n")


def _usual_samples(name: RecipeName, facts: RecipeFacts, cast: RecipeCast) -> int:
    if name is RecipeName.DEEP:
        return DEEP_OPEN_SAMPLES if facts.answer_type in OPEN else DEEP_SAMPLES
    return max(cast.open_samples if facts.answer_type in OPEN else cast.vote_samples, facts.n)


def _worthwhile(most: int, confidence: float, facts: RecipeFacts) -> int:
    """Cap the samples where who chooses among them is too weak for more to help."""
    for rates in facts.selecting:
        tpr, fpr = rates.true_positive.value, rates.false_positive.high
        few = worthwhile_samples(min(facts.p_sampled, HARD_QUESTION), tpr, fpr, most)
        most = min(most, max(least_unanimous(confidence), few))
    return most


def _with_finish(recipe: Recipe, facts: RecipeFacts, cast: RecipeCast) -> Recipe:
    """Add what is done after sampling. Tools leave nothing to compare; a judge and a critic do not see images."""
    if facts.has_tools:
        return recipe
    finisher = cast.finisher if recipe.name is RecipeName.DEEP or cast.escalates else None
    judge = None if facts.has_images else cast.judge or (cast.finisher if recipe.is_open else None)
    most = recipe.samples
    if recipe.name is RecipeName.VOTE and recipe.is_open:
        stages = {"judged": most - 1, "verified": 0}
    elif recipe.name is RecipeName.VOTE:
        stages = {"judged": 0 if finisher else 1, "verified": 0, "synthesised": 2}
    elif recipe.is_open:
        stages = {"judged": most, "verified": 1, "revised": 1, "synthesised": 3}
    else:
        stages = {"judged": 0, "verified": 3, "revised": 2, "synthesised": 4}
    if facts.has_images:
        stages |= {"judged": 0, "verified": 0, "revised": 0}
    if finisher is None:
        stages |= {"verified": 0, "revised": 0, "synthesised": 0}
    if judge is None or most < 2:
        stages |= {"judged": 0}
    return msgspec.structs.replace(
        recipe,
        judge=judge if stages["judged"] else None,
        finisher=finisher if stages.get("synthesised") or stages.get("verified") else None,
        price_ratio=cast.price_ratio,
        doubts=recipe.name is RecipeName.DEEP and bool(stages["verified"]),
        **stages,
    )


def read_recipe(stored: bytes | str) -> Recipe:
    """Read a recipe as it was stored; raises Unavailable for one that a later version of the program wrote."""
    written: Any = msgspec.json.decode(stored)
    version = written.get("version") if isinstance(written, dict) else None
    if not isinstance(version, int) or version > RECIPE_VERSION:
        raise Unavailable(
            f"this job's recipe has version {version}, and this program knows recipes up to version {RECIPE_VERSION}:"
            " run the job with the version of the program that accepted it, or submit it again",
            code="recipe_too_new",
        )
    return msgspec.convert(written, Recipe)
