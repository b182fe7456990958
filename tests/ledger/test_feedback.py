"""Opinions and reported revenue, as the books keep them."""

from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import Engine, select

from router.database.tables import Feedback, RevenueEvent
from router.ledger.feedback import FeedbackBook, Opinion, ReportedRevenue
from router.types import Tier
from tests.ledger.builders import NOON, an_id
from tests.reports.books import a_booked_request, book

EVENT = ReportedRevenue("network", "e1", None, "plus", "US", "2026-03-01", "click", 12_300_000, NOON)


@pytest.mark.parametrize(("tier", "promised"), [(Tier.FAST, 0.8), (Tier.REASONING, 0.9), (Tier.PARALLEL, 0.9)])
def test_a_request_says_what_was_promised_of_its_answer(
    engine: Engine, tmp_path: Path, tier: Tier, promised: float
) -> None:
    entries = a_booked_request(tier=tier)
    book(engine, tmp_path, entries)
    answered = FeedbackBook(engine).answered(entries[0].request_id)
    assert answered is not None
    assert answered.promised == pytest.approx(promised)
    assert answered.key_id is None


def test_a_request_that_is_not_booked_is_not_known(engine: Engine) -> None:
    assert FeedbackBook(engine).answered(an_id()) is None


def test_an_opinion_is_kept_as_it_was_given(engine: Engine) -> None:
    opinion = Opinion(an_id(), None, None, 0.25, "why", NOON)
    FeedbackBook(engine).record(opinion)
    with engine.connect() as connection:
        row = connection.execute(select(Feedback.__table__)).one()
    assert (row.request_id, row.rating, row.score, row.note) == (opinion.request_id, None, 0.25, "why")


def test_an_event_counts_once_and_stands_as_it_came_first(engine: Engine) -> None:
    feedback, otherwise = FeedbackBook(engine), replace(EVENT, amount_nanousd=1)
    assert feedback.book([EVENT]) == (1, [])
    again = replace(EVENT, received_at=NOON + 1)
    assert feedback.book([again, otherwise, replace(EVENT, event_id="e2")]) == (1, [otherwise])
    with engine.connect() as connection:
        amounts = connection.scalars(select(RevenueEvent.amount_nanousd).order_by(RevenueEvent.id)).all()
    assert amounts == [12_300_000, 12_300_000]
