"""What a query is expected to cost: the models of the tiers, their prices in effect, and what the books have shown."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from msgspec.structs import replace

from classifier.types import Estimate
from router.decision.effort import USUAL_EFFORT, choose_effort, length_at, need_of
from router.decision.forecast import (
    CallShape,
    CostInterval,
    ExpectedVote,
    PriceLines,
    QueryForecast,
    add_up_vote,
    cut_length,
    lines_of,
    scale_factor,
)
from router.decision.policy import NEVER, Policy
from router.decision.rules import VOTABLE
from router.decision.warmth import COLD, FRESH, PromptWarmth, expect_caching
from router.decision.worth import USUAL, ratio_of
from router.ledger.cost_factors import NO_FACTOR, ORDINARY_INPUT, ShownCosts
from router.ledger.prices import PriceBook
from router.providers.base import ModelTarget
from router.providers.caches import LEAST_WORTH_TOKENS, cache_of
from router.types import FAST, PARALLEL, REASONING, Tier

PRICES_KEPT_US = 10_000_000
MOST_VOTES_KEPT = 1_000


class CostEvidence(Protocol):
    """What the books have shown of forecasts and of costs, read anew now and then."""

    @property
    def shown(self) -> ShownCosts: ...


@dataclass(frozen=True, slots=True)
class FixedEvidence:
    """What was shown once and stays so; nothing where there are no books."""

    shown: ShownCosts = field(default_factory=ShownCosts)


class CostForecaster:
    """Forecasts costs. `stops` tells how sampling goes, by P(a sample is right), whether votes count, and dials."""

    def __init__(
        self,
        prices: PriceBook,
        targets: Mapping[Tier, Sequence[ModelTarget]],
        evidence: CostEvidence,
        stops: Callable[[float, bool, Policy], ExpectedVote],
        now_us: Callable[[], int],
    ) -> None:
        self._prices = prices
        self._targets = {tier: models[0] for tier, models in targets.items()}
        self._evidence = evidence
        self._stops = stops
        self._votes: dict[tuple[object, ...], ExpectedVote] = {}
        self._now_us = now_us
        self._models = [(tier, target.name) for tier, target in self._targets.items()]
        self._caches = {tier: cache_of(target) for tier, target in self._targets.items()}
        self._in_effect: Mapping[Tier, PriceLines | None] = {}
        self._looked_up_at = -PRICES_KEPT_US
        sampled, strong, weak = (self._targets[tier].name for tier in (PARALLEL, REASONING, FAST))
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
        vote = self.expect_vote(estimate, policy)
        fast, strong, sample = shapes[FAST], shapes[REASONING], shapes[PARALLEL]
        plain, thought = fast.estimate(), strong.estimate()
        voted = _add_up(sample.estimate(), thought, vote)
        usual = self._usual_input(segment)
        deep, usually = thought, strong.estimate(usual)
        if policy.reasoning_threshold > NEVER:
            deep, usually = voted, _add_up(sample.estimate(usual), usually, vote)
        return QueryForecast(
            {FAST: _round(plain), REASONING: _round(thought), PARALLEL: _round(voted)},
            ratio_of(_beyond(deep, plain), _beyond(usually, fast.estimate(usual))),
            {FAST: fast.factor[0], REASONING: strong.factor[0], PARALLEL: sample.factor[0]},
            effort,
        )

    @property
    def usual_effort(self) -> str:
        """The effort that the reasoning model is asked for where nobody asks for another."""
        return self._targets[REASONING].effort or USUAL_EFFORT

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
        model, shapes = self._targets[REASONING].name, dict[Tier, CallShape]()

        def ratio_at(effort: str) -> float:
            if not shapes:  # most queries need so little that no cost decides
                shapes.update(self._shapes(estimate, input_tokens, most_output, warmth))
            fast, strong, usual = shapes[FAST], shapes[REASONING], self._usual_input(segment)
            length = length_at(effort, estimate.output_fast, estimate.output_reasoning, self.usual_effort)
            factor = scale_factor(strong.factor, self._effort_factor(model, effort))
            at = replace(strong, output=cut_length(length, most_output), factor=factor)
            beyond, usually = _beyond(at.estimate(), fast.estimate()), _beyond(at.estimate(usual), fast.estimate(usual))
            return ratio_of(beyond, usually)

        return choose_effort(need_of(estimate), ratio_at, sensitivity)

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
        output = cut_length(estimate.output_fast if tier is FAST else estimate.output_reasoning, most_output)
        now_us = self._now_us()
        price = self._prices.in_effect(target.name, now_us)
        factor = self._evidence.shown.factors.get((tier, target.name, estimate.answer_type), NO_FACTOR)
        caching = expect_caching(cache_of(target), target.name, input_tokens, warmth, now_us)
        shape = CallShape(None if price is None else lines_of(price), input_tokens, output, factor, caching)
        return QueryForecast({tier: _round(shape.estimate())}, USUAL, {tier: shape.factor.value})

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
        vote = self.expect_vote(estimate, policy)
        return {**whole, PARALLEL: add_up_vote(whole[PARALLEL], vote, whole[REASONING])}

    def expect_vote(self, estimate: Estimate, policy: Policy) -> ExpectedVote:
        """Tell how sampling a query is expected to go; worked out once for each hundredth of P(correct)."""
        p_sampled, is_votable = round(self.p_sampled(estimate), 2), estimate.answer_type in VOTABLE
        key = (p_sampled, is_votable, policy.parallel_samples, policy.parallel_confidence)
        vote = self._votes.get(key)
        if vote is None:
            if len(self._votes) >= MOST_VOTES_KEPT:
                self._votes.clear()
            vote = self._votes[key] = self._stops(p_sampled, is_votable, policy)
        return vote

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
        short, long = cut_length(estimate.output_fast, most_output), cut_length(estimate.output_reasoning, most_output)
        outputs = {FAST: short, REASONING: long, PARALLEL: long if self._samples_strong else short}
        kind, now_us, factors = estimate.answer_type, self._now_us(), self._evidence.shown.factors
        prices, is_long = self._prices_at(now_us), input_tokens >= LEAST_WORTH_TOKENS
        shapes = {
            tier: CallShape(
                prices[tier],
                input_tokens,
                outputs[tier],
                factors.get((tier, model, kind), NO_FACTOR),
                expect_caching(self._caches[tier], model, input_tokens, warmth, now_us) if is_long else FRESH,
            )
            for tier, model in self._models
        }
        if effort is not None:
            strong, by = shapes[REASONING], self._effort_factor(self._targets[REASONING].name, effort)
            shapes[REASONING] = replace(strong, factor=scale_factor(strong.factor, by))
        return shapes

    def _usual_input(self, segment: str) -> int:
        return self._evidence.shown.usual_inputs.get(segment, ORDINARY_INPUT)

    def _effort_factor(self, model: str, effort: str) -> float:
        return self._evidence.shown.effort_factors.get((model, effort), 1.0)

    def _prices_at(self, now_us: int) -> Mapping[Tier, PriceLines | None]:
        """The prices in effect, looked up every ten seconds."""
        if now_us - self._looked_up_at >= PRICES_KEPT_US:
            found = {tier: self._prices.in_effect(model, now_us) for tier, model in self._models}
            self._in_effect = {tier: None if price is None else lines_of(price) for tier, price in found.items()}
            self._looked_up_at = now_us
        return self._in_effect


def _add_up(sample: float | None, strong: float | None, vote: ExpectedVote) -> float | None:
    """Add up what a vote is expected to cost: its samples, and the strong call that it may end in."""
    if sample is None or (strong is None and vote.p_escalated):
        return None
    return sample * vote.samples + (strong or 0.0) * vote.p_escalated


def _beyond(cost: float | None, fast: float | None) -> float | None:
    """What thinking costs beyond a fast answer."""
    return None if fast is None or cost is None else cost - fast


def _round(cost: float | None) -> int | None:
    return None if cost is None else round(cost)
