"""A day's allowance holds over all workers; what was not spent comes back."""

import threading

from sqlalchemy import Engine, select

from router.database.learning_tables import DuelDay
from router.ledger.allowance import DayAllowance
from router.types import DAY_US
from tests.ledger.builders import NOON


def taken(engine: Engine) -> dict[int, int]:
    with engine.connect() as connection:
        return {row.day: row.taken_nanousd for row in connection.execute(select(DuelDay.__table__))}


def test_what_fits_is_taken_and_what_does_not_is_refused(engine: Engine) -> None:
    allowance = DayAllowance(engine, DuelDay, 100)
    day = NOON // DAY_US
    assert [allowance.take(60, NOON), allowance.take(41, NOON), allowance.take(40, NOON)] == [day, None, day]
    allowance.give_back(55, day)
    assert taken(engine) == {day: 45}
    assert allowance.take(55, NOON) == day


def test_every_day_has_its_own(engine: Engine) -> None:
    allowance = DayAllowance(engine, DuelDay, 100)
    assert allowance.take(100, NOON) != allowance.take(100, NOON + DAY_US)
    assert set(taken(engine).values()) == {100}


def test_no_allowance_no_day(engine: Engine) -> None:
    assert DayAllowance(engine, DuelDay, 0).take(1, NOON) is None
    assert taken(engine) == {}


def test_workers_together_take_no_more_than_there_is(engine: Engine) -> None:
    won: list[int] = []

    def work() -> None:
        allowance = DayAllowance(engine, DuelDay, 100)
        for _ in range(10):
            if allowance.take(7, NOON) is not None:
                won.append(7)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(won) == 98 == taken(engine)[NOON // DAY_US]
