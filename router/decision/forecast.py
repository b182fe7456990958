"""What a query is expected to cost in each tier, before anything is sent. Pure.

A forecast holds prices in effect against the tokens that are expected (of the input as its caches are, see
`router.decision.warmth`), times a factor that the books have shown for the
model and the answer type (`router.ledger.cost_factors`). Amounts are nano-dollars; no price is None, never zero.
"""

from collections.abc import Mapping
from typing import NamedTuple

import msgspec

from classifier.types import Forecast
from router.decision.warmth import FRESH, CachedInput
from router.ledger.cost_factors import NO_FACTOR, CostFactor
from router.ledger.prices import Price
from router.types import Tier

BYTES_PER_TOKEN = 4  # of a request's body


class CostInterval(NamedTuple):
    """An amount with the ends of its 80 % interval, in nano-dollars."""

    expected: int
    low: int
    high: int


class Sampling(NamedTuple):
    """How a vote is expected to go."""

    samples: float
    p_escalated: float


class CallShape(NamedTuple):
    """What one call is expected to be like, as far as its price goes; `caching` tells how its input is read."""

    price: Price | None
    input_tokens: int
    output: Forecast
    factor: CostFactor = NO_FACTOR
    caching: CachedInput = FRESH

    def expected(self, input_tokens: int | None = None) -> float | None:
        """What it is expected to cost; with another input, which no cache knows, where one is given."""
        if self.price is None:
            return None
        if input_tokens is None:
            return self.price.estimate(self.input_tokens, self.output[1], *self.caching) * self.factor[0]
        return self.price.estimate(input_tokens, self.output[1]) * self.factor[0]

    def interval(self) -> CostInterval | None:
        """The same with the interval that the books have shown, or that the expected lengths give."""
        if self.price is None:
            return None
        value, low, high, _ = self.factor
        ends = (self.output.expected, self.output.low, self.output.high)
        plain, shortest, longest = (self.price.estimate(self.input_tokens, tokens, *self.caching) for tokens in ends)
        lowest = shortest * value if low is None else plain * low
        highest = longest * value if high is None else plain * high
        return CostInterval(round(plain * value), round(lowest), round(highest))


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


def limited(output: Forecast, most: int | None) -> Forecast:
    """Cut an expected length at what the client allows."""
    if most is None or output.high <= most:
        return output
    return Forecast(min(output.low, most), min(output.expected, most), most)


def sampled_cost(sample: CostInterval | None, sampling: Sampling, strong: CostInterval | None) -> CostInterval | None:
    """Add up a vote: its samples, and the stronger tier as often as it is expected to be asked."""
    if sample is None or (strong is None and sampling.p_escalated > 0):
        return None
    added = strong or CostInterval(0, 0, 0)
    expected = sample.expected * sampling.samples + added.expected * sampling.p_escalated
    low = sample.low * sampling.samples + (added.low if sampling.p_escalated > 0.9 else 0)
    high = sample.high * sampling.samples + (added.high if sampling.p_escalated > 0.1 else 0)
    return CostInterval(round(expected), round(min(low, expected)), round(max(high, expected)))
