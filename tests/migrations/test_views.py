"""The views with stable names show what the lines hold."""

from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from router.ledger import rollups
from router.types import DAY_US
from tests.ledger.builders import NOON
from tests.reports.books import a_booked_request, book, earn


@pytest.fixture
def books(engine: Engine, tmp_path: Path) -> Engine:
    requests = [a_booked_request(costs=[3, 4]), a_booked_request(costs=[None])]
    book(engine, tmp_path, *requests)
    earn(engine, requests[0], 9)
    rollups.catch_up(engine, NOON + DAY_US)
    return engine


def test_a_row_per_request_with_its_cost(books: Engine) -> None:
    query = text("SELECT tier, calls, cost_nanousd, booked_revenue_nanousd FROM v_requests ORDER BY calls DESC")
    with books.connect() as connection:
        assert [tuple(row) for row in connection.execute(query)] == [("fast", 2, 7, 9), ("fast", 1, None, None)]
        assert connection.scalar(text("SELECT COUNT(*) FROM v_calls")) == 3


def test_costs_by_day_and_hour(books: Engine) -> None:
    with books.connect() as connection:
        for name in ("daily", "hourly"):
            found = connection.execute(text(f"SELECT tier, requests, cost_nanousd, starts_at FROM v_costs_{name}"))  # noqa: S608
            [(tier, requests, cost, starts_at)] = found
            assert (tier, requests, cost) == ("fast", 2, 7)
            assert starts_at <= NOON < starts_at + DAY_US
