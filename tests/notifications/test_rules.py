"""When something is wrong enough to tell people."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.notifications.rules import (
    AlertRule,
    BudgetStanding,
    DriftReading,
    OpenBreaker,
    SegmentMargin,
    SpendingHour,
    TargetCalls,
    find_dear_hours,
    find_drift,
    find_failing,
    find_late_books,
    find_low_margins,
    find_open_breakers,
    find_spent_budgets,
    find_unpriced,
)
from tests.ledger.builders import NOON

DOLLAR = 1_000_000_000
THRESHOLDS = (50, 80, 95, 100)


@pytest.mark.parametrize(("spent", "reached"), [(49, []), (50, [50]), (94, [50, 80]), (100, [50, 80, 95, 100])])
def test_a_budget_is_told_at_every_threshold_that_it_reached(spent: int, reached: list[int]) -> None:
    found = list(find_spent_budgets([BudgetStanding("total day", NOON, 100 * DOLLAR, spent * DOLLAR)], THRESHOLDS))
    assert [finding.figures["threshold_percent"] for finding in found] == reached
    assert len({(finding.subject, finding.period) for finding in found}) == len(reached)


def test_another_period_of_a_budget_is_another_thing_to_tell() -> None:
    both = [BudgetStanding("total day", start, DOLLAR, DOLLAR) for start in (NOON, NOON + 86_400_000_000)]
    assert len({finding.period for finding in find_spent_budgets(both, (100,))}) == 2


def a_margin(cost: int, requests: int = 500, target: float | None = 0.3) -> SegmentMargin:
    return SegmentMargin("plus", requests, cost, 100 * DOLLAR, target)


def test_a_margin_under_its_target_is_told_and_a_loss_is_bad() -> None:
    found = list(find_low_margins([a_margin(60 * DOLLAR), a_margin(80 * DOLLAR), a_margin(120 * DOLLAR)], NOON))
    assert [finding.level for finding in found] == ["warning", "bad"]


def test_a_margin_without_target_or_of_few_requests_is_not_told() -> None:
    assert not list(find_low_margins([a_margin(99 * DOLLAR, target=None), a_margin(99 * DOLLAR, requests=199)], NOON))


def test_a_failing_model_is_told_with_its_cause() -> None:
    [found] = find_failing([TargetCalls("openai/a", 40, 30, 0, "rate_limited", 429)], 0.2, NOON)
    assert found.level == "bad"
    assert found.says == "30 of its last 40 calls failed, mostly rate limited (HTTP 429)"


def test_few_calls_say_little() -> None:
    assert not list(find_failing([TargetCalls("openai/a", 19, 19, 19)], 0.2, NOON))
    assert not list(find_unpriced([TargetCalls("openai/a", 19, 19, 19)], 0.01, NOON))


def test_calls_without_a_price_name_their_models() -> None:
    [found] = find_unpriced([TargetCalls("openai/a", 50, 0, 0), TargetCalls("openai/new", 50, 0, 2)], 0.01, NOON)
    assert "openai/new" in found.says
    assert "openai/a" not in found.says


def test_states_of_a_worker_are_told() -> None:
    assert [finding.rule for finding in find_open_breakers([OpenBreaker("openai/a", NOON, "overloaded")], NOON)] == [
        AlertRule.BREAKER
    ]
    assert [finding.subject for finding in find_drift([DriftReading("scores", 0.4, 0.25, True)], NOON)] == ["scores"]
    assert not list(find_drift([DriftReading("scores", float("nan"), 0.25, False)], NOON))
    assert len(list(find_late_books(61, 5, 60, NOON))) == 1
    assert not list(find_late_books(60, 5, 60, NOON))


def an_hour(cost: int, *past: int) -> SpendingHour:
    return SpendingHour(NOON, cost * DOLLAR, [one * DOLLAR for one in past])


@pytest.mark.parametrize(
    ("hour", "is_told"),
    [
        (an_hour(50, 10, 11, 9, 10), True),
        (an_hour(15, 10, 11, 9, 10), False),  # a half more is a good day
        (an_hour(50, 10, 11, 9), False),  # three weeks are too few
        (an_hour(50, 10, 11, 9, 500), True),  # one dear week in the past hides nothing
        (an_hour(50, 10, 90, 20, 60), False),  # an hour that varies so
        (an_hour(3, 0, 0, 0, 0), True),
        (an_hour(0, 0, 0, 0, 0), False),
        (an_hour(1, 0, 0, 0, 0), False),  # below what matters
    ],
)
def test_an_hour_is_held_against_the_same_hour_of_past_weeks(hour: SpendingHour, is_told: bool) -> None:
    assert bool(list(find_dear_hours([hour], 2 * DOLLAR))) is is_told


@given(st.integers(0, 1000), st.lists(st.integers(0, 1000), min_size=4, max_size=8))
def test_an_hour_as_dear_as_the_dearest_of_the_past_is_never_told_when_half_were(cost: int, past: list[int]) -> None:
    usual = sorted(past)[len(past) // 2]
    assert not list(find_dear_hours([an_hour(min(cost, usual), *past)], 0))
