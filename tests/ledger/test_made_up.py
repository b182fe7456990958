"""Made-up requests: counted while there are no others, told apart in every figure, and taken out without a trace."""

from datetime import UTC
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, func, insert, select

from router.database.books_tables import RevenueDay
from router.database.engine import writing
from router.database.tables import Adjustment, Call, Feedback, Request, RevenueEvent, Run
from router.ledger import made_up, rollups
from router.ledger.feedback import FeedbackBook, ReportedRevenue
from router.ledger.made_up import MadeUp, has_real
from router.reports.queries import Report, costs
from router.reports.reading import reading
from router.reports.window import Window
from router.types import DAY_US
from tests.ledger.builders import NOON
from tests.reports.books import a_booked_request, book, earn

ALWAYS, WITH = Window(None, None, UTC), Window(None, None, UTC, with_made_up=True)
LATER_US = NOON + 3 * DAY_US


def a_made_up_request(**more: Any) -> list[Any]:
    return a_booked_request(synthetic=True, segment="made", costs=[70_000], **more)


@pytest.fixture
def mixed(engine: Engine, tmp_path: Path) -> Engine:
    """Three made-up requests over two days, and one real one."""
    book(engine, tmp_path, *(a_made_up_request(at_us=NOON + day * DAY_US) for day in (0, 0, 1)), a_booked_request())
    return engine


def totals(report: Report) -> tuple[int, int, int]:
    total = report.totals()
    return total.requests, total.cost_nanousd, total.made_up


def counted(engine: Engine, window: Window = ALWAYS) -> MadeUp:
    with reading(engine, window) as books:
        return books.made_up


@pytest.mark.parametrize("is_rolled_up", [False, True])
def test_one_real_request_takes_all_that_is_made_up_out_of_the_figures(mixed: Engine, is_rolled_up: bool) -> None:
    if is_rolled_up:
        rollups.catch_up(mixed, LATER_US)
    for by in (["tier"], ["day"], ["model"], ["segment", "country", "tier"]):
        assert totals(costs(mixed, by, ALWAYS)) == (1, 1_000, 0)
        assert totals(costs(mixed, by, WITH)) == (4, 211_000, 3)
    assert counted(mixed) == MadeUp(3, 4, counted=False)
    assert counted(mixed, WITH) == MadeUp(3, 4, counted=True)
    with reading(mixed, ALWAYS) as books, reading(mixed, WITH) as all_books:
        assert sum(n for by_bucket in books.costs().values() for n in by_bucket.values()) == 1
        assert sum(n for by_bucket in all_books.costs().values() for n in by_bucket.values()) == 4


@pytest.mark.parametrize("is_rolled_up", [False, True])
def test_made_up_requests_count_while_there_are_no_others(engine: Engine, tmp_path: Path, is_rolled_up: bool) -> None:
    book(engine, tmp_path, a_made_up_request())
    if is_rolled_up:
        rollups.catch_up(engine, LATER_US)
    assert totals(costs(engine, ["tier"], ALWAYS)) == (1, 70_000, 1)
    book(engine, tmp_path, a_booked_request(at_us=NOON + 10 * DAY_US))
    assert totals(costs(engine, ["tier"], ALWAYS)) == (1, 1_000, 0)
    before = Window(None, NOON + DAY_US, UTC)
    assert (totals(costs(engine, ["tier"], before)), counted(engine, before)) == ((0, 0, 0), MadeUp(1, 1, False))


def test_a_statement_is_spread_over_requests_of_its_own_kind(mixed: Engine) -> None:
    day = "2027-01-15"
    rows = [
        {"event_id": "real", "amount_nanousd": 900, "synthetic": False},
        {"event_id": "made", "amount_nanousd": 70, "synthetic": True},
    ]
    with writing(mixed) as connection:
        for row in rows:
            whose = {"source": "n", "day": day, "kind": "statement", "received_at": NOON}
            connection.execute(insert(RevenueEvent).values(**whose, **row))
    for _ in range(2):
        by_segment = {key[0]: sums.booked_nanousd for key, sums in costs(mixed, ["segment"], WITH).rows.items()}
        assert by_segment == {"default": 900, "made": 70}
        assert costs(mixed, ["segment"], ALWAYS).totals().booked_nanousd == 900
        rollups.catch_up(mixed, LATER_US)


def test_what_is_said_of_made_up_requests() -> None:
    assert MadeUp(0, 12, counted=False).describe() == ""
    assert MadeUp(99_985, 100_016, counted=False).describe() == (
        "99,985 of 100,016 requests are made up, and left out of these figures."
    )
    assert MadeUp(5, 5, counted=True).describe().startswith("All 5 requests are made up, and counted")
    assert MadeUp(1, 1, counted=True).describe().startswith("The only request is made up")


def test_forgetting_leaves_the_books_as_if_there_had_been_only_real_traffic(mixed: Engine, tmp_path: Path) -> None:
    with mixed.connect() as connection:
        [made, real] = [
            connection.scalars(select(Request.id).where(Request.synthetic.is_(flag))).first() for flag in (True, False)
        ]
    before = costs(mixed, ["day", "tier"], ALWAYS)
    with writing(mixed) as connection:
        connection.execute(insert(Run).values(id=1, kind="rerate", created_at=0, author="a", note=""))
        fixed = {"run_id": 1, "kind": "rerated", "call_no": 0, "amount_nanousd": 5, "effective_at": NOON}
        connection.execute(insert(Adjustment).values(request_id=made, **fixed))
        connection.execute(insert(Feedback).values(request_id=made, rating=1, created_at=NOON))
        connection.execute(insert(Feedback).values(request_id=real, rating=1, created_at=NOON))
    FeedbackBook(mixed).book(
        [
            ReportedRevenue("n", "1", str(made), None, None, None, "click", 50_000, NOON),
            ReportedRevenue("n", "2", None, None, None, "2027-01-15", "statement", 3_000, NOON),
        ]
    )
    rollups.catch_up(mixed, LATER_US)
    assert made_up.forget(mixed, batch=2) == 3
    assert made_up.forget(mixed) == 0
    for _ in range(2):
        after = costs(mixed, ["day", "tier"], WITH)
        assert totals(after) == totals(before) == (1, 1_000, 0)
        assert after.totals().booked_nanousd == 3_000
        rollups.catch_up(mixed, LATER_US)
    with mixed.connect() as connection:
        left = [connection.scalar(select(func.count()).select_from(table)) for table in (Call, Adjustment, Feedback)]
        assert left == [1, 0, 1]
        assert connection.scalar(select(RevenueDay.amount_nanousd)) == 3_000


def test_books_without_real_requests_say_so_at_any_time(engine: Engine, tmp_path: Path) -> None:
    def real() -> bool:
        with engine.connect() as connection:
            return has_real(connection)

    assert not real()
    book(engine, tmp_path, a_made_up_request())
    assert not real()
    rollups.catch_up(engine, LATER_US)
    assert not real()
    earn(engine, None, 5)
    assert not real()
    book(engine, tmp_path, a_booked_request(at_us=NOON + DAY_US))
    assert real()
    rollups.catch_up(engine, LATER_US)
    assert real()
