"""What the router would do with one query now: the estimate, the decisions, each tier's quote. Keeps nothing."""

import json
from collections.abc import Mapping, Sequence

from classifier.types import Estimate
from router.admin.services import Services
from router.api.quotes import quote_body
from router.decision.engine import AUTO
from router.decision.policy import Policy
from router.decision.rules import LEAST_P_SAMPLED, VOTABLE
from router.policies.dials import format_dial
from router.providers.caches import BYTES_PER_TOKEN
from router.request import InferenceRequest
from router.types import Decision, Tier

REQUEST_ID = "0" * 32


def request_of(messages: Sequence[Mapping[str, str]], segment: str) -> InferenceRequest:
    """The query as a client would send it to `auto`."""
    written = [dict(message) for message in messages]
    size = len(json.dumps(written, ensure_ascii=False).encode("utf-8", "replace"))
    return InferenceRequest(REQUEST_ID, AUTO, written, {}, size, segment=segment)


def try_policies(services: Services, request: InferenceRequest, policies: Mapping[str, Policy]) -> dict[str, object]:
    """Decide one query under each policy, and quote it under today's; raises RequestError where it can go nowhere."""
    quotes = {name: services.quoter.quote(request, policy) for name, policy in policies.items()}
    today = quotes["today"]
    return {
        "estimate": _estimate(today.routed.estimate),
        "decisions": {
            name: _decision_row(quote.routed.decision, policies[name].for_segment(request.segment))
            for name, quote in quotes.items()
        },
        "quote": quote_body(today, services.largest_costs(request, today.routed)),
        "lengths": _lengths(today.routed.estimate),
        "input_tokens": request.input_bytes // BYTES_PER_TOKEN,
    }


def _lengths(estimate: Estimate) -> dict[str, list[int]]:
    """The tokens expected of an answer, with the ends of their 80 %; a vote's are those of its samples."""
    written = {Tier.FAST: estimate.output_fast, Tier.REASONING: estimate.output_reasoning}
    return {tier.value: [tokens.low, tokens.expected, tokens.high] for tier, tokens in written.items()}


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
        "worth": decision.worth,
        "cost_ratio": round(decision.cost_ratio, 4),
        "effort": decision.effort,
        "threshold": decision.threshold,
        "version": decision.policy_version,
        "reasoning_threshold": format_dial(policy.reasoning_threshold),
        "parallel_threshold": format_dial(policy.parallel_threshold),
        "max_deep_share": format_dial(policy.max_deep_share),
        "cost_sensitivity": format_dial(policy.cost_sensitivity),
    }
