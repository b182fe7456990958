"""What a query is expected to cost in each tier, before anything is sent. Pure.

A forecast holds prices in effect against the tokens that are expected (of the input as its caches are, see
`router.decision.warmth`), times a factor that the books have shown for the model and the answer type
(`router.ledger.cost_factors`). Amounts are nano-dollars, and none is for the books; no price is None, never zero.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec

from classifier.types import Forecast
from router.decision.warmth import FRESH, CachedInput
from router.ledger.cost_factors import NO_FACTOR, CostFactor
from router.ledger.prices import STANDARD, Price
from router.types import Tier


class CostInterval(NamedTuple):
    """An amount with the ends of its 80 % interval, in nano-dollars."""

    expected: int
    low: int
    high: int


class ExpectedVote(NamedTuple):
    """How sampling is expected to go."""

    samples: float
    p_escalated: float


class PriceLine(NamedTuple):
    """Pico-dollars per token of one price, for prompts longer than `above_tokens`, and nano-dollars per call."""

    above_tokens: int
    input: int
    output: int
    cached: int
    written: int
    per_call: int

    def cost(self, input_tokens: int, output_tokens: int, cached: int, written: int) -> float:
        """Return nano-dollars; of the input so many tokens are read from a cache, and so many others written to one."""
        _, of_input, of_output, of_cached, of_written, per_call = self
        fresh = input_tokens - cached - written
        pico = fresh * of_input + cached * of_cached + written * of_written + output_tokens * of_output
        return pico / 1e3 + per_call


PriceLines = Sequence[PriceLine]  # of one price, for the longest prompts first


def lines_of(price: Price, service: str = STANDARD) -> PriceLines:
    """Read the rates of a price, of the standard service where no other is named."""
    lines = [
        PriceLine(
            rates.above_tokens,
            rates.input,
            rates.output,
            rates.input if rates.cached_input is None else rates.cached_input,
            rates.input if rates.cache_write is None else rates.cache_write,
            price.per_call_nanousd,
        )
        for rates in price.rates
        if rates.service == service
    ]
    return tuple(sorted(lines, reverse=True))


class CallShape(msgspec.Struct, frozen=True):
    """What one call is expected to be like, as far as its price goes; `caching` tells how its input is read."""

    price: PriceLines | None
    input_tokens: int
    output: Forecast
    factor: CostFactor = NO_FACTOR
    caching: CachedInput = FRESH

    def estimate(self, input_tokens: int | None = None) -> float | None:
        """What it is expected to cost; with another input, which no cache knows, where one is given."""
        price = self.price
        if price is None:
            return None
        if input_tokens is None:
            return _cost(price, self.input_tokens, self.output[1], self.caching) * self.factor[0]
        return _cost(price, input_tokens, self.output[1], FRESH) * self.factor[0]

    def interval(self) -> CostInterval | None:
        """The same with the interval that the books have shown, or that the expected lengths give."""
        if self.price is None:
            return None
        value, low, high, _ = self.factor
        price, tokens, caching = self.price, self.input_tokens, self.caching
        ends = (self.output.expected, self.output.low, self.output.high)
        plain, shortest, longest = (_cost(price, tokens, length, caching) for length in ends)
        lowest = shortest * value if low is None else plain * low
        highest = longest * value if high is None else plain * high
        return CostInterval(round(plain * value), round(lowest), round(highest))


def _cost(price: PriceLines, input_tokens: int, output_tokens: int, caching: CachedInput) -> float:
    """Return nano-dollars."""
    line = price[0]
    if len(price) > 1:
        line = next((one for one in price if one.above_tokens < max(input_tokens, 1)), price[-1])
    return line.cost(input_tokens, output_tokens, *caching)


class QueryForecast(msgspec.Struct, frozen=True):
    """One query's expected costs by tier (None where no price is known), and what they mean for the decision.

    `ratio` is how many times the usual thinking costs beyond a fast answer. The costs were multiplied by `factors`.
    `effort` is what the reasoning model would be asked for, where that is not what it always is.
    """

    expected: Mapping[Tier, int | None]
    ratio: float
    factors: Mapping[Tier, float]
    effort: str | None = None

    def cost_in(self, tier: Tier) -> int | None:
        """What the query is expected to cost in a tier, in nano-dollars; None where that is not known."""
        return self.expected.get(tier)


def cut_length(output: Forecast, most: int | None) -> Forecast:
    """Cut an expected length at what the client allows."""
    if most is None or output.high <= most:
        return output
    return Forecast(min(output.low, most), min(output.expected, most), most)


def scale_factor(factor: CostFactor, by: float) -> CostFactor:
    """Multiply a factor and its ends."""
    low, high = (None if end is None else end * by for end in (factor.low, factor.high))
    return CostFactor(factor.value * by, low, high, factor.requests)


def add_up_vote(sample: CostInterval | None, vote: ExpectedVote, strong: CostInterval | None) -> CostInterval | None:
    """Add up a vote: its samples, and the stronger tier as often as it is expected to be asked."""
    if sample is None or (strong is None and vote.p_escalated > 0):
        return None
    added = strong or CostInterval(0, 0, 0)
    expected = sample.expected * vote.samples + added.expected * vote.p_escalated
    low = sample.low * vote.samples + (added.low if vote.p_escalated > 0.9 else 0)
    high = sample.high * vote.samples + (added.high if vote.p_escalated > 0.1 else 0)
    return CostInterval(round(expected), round(min(low, expected)), round(max(high, expected)))
