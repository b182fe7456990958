"""Opinions and reported revenue, as the books keep them."""

from dataclasses import replace
from datetime import UTC
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import Engine, select, text

from router.admin.queries import health
from router.database.tables import Feedback, RevenueEvent
from router.learning import labels
from router.ledger.feedback import (
    RIGHT_FROM,
    WRONG_IN_SQL,
    FeedbackBook,
    Opinion,
    ReportedRevenue,
    correctness,
)
from router.reports.window import Window
from router.tuning import traffic_reader
from router.types import Tier
from tests.builders import taught
from tests.builders.taught import Told
from tests.ledger.builders import NOON, an_id
from tests.reports.books import a_booked_request, book

EVER = Window(None, None, UTC)
OPINIONS = [(-1, None), (0, None), (1, None), (None, 0.0), (None, 0.25), (None, 0.5), (None, 1.0)]
EVENT = ReportedRevenue("network", "e1", None, "plus", "US", "2026-03-01", "click", 12_300_000, NOON)


@pytest.mark.parametrize(("tier", "promised"), [(Tier.FAST, 0.8), (Tier.REASONING, 0.9), (Tier.PARALLEL, 0.9)])
def test_a_request_says_what_was_promised_of_its_answer(
    engine: Engine, tmp_path: Path, tier: Tier, promised: float
) -> None:
    entries = a_booked_request(tier=tier)
    book(engine, tmp_path, entries)
    answered = FeedbackBook(engine).find_request(entries[0].request_id)
    assert answered is not None
    assert answered.promised == pytest.approx(promised)
    assert answered.key_id is None


@pytest.mark.parametrize(
    ("rating", "score", "correct"),
    [
        (1, None, 1.0),
        (-1, None, 0.0),
        (0, None, None),
        (None, 0.0, 0.0),
        (None, 0.25, 0.25),
        (None, 1, 1.0),
        (None, None, None),
        (1, 0.25, 0.25),  # never written by us: the finer one counts
    ],
)
def test_feedback_is_one_number_and_indifference_is_none(
    rating: int | None, score: float | None, correct: float | None
) -> None:
    assert correctness(rating, score) == correct


def test_a_query_finds_wrong_what_the_number_says_is_wrong(engine: Engine) -> None:
    for rating, score in OPINIONS:
        FeedbackBook(engine).record(Opinion(an_id(), None, rating, score, None, NOON))
    numbers = [correctness(rating, score) for rating, score in OPINIONS]
    with engine.connect() as connection:
        query = text(f"SELECT f.rating, f.score FROM feedback f WHERE {WRONG_IN_SQL} ORDER BY f.id")  # noqa: S608
        found = [correctness(rating, score) for rating, score in connection.execute(query)]
    assert found == [number for number in numbers if number is not None and number < RIGHT_FROM]


def test_every_reader_of_feedback_reads_the_same_number(engine: Engine) -> None:
    rated = [Told("How tall is the tower?", rating=rating, score=score) for rating, score in OPINIONS * 10]
    taught.book(engine, rated)
    numbers = [correctness(rating, score) for rating, score in OPINIONS * 10]
    labelled = [number for number in numbers if number is not None]
    np.testing.assert_array_equal(traffic_reader.read(engine, EVER).rewards, np.array(numbers, np.float64))
    assert [label.value for request in labels.read(engine, EVER) for label in request.labels] == labelled
    assert np.mean(health.calibration(engine).kept) == pytest.approx(np.mean(labelled))


def test_a_request_that_is_not_booked_is_not_known(engine: Engine) -> None:
    assert FeedbackBook(engine).find_request(an_id()) is None


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
