"""Hard budgets: never over by a nano-dollar, whoever dies when, and nearly all of them usable."""

import asyncio
import random
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from sqlalchemy import Engine, func, select, update

from router.database.engine import open_engine
from router.database.tables import BudgetLease, BudgetPeriod, Call
from router.errors import InvalidRequest, QuotaExhausted, Unavailable
from router.ledger import budgets
from router.ledger.budgets import Budget, BudgetScope, Payer, Period
from router.ledger.correction import Rerated, rerate
from router.ledger.leases import BudgetLeases
from router.ledger.reconcile import DayOfModel, book
from router.ledger.shipping import Shipper
from router.ledger.spool import Spool
from router.types import HOUR_US, Tier
from scripts.benchmarks.shared_budgets import spendable_share
from tests.ledger.builders import MODEL, NOON, FakeClock, a_closing, a_result, abandon, an_id, an_intent, an_opening
from tests.ledger.hammering import Hammer
from tests.waiting import eventually

LIMIT = 1_000_000_000
PAYER = Payer(1, "default", Tier.FAST)


def a_budget(engine: Engine, limit: int = LIMIT, scope: BudgetScope = BudgetScope.TOTAL, subject: str = "") -> Budget:
    """A budget of the month, so that no test meets the end of a period."""
    id_ = budgets.put(engine, scope, subject, Period.MONTH, limit, "test", "", NOON)
    return Budget(id_, scope, subject, Period.MONTH, limit)


def leases_of(engine: Engine, owner: str = "one", clock: FakeClock | None = None) -> BudgetLeases:
    made = BudgetLeases(engine, owner, (clock or FakeClock()).now_us)
    made.load()
    return made


async def held(leases: BudgetLeases, amount: int, payer: Payer = PAYER) -> str | None:
    budget_hold = leases.budget_hold(payer, NOON)
    assert budget_hold is not None
    short = await budget_hold.hold(amount)
    return None if short is None else str(short)


def booked_of(engine: Engine) -> tuple[int, int]:
    """What is settled, and what is leased, in all periods."""
    query = select(func.sum(BudgetPeriod.settled_nanousd), func.sum(BudgetPeriod.leased_nanousd))
    with engine.connect() as connection:
        settled, leased = connection.execute(query).one()
        return int(settled or 0), int(leased or 0)


def lines_of(engine: Engine) -> int:
    with engine.connect() as connection:
        return int(connection.scalar(select(func.sum(Call.cost_nanousd))) or 0)


async def test_a_hold_beyond_the_limit_is_refused_and_names_the_budget(engine: Engine) -> None:
    a_budget(engine)
    leases = leases_of(engine)
    assert await held(leases, LIMIT) is None
    assert await held(leases, 1) == "monthly budget"
    assert booked_of(engine) == (0, LIMIT)


async def test_without_a_budget_nothing_is_held(sqlite_engine: Engine) -> None:
    assert leases_of(sqlite_engine).budget_hold(PAYER, NOON) is None


async def test_every_budget_that_covers_a_request_is_held(sqlite_engine: Engine) -> None:
    a_budget(sqlite_engine)
    a_budget(sqlite_engine, 500, BudgetScope.SEGMENT, "default")
    leases = leases_of(sqlite_engine)
    assert await held(leases, 501) == "month budget of segment default"
    assert await held(leases, 501, Payer(1, "plus", Tier.FAST)) is None


@pytest.mark.parametrize(
    ("scope", "subject", "covered"),
    [
        (BudgetScope.KEY, "1", True),
        (BudgetScope.KEY, "2", False),
        (BudgetScope.TIER, "fast", True),
        (BudgetScope.TIER, "reasoning", False),
        (BudgetScope.TOTAL, "", True),
    ],
)
def test_whom_a_budget_covers(scope: BudgetScope, subject: str, covered: bool) -> None:
    assert Budget(1, scope, subject, Period.DAY, 1).covers(PAYER) is covered


async def test_what_a_call_did_not_cost_is_free_again(sqlite_engine: Engine) -> None:
    a_budget(sqlite_engine)
    leases = leases_of(sqlite_engine)
    budget_hold = leases.budget_hold(PAYER, NOON)
    assert budget_hold is not None
    assert await budget_hold.hold(LIMIT) is None
    budget_hold.take(LIMIT - 10)
    budget_hold.settle(LIMIT - 10, 5)
    budget_hold.close()
    assert await held(leases, LIMIT - 5) is None
    assert await held(leases, 1) is not None


async def test_a_call_that_ends_after_the_request_settles_on_its_own(sqlite_engine: Engine) -> None:
    a_budget(sqlite_engine)
    leases = leases_of(sqlite_engine)
    budget_hold = leases.budget_hold(PAYER, NOON)
    assert budget_hold is not None
    await budget_hold.hold(LIMIT)
    budget_hold.take(LIMIT)
    budget_hold.close()
    assert await held(leases, 1) is not None
    budget_hold.settle(LIMIT, 1)
    assert await held(leases, LIMIT - 1) is None


async def test_a_call_beyond_what_was_held_takes_from_the_slice_or_is_refused(sqlite_engine: Engine) -> None:
    a_budget(sqlite_engine)
    leases = leases_of(sqlite_engine)
    budget_hold = leases.budget_hold(PAYER, NOON)
    assert budget_hold is not None
    await budget_hold.hold(1)
    budget_hold.take(1_000)
    with pytest.raises(QuotaExhausted):
        budget_hold.take(LIMIT)
    with pytest.raises(QuotaExhausted, match="without a price"):
        budget_hold.take(None)


async def test_while_the_database_is_away_a_slice_is_spent_and_then_it_is_503(sqlite_engine: Engine) -> None:
    a_budget(sqlite_engine)
    leases = leases_of(sqlite_engine)
    assert await held(leases, 1_000) is None
    gone = leases_of(sqlite_engine)
    gone._engine = open_engine("sqlite:////nowhere/at/all.db")
    leases._engine = gone._engine
    assert await held(leases, 1_000) is None
    with pytest.raises(Unavailable) as caught:
        await held(leases, LIMIT // 2)
    assert (caught.value.status, caught.value.code) == (503, "budget_unavailable")


async def test_while_there_is_plenty_an_idle_worker_keeps_a_slice_for_an_outage(engine: Engine) -> None:
    a_budget(engine)
    leases = leases_of(engine)
    for _ in range(3):
        leases.refresh()  # nobody has asked yet
    assert booked_of(engine)[1] == LIMIT // 256
    leases._engine = open_engine("sqlite:////nowhere/at/all.db")
    assert await held(leases, 1_000) is None


async def test_a_first_slice_is_of_budgets_for_everybody_only(engine: Engine) -> None:
    a_budget(engine, scope=BudgetScope.KEY, subject="1")
    leases = leases_of(engine)
    leases.refresh()
    assert booked_of(engine)[1] == 0


async def test_idle_slices_go_back_once_the_rest_is_short(engine: Engine) -> None:
    budget = a_budget(engine)
    budgets.lease(engine, budget, Period.MONTH.start_us(NOON), "another", LIMIT * 4 // 5, LIMIT * 4 // 5, NOON)
    leases = leases_of(engine)
    await held(leases, 1_000)
    leases.refresh()
    assert booked_of(engine)[1] > LIMIT * 4 // 5 + 1_000
    leases.refresh()
    assert booked_of(engine)[1] == LIMIT * 4 // 5 + 1_000


async def test_what_lies_free_above_a_slice_goes_back_although_the_worker_is_busy(engine: Engine) -> None:
    a_budget(engine)
    leases = leases_of(engine)
    burst = leases.budget_hold(PAYER, NOON)
    assert burst is not None
    await burst.hold(LIMIT // 2)
    burst.close()
    for _ in range(2):
        await held(leases, 1_000)
        leases.refresh()
    assert booked_of(engine)[1] <= LIMIT // 256 + 2_000


async def test_a_refused_worker_gives_its_rest_to_whoever_asks_next(engine: Engine) -> None:
    a_budget(engine)
    one, two = leases_of(engine, "one"), leases_of(engine, "two")
    for leases in (one, two):
        request = leases.budget_hold(PAYER, NOON)
        assert request is not None
        await request.hold(LIMIT // 2)
        request.take(LIMIT // 2)
        request.settle(LIMIT // 2, 0)
        request.close()
    assert await held(one, LIMIT) is not None
    assert await held(two, LIMIT // 2 + 1) is None


async def test_after_a_refusal_a_smaller_request_is_still_asked_for(sqlite_engine: Engine) -> None:
    a_budget(sqlite_engine)
    leases = leases_of(sqlite_engine)
    assert await held(leases, LIMIT + 1) is not None
    assert await held(leases, LIMIT) is None


@pytest.mark.parametrize("workers", [1, 4])
def test_a_small_budget_is_spent_by_four_workers_as_far_as_by_one(sqlite_engine: Engine, workers: int) -> None:
    assert spendable_share(sqlite_engine, workers, holds=50, seed=1, most_under_way=8) >= 0.97


def spend(spool: Spool, cost: int, **opening: object) -> str:
    id_ = an_id()
    spool.write([an_opening(id_, **opening), an_intent(id_, hold_nanousd=cost * 2)])
    spool.write([a_result(id_, cost_nanousd=cost), a_closing(id_)])
    return id_


async def test_booking_moves_the_cost_from_the_lease_to_settled_once(engine: Engine, spool: Spool) -> None:
    a_budget(engine)
    leases = leases_of(engine, spool.path.stem)
    await held(leases, 10_000)
    before = booked_of(engine)[1]
    spend(spool, 4_000, key_id=1)
    Shipper(spool, engine).turn()
    assert booked_of(engine) == (4_000, before - 4_000)


async def test_a_dead_workers_lease_returns_with_its_spool(engine: Engine, spool_dir: Path, clock: FakeClock) -> None:
    a_budget(engine)
    dead = Spool.open(spool_dir)
    await held(leases_of(engine, dead.path.stem), 10_000)
    spend(dead, 3_000, key_id=1)
    id_ = an_id()
    dead.write([an_opening(id_, key_id=1), an_intent(id_, hold_nanousd=7_000)])
    abandon(dead)
    living = Spool.open(spool_dir)
    Shipper(living, engine, clock=clock).turn()
    living.close()
    assert booked_of(engine) == (10_000, 0)  # 3,000 spent, and a call of which nobody knows how it ended
    assert lines_of(engine) == 10_000


def test_a_budget_set_in_the_middle_counts_what_was_spent(engine: Engine, spool: Spool) -> None:
    spend(spool, 700, segment="plus")
    spend(spool, 50)
    Shipper(spool, engine).turn()
    a_budget(engine, scope=BudgetScope.SEGMENT, subject="plus")
    assert booked_of(engine) == (700, 0)


def test_what_a_correction_frees_the_budget_gets_back(engine: Engine, spool: Spool) -> None:
    a_budget(engine)
    of_others = a_budget(engine, scope=BudgetScope.SEGMENT, subject="nobody")
    request_id = spend(spool, 600)
    Shipper(spool, engine).turn()
    before = booked_of(engine)[0]
    change = Rerated(request_id, 0, MODEL, NOON, 600, 250, 1)
    rerate(engine, [change], "operator", "the price was wrong", NOON)
    assert booked_of(engine)[0] == before - 350
    with engine.connect() as connection:
        settled = connection.scalar(select(BudgetPeriod.settled_nanousd).where(BudgetPeriod.budget_id == of_others.id))
    assert settled == 0


def test_a_bill_that_is_lower_than_the_books_frees_the_budget_of_everything(engine: Engine, spool: Spool) -> None:
    a_budget(engine)
    spend(spool, 600)
    Shipper(spool, engine).turn()
    row = DayOfModel("2027-01-15", MODEL, 600, 0, 100, 1, 0)
    book(engine, [row], "operator", "the bill", NOON)
    assert booked_of(engine)[0] == 100


def test_a_budget_set_after_a_correction_counts_what_stands(engine: Engine, spool: Spool) -> None:
    request_id = spend(spool, 600)
    Shipper(spool, engine).turn()
    rerate(engine, [Rerated(request_id, 0, MODEL, NOON, 600, 250, 1)], "operator", "the price was wrong", NOON)
    a_budget(engine)
    assert booked_of(engine)[0] == 250


async def test_a_lowered_limit_counts_from_the_next_lease(engine: Engine) -> None:
    a_budget(engine)
    leases = leases_of(engine)
    await held(leases, LIMIT // 2)
    a_budget(engine, LIMIT // 2)
    assert await held(leases_of(engine, "two"), LIMIT // 4) is not None


def test_a_budget_taken_away_is_gone(engine: Engine) -> None:
    a_budget(engine)
    assert budgets.drop(engine, BudgetScope.TOTAL, "", Period.MONTH)
    assert not budgets.drop(engine, BudgetScope.TOTAL, "", Period.MONTH)
    assert budgets.standing(engine, NOON) == []


def test_a_budget_names_a_key_and_a_tier_that_exist(sqlite_engine: Engine) -> None:
    with pytest.raises(InvalidRequest, match="no key"):
        budgets.subject_of(sqlite_engine, BudgetScope.KEY, "nobody")
    with pytest.raises(InvalidRequest, match="no tier"):
        budgets.subject_of(sqlite_engine, BudgetScope.TIER, "slow")


@pytest.mark.parametrize(
    ("period", "start_us"),
    [
        (Period.HOUR, 1_799_996_400_000_000),
        (Period.DAY, 1_799_971_200_000_000),
        (Period.MONTH, 1_798_761_600_000_000),
    ],
)
def test_periods_begin_in_utc(period: Period, start_us: int) -> None:
    assert period.start_us(1_799_998_000_000_000) == start_us
    assert period.start_us(start_us) == start_us


async def test_200_tasks_in_one_process_never_overspend_on_sqlite(sqlite_engine: Engine, spool_dir: Path) -> None:
    limit = 20_000_000
    budgets.put(sqlite_engine, BudgetScope.TOTAL, "", Period.MONTH, limit, "test", "", time.time_ns() // 1_000)
    hammer = Hammer(sqlite_engine, spool_dir, 1)
    hammer.shipper.start()
    await hammer.many(200, lambda: hammer.spent >= limit * 0.95 and hammer.refused >= 200)
    await asyncio.to_thread(hammer.stop)
    settled, leased = booked_of(sqlite_engine)
    assert settled == lines_of(sqlite_engine)
    assert leased == 0
    assert limit * 0.95 <= settled <= limit


def test_8_processes_with_kills_never_overspend_on_postgresql(postgresql_engine: Engine, spool_dir: Path) -> None:
    limit, dice = 100_000_000, random.Random(7)
    budgets.put(postgresql_engine, BudgetScope.TOTAL, "", Period.MONTH, limit, "test", "", time.time_ns() // 1_000)
    url = postgresql_engine.url.render_as_string(hide_password=False)

    def started(seed: int, seconds: float) -> "subprocess.Popen[bytes]":
        command = [sys.executable, "-m", "tests.ledger.hammering", url, str(spool_dir), str(seed), str(seconds)]
        return subprocess.Popen(command, cwd=Path(__file__).parents[2])

    running = [started(seed, 4.0) for seed in range(8)]
    eventually(lambda: lines_of(postgresql_engine))
    for victim in dice.sample(running, 4):
        time.sleep(0.2)
        victim.kill()
        in_bounds(postgresql_engine, limit)
    for process in running:
        process.wait()
    asyncio.run(finish(postgresql_engine, spool_dir, lambda: booked_of(postgresql_engine)[0] >= limit * 0.95))
    settled, leased = booked_of(postgresql_engine)
    assert settled == lines_of(postgresql_engine)
    assert leased == 0
    assert limit * 0.95 <= settled <= limit


async def finish(engine: Engine, spools: Path, is_enough: Callable[[], bool]) -> None:
    """A last worker adopts what the dead left and spends until nearly all is booked."""
    last = Hammer(engine, spools, 99)
    last.shipper.start()
    await last.many(20, is_enough)
    await asyncio.to_thread(last.stop)


def in_bounds(engine: Engine, limit: int) -> None:
    settled, leased = booked_of(engine)
    assert settled + leased <= limit


async def test_two_periods_are_apart(sqlite_engine: Engine) -> None:
    id_ = budgets.put(sqlite_engine, BudgetScope.TOTAL, "", Period.HOUR, 100, "test", "", NOON)
    clock = FakeClock()
    leases = leases_of(sqlite_engine, clock=clock)
    assert await held(leases, 100) is None
    later = leases.budget_hold(PAYER, NOON + HOUR_US)
    assert later is not None
    assert await later.hold(100) is None
    with sqlite_engine.connect() as connection:
        left: Sequence[int] = connection.scalars(select(BudgetLease.left_nanousd)).all()
    assert (id_, sorted(left)) == (1, [100, 100])


async def test_a_lease_lost_in_the_books_is_never_spent_twice(sqlite_engine: Engine) -> None:
    a_budget(sqlite_engine)
    leases = leases_of(sqlite_engine)
    await held(leases, 1_000)
    with sqlite_engine.begin() as connection:
        connection.execute(update(BudgetLease).values(left_nanousd=0))
    budgets.give_back(sqlite_engine, 1, Period.MONTH.start_us(NOON), "one", 500)
    assert booked_of(sqlite_engine)[1] > 1_000


def test_a_bill_counts_for_every_budget_by_its_part_of_the_day(engine: Engine, spool: Spool) -> None:
    spend(spool, 600)
    spend(spool, 200, segment="plus")
    Shipper(spool, engine).turn()
    for scope, subject in ((BudgetScope.TOTAL, ""), (BudgetScope.SEGMENT, "default"), (BudgetScope.SEGMENT, "plus")):
        a_budget(engine, LIMIT, scope, subject)
    book(engine, [DayOfModel("2027-01-15", MODEL, 800, 0, 400, 2, 0)], "operator", "the bill", NOON)
    with engine.connect() as connection:
        settled = connection.scalars(select(BudgetPeriod.settled_nanousd).order_by(BudgetPeriod.budget_id)).all()
    assert list(settled) == [400, 300, 100]
    a_budget(engine, LIMIT, BudgetScope.TIER, "fast")
    with engine.connect() as connection:
        set_later = connection.scalar(
            select(BudgetPeriod.settled_nanousd).order_by(BudgetPeriod.budget_id.desc()).limit(1)
        )
    assert set_later == 400


def test_the_parts_of_a_bill_add_up_to_it(engine: Engine, spool: Spool) -> None:
    for segment in ("a", "b", "c"):
        spend(spool, 100, segment=segment)
    Shipper(spool, engine).turn()
    a_budget(engine)
    for segment in ("a", "b", "c"):
        a_budget(engine, LIMIT, BudgetScope.SEGMENT, segment)
    book(engine, [DayOfModel("2027-01-15", MODEL, 300, 0, 200, 3, 0)], "operator", "the bill", NOON)
    with engine.connect() as connection:
        total, *parts = connection.scalars(select(BudgetPeriod.settled_nanousd).order_by(BudgetPeriod.budget_id)).all()
    assert sum(parts) == total == 200
