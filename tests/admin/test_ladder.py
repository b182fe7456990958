"""The page Ladder: the last ladder that was climbed at today's revenue, and own traffic beside it."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import Engine

from router.admin.queries import ladder
from router.database.engine import open_engine
from router.ledger import ladders
from router.ledger.revenue import SCENARIOS, change
from router.reports.ladder import Pays, json_of
from router.reports.window import Window, window
from router.types import DAY_US
from tests.admin.visitors import Visitor, plane
from tests.builders.databases import lay_out
from tests.ledger.builders import NOON
from tests.reports.test_coverage import observed
from tests.reports.test_ladder import FAST, FOUR, HIGH, a_ladder


def a_month_to(now_us: int) -> Window:
    return window("30d", None, "UTC", datetime.fromtimestamp(now_us / 1e6, UTC))


@pytest.fixture
def books(tmp_path: Path) -> Iterator[Engine]:
    engine = open_engine(lay_out(f"sqlite:///{tmp_path}/books.db"))
    yield engine
    engine.dispose()


def test_the_last_ladder_is_held_against_what_a_query_earns_today(books: Engine) -> None:
    ladders.keep(books, json_of(a_ladder(FAST)), "questions", 1)
    ladders.keep(books, json_of(a_ladder(FAST, FOUR, HIGH, revenue_nanousd=1)), "questions", 2)
    change(books, {"default": SCENARIOS["base"]}, {}, "ann", "ads", NOON)
    found = ladder.read(books, a_month_to(NOON))
    assert (found.revenue_nanousd, [view.pays for view in found.rungs]) == (
        1_450_000,
        [Pays.YES, Pays.YES, Pays.UNCLEAR],
    )
    assert any("fast x 4 is right most often" in said for said in found.says)


def test_own_traffic_stands_beside_it(books: Engine) -> None:
    observed(books, *"aaaabbbb")
    observed(books, *"aaaaaaaa", rating=-1)
    found = ladder.read(books, a_month_to(NOON))
    assert (found.ladder, found.is_unreadable, found.rated) == (None, False, 2)
    assert [view.rung.name for view in found.traffic] == ["1 sample", "2 samples", "4 samples", "8 samples", "parallel"]
    assert ladder.read(books, a_month_to(NOON + 40 * DAY_US)).traffic == []


def test_a_ladder_of_another_version_is_told_and_nothing_breaks(books: Engine) -> None:
    ladders.keep(books, {"of": "a later version"}, "questions", 1)
    found = ladder.read(books, a_month_to(NOON))
    assert (found.ladder, found.is_unreadable, found.rungs) == (None, True, [])


def test_the_page_shows_rungs_and_says_how_to_get_some(tmp_path: Path) -> None:
    with plane(tmp_path) as running:
        visitor = Visitor(running)
        visitor.enter()
        assert "tierwise ladder --questions FILE" in visitor.get("/admin/ladder").text
        engine = open_engine(f"sqlite:///{tmp_path}/books.db")
        ladders.keep(engine, json_of(a_ladder()), "questions", 2)
        engine.dispose()
        page, feed = visitor.get("/admin/ladder").text, visitor.json("ladder")
    assert "fast x 4" in page
    assert "sums &lt;of ours&gt;" in page
    assert "70.0 %" in page
    assert [view["rung"]["name"] for view in feed["rungs"]] == ["fast", "fast x 4", "reasoning high"]
    assert feed["rungs"][2]["rung"]["cost_nanousd"]["high"] == 3_000_000
