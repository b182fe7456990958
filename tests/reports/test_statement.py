"""A customer's month: exact, whole, and all of them together are the ledger."""

from pathlib import Path

import pytest
from sqlalchemy import Engine, select

from router import keys
from router.database.closing_tables import LateLine
from router.errors import NotFound
from router.keys import NEW_KEY_SCOPES
from router.ledger.closing import month_at, month_named
from router.reports import months
from router.reports.queries import costs
from router.reports.statement import (
    amounts,
    customer_of_keys,
    customer_of_segment,
    read_statement,
    statement_fields,
    statement_page,
)
from router.types import Tier
from tests.reports.books import a_booked_request, book, earn

JULY, AUGUST = month_named("2026-07"), month_named("2026-08")
ODD = "<b>& co"


@pytest.fixture
def books(sqlite_engine: Engine, tmp_path: Path) -> Engine:
    """Requests of two keys and of none in July, which is closed, and one more of each for July after that."""
    for name in ("acme", ODD):
        keys.create(sqlite_engine, name, segment="free", scopes=NEW_KEY_SCOPES, allowed_tiers=list(Tier), now_us=1)
    whose = [(1, "free"), (2, "plus"), (2, "plus"), (None, "free")]
    made = [
        a_booked_request(at_us=JULY.start_us + place * 10**9, costs=[100 + place, 3], key_id=key, segment=segment)
        for place, (key, segment) in enumerate(whose)
    ]
    book(sqlite_engine, tmp_path, *made)
    earn(sqlite_engine, made[0], 777)
    months.close(sqlite_engine, "2026-07", "Ann", "", AUGUST.start_us)
    late = [a_booked_request(at_us=JULY.start_us + 5, costs=[9], key_id=key, segment="free") for key in (1, None)]
    book(sqlite_engine, tmp_path / "late", *late)
    return sqlite_engine


def test_a_closed_month_stands_on_its_statement(books: Engine) -> None:
    found = read_statement(books, customer_of_keys(books, ["acme"]), "2026-07")
    assert (found.total.requests, found.total.cost_nanousd, found.total.booked_nanousd) == (1, 103, 777)
    assert (found.late, found.closing is not None) == ({}, True)
    fields = statement_fields(found)
    assert (fields["customer"], fields["closed_by"]) == ("acme", "Ann")
    assert amounts(found.total)["cost_usd"] == "0.000000103"


def test_the_sum_of_all_statements_of_a_month_is_the_ledger(books: Engine) -> None:
    found = [read_statement(books, customer_of_segment(books, name), "2026-07") for name in ("free", "plus")]
    ledger = costs(books, ["tier"], months.window_of(JULY)).totals()
    assert [sum(column) for column in zip(*(one.total.facts for one in found), strict=True)] == ledger.facts
    for one in found:
        assert sum(sums.cost_nanousd for sums in one.by_model.values()) == one.total.cost_nanousd
        assert sum(sums.requests for sums in one.by_tier.values()) == one.total.requests


def test_what_is_late_stands_apart_on_the_statement_of_its_own_customer(books: Engine) -> None:
    with books.connect() as connection:
        posted_at = connection.scalar(select(LateLine.posted_at).limit(1))
    now = month_at(posted_at or 0)  # of the clock that recorded it
    acme, odd = (read_statement(books, customer_of_keys(books, [name]), now.name) for name in ("acme", ODD))
    assert {month: sums.cost_nanousd for month, sums in acme.late.items()} == {"2026-07": 9}
    assert (acme.came_in.requests, acme.total.requests, odd.late) == (0, 1, {})


def test_several_keys_may_be_one_customer_under_another_name(books: Engine) -> None:
    both = customer_of_keys(books, ["acme", ODD], "Acme Ltd")
    found = read_statement(books, both, "2026-07")
    assert (found.customer.name, found.total.requests) == ("Acme Ltd", 3)


def test_the_page_escapes_names_and_needs_no_other_file(books: Engine) -> None:
    page = statement_page(read_statement(books, customer_of_keys(books, [ODD]), "2026-07"))
    assert "&lt;b&gt;&amp; co" in page
    assert "<b>" not in page
    assert "http" not in page
    assert "0.000000209" in page


def test_nobody_by_that_name_is_said(books: Engine) -> None:
    with pytest.raises(NotFound, match="no key named 'nobody'"):
        customer_of_keys(books, ["acme", "nobody"])
    with pytest.raises(NotFound, match="never a request of a segment"):
        customer_of_segment(books, "nowhere")
