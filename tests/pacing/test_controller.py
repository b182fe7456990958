"""The price follows settled spending, in bounded steps, and stands still where it knows nothing."""

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.decision.policy import NEVER, Policy
from router.pacing.controller import (
    LEAST_MOVED,
    Pace,
    Rule,
    WeekPlan,
    apply_multiplier,
    due_for_margin_usd,
    due_usd,
    next_pace,
    pressure,
    stricter,
)
from router.types import HOUR_US

RULE = Rule()
amounts = st.floats(0, 1e6)


@given(st.floats(RULE.least_multiplier, RULE.most_multiplier), st.floats(-1, 1), amounts, amounts)
def test_steps_are_bounded_and_prices_too(multiplier: float, error: float, spent: float, due: float) -> None:
    after = next_pace(Pace(multiplier, error), spent, due, RULE)
    assert abs(math.log(after.multiplier / multiplier)) <= RULE.largest_step + 1e-9
    assert RULE.least_multiplier <= after.multiplier <= RULE.most_multiplier


@pytest.mark.parametrize(("spent", "moves"), [(2.0, 1), (1.01, 0), (1.0, 0), (0.99, 0), (0.5, -1), (0.0, -1)])
def test_spending_too_much_raises_the_price_and_a_little_off_does_not_move_it(spent: float, moves: int) -> None:
    assert np.sign(next_pace(Pace(), spent, 1.0, RULE).multiplier - 1.0) == moves


@pytest.mark.parametrize(("spent", "due"), [(None, 1.0), (1.0, None), (math.nan, 1.0), (1.0, math.inf)])
def test_missing_data_freeze_the_price(spent: float | None, due: float | None) -> None:
    assert next_pace(Pace(2.0, 0.5), spent, due, RULE) == Pace(2.0, 0.5, is_frozen=True)


def test_after_missing_data_it_goes_on_without_a_jump() -> None:
    frozen = next_pace(Pace(2.0, -1.0), None, 1.0, RULE)
    after = next_pace(frozen, 1.1, 1.0, RULE)
    assert not after.is_frozen
    assert after.multiplier == pytest.approx(2.0 * math.exp(RULE.follow * math.log(1.1)))


def test_what_was_saved_may_be_spent_later_and_what_was_overspent_may_not() -> None:
    assert due_usd(1.0, 6.0, 5.0) == pytest.approx(1.2)
    assert due_usd(1.0, -2.0, 5.0) == 0.0
    assert due_for_margin_usd(10.0, 0.3, 1.0) == pytest.approx(6.0)


def test_the_stricter_controller_wins() -> None:
    assert stricter(Pace(1.2), Pace(0.9)) == Pace(1.2)


def test_thresholds_move_with_the_price_and_what_is_off_stays_off() -> None:
    moved = apply_multiplier(Policy(1, parallel_threshold=2.0, reasoning_threshold=0.3), 2.0)
    assert (moved.parallel_threshold, moved.reasoning_threshold) == (2.0, 0.6)
    assert apply_multiplier(Policy(1), 100.0).reasoning_threshold == NEVER
    assert apply_multiplier(Policy(1), 1.0) == Policy(1)


def test_a_threshold_of_0_can_be_raised_and_stays_where_a_price_is_low() -> None:
    nothing = Policy(1, parallel_threshold=0.0, reasoning_threshold=0.0)
    assert apply_multiplier(nothing, 20.0).reasoning_threshold == pytest.approx(20 * LEAST_MOVED)
    assert apply_multiplier(nothing, 0.5) == nothing


@given(thresholds=st.tuples(st.floats(-1, 2), st.floats(-1, 2)), prices=st.tuples(st.floats(1, 50), st.floats(1, 50)))
def test_a_higher_price_never_lowers_a_threshold(thresholds: tuple[float, float], prices: tuple[float, float]) -> None:
    policy = Policy(1, parallel_threshold=thresholds[0], reasoning_threshold=thresholds[1])
    low, high = (apply_multiplier(policy, multiplier) for multiplier in sorted(prices))
    assert policy.reasoning_threshold <= low.reasoning_threshold <= high.reasoning_threshold


@pytest.mark.parametrize(("multiplier", "expected"), [(0.5, 0.0), (1.0, 0.0), (2.0, 0.5), (4.0, 1.0), (50.0, 1.0)])
def test_a_dear_dollar_presses_the_parallel_tier(multiplier: float, expected: float) -> None:
    assert pressure(multiplier) == pytest.approx(expected)


def test_a_plan_follows_the_hours_of_the_week_and_knows_no_empty_ones() -> None:
    costs = [0.0] * 168
    costs[1], costs[2] = 1.0, 3.0
    plan = WeekPlan.of(costs)
    assert plan.between(HOUR_US, 2 * HOUR_US) == 1.0
    assert plan.between(HOUR_US * 3 // 2, HOUR_US * 5 // 2) == pytest.approx(0.5 + 1.5)
    assert plan.between(169 * HOUR_US, 171 * HOUR_US) == 4.0  # a week later
    assert plan.between(5 * HOUR_US, 6 * HOUR_US) == 2.0  # the mean of what is known
    assert WeekPlan.of([0.0] * 168).between(0, HOUR_US) == 1.0


@pytest.mark.parametrize(
    "wrong", [{"least_multiplier": 0.0}, {"most_multiplier": 1e-9}, {"largest_step": 0.0}, {"follow": -1.0}]
)
def test_a_rule_that_makes_no_sense_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="must"):
        Rule(**wrong)


QUERIES, EVERY, LATE = 100_000, 200, 50


def a_day(seed: int, shift: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Gains, true costs and estimates (noisy, 6 % too low) of a day whose gains grow at noon."""
    dice = np.random.default_rng(seed)
    gains = dice.beta(1, 6, QUERIES) * np.where(np.arange(QUERIES) < QUERIES // 2, 1.0, shift)
    costs = dice.lognormal(0.0, 0.5, QUERIES)
    return gains, costs, costs * dice.lognormal(-0.02, 0.3, QUERIES) * 0.94


def lived(day: Sequence[np.ndarray], budget: float, start: float, plan: np.ndarray) -> tuple[float, float]:
    """Spend a day under the controller and holds; returns value and spending."""
    gains, costs, estimates = day
    pace, settled, value, seen = Pace(start), 0.0, 0.0, 0.0
    open_calls: list[tuple[int, float]] = []
    for place, begin in enumerate(range(0, QUERIES, EVERY)):
        rows = slice(begin, begin + EVERY)
        wanted = np.flatnonzero(gains[rows] > pace.multiplier * estimates[rows]) + begin
        left = budget - settled - sum(cost for _, cost in open_calls)
        taken = wanted[np.cumsum(costs[wanted]) <= left]  # a hold is at least what it settles for
        value += float(gains[taken].sum())
        open_calls += [(int(row), float(costs[row])) for row in taken]
        now = begin + EVERY - LATE
        settled += sum(cost for row, cost in open_calls if row < now)
        open_calls = [(row, cost) for row, cost in open_calls if row >= now]
        due = due_usd(float(plan[place]), budget - seen, float(plan[place:].sum()))
        pace, seen = next_pace(pace, settled - seen, due, RULE), settled
    return value, settled + sum(cost for _, cost in open_calls)


def best_fixed(day: Sequence[np.ndarray], budget: float) -> tuple[float, float, np.ndarray]:
    """The best price in hindsight: its value, the price, and what it spends in each interval."""
    gains, costs, estimates = day
    order = np.argsort(-gains / estimates)
    count = int(np.searchsorted(np.cumsum(costs[order]), budget))
    spent = np.zeros(QUERIES)
    spent[order[:count]] = costs[order[:count]]
    multiplier = float((gains / estimates)[order[count]])
    return float(gains[order[:count]].sum()), multiplier, spent.reshape(-1, EVERY).sum(axis=1)


@pytest.mark.parametrize(("shift", "least"), [(1.0, 0.98), (2.0, 0.95)])
def test_a_day_is_worth_nearly_what_hindsight_makes_of_it_and_never_costs_more(shift: float, least: float) -> None:
    budget = 6_000.0
    # The plan and the first price are those of another day of the same kind.
    _, start, plan = best_fixed(a_day(99, shift), budget)
    found = []
    for seed in range(10):
        day = a_day(seed, shift)
        value, spent = lived(day, budget, start, np.convolve(np.pad(plan, 10, "edge"), np.ones(21) / 21, "valid"))
        assert spent <= budget
        found.append(value / best_fixed(day, budget)[0])
    assert min(found) >= least, found
