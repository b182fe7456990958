"""A network's statement: read strictly, booked once, all or nothing."""

from datetime import UTC

import pytest
from sqlalchemy import Engine, func, select

from router.database.tables import RevenueEvent
from router.ledger import statements
from router.ledger.statements import Imported, WrongStatement
from router.reports.reading import reading
from router.reports.sources import BY_REQUEST, read_sources
from router.reports.window import Window
from tests.ledger.builders import NOON
from tests.ledger.test_rollups import new_books

PLAIN = "day,segment,country,amount_usd\n2027-01-14,free,US,12.50\n2027-01-15,free,US,7\n"


def take(engine: Engine, text: str, *, skip_wrong: bool = False, **columns: str) -> Imported:
    return statements.book(engine, statements.read(text, "adnet", NOON, columns), skip_wrong=skip_wrong)


def booked(engine: Engine) -> tuple[int, int]:
    with engine.connect() as connection:
        query = select(func.count(), func.coalesce(func.sum(RevenueEvent.amount_nanousd), 0))
        count, amount = connection.execute(query.select_from(RevenueEvent)).one()
        return int(count), int(amount)


def test_a_statement_is_booked_once_however_often_it_is_imported(engine: Engine) -> None:
    first, again = take(engine, PLAIN), take(engine, PLAIN)
    assert (first.new, first.known, first.amount_nanousd) == (2, 0, 19_500_000_000)
    assert (again.new, again.known, again.amount_nanousd) == (0, 2, 0)
    assert booked(engine) == (2, 19_500_000_000)


def test_a_longer_statement_of_the_same_month_adds_what_is_new(engine: Engine) -> None:
    take(engine, PLAIN)
    done = take(engine, PLAIN + "2027-01-16,free,US,-0.25\n\n")
    assert (done.new, done.known) == (1, 2)
    assert booked(engine) == (3, 19_250_000_000)


def test_columns_are_found_by_name_in_any_order_and_what_is_not_looked_at_is_named(engine: Engine) -> None:
    text = '\ufeffImpressions,Line ID,Revenue USD,Date,Currency\r\n100,a,"3.000000001",2027-01-15,USD\r\n'
    assert take(engine, text).unused == ["Impressions"]
    with engine.connect() as connection:
        [row] = connection.execute(select(RevenueEvent.__table__)).mappings()
    assert (row["event_id"], row["day"], row["amount_nanousd"], row["segment"]) == (
        "a",
        "2027-01-15",
        3_000_000_001,
        None,
    )
    assert row["kind"] == "statement"
    assert take(engine, "When,Payout\n2027-01-15,1\n", day="When", amount="Payout").new == 1


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("03/04/2027,free,US,1", "day '03/04/2027': write it as 2026-10-31"),
        ("2027-02-30,free,US,1", "write it as 2026-10-31"),
        ("20270115,free,US,1", "write it as 2026-10-31"),
        ('2027-01-15,free,US,"1,234.56"', "with a point and nothing between thousands"),
        ('2027-01-15,free,US,"12,34"', "with a point and nothing between thousands"),
        ("2027-01-15,free,US,$5", "write dollars as 1234.56"),
        ("2027-01-15,free,US,1e3", "write dollars as 1234.56"),
        ("2027-01-15,free,US,", "write dollars as 1234.56"),
        ("2027-01-15,free,usa,1", "two capitals such as DE"),
        ("2027-01-15,Free Users,US,1", "a segment is 1 to 64"),
        ("2027-01-15,free,US", "3 cells under 4 columns"),
        ("2027-01-14,free,US,3", "is on line 2 too"),
        ("2027-01-15,free,US,2000000", "at most $1000000"),
    ],
)
def test_a_line_that_is_not_plain_is_refused_by_its_number_and_nothing_is_booked(
    sqlite_engine: Engine, line: str, why: str
) -> None:
    text = f"day,segment,country,amount_usd\n2027-01-14,free,US,12.50\n{line}\n2027-01-16,free,US,1\n"
    with pytest.raises(WrongStatement, match="nothing was booked: line 3: ") as caught:
        take(sqlite_engine, text)
    assert why in str(caught.value)
    assert booked(sqlite_engine) == (0, 0)
    done = take(sqlite_engine, text, skip_wrong=True)
    assert (done.new, [one.number for one in done.wrong]) == (2, [3])


def test_another_currency_is_refused(sqlite_engine: Engine) -> None:
    with pytest.raises(WrongStatement, match="line 2: currency 'EUR': the books are in USD"):
        take(sqlite_engine, "day,amount,currency\n2027-01-15,1,EUR\n")


def test_a_line_that_is_booked_with_other_facts_stops_the_import(engine: Engine) -> None:
    take(engine, PLAIN)
    changed = PLAIN.replace("7\n", "8\n") + "2027-01-16,free,US,1\n"
    with pytest.raises(WrongStatement, match="line 3: '2027-01-15/free/US' is booked with another amount"):
        take(engine, changed)
    assert booked(engine) == (2, 19_500_000_000)
    done = take(engine, changed, skip_wrong=True)
    assert (done.new, done.known, len(done.wrong)) == (1, 1, 1)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "there is no column day or date"),
        ("day,segment\n2027-01-15,free\n", "there is no column amount_usd or amount"),
        ("day,amount,revenue\n2027-01-15,1,2\n", "may both be the amount; say which"),
        ('day,amount\n2027-01-15,"1\n', "this is not CSV"),
    ],
)
def test_a_file_that_is_no_statement_says_what_is_missing(sqlite_engine: Engine, text: str, why: str) -> None:
    with pytest.raises(WrongStatement, match=why):
        take(sqlite_engine, text)


def test_what_sources_reported_stands_beside_what_was_expected_of_the_same_requests() -> None:
    with new_books(3) as books:
        first_ms = 1_800_000_000_000  # 2027-01-15
        for place in range(20):
            books.arrive(first_ms + place * 60_000)
        take(books.engine, "day,segment,amount_usd\n2027-01-15,plus,0.5\n2027-01-15,default,0.25\n2027-01-16,plus,1\n")
        books.earn(70, request_id=books.ids[0])
        with reading(books.engine, Window(None, None, UTC)) as snapshot:
            lines = {(line.source, line.segment): line for line in read_sources(snapshot)}
        _, _, _, expected, _ = books.sums()
    plus, default, named = lines["adnet", "plus"], lines["adnet", "default"], lines["n", BY_REQUEST]
    assert plus.expected_nanousd + default.expected_nanousd == expected
    assert (plus.month, plus.days, plus.reported_nanousd) == ("2027-01", 2, 1_500_000_000)
    assert plus.difference_nanousd == 1_500_000_000 - plus.expected_nanousd
    assert (named.reported_nanousd, named.days) == (70, None)
