"""One worker moves a price, all follow it; what is not known moves nothing; a restart goes on where it was."""

from dataclasses import replace

import numpy as np
import pytest
from sqlalchemy import Engine, delete, func, select

from router.database.engine import writing
from router.database.pace_tables import PaceStep
from router.database.tables import Call
from router.decision.policy import Policy, SegmentDials
from router.ledger import budgets
from router.ledger.budgets import BudgetScope, Period
from router.pacing.multipliers import INTERVAL_US, LAG_US, Multipliers, insert, moves
from router.tuning.traffic import FAST, REASONING, Traffic
from router.types import CallKind
from tests.builders.traffics import a_world, store

MINUTE_US = INTERVAL_US
FIRST = 28_333_334  # a minute of November 2023
POLICY = Policy(5, pacing="on", min_margin=0.3)


def requests(cost_usd: float, count: int = 60, earned_usd: float = 1e-3) -> Traffic:
    """A minute of requests of the segment `free`, half of them deep."""
    traffic = a_world(count).traffic
    return replace(
        traffic,
        tiers=np.where(np.arange(count) % 2 == 0, REASONING, FAST),
        cost_usd=np.full(count, cost_usd),
        revenue_usd=np.full(count, earned_usd),
        segments=np.zeros(count, np.int64),
        segment_names=("free",),
    )


class Worker:
    """Follows prices by a clock that is set."""

    def __init__(self, engine: Engine, policy: Policy = POLICY) -> None:
        self.policy = policy
        self.now_us = 0
        self.prices = Multipliers(engine, lambda: self.policy, lambda: self.now_us)

    def after(self, minutes: int) -> float:
        """Look just after so many minutes are settled."""
        self.now_us = (FIRST + minutes) * MINUTE_US + LAG_US
        self.prices.follow()
        return self.prices.multiplier("free")


def settle(engine: Engine, minute: int, traffic: Traffic) -> None:
    """Book what came in and ended in a minute; without the shadow calls that traffic has."""
    store(engine, traffic, (FIRST + minute) * 60_000)
    with engine.begin() as connection:
        connection.execute(delete(Call).where(Call.kind == CallKind.SHADOW))


def count(engine: Engine) -> int:
    with engine.connect() as connection:
        return connection.scalar(select(func.count()).select_from(PaceStep)) or 0


def test_a_margin_that_is_missed_raises_the_price_and_one_that_is_kept_lowers_it_to_1(engine: Engine) -> None:
    worker = Worker(engine)
    settle(engine, 0, requests(2e-3))
    first = worker.after(1)
    assert first == pytest.approx(np.exp(0.1))  # the largest step
    found = []
    for minute in range(1, 6):
        settle(engine, minute, requests(1e-4))
        found.append(worker.after(minute + 1))
    assert found == sorted(found, reverse=True)
    assert found[-1] == 1.0


def test_what_is_spent_and_due_is_written_down(engine: Engine) -> None:
    settle(engine, 0, requests(1e-3))
    Worker(engine).after(1)
    (step,) = moves(engine, 10)
    assert (step.segment, step.target, step.is_frozen, step.is_dry) == ("free", "min_margin", False, False)
    assert (step.spent_nanousd, step.due_nanousd) == (60_000_000, 42_000_000)
    assert (step.requests, step.policy_version) == (60, 5)


def test_of_two_workers_one_takes_the_step_and_both_follow_it(engine: Engine) -> None:
    settle(engine, 0, requests(2e-3))
    first, second = Worker(engine), Worker(engine)
    assert first.after(1) == second.after(1) > 1.0
    assert count(engine) == 1


def test_two_workers_at_the_same_moment_write_one_step(engine: Engine) -> None:
    settle(engine, 0, requests(2e-3))
    first, second = Worker(engine), Worker(engine)
    first.after(1)
    second.now_us = first.now_us
    with writing(engine) as connection:  # the second has seen that nobody did it, and comes too late
        insert(connection, [replace(moves(engine, 1)[0], price=9.0)])
    assert count(engine) == 1
    assert second.after(1) == pytest.approx(np.exp(0.1))


def test_after_a_restart_the_price_is_what_it_was(engine: Engine) -> None:
    settle(engine, 0, requests(2e-3))
    before = Worker(engine).after(1)
    assert Worker(engine).after(1) == before > 1.0


def test_a_dry_run_writes_steps_and_moves_nothing(engine: Engine) -> None:
    settle(engine, 0, requests(2e-3))
    worker = Worker(engine, replace(POLICY, pacing="dry_run"))
    assert worker.after(1) == 1.0
    assert moves(engine, 10)[0].is_dry
    assert moves(engine, 10)[0].price > 1.0


def test_a_dry_run_takes_deep_spending_to_fall_as_the_price_rises(engine: Engine) -> None:
    worker = Worker(engine, replace(POLICY, pacing="dry_run"))
    costs = np.where(np.arange(60) % 2 == 0, 2.4e-3, 2e-4)
    for minute in range(40):
        settle(engine, minute, replace(requests(0.0), cost_usd=costs))
        worker.after(minute + 1)
    # 42 thousandths are due, 6 go to fast answers: what 72 of deep ones are worth at a price of 2.
    assert moves(engine, 1)[0].price == pytest.approx(2.0, rel=0.1)


def test_what_was_dry_is_no_beginning_for_what_is_real_nor_an_older_version(engine: Engine) -> None:
    settle(engine, 0, requests(2e-3))
    worker = Worker(engine, replace(POLICY, pacing="dry_run"))
    worker.after(1)
    worker.policy = POLICY
    assert worker.after(1) == 1.0
    settle(engine, 1, requests(2e-3))
    assert worker.after(2) > 1.0
    worker.policy = replace(POLICY, version=6)
    assert worker.after(2) == 1.0


@pytest.mark.parametrize(
    "unknown",
    [
        requests(2e-3, count=5),
        replace(requests(2e-3), cost_usd=np.where(np.arange(60) < 30, np.nan, 2e-3)),
        replace(requests(2e-3), revenue_usd=np.full(60, np.nan)),
    ],
    ids=["too few", "unpriced", "no revenue known"],
)
def test_missing_data_freeze_the_price(engine: Engine, unknown: Traffic) -> None:
    settle(engine, 0, unknown)
    assert Worker(engine).after(1) == 1.0
    (step,) = moves(engine, 10)
    assert step.is_frozen
    assert step.due_nanousd is None


def test_what_too_few_requests_left_undecided_counts_later(engine: Engine) -> None:
    worker = Worker(engine)
    for minute in range(3):
        settle(engine, minute, requests(2e-3, count=10))
        worker.after(minute + 1)
    steps = moves(engine, 10)
    assert [(step.is_frozen, step.requests) for step in steps] == [(True, 10), (False, 20), (True, 10)]


def test_without_a_target_there_is_no_price_and_with_pacing_off_no_step(engine: Engine) -> None:
    settle(engine, 0, requests(2e-3))
    assert Worker(engine, replace(POLICY, min_margin=None)).after(1) == 1.0
    assert Worker(engine, replace(POLICY, pacing="off")).after(1) == 1.0
    assert count(engine) == 0


def test_a_target_that_is_taken_away_takes_its_price_along(engine: Engine) -> None:
    settle(engine, 0, requests(2e-3))
    worker = Worker(engine)
    assert worker.after(1) > 1.0
    worker.policy = replace(POLICY, min_margin=None)
    assert worker.after(1) == 1.0


def test_a_segment_holds_a_margin_of_its_own(engine: Engine) -> None:
    settle(engine, 0, requests(8e-4))
    policy = replace(POLICY, min_margin=None, segments={"free": SegmentDials(min_margin=0.5)})
    assert Worker(engine, policy).after(1) > 1.0


def test_a_budget_that_runs_dry_raises_the_price_and_the_stricter_target_wins(engine: Engine) -> None:
    now_us = FIRST * MINUTE_US
    budgets.put(engine, BudgetScope.TIER, "reasoning", Period.HOUR, 100_000_000, "ada", "", now_us)
    settle(
        engine, 0, requests(8e-4, earned_usd=1.0)
    )  # no margin is missed; 24 of 1,000 due a minute are one third more
    worker = Worker(engine)
    assert worker.after(1) > 1.0
    assert moves(engine, 1)[0].target == "hour budget of tier reasoning"


def test_a_budget_that_lasts_leaves_the_price_alone(engine: Engine) -> None:
    budgets.put(engine, BudgetScope.SEGMENT, "free", Period.DAY, 10**13, "ada", "", FIRST * MINUTE_US)
    settle(engine, 0, requests(8e-4))
    assert Worker(engine, replace(POLICY, min_margin=None)).after(1) == 1.0
    assert moves(engine, 1)[0].target == "day budget of segment free"
