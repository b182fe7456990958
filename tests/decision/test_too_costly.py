"""A query's own cost decides with its score: too costly ones stay fast and say so, wishes of clients ignore it."""

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from classifier.types import AnswerType, Estimate, Forecast, Stakes
from router.conversation.turns import ConversationView, Kind
from router.decision.policy import Policy
from router.decision.rules import AUTO, BudgetView, RoutingPreference, decide
from router.types import Decision, Reason, Tier

POLICY = Policy(version=1, explore=0.0, cost_sensitivity=1.0)


def decided(
    gain: float,
    ratio: float,
    policy: Policy = POLICY,
    *,
    preference: RoutingPreference = AUTO,
    kind: Kind = Kind.NEW,
    quantile: float | None = None,
    answer_type: AnswerType = AnswerType.OPEN,
) -> Decision:
    spread = Forecast(10, 20, 40)
    return decide(
        Estimate(0.3, 0.3 + gain, 0.1, answer_type, Stakes.LOW, spread, spread, "test"),
        policy,
        preference=preference,
        conversation=ConversationView(kind, ()),
        missing=dict.fromkeys(Tier, frozenset()),
        allowed=frozenset(Tier),
        budget=BudgetView(),
        share_cap_quantile=quantile,
        draw=0.5,
        cost_ratio=ratio,
    )


def test_a_gain_that_does_not_pay_for_its_cost_stays_fast_and_says_why() -> None:
    found = decided(0.5, 8.0)
    assert (found.tier, found.reason, found.threshold) == (Tier.FAST, Reason.TOO_COSTLY, 0.25)
    assert (found.score, found.worth, found.cost_ratio) == (0.5, 0.0625, 8.0)


def test_a_gain_that_pays_for_its_cost_goes_deep() -> None:
    found = decided(0.6, 2.0)
    assert (found.tier, found.reason, found.worth) == (Tier.REASONING, Reason.ABOVE_THRESHOLD, 0.3)


def test_cheap_thinking_may_promise_less() -> None:
    found = decided(0.1, 0.25)
    assert (found.tier, found.reason, found.worth) == (Tier.REASONING, Reason.ABOVE_THRESHOLD, 0.4)


def test_a_cheaper_deep_tier_still_says_that_the_dearer_was_too_costly() -> None:
    found = decided(0.5, 3.0, answer_type=AnswerType.NUMERIC)
    assert (found.tier, found.reason, found.threshold) == (Tier.PARALLEL, Reason.TOO_COSTLY, 0.25)


def test_what_would_not_have_gone_deep_anyway_is_not_too_costly() -> None:
    assert decided(0.05, 8.0).reason is Reason.BELOW_THRESHOLD


def test_the_cap_looks_at_worths() -> None:
    found = decided(0.6, 2.0, quantile=0.4)
    assert (found.tier, found.reason, found.threshold) == (Tier.FAST, Reason.SHARE_CAP, 0.4)


@given(st.floats(-0.3, 0.7), st.floats(0.25, 16))
def test_without_sensitivity_costs_change_nothing(gain: float, ratio: float) -> None:
    insensitive = replace(POLICY, cost_sensitivity=0.0)
    plain, costly = decided(gain, 1.0, insensitive), decided(gain, ratio, insensitive)
    assert (plain.tier, plain.reason, plain.worth) == (costly.tier, costly.reason, costly.worth)


@given(st.floats(0, 0.7), st.floats(0.25, 16), st.floats(0.25, 16))
def test_a_dearer_query_never_goes_deeper(gain: float, one: float, other: float) -> None:
    cheap, dear = (decided(gain, ratio).tier is not Tier.FAST for ratio in sorted((one, other)))
    assert cheap or not dear


@pytest.mark.parametrize(
    ("preference", "kind", "tier"),
    [
        (RoutingPreference(tier=Tier.REASONING), Kind.NEW, Tier.REASONING),
        (RoutingPreference(effort="medium"), Kind.NEW, Tier.REASONING),
        (AUTO, Kind.HOUSEKEEPING, Tier.FAST),
    ],
)
def test_wishes_and_housekeeping_ignore_costs(preference: RoutingPreference, kind: Kind, tier: Tier) -> None:
    found = decided(0.6, 16.0, preference=preference, kind=kind)
    assert (found.tier, found.reason is Reason.TOO_COSTLY) == (tier, False)


def test_a_threshold_above_the_highest_worth_stays_never() -> None:
    never = replace(POLICY, reasoning_threshold=1.2, parallel_threshold=math.nextafter(1.1, 2))
    assert decided(0.7, 0.25, never, answer_type=AnswerType.NUMERIC).tier is Tier.FAST
