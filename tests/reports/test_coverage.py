"""Coverage beside selection: from the counts of whole votes and the feedback on the selected answer."""

from pathlib import Path

import pytest
from sqlalchemy import Engine, insert

from router.database.engine import writing
from router.database.tables import Feedback
from router.ledger.coverage import CoverageBook
from router.reports.coverage import RecentCoverage, coverage
from router.reports.reading import reading
from router.reports.standing import full_report
from router.tiers.parallel.coverage import Coverage, count_votes
from tests.ledger.builders import NOON, an_id
from tests.reports.books import a_booked_request, book
from tests.reports.test_formats import html
from tests.reports.test_queries import ALWAYS


def observed(engine: Engine, *votes: str, selected: str = "a", rating: int | None = 1) -> None:
    """A query sampled to the end; `selected` was chosen, and a person thought so of it."""
    kept = CoverageBook(engine, lambda: NOON)
    id = an_id()
    kept.note(count_votes(Coverage(id, "m", "number", tuple(v or None for v in votes), selected, 4)))
    kept.follow()
    kept.follow()
    if rating is not None:
        with writing(engine) as connection:
            connection.execute(insert(Feedback).values(request_id=id, rating=rating, created_at=NOON))


def test_what_was_selected_stands_beside_what_could_have_been(engine: Engine) -> None:
    observed(engine, *"aaaabbbb")
    observed(engine, *"aaaaaaaa", rating=-1)
    observed(engine, *"ab", "", "", *"abab", rating=None)
    with reading(engine, ALWAYS) as books:
        found = coverage(books)
    assert (found.observed, found.labelled) == (3, 2)
    assert (found.accuracy_at_1, found.selected_at_k, found.majority_at_k) == (0.25, 0.5, 0.5)
    assert found.pass_at_k == pytest.approx(0.5)
    assert found.unreadable == pytest.approx(2 / 24)


def test_the_figures_of_metrics_are_those_of_the_books(engine: Engine) -> None:
    observed(engine, *"aaaabbbb")
    recent = RecentCoverage(engine, lambda: NOON)
    recent.follow()
    assert (recent.figures.observed, recent.figures.labelled, recent.figures.accuracy_at_1) == (1, 1, 0.5)


def test_nobody_looked_is_unknown_and_not_in_the_page(engine: Engine, tmp_path: Path) -> None:
    book(engine, tmp_path, a_booked_request())
    assert full_report(engine, ["tier"], ALWAYS, {}).coverage.accuracy_at_1 is None
    assert "Coverage beside selection" not in html(engine)
    observed(engine, *"aaab", rating=None)
    assert "1 queries sampled to the end, 0 of them rated" in html(engine)
