"""One token of a model, asked to see whether it answers: a request of its own in the books, and nobody's question."""

import asyncio
from collections.abc import Callable

from classifier.types import AnswerType
from router.clock import Clock, request_id
from router.ledger.entries import Opening
from router.ledger.prices import PriceBook
from router.providers.base import ModelTarget, Provider, ProviderRequest
from router.providers.openai.backends import thinks_anyway
from router.tiers.calls import Books, Calls
from router.types import DEFAULT_SEGMENT, UNKNOWN_COUNTRY, CallKind, Outcome, Reason, Tier

QUESTION = [{"role": "user", "content": "Say: ok"}]
INPUT_BOUND_TOKENS = 64  # of the question, in any vocabulary
NOT_ESTIMATED = "none"  # the version of the classifier: nothing was asked that it could judge


async def probe(
    target: ModelTarget,
    purpose: str,
    books: Books,
    prices: PriceBook,
    provider_of: Callable[[ModelTarget], Provider],
    clock: Clock,
) -> None:
    """Ask a model for one token, and book what that cost as housekeeping of `purpose`; raises ProviderError.

    A model that cannot help thinking is asked to think as little as it can.
    """
    calls = Calls(_opening(purpose, clock.now_us()), books, prices, provider_of, clock, INPUT_BOUND_TOKENS)
    effort = "minimal" if thinks_anyway(target) else None
    request = ProviderRequest(target, QUESTION, {}, effort=effort, max_visible_tokens=1)
    outcome, answered = Outcome.ERROR, None
    try:
        [call] = calls.dispatch([request], CallKind.ANSWER, Tier.FAST)
        await calls.complete(call, request)
        outcome, answered = Outcome.OK, call.call_no
    except asyncio.CancelledError:
        outcome = Outcome.CANCELLED
        raise
    finally:
        calls.close(Tier.FAST, outcome, answered)


def _opening(purpose: str, now_us: int) -> Opening:
    """A request that no policy decided and that earns nothing."""
    return Opening(
        request_id=request_id(now_us),
        opened_at=now_us,
        key_id=None,
        segment=DEFAULT_SEGMENT,
        country=UNKNOWN_COUNTRY,
        requested_model=purpose,
        first_tier=Tier.FAST,
        reason=Reason.HOUSEKEEPING,
        score=0.0,
        p_fast=1.0,
        p_reasoning=1.0,
        propensity=1.0,
        policy_version=0,
        classifier_version=NOT_ESTIMATED,
        answer_type=AnswerType.OPEN,
        language=None,
        turn=1,
        streamed=False,
        ads_eligible=False,
        revenue_version=None,
        expected_revenue_nanousd=0,
    )
