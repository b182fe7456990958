"""A proposed policy stands beside the one in force and the controls, all measured on the same requests."""

from dataclasses import replace

import numpy as np
import pytest

from router.decision.policy import Policy
from router.tuning import backtest
from router.tuning.backtest import Backtest
from router.tuning.comparison import ASSUMPTIONS, Comparison, compare
from router.tuning.off_policy import quality
from router.tuning.traffic import Traffic
from router.tuning.whole import NOTHING, Whole, Wholes
from tests.builders.traffics import LOGGED, a_world

TRAFFIC = a_world(900).traffic
DEEPER = replace(LOGGED, reasoning_threshold=0.2)
WHOLES = Wholes(Whole(2_000, 900, (1_600, 300, 100), 400, 5.0, 3.0), {"free": NOTHING, "plus": NOTHING})


def compared(traffic: Traffic, proposed: Policy, today: Policy) -> Comparison:
    return compare(traffic, proposed, today, WHOLES)


def test_what_is_proposed_is_measured_as_a_back_test_of_its_own_would() -> None:
    chances = backtest.replay(TRAFFIC, DEEPER)
    proposed = compared(TRAFFIC, DEEPER, LOGGED).proposed
    assert repr(proposed.figures) == repr(Backtest(TRAFFIC).figures(chances))
    assert proposed.quality == quality(TRAFFIC, chances)


def test_a_policy_beside_itself_is_the_same() -> None:
    outcomes = compared(TRAFFIC, LOGGED, LOGGED).outcomes
    assert repr(outcomes["proposed"]) == repr(outcomes["in_force"])


def test_the_controls_are_always_fast_and_as_much_of_every_tier_at_random() -> None:
    outcomes = compared(TRAFFIC, DEEPER, LOGGED).outcomes
    deep = {name: outcome.figures["deep_share"].value for name, outcome in outcomes.items()}
    assert list(deep) == ["proposed", "in_force", "always_fast", "shuffled", "costs_not_counted"]
    assert deep["always_fast"] == 0
    assert deep["shuffled"] == pytest.approx(deep["proposed"])


def test_the_same_dials_stand_beside_themselves_with_costs_counted_otherwise() -> None:
    ratios = np.where(np.arange(len(TRAFFIC)) % 2, 4.0, np.nan)
    dear = replace(TRAFFIC, cost_ratios=ratios)
    ignored = replace(DEEPER, cost_sensitivity=0.0)
    counted = compared(dear, replace(DEEPER, cost_sensitivity=1.0), LOGGED)
    assert counted.priced == len(TRAFFIC) // 2
    off, on = counted.outcomes["costs_not_counted"].figures, counted.proposed.figures
    assert on["deep_share"].value < off["deep_share"].value
    assert repr(off) == repr(compared(dear, ignored, LOGGED).proposed.figures)
    assert repr(compared(dear, ignored, LOGGED).outcomes["costs_counted"].figures) == repr(on)


def test_segments_and_countries_are_those_of_what_is_proposed() -> None:
    found = compared(TRAFFIC, DEEPER, LOGGED)
    weights = [(TRAFFIC.segments == place).mean() for place in range(2)]
    shares = [found.by_segment[name]["deep_share"].value for name in TRAFFIC.segment_names]
    whole = found.proposed.figures["deep_share"].value
    assert weights[0] * shares[0] + weights[1] * shares[1] == pytest.approx(whole)


def test_it_is_said_that_the_share_cap_is_replayed_otherwise_than_it_is_held() -> None:
    [line] = [line for line in ASSUMPTIONS if "share cap" in line]
    assert "one worker's window of scores, a rolling quantile" in line
    assert "in service it refuses nothing as long as the real deep share is below the cap" in line


def test_all_requests_are_what_was_booked_and_what_the_dials_move() -> None:
    found = compared(TRAFFIC, DEEPER, LOGGED)
    assert found.as_it_was["margin"].value == pytest.approx(1 - 5 / 3)
    moved = Backtest(TRAFFIC).effect(backtest.replay(TRAFFIC, DEEPER))
    cost = found.proposed.whole["cost_usd_per_1k"].value
    assert cost == pytest.approx((5.0 + moved.cost_usd[0]) / 2)
    assert found.proposed.whole["revenue_usd_per_1k"].value == 1.5
    decided = found.proposed.figures["cost_usd_per_1k"].value - found.decided_as_it_was["cost_usd_per_1k"].value
    assert cost - 2.5 == pytest.approx(decided * 900 / 2_000)
