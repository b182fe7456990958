"""The laws of routing: thresholds, cap, budgets, overrides, exploration, and what must play no part."""

import dataclasses
import inspect
import math
import subprocess
import sys
from collections.abc import Set

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from classifier.types import AnswerType, Estimate, Forecast, Stakes
from router.conversation.turns import ConversationView, Kind
from router.decision import policy as policy_module
from router.decision.capabilities import Missing
from router.decision.policy import NEVER, Policy, SegmentDials
from router.decision.rules import AUTO, BudgetView, RoutingPreference, decide, feeds_window
from router.errors import Forbidden, InvalidRequest, QuotaExhausted
from router.types import Decision, Reason, Tier

EVERY_TIER = frozenset(Tier)
PLAIN = Policy(version=1, explore=0.0)
NEW = ConversationView(Kind.NEW, ())
QUANTILES = st.none() | st.floats(-1, 2) | st.just(math.inf)


def an_estimate(
    gain: float = 0.0,
    p_fast: float = 0.3,
    answer_type: AnswerType = AnswerType.NUMERIC,
    stakes: Stakes = Stakes.LOW,
) -> Estimate:
    spread = Forecast(10, 20, 40)
    return Estimate(p_fast, p_fast + gain, 0.1, answer_type, stakes, spread, spread, "test")


def decided(
    estimate: Estimate,
    policy: Policy = PLAIN,
    *,
    preference: RoutingPreference = AUTO,
    kind: Kind = Kind.NEW,
    steps_up: float = 0.0,
    missing: dict[Tier, frozenset[Missing]] | None = None,
    allowed: Set[Tier] = EVERY_TIER,
    budget: BudgetView | None = None,
    quantile: float | None = None,
    draw: float = 0.5,
) -> Decision:
    return decide(
        estimate,
        policy,
        preference=preference,
        conversation=ConversationView(kind, (), steps_up=steps_up),
        missing={tier: (missing or {}).get(tier, frozenset()) for tier in Tier},
        allowed=allowed,
        budget=budget or BudgetView(),
        share_cap_quantile=quantile,
        draw=draw,
    )


estimates = st.builds(
    an_estimate,
    gain=st.floats(-1, 1),
    p_fast=st.floats(0, 1),
    answer_type=st.sampled_from(AnswerType),
    stakes=st.sampled_from(Stakes),
)
policies = st.builds(
    Policy,
    version=st.just(7),
    parallel_threshold=st.floats(-1, 2),
    reasoning_threshold=st.floats(-1, 2),
    max_deep_share=st.floats(0, 1),
    explore=st.just(0.0) | st.floats(1e-6, 1),
)
some_tiers = st.frozensets(st.sampled_from(Tier), min_size=1)
situations = st.fixed_dictionaries(
    {
        "kind": st.sampled_from(Kind),
        "steps_up": st.sampled_from([0.0, 0.5, 1.0, 2.0]),
        "allowed": some_tiers,
        "missing": st.dictionaries(st.sampled_from(Tier), st.frozensets(st.sampled_from(Missing))),
        "quantile": QUANTILES,
        "draw": st.floats(0, 1, exclude_max=True),
    }
)


@pytest.mark.parametrize(
    ("gain", "tier"),
    [(0.0, Tier.FAST), (0.09, Tier.FAST), (0.10, Tier.PARALLEL), (0.24, Tier.PARALLEL), (0.25, Tier.REASONING)],
)
def test_the_open_tier_with_the_highest_threshold_is_taken(gain: float, tier: Tier) -> None:
    assert decided(an_estimate(gain)).tier is tier


def test_samples_of_a_large_model_may_sit_above_reasoning() -> None:
    above = Policy(1, parallel_threshold=0.5, reasoning_threshold=0.2, explore=0)
    assert decided(an_estimate(0.3), above).tier is Tier.REASONING
    assert decided(an_estimate(0.6), above).tier is Tier.PARALLEL


def test_high_stakes_raise_the_score() -> None:
    decision = decided(an_estimate(0.2, stakes=Stakes.HIGH))
    assert decision.tier is Tier.REASONING
    assert decision.score == pytest.approx(0.3)


def test_a_threshold_above_the_highest_score_means_never() -> None:
    never = Policy(1, parallel_threshold=1.2, reasoning_threshold=1.2, explore=1.0)
    hardest = an_estimate(1.0, p_fast=0.0, stakes=Stakes.HIGH)
    assert decided(hardest, never, kind=Kind.PUSHBACK, steps_up=2.0).tier is Tier.FAST


def test_the_lowest_threshold_always_thinks() -> None:
    always = Policy(1, parallel_threshold=2, reasoning_threshold=-1, max_deep_share=1, explore=0)
    assert decided(an_estimate(-1.0, p_fast=1.0), always).tier is Tier.REASONING


@pytest.mark.parametrize("answer_type", [AnswerType.OPEN, AnswerType.FACTUAL])
def test_auto_does_not_sample_what_has_no_vote_key(answer_type: AnswerType) -> None:
    assert decided(an_estimate(0.15, answer_type=answer_type)).tier is Tier.FAST
    assert decided(an_estimate(0.3, answer_type=answer_type)).tier is Tier.REASONING


def test_auto_does_not_sample_what_the_model_rarely_gets_right() -> None:
    assert decided(an_estimate(0.15, p_fast=0.19)).tier is Tier.FAST
    assert decided(an_estimate(0.15, p_fast=0.2)).tier is Tier.PARALLEL


def test_an_explicit_parallel_always_samples() -> None:
    open_question = an_estimate(0.0, p_fast=0.1, answer_type=AnswerType.OPEN)
    decision = decided(open_question, preference=RoutingPreference(Tier.PARALLEL), quantile=math.inf)
    assert (decision.tier, decision.reason) == (Tier.PARALLEL, Reason.OVERRIDE)


def test_the_share_cap_closes_a_tier_and_says_so() -> None:
    decision = decided(an_estimate(0.3), quantile=0.4)
    assert (decision.tier, decision.reason, decision.threshold) == (Tier.FAST, Reason.SHARE_CAP, 0.4)
    assert decided(an_estimate(0.45), quantile=0.4).reason is Reason.ABOVE_THRESHOLD


def test_the_share_cap_may_leave_the_cheaper_deep_tier_open() -> None:
    decision = decided(an_estimate(0.3), Policy(1, 0.1, 0.25, explore=0), quantile=0.28)
    assert decision.tier is Tier.REASONING
    assert decided(an_estimate(0.2), quantile=0.15).tier is Tier.PARALLEL


def test_a_capped_query_below_every_threshold_is_just_below() -> None:
    decision = decided(an_estimate(0.05), quantile=0.4)
    assert (decision.reason, decision.threshold) == (Reason.BELOW_THRESHOLD, 0.4)


def test_a_spent_deep_budget_degrades_auto_and_refuses_overrides() -> None:
    spent = BudgetView(deep_available=False)
    decision = decided(an_estimate(0.5), budget=spent)
    assert (decision.tier, decision.reason) == (Tier.FAST, Reason.BUDGET_SPENT)
    assert (
        decided(an_estimate(0.5), preference=RoutingPreference(effort="high"), budget=spent).reason
        is Reason.BUDGET_SPENT
    )
    with pytest.raises(QuotaExhausted):
        decided(an_estimate(0.5), preference=RoutingPreference(Tier.REASONING), budget=spent)


def test_a_spent_fast_budget_does_not_push_easy_queries_up() -> None:
    with pytest.raises(QuotaExhausted):
        decided(an_estimate(0.0), budget=BudgetView(fast_available=False))
    assert decided(an_estimate(0.5), budget=BudgetView(fast_available=False)).tier is Tier.REASONING


def test_an_override_beats_effort_score_and_cap() -> None:
    decision = decided(an_estimate(-0.5), preference=RoutingPreference(Tier.REASONING, "low"), quantile=math.inf)
    assert (decision.tier, decision.reason, decision.effort) == (Tier.REASONING, Reason.OVERRIDE, "low")
    assert decision.propensity == 1.0


def test_an_override_outside_the_allowed_tiers_is_forbidden() -> None:
    with pytest.raises(Forbidden):
        decided(an_estimate(), preference=RoutingPreference(Tier.PARALLEL), allowed={Tier.FAST, Tier.REASONING})


def test_auto_stays_within_the_allowed_tiers() -> None:
    decision = decided(an_estimate(0.5), allowed={Tier.FAST})
    assert (decision.tier, decision.reason) == (Tier.FAST, Reason.CAPABILITY)


@pytest.mark.parametrize(
    ("effort", "tier", "passed"),
    [
        ("none", Tier.FAST, None),
        ("minimal", Tier.FAST, None),
        ("low", Tier.REASONING, "low"),
        ("medium", Tier.REASONING, "medium"),
        ("high", Tier.REASONING, "high"),
        ("xhigh", Tier.PARALLEL, None),
        ("max", Tier.PARALLEL, None),
    ],
)
def test_effort_maps_to_a_tier(effort: str, tier: Tier, passed: str | None) -> None:
    decision = decided(an_estimate(), preference=RoutingPreference(effort=effort), quantile=math.inf)
    assert (decision.tier, decision.reason, decision.effort) == (tier, Reason.EFFORT, passed)


def test_housekeeping_goes_fast_whatever_score_and_effort_say() -> None:
    decision = decided(
        an_estimate(0.9, p_fast=0.05), preference=RoutingPreference(effort="high"), kind=Kind.HOUSEKEEPING
    )
    assert (decision.tier, decision.reason) == (Tier.FAST, Reason.HOUSEKEEPING)


def test_thanks_go_fast_whatever_the_score_says() -> None:
    decision = decided(an_estimate(0.9, p_fast=0.05), kind=Kind.THANKS)
    assert (decision.tier, decision.reason, decision.score) == (Tier.FAST, Reason.BELOW_THRESHOLD, 0.0)


def test_a_pushback_takes_the_next_tier_up() -> None:
    pushed = [decided(an_estimate(0.0), kind=Kind.PUSHBACK, steps_up=steps) for steps in (0.0, 1.0, 2.0)]
    assert [decision.tier for decision in pushed] == [Tier.FAST, Tier.PARALLEL, Tier.REASONING]
    assert {decision.reason for decision in pushed} == {Reason.PUSHBACK}


def test_a_step_up_that_still_counts_is_the_reason() -> None:
    assert decided(an_estimate(0.0), kind=Kind.NEW, steps_up=1.0).reason is Reason.PUSHBACK
    assert decided(an_estimate(-0.5), kind=Kind.REGENERATE, steps_up=0.5).reason is Reason.BELOW_THRESHOLD


def test_a_follow_up_says_that_its_score_is_inherited() -> None:
    assert decided(an_estimate(0.5), kind=Kind.FOLLOW_UP).reason is Reason.FOLLOW_UP


def test_what_a_tier_cannot_take_goes_elsewhere() -> None:
    no_images = {Tier.REASONING: frozenset({Missing.IMAGES})}
    decision = decided(an_estimate(0.5), missing=no_images)
    assert (decision.tier, decision.reason) == (Tier.PARALLEL, Reason.CAPABILITY)
    easy = decided(an_estimate(0.0), missing={Tier.FAST: frozenset({Missing.CONTEXT})})
    assert (easy.tier, easy.reason) == (Tier.PARALLEL, Reason.CAPABILITY)


def test_a_request_that_no_tier_can_take_names_what_is_missing() -> None:
    too_long = dict.fromkeys(Tier, frozenset({Missing.CONTEXT}))
    for preference in (AUTO, RoutingPreference(Tier.FAST)):
        with pytest.raises(InvalidRequest) as caught:
            decided(an_estimate(), preference=preference, missing=too_long)
        assert (caught.value.code, caught.value.param) == ("context_length_exceeded", "messages")


def test_too_little_room_to_think_keeps_auto_away_and_is_left_to_who_insists() -> None:
    cramped = {Tier.REASONING: frozenset({Missing.THINKING_ROOM})}
    assert decided(an_estimate(0.5, p_fast=0.1), missing=cramped).tier is Tier.FAST
    assert decided(an_estimate(), preference=RoutingPreference(effort="high"), missing=cramped).tier is Tier.FAST
    assert decided(an_estimate(), preference=RoutingPreference(Tier.REASONING), missing=cramped).tier is Tier.REASONING
    assert decided(an_estimate(), allowed={Tier.REASONING}, missing=cramped).tier is Tier.REASONING


def test_exploration_does_not_reach_a_tier_that_is_switched_off() -> None:
    for off in (
        Policy(1, parallel_threshold=2, reasoning_threshold=2, explore=1),
        Policy(1, max_deep_share=0, explore=1),
    ):
        assert {decided(an_estimate(), off, draw=draw, quantile=math.inf).tier for draw in (0.1, 0.5, 0.9)} == {
            Tier.FAST
        }


@given(estimates, policies, situations)
def test_a_decision_is_always_possible_or_a_clear_error(estimate: Estimate, policy: Policy, situation: dict) -> None:  # type: ignore[type-arg]
    missing, allowed = situation["missing"], situation["allowed"]
    try:
        decision = decided(estimate, policy, **situation)
    except InvalidRequest:
        assert all(missing.get(tier) for tier in allowed)
        return
    assert decision.tier in allowed
    assert missing.get(decision.tier, frozenset()) <= {Missing.PATIENCE, Missing.THINKING_ROOM, Missing.HEALTH}
    assert 0 < decision.propensity <= 1
    assert decision.score <= NEVER
    assert decision.threshold is None or math.isfinite(decision.threshold)


def test_a_tier_that_is_out_is_closed_as_long_as_another_one_answers() -> None:
    out = frozenset({Missing.HEALTH})
    decision = decided(an_estimate(0.5), missing={Tier.REASONING: out})
    assert (decision.tier, decision.reason) == (Tier.PARALLEL, Reason.CAPABILITY)
    easy = decided(an_estimate(0.0), missing={Tier.FAST: out, Tier.PARALLEL: frozenset({Missing.THINKING_ROOM})})
    assert (easy.tier, easy.reason) == (Tier.REASONING, Reason.CAPABILITY)
    everything = decided(an_estimate(0.5), missing=dict.fromkeys(Tier, out))
    assert everything.tier is Tier.REASONING


def test_who_asks_for_a_tier_that_is_out_by_name_hears_it_from_that_tier() -> None:
    missing = {Tier.REASONING: frozenset({Missing.HEALTH})}
    assert decided(an_estimate(), preference=RoutingPreference(Tier.REASONING), missing=missing).tier is Tier.REASONING


def test_a_tier_that_keeps_people_waiting_is_closed_as_long_as_another_one_answers() -> None:
    slow = frozenset({Missing.PATIENCE})
    closed = decided(an_estimate(0.5), missing={Tier.REASONING: slow, Tier.PARALLEL: slow})
    assert (closed.tier, closed.reason) == (Tier.FAST, Reason.CAPABILITY)
    only = decided(an_estimate(0.5), missing={Tier.REASONING: slow}, allowed=frozenset({Tier.REASONING}))
    assert only.tier is Tier.REASONING
    cut_short = slow | {Missing.THINKING_ROOM}
    assert decided(an_estimate(0.5), missing={Tier.REASONING: cut_short}, allowed=frozenset({Tier.REASONING})).tier


@given(estimates, policies, situations, st.floats(0, 1))
def test_more_need_never_means_less_thinking(
    estimate: Estimate,
    policy: Policy,
    situation: dict,  # type: ignore[type-arg]
    more: float,
) -> None:
    policy = dataclasses.replace(policy, explore=0)
    needier = dataclasses.replace(estimate, p_reasoning=estimate.p_reasoning + more)
    try:
        before = decided(estimate, policy, **situation)
    except InvalidRequest:
        return
    after = decided(needier, policy, **situation)
    if situation["kind"] is Kind.HOUSEKEEPING or Tier.FAST not in situation["allowed"]:
        return
    if not situation["missing"].get(Tier.FAST):
        assert policy.threshold(after.tier) >= policy.threshold(before.tier)


@settings(max_examples=40)
@given(estimates, policies, situations)
def test_propensities_are_the_odds_of_the_draw(estimate: Estimate, policy: Policy, situation: dict) -> None:  # type: ignore[type-arg]
    draws = 400
    del situation["draw"]
    try:
        decisions = [decided(estimate, policy, **situation, draw=(i + 0.5) / draws) for i in range(draws)]
    except InvalidRequest:
        return
    odds = {decision.tier: decision.propensity for decision in decisions}
    for tier, propensity in odds.items():
        share = sum(decision.tier is tier for decision in decisions) / draws
        assert share == pytest.approx(propensity, abs=4 / draws)
    unseen = [tier for tier in Tier if tier not in odds]
    assert sum(odds.values()) == pytest.approx(1.0, abs=4 / draws if unseen else 1e-9)


@given(estimates, situations)
def test_what_auto_may_not_afford_it_does_not_take(estimate: Estimate, situation: dict) -> None:  # type: ignore[type-arg]
    policy = Policy(1, explore=0.5)
    try:
        decision = decided(estimate, policy, **situation, budget=BudgetView(deep_available=False))
    except (InvalidRequest, QuotaExhausted):
        return
    assert decision.tier is Tier.FAST


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("parallel_threshold", 2.1),
        ("reasoning_threshold", -1.1),
        ("max_deep_share", 1.5),
        ("explore", math.nan),
        ("shadow", "much"),
        ("version", -1),
    ],
)
def test_a_wrong_dial_is_named(name: str, value: object) -> None:
    with pytest.raises(ValueError, match=f"^{name}: "):
        Policy(**({"version": 1} | {name: value}))  # type: ignore[arg-type]


def test_a_segment_has_its_own_dials_and_the_rest_of_the_policy() -> None:
    policy = Policy(4, explore=0.5, segments={"free": SegmentDials(max_deep_share=0.01), "plus": SegmentDials()})
    assert policy.for_segment("free") == Policy(4, explore=0.5, max_deep_share=0.01)
    assert policy.for_segment("plus") == policy.for_segment("other") == Policy(4, explore=0.5)
    assert policy.for_segment("free") is policy.for_segment("free")
    assert list(policy.segments) == ["free"]


def test_only_what_a_score_decided_feeds_the_window() -> None:
    assert feeds_window(AUTO, NEW)
    assert not feeds_window(RoutingPreference(Tier.FAST), NEW)
    assert not feeds_window(RoutingPreference(effort="low"), NEW)
    assert not feeds_window(AUTO, ConversationView(Kind.HOUSEKEEPING, ()))


def test_what_a_query_earns_is_no_input() -> None:
    signature = inspect.signature(decide)
    inputs = [*signature.parameters]
    for parameter in (Estimate, Policy, BudgetView, RoutingPreference, ConversationView):
        inputs += inspect.get_annotations(parameter)
    assert not [name for name in inputs if any(word in name for word in ("revenue", "ads", "ecpm", "earn", "eligible"))]
    assert "ledger" not in inspect.getsource(policy_module)


def test_importing_the_policy_stays_light() -> None:
    heavy = "sklearn", "litellm", "sqlalchemy", "aiohttp"
    code = f"import router.decision.policy, sys; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
