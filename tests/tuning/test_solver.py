"""Thresholds from a target: met on traffic that was not seen, the allowance used, and no answer without evidence."""

from dataclasses import replace

import numpy as np
import pytest

from router.decision.policy import NEVER, Policy
from router.tuning import backtest
from router.tuning.backtest import Backtest
from router.tuning.solver import Solution, Solver
from router.tuning.targets import SolverTargets, Unsolvable
from tests.builders.traffics import LOGGED, World, a_world


def solved(limits: SolverTargets, world: World, base: Policy = LOGGED) -> Solution:
    return Solver(world.traffic, base, limits).solve()


@pytest.mark.parametrize(
    ("limits", "binding"),
    [
        (SolverTargets(max_deep_share=0.1), "max_deep_share"),
        (SolverTargets(max_cost_usd_per_1k=1.2), "max_cost_per_1k"),
        (SolverTargets(min_margin=0.3), "min_margin"),
    ],
)
def test_the_allowance_is_used_and_kept_on_traffic_that_was_not_seen(limits: SolverTargets, binding: str) -> None:
    kept, tries = 0, 4
    for seed in range(100, 100 + tries):
        found = solved(limits, a_world(6_000, seed))
        assert found.binding == binding
        assert found.used is not None
        assert 0.8 < found.used < 1.0
        unseen = a_world(6_000, seed + 500)
        chances = backtest.replay(unseen.traffic, found.policy)
        cost = unseen.truth(chances)[1]
        kept += {
            "max_deep_share": 1 - chances[:, 0].mean() <= 0.1,
            "max_cost_per_1k": cost <= 1.2,
            "min_margin": (1.5 - cost) / 1.5 >= 0.3,
        }[binding]
    assert kept >= tries - 1


def test_of_two_limits_the_stricter_binds() -> None:
    world = a_world()
    assert solved(SolverTargets(max_deep_share=0.9, max_cost_usd_per_1k=1.0), world).binding == "max_cost_per_1k"
    assert solved(SolverTargets(max_deep_share=0.06, max_cost_usd_per_1k=9.0), world).binding == "max_deep_share"


def test_a_deep_share_becomes_the_cap_as_well() -> None:
    assert solved(SolverTargets(max_deep_share=0.1), a_world()).policy.max_deep_share == 0.1


def test_the_thresholds_keep_their_distance_and_what_is_off_stays_off() -> None:
    both = solved(SolverTargets(max_deep_share=0.1), a_world()).policy
    assert both.reasoning_threshold - both.parallel_threshold == pytest.approx(0.15, abs=2e-6)
    one = replace(LOGGED, parallel_threshold=2.0)
    assert solved(SolverTargets(max_deep_share=0.1), a_world(policy=one), one).policy.parallel_threshold == 2.0


def test_where_nothing_binds_thresholds_end_where_gains_do() -> None:
    found = solved(SolverTargets(max_cost_usd_per_1k=1e6), a_world(), replace(LOGGED, max_deep_share=1.0))
    assert (found.policy.parallel_threshold, found.used) == (0.0, None)
    assert found.binding.startswith("nothing")


def test_the_policys_own_cap_is_named_when_it_is_what_binds() -> None:
    found = solved(SolverTargets(max_cost_usd_per_1k=1e6), a_world(), replace(LOGGED, max_deep_share=0.1))
    assert "max_deep_share" in found.binding


def test_quality_at_the_least_cost() -> None:
    world = a_world(12_000, rated=0.8)
    found = solved(SolverTargets(min_quality=0.76), world)
    assert found.quality.doubly_robust.low >= 0.76
    dearer = solved(SolverTargets(min_quality=0.77), world)
    assert dearer.figures["cost_usd_per_1k"].value > found.figures["cost_usd_per_1k"].value


@pytest.mark.parametrize(
    ("limits", "says"),
    [
        (SolverTargets(max_cost_usd_per_1k=0.0001), "max_cost_per_1k cannot be met"),
        (SolverTargets(min_margin=0.999), "min_margin cannot be met"),
        (SolverTargets(max_deep_share=0.01), "explore at 0.06"),
        (SolverTargets(min_quality=0.999), "cannot be shown"),
        (SolverTargets(max_deep_share=0.06, min_quality=0.99), "cannot be shown within max_deep_share"),
    ],
)
def test_what_cannot_be_met_is_said(limits: SolverTargets, says: str) -> None:
    with pytest.raises(Unsolvable, match=says):
        solved(limits, a_world())


def test_quality_without_ratings_is_not_promised() -> None:
    with pytest.raises(Unsolvable, match="not enough evidence"):
        solved(SolverTargets(min_quality=0.5), a_world(rated=0.0))


def test_cost_that_is_not_known_is_not_promised() -> None:
    traffic = a_world().traffic
    unpriced = replace(traffic, cost_usd=np.full(len(traffic), np.nan))
    with pytest.raises(Unsolvable, match="not known"):
        Solver(unpriced, LOGGED, SolverTargets(min_margin=0.1)).solve()


def test_a_short_past_says_that_it_is_short() -> None:
    found = solved(SolverTargets(max_deep_share=0.06), a_world(400))
    assert found.note is not None
    assert "longer window" in found.note


def test_both_tiers_off_cannot_be_moved() -> None:
    off = Policy(1, parallel_threshold=2.0, reasoning_threshold=NEVER + 0.1)
    with pytest.raises(Unsolvable, match="switched off"):
        Solver(a_world().traffic, off, SolverTargets(max_deep_share=0.1))


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({}, "at least one target"),
        ({"max_deep_share": 1.5}, "max_deep_share"),
        ({"max_cost_usd_per_1k": -1.0}, "max_cost_per_1k"),
        ({"min_margin": 1.0}, "min_margin"),
        ({"min_quality": float("nan")}, "min_quality"),
    ],
)
def test_targets_that_make_no_sense_are_named(wrong: dict[str, float], says: str) -> None:
    with pytest.raises(Unsolvable, match=says):
        SolverTargets(**wrong)


def test_the_prediction_is_that_of_a_back_test() -> None:
    world = a_world()
    found = solved(SolverTargets(max_deep_share=0.1), world)
    again = Backtest(world.traffic).figures(backtest.replay(world.traffic, found.policy))
    assert found.figures["cost_usd_per_1k"].value == pytest.approx(again["cost_usd_per_1k"].value)


def test_a_segment_gets_thresholds_of_its_own_and_the_others_keep_theirs() -> None:
    world = a_world(6_000)
    found = Solver(world.traffic, LOGGED, SolverTargets(max_cost_usd_per_1k=1.0), segment="plus").solve()
    assert found.policy.for_segment("free") == LOGGED
    assert found.policy.for_segment("plus").reasoning_threshold != LOGGED.reasoning_threshold
    chances = backtest.replay(world.traffic, found.policy)
    is_plus = world.traffic.segments == world.traffic.segment_names.index("plus")
    cost = Backtest(world.traffic).figures(chances, is_plus)["cost_usd_per_1k"].value
    assert found.figures["cost_usd_per_1k"].value == pytest.approx(cost)
    assert cost < 1.0


def test_a_segments_deep_share_becomes_its_own_cap() -> None:
    found = Solver(a_world(6_000).traffic, LOGGED, SolverTargets(max_deep_share=0.1), segment="plus").solve()
    assert found.policy.max_deep_share == LOGGED.max_deep_share
    assert found.policy.for_segment("plus").max_deep_share == 0.1


def test_a_segment_without_queries_cannot_be_solved() -> None:
    with pytest.raises(Unsolvable, match="no query of the segment 'ghost'"):
        Solver(a_world(100).traffic, LOGGED, SolverTargets(max_deep_share=0.1), segment="ghost")
