"""What a query is expected to cost: the models of the tiers, their prices in effect, and what the books have shown."""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from classifier.types import Estimate
from router.decision.effort import EFFORTS_CHOSEN, USUAL_EFFORT, choose_effort, length_at, need_of
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
from router.decision.warmth import COLD, PromptWarmth, cached_input
from router.decision.worth import USUAL, ratio_of
from router.ledger.cost_factors import CostFactor, scaled
from router.ledger.prices import Price, PriceBook
from router.providers.base import ModelTarget
from router.providers.caches import LEAST_WORTH_TOKENS, cache_of
from router.types import Tier

PRICES_KEPT_US = 1_000_000


class ShownCosts(Protocol):
    """What the books have shown of forecasts and of costs."""

    def factor(self, tier: Tier, model: str, answer_type: str) -> CostFactor:
        """What requests like it cost, as a multiple of what had been forecast."""
        ...

    def usual_input(self, segment: str) -> int:
        """The median input of a segment's queries, in tokens; that of ordinary consumer queries where few were seen."""
        ...

    def effort_factor(self, model: str, effort: str) -> float:
        """What the model costs at an effort, as a multiple of what its other factors say."""
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
        self._models = [(tier, target.name) for tier, target in self._targets.items()]
        self._caches = {tier: cache_of(target) for tier, target in self._targets.items()}
        self._in_effect: Mapping[Tier, Price | None] = {}
        self._looked_up_at = -PRICES_KEPT_US
        sampled, strong, weak = (self._targets[tier].name for tier in (Tier.PARALLEL, Tier.REASONING, Tier.FAST))
        self._samples_strong = sampled == strong != weak

    def forecast(
        self,
        estimate: Estimate,
        policy: Policy,
        segment: str,
        input_tokens: int,
        most_output: int | None = None,
        warmth: PromptWarmth = COLD,
        effort: str | None = None,
    ) -> QueryForecast:
        """Forecast one query of a segment; `most_output` is what the client allows, in tokens.

        What a model has in its cache is cheaper there and nowhere else, so that staying with it is worth its saving.
        `effort` is what the reasoning model would be asked for, at which the estimate's lengths are; None: as always.
        """
        shapes = self._shapes(estimate, input_tokens, most_output, warmth, effort)
        sampling = self.sampling(estimate, policy)
        fast, strong, sample = shapes[Tier.FAST], shapes[Tier.REASONING], shapes[Tier.PARALLEL]
        costs = fast.expected(), strong.expected(), sample.expected()
        usual = self._shown.usual_input(segment)
        as_usual = fast.expected(usual), strong.expected(usual), sample.expected(usual)
        voted = _voted(costs, sampling)
        deep, usually = costs[1], as_usual[1]
        if policy.reasoning_threshold > NEVER:
            deep, usually = voted, _voted(as_usual, sampling)
        return QueryForecast(
            {Tier.FAST: _rounded(costs[0]), Tier.REASONING: _rounded(costs[1]), Tier.PARALLEL: _rounded(voted)},
            ratio_of(_beyond(deep, costs[0]), _beyond(usually, as_usual[0])),
            {Tier.FAST: fast.factor.value, Tier.REASONING: strong.factor.value, Tier.PARALLEL: sample.factor.value},
            effort,
        )

    @property
    def usual_effort(self) -> str:
        """The effort that the reasoning model is asked for where nobody asks for another."""
        return self._targets[Tier.REASONING].effort or USUAL_EFFORT

    def choose_effort(
        self,
        estimate: Estimate,
        segment: str,
        input_tokens: int,
        sensitivity: float,
        most_output: int | None = None,
        warmth: PromptWarmth = COLD,
    ) -> str:
        """Choose the effort of the reasoning model, by what the query needs and what each effort costs here."""
        shapes, usual = self._shapes(estimate, input_tokens, most_output, warmth), self._shown.usual_input(segment)
        fast, strong, model = shapes[Tier.FAST], shapes[Tier.REASONING], self._targets[Tier.REASONING].name
        ratios = {}
        for effort in EFFORTS_CHOSEN:
            length = length_at(effort, estimate.output_fast, estimate.output_reasoning, self.usual_effort)
            factor = scaled(strong.factor, self._shown.effort_factor(model, effort))
            at = strong._replace(output=limited(length, most_output), factor=factor)
            beyond, usually = _beyond(at.expected(), fast.expected()), _beyond(at.expected(usual), fast.expected(usual))
            ratios[effort] = ratio_of(beyond, usually)
        return choose_effort(need_of(estimate), ratios, sensitivity)

    def forecast_named(
        self,
        target: ModelTarget,
        tier: Tier,
        estimate: Estimate,
        input_tokens: int,
        most_output: int | None = None,
        warmth: PromptWarmth = COLD,
    ) -> QueryForecast:
        """Forecast what a model that is asked for by its own name costs, under the tier that it is booked under."""
        output = limited(estimate.output_fast if tier is Tier.FAST else estimate.output_reasoning, most_output)
        now_us = self._now_us()
        price, factor = self._prices.in_effect(target.name, now_us), self._shown.factor
        caching = cached_input(cache_of(target), target.name, input_tokens, warmth, now_us)
        shape = CallShape(price, input_tokens, output, factor(tier, target.name, estimate.answer_type), caching)
        cost = shape.expected()
        return QueryForecast({tier: None if cost is None else round(cost)}, USUAL, {tier: shape.factor.value})

    def intervals(
        self,
        estimate: Estimate,
        policy: Policy,
        input_tokens: int,
        most_output: int | None = None,
        warmth: PromptWarmth = COLD,
        effort: str | None = None,
    ) -> dict[Tier, CostInterval | None]:
        """Forecast one query with 80 % intervals, for a quote."""
        shapes = self._shapes(estimate, input_tokens, most_output, warmth, effort)
        whole = {tier: shape.interval() for tier, shape in shapes.items()}
        sampling = self.sampling(estimate, policy)
        return {**whole, Tier.PARALLEL: sampled_cost(whole[Tier.PARALLEL], sampling, whole[Tier.REASONING])}

    def sampling(self, estimate: Estimate, policy: Policy) -> Sampling:
        """Tell how sampling a query is expected to go."""
        return self._stops(self.p_sampled(estimate), estimate.answer_type in VOTABLE, policy)

    def p_sampled(self, estimate: Estimate) -> float:
        """P(a sample is right)."""
        return estimate.p_reasoning if self._samples_strong else estimate.p_fast

    def _shapes(
        self,
        estimate: Estimate,
        input_tokens: int,
        most_output: int | None,
        warmth: PromptWarmth = COLD,
        effort: str | None = None,
    ) -> dict[Tier, CallShape]:
        shapes = self._plain_shapes(estimate, input_tokens, most_output, warmth)
        if effort is not None:
            strong, by = shapes[Tier.REASONING], self._shown.effort_factor(self._targets[Tier.REASONING].name, effort)
            shapes[Tier.REASONING] = strong._replace(factor=scaled(strong.factor, by))
        return shapes

    def _plain_shapes(
        self, estimate: Estimate, input_tokens: int, most_output: int | None, warmth: PromptWarmth
    ) -> dict[Tier, CallShape]:
        short, long = limited(estimate.output_fast, most_output), limited(estimate.output_reasoning, most_output)
        outputs = {Tier.FAST: short, Tier.REASONING: long, Tier.PARALLEL: long if self._samples_strong else short}
        kind, prices, factor = estimate.answer_type, self._prices_now(), self._shown.factor
        if input_tokens < LEAST_WORTH_TOKENS:
            return {
                tier: CallShape(prices[tier], input_tokens, outputs[tier], factor(tier, model, kind))
                for tier, model in self._models
            }
        now_us = self._now_us()
        return {
            tier: CallShape(
                prices[tier],
                input_tokens,
                outputs[tier],
                factor(tier, model, kind),
                cached_input(self._caches[tier], model, input_tokens, warmth, now_us),
            )
            for tier, model in self._models
        }

    def _prices_now(self) -> Mapping[Tier, Price | None]:
        """The prices in effect, looked up once a second."""
        now_us = self._now_us()
        if now_us - self._looked_up_at >= PRICES_KEPT_US:
            self._in_effect = {tier: self._prices.in_effect(model, now_us) for tier, model in self._models}
            self._looked_up_at = now_us
        return self._in_effect


def _voted(costs: tuple[float | None, float | None, float | None], sampling: Sampling) -> float | None:
    """Add up what a vote is expected to cost: its samples, and the strong call that it may end in."""
    _, strong, sample = costs
    if sample is None or (strong is None and sampling.p_escalated):
        return None
    return sample * sampling.samples + (strong or 0.0) * sampling.p_escalated


def _beyond(cost: float | None, fast: float | None) -> float | None:
    """What thinking costs beyond a fast answer."""
    return None if fast is None or cost is None else cost - fast


def _rounded(cost: float | None) -> int | None:
    return None if cost is None else round(cost)
