"""What each tier would cost, how long it would take and how likely it is to be right; and where `auto` would go.

A quote calls no provider and books nothing. Its intervals are meant to hold 80 % of such queries.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from classifier.types import Estimate, Forecast
from router.decision.costs import CostForecaster
from router.decision.engine import DecisionEngine, Routed
from router.decision.forecast import CostInterval, ExpectedVote, cut_length
from router.decision.latency import LatencyWindow
from router.decision.policy import Policy
from router.decision.rules import VOTABLE
from router.providers.base import ModelTarget
from router.request import InferenceRequest
from router.types import Tier

FIRST_WORD_S = 0.5  # of a hosted model, where nothing was measured
WAVE = 4  # samples that are made at once at first; the slowest of them counts
SLOWEST_OF_WAVE = 1.3  # times the usual


class Seconds(NamedTuple):
    """How long a whole answer takes."""

    median: float
    low: float
    high: float


class TierQuote(NamedTuple):
    """One tier; costs without a price and times of which nothing is known are None."""

    tier: Tier
    p_correct: float
    cost: CostInterval | None
    seconds: Seconds


class QueryQuote(NamedTuple):
    """All tiers, and what `auto` would do now."""

    tiers: Sequence[TierQuote]
    routed: Routed


class Quoter:
    """Makes quotes. `seconds_for` tells how long a model takes to write so many tokens, as measured lately."""

    def __init__(
        self,
        routing: DecisionEngine,
        costs: CostForecaster,
        waits: LatencyWindow,
        targets: Mapping[Tier, Sequence[ModelTarget]],
        seconds_for: Callable[[ModelTarget, float], float],
    ) -> None:
        self._routing = routing
        self._costs = costs
        self._waits = waits
        self._targets = {tier: models[0] for tier, models in targets.items()}
        self._seconds_for = seconds_for

    def quote(self, request: InferenceRequest, of: Policy | None = None) -> QueryQuote:
        """Quote one query, by the policy in force or by another; raises RequestError where it can go nowhere."""
        routed = self._routing.quote(request, of)
        estimate, policy = routed.estimate, routed.policy
        tokens, most = routed.input_tokens, request.max_output_tokens or request.max_visible_tokens
        effort = routed.forecast.effort if routed.forecast else None
        costs = self._costs.intervals(estimate, policy, tokens, most, effort=effort)
        vote = self._costs.expect_vote(estimate, policy)
        chances = {
            Tier.FAST: estimate.p_fast,
            Tier.REASONING: estimate.p_reasoning,
            Tier.PARALLEL: self._p_of_samples(estimate, vote),
        }
        seconds = self._seconds(estimate, vote, most)
        return QueryQuote([TierQuote(tier, chances[tier], costs[tier], seconds[tier]) for tier in Tier], routed)

    def _p_of_samples(self, estimate: Estimate, vote: ExpectedVote) -> float:
        """How likely the parallel tier is right; where no vote counts, the middle of its samples is one of them."""
        p_sampled = self._costs.p_sampled(estimate)
        return p_of_vote(p_sampled, estimate.p_reasoning, vote) if estimate.answer_type in VOTABLE else p_sampled

    def _seconds(self, estimate: Estimate, vote: ExpectedVote, most_output: int | None) -> dict[Tier, Seconds]:
        fast, reasoning = (
            self._seconds_to_write(tier, cut_length(output, most_output))
            for tier, output in ((Tier.FAST, estimate.output_fast), (Tier.REASONING, estimate.output_reasoning))
        )
        sample = self._seconds_to_write(Tier.PARALLEL, cut_length(estimate.output_fast, most_output))
        waves = max(vote.samples / WAVE, 1.0) * SLOWEST_OF_WAVE
        escalated = vote.p_escalated
        voted = Seconds(
            sample.median * waves + reasoning.median * escalated,
            sample.low * waves + (reasoning.low if escalated > 0.9 else 0.0),
            sample.high * waves + (reasoning.high if escalated > 0.1 else 0.0),
        )
        forecast = {Tier.FAST: fast, Tier.REASONING: reasoning, Tier.PARALLEL: voted}
        return {tier: self._recent_seconds(tier) or forecast[tier] for tier in Tier}

    def _recent_seconds(self, tier: Tier) -> Seconds | None:
        """How long whole answers of a tier took lately, where enough were seen here."""
        spread = self._waits.spread_ms(tier, streamed=False)
        return None if spread is None else Seconds(*(ms / 1e3 for ms in spread))

    def _seconds_to_write(self, tier: Tier, output: Forecast) -> Seconds:
        target = self._targets[tier]
        low, median, high = (FIRST_WORD_S + self._seconds_for(target, tokens) for tokens in output)
        return Seconds(median, low, high)


def p_of_vote(p_sampled: float, p_strong: float, vote: ExpectedVote) -> float:
    """Tell how likely a vote is right: where four agree, as right ones do sooner, else as the strong tier."""
    right, wrong = p_sampled**WAVE, ((1.0 - p_sampled) / 2) ** WAVE
    accepted = right / (right + wrong) if right else 0.0
    return (1.0 - vote.p_escalated) * accepted + vote.p_escalated * p_strong
