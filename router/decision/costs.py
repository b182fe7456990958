"""What a query is expected to cost: the models of the tiers, their prices in effect, and what the books have shown."""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from classifier.types import Estimate, Forecast
from router.decision.forecast import (
    CallShape,
    CostInterval,
    QueryForecast,
    Sampling,
    limited,
    sampled_cost,
)
from router.decision.policy import NEVER, Policy
from router.decision.rules import VOTABLE
from router.decision.worth import USUAL, ratio_of
from router.ledger.cost_factors import CostFactor
from router.ledger.prices import PriceBook
from router.providers.base import ModelTarget
from router.types import Tier


class ShownCosts(Protocol):
    """What the books have shown of forecasts and of costs."""

    def factor(self, tier: Tier, model: str, answer_type: str) -> CostFactor:
        """What requests like it cost, as a multiple of what had been forecast."""
        ...

    def usual_input(self, segment: str) -> int:
        """The median input of a segment's queries, in tokens; that of ordinary consumer queries where few were seen."""
        ...


class CostForecaster:
    """Forecasts costs. `stops` tells how sampling goes, by P(a sample is right), whether votes count, and dials."""

    def __init__(
        self,
        prices: PriceBook,
        targets: Mapping[Tier, Sequence[ModelTarget]],
        shown: ShownCosts,
        stops: Callable[[float, bool, Policy], Sampling],
        now_us: Callable[[], int],
    ) -> None:
        self._prices = prices
        self._targets = {tier: models[0] for tier, models in targets.items()}
        self._shown = shown
        self._stops = stops
        self._now_us = now_us
        sampled, strong, weak = (self._targets[tier].name for tier in (Tier.PARALLEL, Tier.REASONING, Tier.FAST))
        self._samples_strong = sampled == strong != weak

    def forecast(
        self, estimate: Estimate, policy: Policy, segment: str, input_tokens: int, most_output: int | None = None
    ) -> QueryForecast:
        """Forecast one query of a segment; `most_output` is what the client allows, in tokens."""
        shapes, sampling = self._shapes(estimate, input_tokens, most_output), self.sampling(estimate, policy)
        expected = _expected(shapes, sampling)
        usual_input = self._shown.usual_input(segment)
        as_usual = {tier: shape._replace(input_tokens=usual_input) for tier, shape in shapes.items()}
        deep = Tier.REASONING if policy.reasoning_threshold <= NEVER else Tier.PARALLEL
        return QueryForecast(
            {tier: None if cost is None else round(cost) for tier, cost in expected.items()},
            ratio_of(_extra(expected, deep), _extra(_expected(as_usual, sampling), deep)),
            {tier: shape.factor.value for tier, shape in shapes.items()},
        )

    def forecast_named(
        self, target: ModelTarget, tier: Tier, estimate: Estimate, input_tokens: int, most_output: int | None = None
    ) -> QueryForecast:
        """Forecast what a model that is asked for by its own name costs, under the tier that it is booked under."""
        output = limited(estimate.output_fast if tier is Tier.FAST else estimate.output_reasoning, most_output)
        shape = self._shape(target.name, tier, estimate, input_tokens, output)
        cost = shape.expected()
        return QueryForecast({tier: None if cost is None else round(cost)}, USUAL, {tier: shape.factor.value})

    def intervals(
        self, estimate: Estimate, policy: Policy, input_tokens: int, most_output: int | None = None
    ) -> dict[Tier, CostInterval | None]:
        """Forecast one query with 80 % intervals, for a quote."""
        shapes = self._shapes(estimate, input_tokens, most_output)
        whole = {tier: shape.interval() for tier, shape in shapes.items()}
        sampling = self.sampling(estimate, policy)
        return {**whole, Tier.PARALLEL: sampled_cost(whole[Tier.PARALLEL], sampling, whole[Tier.REASONING])}

    def sampling(self, estimate: Estimate, policy: Policy) -> Sampling:
        """Tell how sampling a query is expected to go."""
        return self._stops(self.p_sampled(estimate), estimate.answer_type in VOTABLE, policy)

    def p_sampled(self, estimate: Estimate) -> float:
        """P(a sample is right)."""
        return estimate.p_reasoning if self._samples_strong else estimate.p_fast

    def _shapes(self, estimate: Estimate, input_tokens: int, most_output: int | None) -> dict[Tier, CallShape]:
        outputs = {
            Tier.FAST: estimate.output_fast,
            Tier.REASONING: estimate.output_reasoning,
            Tier.PARALLEL: estimate.output_reasoning if self._samples_strong else estimate.output_fast,
        }
        return {
            tier: self._shape(target.name, tier, estimate, input_tokens, limited(outputs[tier], most_output))
            for tier, target in self._targets.items()
        }

    def _shape(self, model: str, tier: Tier, estimate: Estimate, input_tokens: int, output: Forecast) -> CallShape:
        price = self._prices.in_effect(model, self._now_us())
        return CallShape(price, input_tokens, output, self._shown.factor(tier, model, estimate.answer_type))


def _expected(shapes: Mapping[Tier, CallShape], sampling: Sampling) -> dict[Tier, float | None]:
    """Add up what each tier is expected to cost: the parallel one its samples, and the strong call they may end in."""
    costs = {tier: shape.expected() for tier, shape in shapes.items()}
    sample, strong = costs[Tier.PARALLEL], costs[Tier.REASONING]
    if sample is not None:
        is_known = strong is not None or not sampling.p_escalated
        added = sample * sampling.samples + (strong or 0.0) * sampling.p_escalated
        costs[Tier.PARALLEL] = added if is_known else None
    return costs


def _extra(costs: Mapping[Tier, float | None], deep: Tier) -> float | None:
    """What thinking costs beyond a fast answer."""
    fast, thinking = costs[Tier.FAST], costs[deep]
    return None if fast is None or thinking is None else thinking - fast
