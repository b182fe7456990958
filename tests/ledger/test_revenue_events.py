"""Booked revenue stays within what sums can hold, and an event can be taken out again."""

from dataclasses import replace

import pytest
from sqlalchemy import Engine, insert, select

from router.database.books_tables import RevenueDay
from router.database.tables import RevenueEvent
from router.errors import InvalidRequest, NotFound
from router.ledger import revenue_events, rollups
from router.ledger.attribution import RevenueAttribution
from router.ledger.feedback import FeedbackBook, ReportedRevenue
from router.ledger.revenue_events import MOST_DAY_NANOUSD, MOST_EVENT_NANOUSD, list_events, reverse
from tests.ledger.builders import NOON

DAY = "2027-01-15"
EVENT = ReportedRevenue("net", "1", None, "default", None, DAY, "statement", 5_000_000_000, NOON)
LARGEST = 9_000_000_000 * 10**9  # two of these are more than a database adds up


def book(engine: Engine, *events: ReportedRevenue) -> int:
    return FeedbackBook(engine).book(events)[0]


def booked(engine: Engine) -> int:
    with engine.connect() as connection:
        attribution = RevenueAttribution()
        left = attribution.read_unmatched(connection, 0, 2**45)
        return sum(one.amount_nanousd for one in left)


@pytest.mark.parametrize("amount", [LARGEST, -LARGEST, MOST_EVENT_NANOUSD + 1])
def test_an_event_above_the_bound_is_refused_by_name(sqlite_engine: Engine, amount: int) -> None:
    with pytest.raises(InvalidRequest, match=r"event '2' of 'net': one event has at most \$1000000") as caught:
        book(sqlite_engine, EVENT, replace(EVENT, event_id="2", amount_nanousd=amount))
    assert caught.value.code == "revenue_out_of_bounds"
    assert booked(sqlite_engine) == 0


def test_a_day_is_bounded_whatever_its_signs(engine: Engine) -> None:
    most = replace(EVENT, amount_nanousd=MOST_EVENT_NANOUSD)
    assert book(engine, most, replace(most, event_id="2", amount_nanousd=-MOST_EVENT_NANOUSD)) == 2
    with pytest.raises(InvalidRequest, match=f"the revenue of {DAY} would come to more than"):
        book(engine, replace(EVENT, event_id="3", amount_nanousd=1))
    assert book(engine, replace(EVENT, event_id="3", day="2027-01-16")) == 1


def test_what_is_known_is_not_counted_twice_for_its_day(sqlite_engine: Engine) -> None:
    book(sqlite_engine, EVENT)
    book(sqlite_engine, EVENT)
    with sqlite_engine.connect() as connection:
        assert connection.execute(select(RevenueDay.day, RevenueDay.amount_nanousd)).all() == [(DAY, 5_000_000_000)]


def test_events_beyond_the_bound_from_before_count_nowhere(engine: Engine) -> None:
    with engine.begin() as connection:
        for number in ("a", "b"):
            row = {"source": "old", "event_id": number, "day": DAY, "kind": "statement", "amount_nanousd": LARGEST}
            connection.execute(insert(RevenueEvent).values(**row, received_at=NOON))
    book(engine, EVENT)
    assert booked(engine) == EVENT.amount_nanousd
    assert rollups.catch_up(engine, NOON + 10**12) >= 0
    assert revenue_events.count_unbounded(engine) == 2
    assert [one.counts for one in list_events(engine, source=None, day=DAY, largest=True, most=9)] == [
        False,
        False,
        True,
    ]


def test_an_event_is_reversed_once_by_one_that_reverses_it(engine: Engine) -> None:
    book(engine, EVENT, replace(EVENT, event_id="2", amount_nanousd=7))
    reverse(engine, "net", "1", NOON)
    reverse(engine, "net", "1", NOON)
    assert booked(engine) == 7
    listed = {
        one.event_id: one.is_reversed for one in list_events(engine, source="net", day=None, largest=False, most=9)
    }
    assert listed == {"1": True, "2": False}


def test_an_event_that_arrived_without_a_day_is_reversed_of_the_day_it_counts_for(sqlite_engine: Engine) -> None:
    book(sqlite_engine, replace(EVENT, day=None))
    reverse(sqlite_engine, "net", "1", NOON + 3 * 86_400_000_000)
    assert booked(sqlite_engine) == 0


def test_a_full_day_still_lets_an_event_out(sqlite_engine: Engine) -> None:
    most = replace(EVENT, amount_nanousd=MOST_EVENT_NANOUSD)
    book(sqlite_engine, most, replace(most, event_id="2"))
    assert MOST_DAY_NANOUSD == 2 * MOST_EVENT_NANOUSD
    reverse(sqlite_engine, "net", "2", NOON)
    assert booked(sqlite_engine) == MOST_EVENT_NANOUSD


def test_nothing_is_reversed_that_is_not_there(sqlite_engine: Engine) -> None:
    with pytest.raises(NotFound, match="no revenue event 'nothing' of 'net'"):
        reverse(sqlite_engine, "net", "nothing", NOON)
