"""The replay decides as the server does, and its figures are those of a world in which everything is known."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from classifier.types import AnswerType, Estimate, Forecast, Stakes
from router.conversation.turns import ConversationView, Kind
from router.decision.policy import Policy, SegmentDials
from router.decision.rules import LEAST_P_SAMPLED, VOTABLE, BudgetView, decide
from router.decision.share_cap import ScoreWindow
from router.decision.worth import worths_of
from router.tuning import backtest
from router.tuning.backtest import Backtest, rolling_cuts
from router.tuning.traffic import FAST, PARALLEL, REASONING, TIERS
from router.types import Tier
from tests.builders.traffics import LOGGED, a_world

# A grid as well as anything between: what is equal must be met often.
thresholds = st.sampled_from([-1, -0.1, 0, 0.1, 0.25, 0.3, 1.1, 1.2, 2]) | st.floats(-1, 2)
policies = st.builds(
    Policy,
    version=st.just(7),
    parallel_threshold=thresholds,
    reasoning_threshold=thresholds,
    max_deep_share=st.just(0.0) | st.floats(1e-3, 1),
    explore=st.just(0.0) | st.floats(1e-3, 1),
    cost_sensitivity=st.just(0.0) | st.floats(0, 2),
)
estimates = st.builds(
    Estimate,
    p_fast=st.floats(0, 1),
    p_reasoning=st.floats(0, 1),
    uncertainty=st.just(0.1),
    answer_type=st.sampled_from(AnswerType),
    stakes=st.sampled_from(Stakes),
    output_fast=st.just(Forecast(1, 2, 3)),
    output_reasoning=st.just(Forecast(1, 2, 3)),
    version=st.just("test"),
)


@given(
    estimates,
    policies,
    st.none() | thresholds | st.just(math.inf),
    st.floats(0, 1, exclude_max=True),
    st.floats(0.25, 16),
)
def test_the_replay_decides_as_the_server_does(
    estimate: Estimate, policy: Policy, quantile: float | None, draw: float, ratio: float
) -> None:
    if policy.max_deep_share == 0:
        quantile = math.inf
    decision = decide(
        estimate,
        policy,
        conversation=ConversationView(Kind.NEW, ()),
        missing={tier: frozenset() for tier in Tier},
        allowed=frozenset(Tier),
        budget=BudgetView(),
        share_cap_quantile=quantile,
        draw=draw,
        cost_ratio=ratio,
    )
    worths = worths_of(np.array([decision.score]), np.array([decision.cost_ratio]), policy.cost_sensitivity)
    assert worths.tolist() == [decision.worth]
    may_vote = np.array([estimate.answer_type in VOTABLE and estimate.p_fast >= LEAST_P_SAMPLED])
    cuts = np.array([-math.inf if quantile is None else quantile])
    taken = TIERS.index(decision.tier)
    if draw >= policy.explore:
        assert backtest.greedy(worths, may_vote, policy, cuts).tolist() == [taken]
    found = backtest.chances(worths, may_vote, policy, cuts)
    assert found[0, taken] == pytest.approx(decision.propensity)
    assert found.sum() == pytest.approx(1.0)


@given(st.lists(st.sampled_from([0.1, 0.2, 0.3]) | st.floats(-1, 1), min_size=1, max_size=60), st.floats(0.01, 0.99))
def test_the_share_cap_is_that_of_the_score_window(scores: list[float], share: float) -> None:
    window, found = ScoreWindow(scores[:1_000]), rolling_cuts(np.array(scores), share)
    for score, cut in zip(scores, found.tolist(), strict=True):
        assert cut == (-math.inf if window.cut(share) is None else window.cut(share))
        window.add(score)


def test_no_share_and_every_share_need_no_window() -> None:
    assert rolling_cuts(np.array([0.1]), 0.0).tolist() == [math.inf]
    assert rolling_cuts(np.array([0.1]), 1.0).tolist() == [-math.inf]


def test_the_policy_that_was_in_force_is_replayed_as_it_was() -> None:
    traffic = a_world().traffic
    figures = Backtest(traffic).figures(backtest.replay(traffic, LOGGED))
    realised = np.bincount(traffic.tiers, minlength=3) / len(traffic)
    for place, name in enumerate(("share_fast", "share_reasoning", "share_parallel")):
        assert figures[name].value == pytest.approx(realised[place], abs=0.015)
    assert figures["cost_usd_per_1k"].value == pytest.approx(traffic.cost_usd.mean() * 1e3, rel=0.05)
    assert figures["wait_mean_s"].value == pytest.approx(traffic.total_ms.mean() / 1e3, rel=0.05)
    assert figures["wait_p95_s"].value == pytest.approx(np.quantile(traffic.total_ms, 0.95) / 1e3, rel=0.1)


@pytest.mark.parametrize(
    "changes", [{"reasoning_threshold": 0.2}, {"parallel_threshold": 0.5}, {"max_deep_share": 0.1}]
)
def test_another_policy_costs_what_it_would_have(changes: dict[str, float]) -> None:
    world = a_world(8_000)
    policy = replace(LOGGED, **changes)  # type: ignore[arg-type]
    chances = backtest.replay(world.traffic, policy)
    figure = Backtest(world.traffic).figures(chances)["cost_usd_per_1k"]
    assert figure.low <= world.truth(chances)[1] <= figure.high


def test_intervals_of_cost_cover_the_truth() -> None:
    policy, hits = replace(LOGGED, reasoning_threshold=0.2), 0
    # The truth of requests of the same kind, not of these very ones.
    everyone = a_world(40_000, 1_000)
    truth = everyone.truth(backtest.replay(everyone.traffic, policy))[1]
    for seed in range(60):
        world = a_world(1_500, seed)
        chances = backtest.replay(world.traffic, policy)
        figure = Backtest(world.traffic, replicates=200).figures(chances, quantiles=False)["cost_usd_per_1k"]
        hits += figure.low <= truth <= figure.high
    assert hits >= 53


def test_shares_and_money_add_up() -> None:
    traffic = a_world().traffic
    figures = {
        name: figure.value for name, figure in Backtest(traffic).figures(backtest.replay(traffic, LOGGED)).items()
    }
    assert figures["share_fast"] + figures["deep_share"] == pytest.approx(1)
    left = figures["revenue_usd_per_1k"] - figures["cost_usd_per_1k"]
    assert figures["contribution_usd_per_1k"] == pytest.approx(left)
    assert figures["margin"] == pytest.approx(left / figures["revenue_usd_per_1k"])


def test_always_fast_costs_least_and_the_shuffle_as_much_as_what_it_matches() -> None:
    traffic = a_world().traffic
    tested, chances = Backtest(traffic), backtest.replay(traffic, LOGGED)
    cost = {
        name: tested.figures(found)["cost_usd_per_1k"].value
        for name, found in (
            ("policy", chances),
            ("fast", backtest.always(traffic)),
            ("shuffle", backtest.shuffle(traffic, chances)),
        )
    }
    assert cost["fast"] < 0.6 * cost["policy"]
    assert cost["shuffle"] == pytest.approx(cost["policy"], rel=0.05)


def test_the_shuffle_samples_only_what_can_be_voted_on() -> None:
    traffic = a_world().traffic
    policy = replace(LOGGED, explore=0.0)
    spread = backtest.shuffle(traffic, backtest.replay(traffic, policy))
    assert spread[~traffic.may_vote, PARALLEL].max() == 0


def test_quantiles_and_waiting_can_be_left_out() -> None:
    traffic = a_world().traffic
    tested, chances = Backtest(traffic), backtest.replay(traffic, LOGGED)
    whole, means, none = (
        tested.figures(chances),
        tested.figures(chances, quantiles=False),
        tested.figures(chances, waits=False),
    )
    assert means["wait_mean_s"] == whole["wait_mean_s"]
    assert math.isnan(means["wait_p95_s"].value)
    assert math.isnan(none["wait_mean_s"].value)
    assert none["cost_usd_per_1k"] == whole["cost_usd_per_1k"]


def test_segments_are_measured_apart_and_weighted_add_up() -> None:
    traffic = a_world().traffic
    tested, chances = Backtest(traffic), backtest.replay(traffic, LOGGED)
    parts = backtest.segments_of(traffic)
    assert [name for name, _ in parts] == ["free", "plus"]
    weighted = sum(tested.figures(chances, rows)["cost_usd_per_1k"].value * rows.mean() for _, rows in parts)
    assert weighted == pytest.approx(tested.figures(chances)["cost_usd_per_1k"].value)


def test_a_segment_with_prices_of_its_own_keeps_them() -> None:
    traffic = a_world().traffic
    dearer = replace(traffic, cost_usd=np.where(traffic.segments == 1, 10.0, 1.0) * traffic.cost_usd)
    tested, everywhere = Backtest(dearer), backtest.always(dearer, REASONING)
    costs = [tested.figures(everywhere, rows)["cost_usd_per_1k"].value for _, rows in backtest.segments_of(dearer)]
    assert costs[1] == pytest.approx(10 * costs[0], rel=0.3)


def test_what_a_tier_costs_that_nobody_took_is_not_known() -> None:
    traffic = a_world().traffic
    traffic = traffic.rows(traffic.tiers != PARALLEL)
    tested = Backtest(traffic)
    assert math.isnan(tested.figures(backtest.always(traffic, PARALLEL))["cost_usd_per_1k"].value)
    assert not math.isnan(tested.figures(backtest.always(traffic, FAST))["cost_usd_per_1k"].value)


def test_unpriced_requests_count_as_the_others_of_their_tier_and_never_as_free() -> None:
    traffic = a_world().traffic
    holed = replace(traffic, cost_usd=np.where(np.arange(len(traffic)) % 2 == 0, np.nan, traffic.cost_usd))
    whole, half = (Backtest(t).figures(backtest.replay(t, LOGGED))["cost_usd_per_1k"].value for t in (traffic, holed))
    assert half == pytest.approx(whole, rel=0.15)


def test_no_requests_are_no_evidence() -> None:
    with pytest.raises(ValueError, match="no requests"):
        Backtest(a_world().traffic.rows(slice(0, 0)))


def test_every_segment_is_replayed_with_dials_of_its_own() -> None:
    traffic = a_world().traffic
    dials = SegmentDials(reasoning_threshold=2.0, parallel_threshold=2.0)
    found = backtest.replay(traffic, replace(LOGGED, segments={"plus": dials}))
    plain = backtest.replay(traffic, LOGGED)
    is_plus = traffic.segments == traffic.segment_names.index("plus")
    np.testing.assert_array_equal(found[~is_plus], plain[~is_plus])
    assert found[is_plus, REASONING].max() == 0


def test_a_segment_with_a_share_of_its_own_has_a_window_of_its_own() -> None:
    traffic = a_world(6_000).traffic
    free = replace(LOGGED, explore=0.0, reasoning_threshold=0.0, parallel_threshold=0.0)
    policy = replace(free, max_deep_share=0.3, segments={"plus": SegmentDials(max_deep_share=0.05)})
    found = backtest.replay(traffic, policy)
    shares = [1 - found[rows, FAST].mean() for _, rows in backtest.segments_of(traffic)]
    assert shares == pytest.approx([0.3, 0.05], abs=0.02)


def test_the_largest_countries_come_first() -> None:
    traffic = a_world(100).traffic
    places = np.where(np.arange(100) < 70, 1, 0)
    known = replace(traffic, countries=places, country_names=("DE", "US"))
    assert [name for name, _ in backtest.countries_of(known)] == ["US", "DE"]
    assert [name for name, _ in backtest.countries_of(known, most=1)] == ["US"]


def test_costs_are_replayed_at_the_sensitivity_of_each_policy() -> None:
    world = a_world()
    dear = replace(world.traffic, cost_ratios=np.where(np.arange(len(world.traffic)) % 2, 16.0, np.nan))
    shares = {}
    for sensitivity in (0.0, 1.0):
        policy = Policy(version=1, max_deep_share=1.0, explore=0.0, cost_sensitivity=sensitivity)
        mix = backtest.replay(dear, policy)
        shares[sensitivity] = 1.0 - mix[:, TIERS.index(Tier.FAST)]
    odd = np.arange(len(dear)) % 2 == 1
    assert shares[1.0][odd].mean() < 0.2 * shares[0.0][odd].mean()
    np.testing.assert_array_equal(shares[1.0][~odd], shares[0.0][~odd])
