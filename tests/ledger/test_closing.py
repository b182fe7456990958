"""A closed month stands, whatever arrives for it; what does counts in the next open month, and nothing is lost."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, insert, text

from router.database.tables import RevenueEvent
from router.ledger import closing, made_up, revenue_events, rollups
from router.ledger.closing import NotClosable
from router.reports import months
from router.reports.queries import Report, Sums, costs
from router.reports.reading import reading
from router.reports.window import Window
from tests.ledger.test_rollups import SPRING_MS, Books, new_books, same, step, told, without_rollups
from tests.waiting import eventually

DAY_MS = 86_400_000
MARCH, APRIL, MAY = (closing.month_named(name) for name in ("2026-03", "2026-04", "2026-05"))
BY = (["tier"], ["segment", "country"], ["day", "tier"], ["key", "model"], ["role"], ["tier", "segment", "country"])
KINDS = ("arrive", "late call", "adjust", "reconcile", "earn", "statement")


def shown(engine: Engine, month: closing.Month) -> list[Report]:
    return [costs(engine, by, months.window_of(month)) for by in BY]


def late(engine: Engine) -> dict[str, Sums]:
    """What was ever posted for closed months."""
    with reading(engine, Window(None, None, UTC)) as snapshot:
        return months.late_by_month(snapshot)


def unchanged(engine: Engine, month: closing.Month, before: list[Report]) -> None:
    for by, old, new in zip(BY, before, shown(engine, month), strict=True):
        same(old, new)
        same(old, without_rollups(engine, by, months.window_of(month)))


def some_steps(books: Books, count: int) -> None:
    """Things of all kinds that happen to March."""
    for _ in range(count):
        kind, dice = books.dice.choice(KINDS), books.dice
        match kind:
            case "arrive":
                value = SPRING_MS + dice.randrange(4 * DAY_MS)
            case "reconcile":
                value = SPRING_MS + DAY_MS
            case "late call":
                value = dice.randrange(2, 30_000)
            case _:
                value = dice.randrange(-1_000, 10**9)
        step(books, kind, value)
    if books.dice.random() < 0.5:
        rollups.catch_up(books.engine, MAY.end_us)


def close(books: Books, month: closing.Month) -> None:
    months.close(books.engine, month.name, "Ann", "", month.end_us)


def nothing_is_lost(books: Books) -> None:
    assert told(costs(books.engine, ["tier"], Window(None, None, UTC))) == books.sums()
    by_month = [figures.totals() for month in (MARCH, APRIL, MAY) for figures in shown(books.engine, month)[:1]]
    requests, _, cost, expected, _ = books.sums()
    assert sum(total.requests for total in by_month) == requests
    assert sum(total.expected_nanousd for total in by_month) == expected
    assert sum(total.cost_nanousd for total in by_month) == cost


def late_of_months(books: Books, first: int, second: int) -> None:
    some_steps(books, 15)
    close(books, MARCH)
    march = shown(books.engine, MARCH)
    some_steps(books, first)
    unchanged(books.engine, MARCH, march)
    close(books, APRIL)
    april = shown(books.engine, APRIL)
    some_steps(books, second)
    unchanged(books.engine, MARCH, march)
    unchanged(books.engine, APRIL, april)
    nothing_is_lost(books)
    assert [one.stands for one in months.standings(books.engine)] == [True, True]


@pytest.mark.slow
@settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(0, 2**32))
def test_closed_months_stand_whatever_arrives_late_and_nothing_is_lost(seed: int) -> None:
    with new_books(seed) as books:
        late_of_months(books, 12, 12)


@pytest.mark.slow
def test_closed_months_stand_under_a_thousand_late_events() -> None:
    with new_books(1) as books:
        late_of_months(books, 500, 500)


@pytest.fixture
def books(engine: Engine) -> Books:
    made = Books(engine, 5)
    for hour in range(6):
        made.arrive(SPRING_MS + DAY_MS + hour * 3_600_000)
    return made


def test_closed_months_stand_on_either_database(books: Books) -> None:
    late_of_months(books, 25, 25)


def test_what_is_late_counts_in_the_next_open_month_with_its_month_named(books: Books) -> None:
    close(books, MARCH)
    late_us = APRIL.start_us + 3 * DAY_MS * 1_000
    before = costs(books.engine, ["tier"], months.window_of(MARCH)).totals()
    books.earn(5_000, request_id=books.ids[0])
    books.adjust(books.ids[1], 77)
    books.earn(900, day="2026-03-28")
    april = costs(books.engine, ["segment"], months.window_of(APRIL)).totals()
    assert (april.requests, april.cost_nanousd, april.booked_nanousd) == (0, 77, 5_900)
    march = late(books.engine)["2026-03"]
    assert (march.requests, march.cost_nanousd, march.booked_nanousd) == (0, 77, 5_900)
    assert costs(books.engine, ["tier"], months.window_of(MARCH)).totals().facts == before.facts
    assert revenue_events.reverse(books.engine, "n", "2", late_us)
    days = {
        key[0]: sums.booked_nanousd for key, sums in costs(books.engine, ["day"], months.window_of(APRIL)).rows.items()
    }
    assert days == {"2026-04-01": 5_900, "2026-04-04": -900}


def test_a_late_statement_is_spread_over_the_requests_of_its_day_and_replaces_what_was_expected_once(
    books: Books,
) -> None:
    close(books, MARCH)
    for amount in (1_000, -400):
        books.earn(amount, day="2026-03-28")
    march = costs(books.engine, ["tier"], months.window_of(MARCH)).totals()
    april = costs(books.engine, ["tier"], months.window_of(APRIL)).totals()
    assert (april.booked_nanousd, march.booked_nanousd) == (600, 0)
    assert april.replaced_nanousd <= march.expected_nanousd
    every = costs(books.engine, ["tier"], Window(None, None, UTC)).totals()
    assert every.revenue_nanousd == march.expected_nanousd - april.replaced_nanousd + 600


def test_what_was_booked_in_time_and_comes_again_is_not_late(books: Books) -> None:
    close(books, MARCH)
    books.arrive(APRIL.start_us // 1_000 + 5)
    assert late(books.engine) == {}


@pytest.mark.parametrize(
    ("name", "now", "why"),
    [
        ("2026-05", "2026-05-20", "not over yet"),
        ("2026-04", "2026-05-02", "close 2026-03 first"),
        ("2026-3", "2026-05-02", "not a month"),
        ("March", "2026-05-02", "not a month"),
    ],
)
def test_a_month_that_cannot_be_closed_says_why(books: Books, name: str, now: str, why: str) -> None:
    now_us = round(datetime.fromisoformat(now).replace(tzinfo=UTC).timestamp()) * 1_000_000
    with pytest.raises(NotClosable, match=why):
        closing.close(books.engine, name, "Ann", "", now_us)
    assert closing.read_closings(books.engine) == []


def test_a_month_is_closed_once_and_keeps_who_closed_it(books: Books) -> None:
    closed = months.close(books.engine, "2026-03", "Ann", "agreed with the auditors", MAY.start_us)
    assert (closed.author, closed.note, closed.closed_at) == ("Ann", "agreed with the auditors", MAY.start_us)
    assert closed.figures == months.figures_of(books.engine, MARCH)
    for name in ("2026-03", "2026-02"):
        with pytest.raises(NotClosable, match="closed already"):
            closing.close(books.engine, name, "Bob", "", MAY.start_us)


def test_late_lines_of_made_up_requests_go_with_them(books: Books) -> None:
    close(books, MARCH)
    books.earn(50, day="2026-03-28", synthetic=True)
    assert made_up.forget(books.engine) == 0
    assert costs(books.engine, ["day"], Window(None, None, UTC, with_made_up=True)).totals().booked_nanousd == 0


def test_what_is_being_booked_while_a_month_is_closed_is_waited_for_and_part_of_it(postgresql_engine: Engine) -> None:
    books = Books(postgresql_engine, 6)
    made = books.arrive(SPRING_MS + DAY_MS)
    waiting = text("SELECT COUNT(*) FROM pg_locks WHERE NOT granted AND mode = 'ShareRowExclusiveLock'")
    event = {"source": "n", "event_id": "open", "kind": "click", "amount_nanousd": 70, "received_at": APRIL.start_us}
    with ThreadPoolExecutor(1) as pool, postgresql_engine.connect() as under_way, under_way.begin():
        under_way.execute(insert(RevenueEvent).values(request_id=made, **event))
        closed = pool.submit(months.close, postgresql_engine, "2026-03", "Ann", "", APRIL.start_us)
        with postgresql_engine.connect() as looking:
            eventually(lambda: looking.scalar(waiting))
        under_way.commit()
        assert (closed.result().figures or {})["booked_nanousd"] == 70
    assert late(postgresql_engine) == {}
    books.earn(5, request_id=made)
    assert late(postgresql_engine)["2026-03"].booked_nanousd == 5
