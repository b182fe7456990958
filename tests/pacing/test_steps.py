"""The next step of each segment: from one reading of the books, and nothing is written."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from sqlalchemy import Engine, delete, insert

from router.database.engine import writing
from router.database.pace_tables import PaceStep
from router.database.tables import Call
from router.decision.policy import Policy, SegmentDials
from router.ledger import budgets
from router.ledger.budgets import Budget, BudgetScope, Period
from router.pacing.steps import LEAST_REQUESTS, MARGIN, Step, Stepping, budgets_covering
from router.tuning.traffic import FAST, REASONING, Traffic
from router.types import CallKind
from tests.builders.traffics import a_world, store

MINUTE_US = 60_000_000
MINUTE = 28_333_334  # of November 2023, the 14th of an hour
POLICY = Policy(5, pacing="on", min_margin=0.3)
NO_TARGET = replace(POLICY, min_margin=None)


def some_requests(cost_usd: float, count: int = 60, earned_usd: float = 1e-3, segment: str = "free") -> Traffic:
    """Half of them deep."""
    return replace(
        a_world(count).traffic,
        tiers=np.where(np.arange(count) % 2 == 0, REASONING, FAST),
        cost_usd=np.full(count, cost_usd),
        revenue_usd=np.full(count, earned_usd),
        segments=np.zeros(count, np.int64),
        segment_names=(segment,),
    )


def a_step(interval: int = MINUTE, **changes: Any) -> Step:
    until = (interval + 1) * MINUTE_US
    step = Step("free", interval, until, 5, False, False, 1.0, 0.0, MARGIN, 0, 0, 0, 60)
    return replace(step, **changes)


def settle(engine: Engine, *traffics: Traffic, minute: int = MINUTE) -> None:
    """Book what came in and ended in a minute; segments follow each other by a millisecond."""
    for place, traffic in enumerate(traffics):
        store(engine, traffic, minute * 60_000 + place)
    with engine.begin() as connection:
        connection.execute(delete(Call).where(Call.kind == CallKind.SHADOW))


def steps_after(engine: Engine, *last: Step, policy: Policy = POLICY, minute: int = MINUTE) -> Sequence[Step]:
    with engine.connect() as connection:
        return Stepping(connection, policy, minute, MINUTE_US).steps(last)


def write(engine: Engine, steps: Iterable[Step]) -> None:
    with writing(engine) as connection:
        rows = [{name: getattr(step, name) for name in Step.__dataclass_fields__} for step in steps]
        connection.execute(insert(PaceStep), rows)


def test_a_step_says_what_was_spent_and_what_the_margin_had_due(sqlite_engine: Engine) -> None:
    settle(sqlite_engine, some_requests(1e-3))
    [step] = steps_after(sqlite_engine)
    assert (step.segment, step.target, step.requests, step.is_frozen) == ("free", MARGIN, 60, False)
    assert (step.spent_nanousd, step.due_nanousd) == (60_000_000, 42_000_000)
    assert step.until == (MINUTE + 1) * MINUTE_US
    assert step.price > 1.0


def test_every_segment_with_queries_and_a_target_steps_by_itself(sqlite_engine: Engine) -> None:
    settle(sqlite_engine, some_requests(1e-3), some_requests(1e-4, segment="plus"), some_requests(1e-3, segment="x"))
    policy = replace(NO_TARGET, segments={name: SegmentDials(min_margin=0.3) for name in ("free", "plus", "nobody")})
    steps = steps_after(sqlite_engine, policy=policy)
    assert [(step.segment, step.price > 1.0) for step in steps] == [("free", True), ("plus", False)]


def test_no_queries_or_no_target_is_no_step(sqlite_engine: Engine) -> None:
    assert steps_after(sqlite_engine) == []
    settle(sqlite_engine, some_requests(1e-3))
    assert steps_after(sqlite_engine, policy=NO_TARGET) == []
    assert steps_after(sqlite_engine, minute=MINUTE + 1) == []


def test_the_price_goes_on_from_the_last_step_and_never_below_1(sqlite_engine: Engine) -> None:
    settle(sqlite_engine, some_requests(1e-4))
    [step] = steps_after(sqlite_engine, a_step(MINUTE - 1, price=2.0))
    assert 1.0 < step.price < 2.0
    [step] = steps_after(sqlite_engine, a_step(MINUTE - 1, price=1.0))
    assert step.price == 1.0


@pytest.mark.parametrize("changes", [{"policy_version": 4}, {"is_dry": True}, {"segment": "plus"}])
def test_a_step_of_another_version_kind_or_segment_is_no_beginning(
    sqlite_engine: Engine, changes: dict[str, Any]
) -> None:
    settle(sqlite_engine, some_requests(1e-4))
    [step] = steps_after(sqlite_engine, a_step(MINUTE - 1, price=2.0, **changes))
    assert step.price == 1.0


def test_what_was_overspent_is_due_less_an_hour_long(sqlite_engine: Engine) -> None:
    settle(sqlite_engine, some_requests(1e-3))
    [step] = steps_after(sqlite_engine, a_step(MINUTE - 1, overspent_nanousd=600_000_000))
    assert step.due_nanousd == 42_000_000 - 600_000_000 // 60
    assert step.overspent_nanousd == 600_000_000 + 18_000_000


def test_what_is_carried_on_is_at_most_an_hour_too_much_or_a_quarter_too_little(sqlite_engine: Engine) -> None:
    settle(sqlite_engine, some_requests(1e-3))
    [most] = steps_after(sqlite_engine, a_step(MINUTE - 1, overspent_nanousd=10**12))
    [least] = steps_after(sqlite_engine, a_step(MINUTE - 1, overspent_nanousd=-(10**12)))
    assert (most.overspent_nanousd, least.overspent_nanousd) == (60 * 42_000_000, -15 * 42_000_000)


@pytest.mark.parametrize(
    ("unknown", "spent"),
    [
        (some_requests(1e-3, count=LEAST_REQUESTS - 1), None),
        (replace(some_requests(1e-3), cost_usd=np.where(np.arange(60) < 2, np.nan, 1e-3)), None),
        (replace(some_requests(1e-3), revenue_usd=np.where(np.arange(60) < 2, np.nan, 1e-3)), 60_000_000),
    ],
    ids=["too few", "unpriced", "no revenue known"],
)
def test_what_is_not_known_freezes_price_and_debt(sqlite_engine: Engine, unknown: Traffic, spent: int | None) -> None:
    settle(sqlite_engine, unknown)
    [step] = steps_after(sqlite_engine, a_step(MINUTE - 1, price=2.0, overspent_nanousd=7))
    assert (step.is_frozen, step.price, step.overspent_nanousd) == (True, 2.0, 7)
    assert (step.spent_nanousd, step.due_nanousd) == (spent, None)


def test_one_unknown_in_a_hundred_freezes_nothing(sqlite_engine: Engine) -> None:
    costs = np.where(np.arange(100) < 1, np.nan, 1e-3)
    settle(sqlite_engine, replace(some_requests(1e-3, count=100), cost_usd=costs))
    [step] = steps_after(sqlite_engine)
    assert not step.is_frozen


def test_after_frozen_steps_all_that_they_saw_is_looked_at_again(sqlite_engine: Engine) -> None:
    for minute in range(MINUTE - 3, MINUTE + 1):
        settle(sqlite_engine, some_requests(1e-3, count=10), minute=minute)
    before = [a_step(MINUTE - 3), a_step(MINUTE - 2, is_frozen=True), a_step(MINUTE - 1, is_frozen=True)]
    write(sqlite_engine, before)
    [step] = steps_after(sqlite_engine, before[-1])
    assert (step.requests, step.is_frozen) == (30, False)


def test_what_was_undecided_for_more_than_an_hour_is_let_go(sqlite_engine: Engine) -> None:
    minutes = range(MINUTE - 70, MINUTE)
    write(sqlite_engine, [a_step(minute, is_frozen=True) for minute in minutes])
    settle(sqlite_engine, some_requests(1e-3, count=10), minute=MINUTE - 65)
    settle(sqlite_engine, some_requests(1e-3, count=10))
    [step] = steps_after(sqlite_engine, a_step(MINUTE - 1, is_frozen=True))
    assert step.requests == 10


def test_in_a_dry_run_deep_spending_is_taken_to_fall_as_the_price_rises(sqlite_engine: Engine) -> None:
    settle(sqlite_engine, some_requests(1e-3))
    dry = replace(POLICY, pacing="dry_run")
    [step] = steps_after(sqlite_engine, a_step(MINUTE - 1, price=3.0, is_dry=True), policy=dry)
    assert (step.is_dry, step.spent_nanousd) == (True, 30_000_000 + 30_000_000 // 3)


def put(engine: Engine, scope: BudgetScope, subject: str, period: Period, limit_nanousd: int) -> None:
    budgets.put(engine, scope, subject, period, limit_nanousd, "ada", "", MINUTE * MINUTE_US)


@pytest.mark.parametrize(
    ("period", "minutes_left"), [(Period.HOUR, 46), (Period.DAY, 106), (Period.MONTH, 16 * 24 * 60 + 106)]
)
def test_a_budget_has_due_what_is_left_in_parts_as_long_as_the_interval(
    sqlite_engine: Engine, period: Period, minutes_left: int
) -> None:
    put(sqlite_engine, BudgetScope.SEGMENT, "free", period, 10**12)
    settle(sqlite_engine, some_requests(1e-3))
    [step] = steps_after(sqlite_engine, policy=NO_TARGET)
    assert step.target == f"{period} budget of segment free"
    assert step.due_nanousd == pytest.approx(10**12 / minutes_left, rel=1e-3)


def test_a_budget_of_which_too_little_is_known_freezes_the_price(sqlite_engine: Engine) -> None:
    put(sqlite_engine, BudgetScope.TOTAL, "", Period.HOUR, 10**9)
    settle(sqlite_engine, some_requests(1e-3, count=LEAST_REQUESTS - 1))
    [step] = steps_after(sqlite_engine, policy=NO_TARGET)
    assert (step.is_frozen, step.due_nanousd) == (True, None)


def test_of_several_targets_the_strictest_wins(sqlite_engine: Engine) -> None:
    put(sqlite_engine, BudgetScope.TIER, "reasoning", Period.HOUR, 10**12)
    settle(sqlite_engine, some_requests(1e-3))
    [step] = steps_after(sqlite_engine)
    assert step.target == MARGIN
    put(sqlite_engine, BudgetScope.TIER, "reasoning", Period.HOUR, 10**6)
    [step] = steps_after(sqlite_engine, policy=replace(POLICY, min_margin=-9.0))
    assert step.target == "hour budget of tier reasoning"


def test_a_segments_deep_answers_are_paid_from_total_own_and_deep_tiers_budgets() -> None:
    scopes = {
        (BudgetScope.TOTAL, ""): True,
        (BudgetScope.SEGMENT, "free"): True,
        (BudgetScope.SEGMENT, "plus"): False,
        (BudgetScope.TIER, "reasoning"): True,
        (BudgetScope.TIER, "parallel"): True,
        (BudgetScope.TIER, "fast"): False,
        (BudgetScope.KEY, "7"): False,
    }
    limits = [Budget(at, scope, subject, Period.DAY, 1) for at, (scope, subject) in enumerate(scopes)]
    assert budgets_covering(limits, "free") == [
        limit for limit, pays in zip(limits, scopes.values(), strict=True) if pays
    ]
