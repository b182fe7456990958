"""A proposed policy stands beside today's and the controls, all measured on the same requests."""

from dataclasses import replace

import numpy as np
import pytest

from router.tuning import backtest
from router.tuning.backtest import Backtest
from router.tuning.comparison import ASSUMPTIONS, compare
from router.tuning.off_policy import quality
from tests.builders.traffics import LOGGED, a_world

TRAFFIC = a_world(900).traffic
DEEPER = replace(LOGGED, reasoning_threshold=0.2)


def test_what_is_proposed_is_measured_as_a_back_test_of_its_own_would() -> None:
    chances = backtest.replay(TRAFFIC, DEEPER)
    proposed = compare(TRAFFIC, DEEPER, LOGGED).proposed
    assert repr(proposed.figures) == repr(Backtest(TRAFFIC).figures(chances))
    assert proposed.quality == quality(TRAFFIC, chances)


def test_a_policy_beside_itself_is_the_same() -> None:
    outcomes = compare(TRAFFIC, LOGGED, LOGGED).outcomes
    assert repr(outcomes["proposed"]) == repr(outcomes["today"])


def test_the_controls_are_always_fast_and_as_much_of_every_tier_at_random() -> None:
    outcomes = compare(TRAFFIC, DEEPER, LOGGED).outcomes
    deep = {name: outcome.figures["deep_share"].value for name, outcome in outcomes.items()}
    assert list(deep) == ["proposed", "today", "always_fast", "shuffled", "costs_not_counted"]
    assert deep["always_fast"] == 0
    assert deep["shuffled"] == pytest.approx(deep["proposed"])


def test_the_same_dials_stand_beside_themselves_with_costs_counted_otherwise() -> None:
    ratios = np.where(np.arange(len(TRAFFIC)) % 2, 4.0, np.nan)
    dear = replace(TRAFFIC, cost_ratios=ratios)
    ignored = replace(DEEPER, cost_sensitivity=0.0)
    counted = compare(dear, replace(DEEPER, cost_sensitivity=1.0), LOGGED)
    assert counted.priced == len(TRAFFIC) // 2
    off, on = counted.outcomes["costs_not_counted"].figures, counted.proposed.figures
    assert on["deep_share"].value < off["deep_share"].value
    assert repr(off) == repr(compare(dear, ignored, LOGGED).proposed.figures)
    assert repr(compare(dear, ignored, LOGGED).outcomes["costs_counted"].figures) == repr(on)


def test_segments_and_countries_are_those_of_what_is_proposed() -> None:
    compared = compare(TRAFFIC, DEEPER, LOGGED)
    weights = [(TRAFFIC.segments == place).mean() for place in range(2)]
    shares = [compared.by_segment[name]["deep_share"].value for name in TRAFFIC.segment_names]
    whole = compared.proposed.figures["deep_share"].value
    assert weights[0] * shares[0] + weights[1] * shares[1] == pytest.approx(whole)


def test_it_is_said_that_the_share_cap_is_replayed_otherwise_than_it_is_held() -> None:
    [line] = [line for line in ASSUMPTIONS if "share cap" in line]
    assert "one worker's window of scores, a rolling quantile" in line
    assert "in service it refuses nothing as long as the real deep share is below the cap" in line
