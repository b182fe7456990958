"""Coverage beside selection: from the counts of whole votes and the feedback on the selected answer."""

from pathlib import Path

import msgspec
import pytest
from sqlalchemy import Engine, insert

from router.database.engine import writing
from router.database.tables import Feedback
from router.ledger.coverage import CoverageBook
from router.ledger.entries import CallIntent, Entry
from router.reports.coverage import RatedVote, RecentCoverage, coverage, read_rated_votes
from router.reports.reading import reading
from router.reports.standing import full_report
from router.tiers.parallel.coverage import Coverage, count_votes
from router.types import CallKind, Tier
from tests.ledger.builders import NOON, an_id
from tests.reports.books import a_booked_request, book
from tests.reports.test_formats import html
from tests.reports.test_queries import ALWAYS


def observed(
    engine: Engine, *votes: str, selected: str = "a", rating: int | None = 1, request_id: str | None = None
) -> None:
    """A query sampled to the end; `selected` was chosen, and a person thought so of it."""
    kept = CoverageBook(engine, lambda: NOON)
    id = request_id or an_id()
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


def a_sampled_request(*costs: tuple[CallKind, int | None]) -> list[Entry]:
    """One request of the parallel tier with calls of these kinds and costs."""
    opening, *calls, closing = a_booked_request(tier=Tier.PARALLEL, costs=[cost for _, cost in costs])
    kinds = [kind for kind, _ in costs for _ in range(2)]  # an intent and a result of each
    changed = [
        msgspec.structs.replace(c, kind=k) if isinstance(c, CallIntent) else c
        for c, k in zip(calls, kinds, strict=True)
    ]
    return [opening, *changed, closing]


def test_a_rated_vote_knows_what_a_sample_cost_and_what_was_paid_without_the_samples_beyond(
    engine: Engine, tmp_path: Path
) -> None:
    sample, shadow = CallKind.SAMPLE, CallKind.SHADOW
    priced = a_sampled_request((sample, 10), (sample, 20), (shadow, 30), (CallKind.ANSWER, 500))
    unpriced = a_sampled_request((sample, 10), (shadow, None))
    book(engine, tmp_path, priced, unpriced)
    observed(engine, *"aab", request_id=priced[0].request_id)
    observed(engine, *"ab", request_id=unpriced[0].request_id, rating=-1)
    observed(engine, *"aaab", rating=None)
    with reading(engine, ALWAYS) as books:
        first, second = sorted(read_rated_votes(books), key=lambda vote: -vote.samples)
    assert first == RatedVote(3, 2, 2, 4, True, 20.0, 530)
    assert second == RatedVote(2, 1, 1, 4, False, None, 10)


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
