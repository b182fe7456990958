"""What the router would do with one query now: the estimate, the decisions, expected cost and wait. Keeps nothing."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from classifier.types import Estimate, Forecast
from router.admin.services import Services
from router.decision.engine import AUTO, BYTES_PER_TOKEN
from router.decision.policy import Policy
from router.decision.rules import LEAST_P_SAMPLED, VOTABLE
from router.ledger.prices import PriceBook
from router.money import usd_text
from router.policies.dials import format_dial
from router.request import InferenceRequest
from router.settings import TierSettings
from router.tiers.parallel.stopping import WAVES
from router.tuning.preview.preview import Preview
from router.tuning.traffic import TIERS
from router.types import Decision, Tier, Usage

REQUEST_ID = "0" * 32


def request_of(messages: Sequence[Mapping[str, str]], segment: str) -> InferenceRequest:
    """The query as a client would send it to `auto`."""
    written = [dict(message) for message in messages]
    size = len(json.dumps(written, ensure_ascii=False).encode("utf-8", "replace"))
    return InferenceRequest(REQUEST_ID, AUTO, written, {}, size, segment=segment)


def try_policies(
    services: Services, request: InferenceRequest, policies: Mapping[str, Policy], preview: Preview | None
) -> dict[str, object]:
    """Decide one query under each policy; raises RequestError where the query can go nowhere."""
    decided = {name: services.routing.try_policy(request, policy) for name, policy in policies.items()}
    decisions = {
        name: _decision_row(decision, policies[name].for_segment(request.segment))
        for name, (decision, _) in decided.items()
    }
    estimate = decided["today"][1]
    tokens = request.input_bytes // BYTES_PER_TOKEN
    costs = estimate_costs(estimate, tokens, services.settings.tiers, services.prices, services.now_us())
    return {
        "estimate": _estimate(estimate),
        "decisions": decisions,
        "tiers": {tier.value: _tier(tier, estimate, costs[tier], preview) for tier in Tier},
        "input_tokens": tokens,
    }


def estimate_costs(
    estimate: Estimate, tokens: int, tiers: TierSettings, prices: PriceBook, now_us: int
) -> dict[Tier, int | None]:
    """Estimate nano-dollars by tier for an answer of the expected length; None where a price is not known.

    Of the parallel tier the samples of its first wave: a clear vote needs no more, an unclear one costs more.
    """
    sampled = tiers.parallel.models[0]
    named = {Tier.FAST: tiers.fast.model, Tier.REASONING: tiers.reasoning.model, Tier.PARALLEL: sampled}
    deep = sampled == tiers.reasoning.model != tiers.fast.model
    outputs = {
        Tier.FAST: estimate.output_fast,
        Tier.REASONING: estimate.output_reasoning,
        Tier.PARALLEL: estimate.output_reasoning if deep else estimate.output_fast,
    }
    costs: dict[Tier, int | None] = {}
    for tier, model in named.items():
        price = prices.in_effect(model, now_us)
        usage = Usage(input_fresh=tokens, output_visible=outputs[tier].expected)
        times = min(WAVES[0], tiers.parallel.max_samples) if tier is Tier.PARALLEL else 1
        costs[tier] = None if price is None else price.cost(usage) * times
    return costs


def _tier(tier: Tier, estimate: Estimate, cost: int | None, preview: Preview | None) -> dict[str, Any]:
    outputs: dict[Tier, Forecast] = {Tier.FAST: estimate.output_fast, Tier.REASONING: estimate.output_reasoning}
    forecast = outputs.get(tier)
    wait = preview.usual_wait_s(TIERS.index(tier)) if preview else None
    chance = {Tier.FAST: estimate.p_fast, Tier.REASONING: estimate.p_reasoning}.get(tier)
    return {
        "p_correct": chance,
        "tokens": [forecast.low, forecast.expected, forecast.high] if forecast else None,
        "cost_usd": None if cost is None else usd_text(cost),
        "wait_s": list(wait) if wait else None,
    }


def _estimate(estimate: Estimate) -> dict[str, object]:
    may_vote = estimate.answer_type in VOTABLE and estimate.p_fast >= LEAST_P_SAMPLED
    return {
        "score": round(estimate.score, 4),
        "gain": round(estimate.gain, 4),
        "uncertainty": round(estimate.uncertainty, 4),
        "answer_type": estimate.answer_type.value,
        "may_vote": may_vote,
        "stakes": estimate.stakes.value,
        "classifier": estimate.version,
    }


def _decision_row(decision: Decision, policy: Policy) -> dict[str, object]:
    return {
        "tier": decision.tier.value,
        "reason": decision.reason.value,
        "score": decision.score,
        "threshold": decision.threshold,
        "version": decision.policy_version,
        "reasoning_threshold": format_dial(policy.reasoning_threshold),
        "parallel_threshold": format_dial(policy.parallel_threshold),
        "max_deep_share": format_dial(policy.max_deep_share),
    }
