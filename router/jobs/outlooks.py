"""What each call of a recipe is expected to cost and to take: by forecasts of length, prices in effect and speeds."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import msgspec

from classifier.types import Estimate, Forecast
from router.decision.forecast import CallShape, CostInterval, cut_length, lines_of
from router.decision.quotes import FIRST_WORD_S
from router.jobs.calibration import Spread
from router.jobs.prompts import LONGEST_CANDIDATE
from router.jobs.recipes import Recipe, RecipeName
from router.jobs.steps import JobStage, call_name
from router.ledger.cost_factors import NO_FACTOR, ShownCosts
from router.ledger.prices import BATCH, STANDARD, PriceBook
from router.providers.base import ModelTarget
from router.providers.caches import BYTES_PER_TOKEN
from router.types import Tier

FORM_TOKENS = 120  # of a prompt form, or of what a later stage asks
VERDICT = Forecast(2, 8, 60)  # of a judge who says a letter
BATCH_S = (420.0, 60.0, 3_600.0)  # what a broker of several providers reports of theirs: median, and the ends of 80 %


class CallOutlook(NamedTuple):
    """What one action is expected to cost (nano-dollars; None: no price) and to take in seconds.

    `is_batched`: all that begin together take as long as one.
    """

    cost: Spread | None
    seconds: Spread
    is_batched: bool = False


class QuotedQuery(NamedTuple):
    """What of a request tells how long its answers get and what they cost."""

    estimate: Estimate
    tier: Tier
    input_tokens: int
    most_output: int | None = None


class OutlookMaker:
    """Makes outlooks. `seconds_for` tells how long a model takes to write so many tokens, as measured lately."""

    def __init__(
        self,
        prices: PriceBook,
        shown: Callable[[], ShownCosts],
        seconds_for: Callable[[ModelTarget, float], float],
        now_us: Callable[[], int],
    ) -> None:
        self._prices = prices
        self._shown = shown
        self._seconds_for = seconds_for
        self._now_us = now_us

    def of_recipe(
        self, recipe: Recipe, query: QuotedQuery, find_target: Callable[[JobStage, str], ModelTarget]
    ) -> Mapping[str, CallOutlook]:
        """Return an outlook for every call that a recipe may make, by `call_name`."""
        sampled = query.estimate.output_fast
        if recipe.name is RecipeName.SINGLE and query.tier is Tier.REASONING:
            sampled = query.estimate.output_reasoning
        written = query.estimate.output_reasoning
        shown_tokens = min(sampled.expected, LONGEST_CANDIDATE // BYTES_PER_TOKEN)
        parts = {
            JobStage.VERIFY: (1, written),
            JobStage.REVISE: (1, written),
            JobStage.SYNTHESISE: (recipe.synthesised, written),
        }
        found = {
            call_name(JobStage.SAMPLE, model): self._of_sample(
                recipe, find_target(JobStage.SAMPLE, model), query, query.input_tokens + FORM_TOKENS, sampled
            )
            for model in recipe.models
        }
        if recipe.finisher is not None:
            for stage, (shown, length) in parts.items():
                tokens = query.input_tokens + FORM_TOKENS + shown * shown_tokens
                target = find_target(stage, recipe.finisher)
                found[call_name(stage, recipe.finisher)] = self._of(recipe, target, query, tokens, length)
        if recipe.judge is not None:
            tokens = query.input_tokens + FORM_TOKENS + 2 * shown_tokens
            one = self._of(recipe, find_target(JobStage.JUDGE, recipe.judge), query, tokens, VERDICT)
            both = None if one.cost is None else Spread(*(2 * end for end in one.cost))
            found[call_name(JobStage.JUDGE, recipe.judge)] = CallOutlook(both, one.seconds)
        return found

    def _of_sample(
        self, recipe: Recipe, target: ModelTarget, query: QuotedQuery, input_tokens: int, output: Forecast
    ) -> CallOutlook:
        if target.name not in recipe.batched:
            return self._of(recipe, target, query, input_tokens, output)
        in_batch = msgspec.structs.replace(recipe, services=((target.name, BATCH),))
        cost = self._of(in_batch, target, query, input_tokens, output).cost
        return CallOutlook(cost, Spread(*BATCH_S), is_batched=True)

    def _of(
        self, recipe: Recipe, target: ModelTarget, query: QuotedQuery, input_tokens: int, output: Forecast
    ) -> CallOutlook:
        length = cut_length(output, query.most_output)
        price = self._prices.in_effect(target.name, self._now_us())
        service = STANDARD if output is VERDICT else recipe.service_of(target.name) or STANDARD
        factor = self._shown().factors.get((query.tier, target.name, query.estimate.answer_type), NO_FACTOR)
        shape = CallShape(None if price is None else lines_of(price, service), input_tokens, length, factor)
        low, middle, high = (FIRST_WORD_S + self._seconds_for(target, tokens) for tokens in length)
        return CallOutlook(_spread_of(shape.interval()), Spread(middle, low, high))


def _spread_of(cost: CostInterval | None) -> Spread | None:
    """Take a cost over; one of nothing is a nano-dollar, for logarithms."""
    if cost is None:
        return None
    return Spread(*(max(float(end), 1.0) for end in (cost.expected, cost.low, cost.high)))
