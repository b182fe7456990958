"""Which models play which part in a job: those of the tiers, as configured now. A job knows them by name only."""

from collections.abc import Sequence

from router.errors import Unavailable
from router.exchange import Exchange
from router.jobs.job import JobWork
from router.jobs.recipes import Recipe, RecipeCast, RecipeName
from router.jobs.steps import JobStage
from router.lineup import Lineup
from router.providers.base import ModelTarget
from router.settings import ParallelSettings
from router.tiers.vote import judge
from router.types import Tier


class Casting:
    """Finds the models of jobs."""

    def __init__(self, lineup: Lineup, parallel: ParallelSettings, price_ratio: float, most_samples: int) -> None:
        self._lineup = lineup
        self._parallel = parallel
        self._price_ratio = price_ratio
        self._most_samples = most_samples

    def cast(self, plan: Exchange) -> RecipeCast:
        """Tell who may play a part in answering a request that was planned."""
        by_tier, decided = self._lineup.by_tier, plan.decision.tier
        single = {tier: targets[0].name for tier, targets in by_tier.items()}
        named = self._lineup.explicit.get(plan.opening.requested_model)
        if named is not None:
            single[decided] = named.targets[0].name
        sampled = by_tier[Tier.PARALLEL]
        chosen = judge.choose_judge(self._lineup.vote_judges, sampled)
        parallel = self._parallel
        return RecipeCast(
            single=single,
            sampled=tuple(target.name for target in sampled),
            finisher=by_tier[Tier.REASONING][0].name,
            judge=None if chosen is None else chosen.name,
            vote_samples=max(parallel.max_samples, 16),
            open_samples=parallel.open_samples,
            confidence=parallel.confidence,
            price_ratio=self._price_ratio,
            escalates=bool(parallel.escalate_to),
            most_samples=self._most_samples,
        )

    def find(self, work: JobWork, recipe: Recipe, stage: JobStage, name: str) -> ModelTarget:
        """Return the model of a part; raises Unavailable where it is configured no more."""
        for target in self._candidates(work, recipe, stage):
            if target.name == name:
                return target
        raise Unavailable(f"the model {name} that this job was accepted with is configured no more; submit it again")

    def _candidates(self, work: JobWork, recipe: Recipe, stage: JobStage) -> Sequence[ModelTarget]:
        lineup = self._lineup
        match stage:
            case JobStage.SAMPLE if recipe.name is RecipeName.SINGLE:
                named = lineup.explicit.get(work.opening.requested_model)
                return named.targets if named is not None else lineup.by_tier[work.decision.tier]
            case JobStage.SAMPLE:
                return lineup.by_tier[Tier.PARALLEL]
            case JobStage.JUDGE:
                return (*lineup.vote_judges, *lineup.by_tier[Tier.REASONING])
            case _:
                return lineup.by_tier[Tier.REASONING]
