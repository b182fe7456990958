"""What the actions of a job cost and last at most, and the most that the whole job may cost. Calls nothing."""

from collections.abc import Callable

import msgspec

from router.jobs.prompts import prompt_bytes
from router.jobs.recipes import Recipe
from router.jobs.steps import CallBound, JobBounds, JobStage, call_name, most_of
from router.providers.base import ModelTarget
from router.tiers.base import TierRequest
from router.tiers.calls import Calls
from router.tiers.parallel.planning import samples_bound
from router.tiers.single import SingleTier
from router.tiers.vote import judge
from router.types import Tier

LOST_CALLS = 4  # held beside what the recipe takes, for calls that are lost with a worker and made anew
LONGEST_CHARACTER = "\uffff"  # six characters where JSON writes it in ASCII
INSTRUCTIONS_BYTES = 32_000  # that may be added while a job works
FindTarget = Callable[[JobStage, str], ModelTarget]


def work_out_bounds(
    recipe: Recipe,
    query: TierRequest,
    calls: Calls,
    find_target: FindTarget,
    *,
    sample_s: float,
    limit_s: float,
    at_once: int,
    cap_nanousd: int | None = None,
) -> JobBounds:
    """Bound every action that a recipe may take, and the job as a whole by the caller's cap too."""
    longer = msgspec.structs.replace(query, input_bound_tokens=query.input_bound_tokens + INSTRUCTIONS_BYTES)
    bounds: dict[str, CallBound] = {}
    for model in dict.fromkeys(recipe.models):
        target = find_target(JobStage.SAMPLE, model)
        seconds = target.timeout_s if recipe.samples == 1 else sample_s
        cost = samples_bound(longer, [target], calls, 1) if recipe.samples > 1 else _single(longer, target, calls)
        bounds[call_name(JobStage.SAMPLE, model)] = CallBound(_require_price(cost, calls, target), seconds)
    if recipe.judge is not None:
        target = find_target(JobStage.JUDGE, recipe.judge)
        longest = LONGEST_CHARACTER * judge.LONGEST_CANDIDATE
        asked = LONGEST_CHARACTER * min(query.input_bound_tokens, 200_000)
        both = judge.worst_case(calls, target, asked, (longest, longest))
        bounds[call_name(JobStage.JUDGE, recipe.judge)] = CallBound(both, target.timeout_s)
    if recipe.finisher is not None:
        for stage, shown in ((JobStage.VERIFY, 1), (JobStage.REVISE, 1), (JobStage.SYNTHESISE, recipe.synthesised)):
            target = find_target(stage, recipe.finisher)
            size = longer.input_bound_tokens + prompt_bytes(shown)
            cost = _single(msgspec.structs.replace(longer, input_bound_tokens=size), target, calls)
            bounds[call_name(stage, recipe.finisher)] = CallBound(_require_price(cost, calls, target), target.timeout_s)
    made = JobBounds(None, limit_s, bounds, at_once)
    return msgspec.structs.replace(made, largest_nanousd=_largest(recipe, made, cap_nanousd))


def _largest(recipe: Recipe, bounds: JobBounds, cap_nanousd: int | None) -> int | None:
    most = most_of(recipe, bounds)
    if most is not None:
        dearest = max(bounds.of(JobStage.SAMPLE, model).nanousd or 0 for model in recipe.models)
        most += dearest * (LOST_CALLS if recipe.samples > 1 else 1)
    return min((one for one in (most, cap_nanousd) if one is not None), default=None)


def _single(query: TierRequest, target: ModelTarget, calls: Calls) -> int:
    request = SingleTier(Tier.REASONING, [target]).request_to(query, target, 1)
    return calls.worst_case(request, query.input_bound_tokens) or 0


def _require_price(cost: int, calls: Calls, target: ModelTarget) -> int | None:
    """Return a bound, None where the model has no price."""
    return cost if calls.has_price(target) else None
