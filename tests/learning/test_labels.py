"""What the books know of how right each tier was, and what is made of it."""

from datetime import UTC

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine, insert, update

from router.database.learning_tables import FeatureRow
from router.database.tables import Feedback
from router.learning.examples import MOST_INVERSE, examples_of, posterior, sources_of
from router.learning.labels import TRUST, WEAK, DuelOutcome, Label, LabelledRequest, Source, read
from router.reports.window import Window
from router.types import Agreement, Outcome, Signal, Tier
from tests.builders.taught import MINUTE, NOON, Told, book

EVERYTHING = Window(None, None, UTC)
TEXT = "How tall is the tower?"


def lesson_of(engine: Engine, *told: Told) -> LabelledRequest:
    book(engine, told)
    return read(engine, EVERYTHING)[0]


@pytest.mark.parametrize(
    ("told", "wanted"),
    [
        (Told(TEXT, score=0.7), [Label(Tier.FAST, 0.7, Source.SCORE)]),
        (Told(TEXT, rating=-1), [Label(Tier.FAST, 0.0, Source.RATING)]),
        (Told(TEXT, rating=0), []),
        (Told(TEXT, Tier.REASONING, rating=1), [Label(Tier.REASONING, 1.0, Source.RATING)]),
        (Told(TEXT, Tier.PARALLEL, rating=1), []),
        (Told(TEXT, outcome=Outcome.CANCELLED), [Label(Tier.FAST, WEAK[Source.ABANDONED], Source.ABANDONED)]),
        (Told(TEXT, agreement=Agreement.UNCLEAR), []),  # and no contest: nobody knows anything
    ],
)
def test_each_source_says_what_it_says(engine: Engine, told: Told, wanted: list[Label]) -> None:
    found = lesson_of(engine, told).labels
    assert [(label.tier, label.source) for label in found] == [(label.tier, label.source) for label in wanted]
    assert [label.value for label in found] == pytest.approx([label.value for label in wanted])


def test_a_signal_speaks_of_the_request_before(engine: Engine) -> None:
    book(engine, [Told(TEXT, signal=Signal.PUSHBACK), Told("No, that is wrong.")])
    first, second = read(engine, EVERYTHING)
    assert [label.source for label in first.labels] == [Source.PUSHBACK]
    assert (second.labels, first.is_labelled) == ([], False)


def test_the_last_rating_counts(engine: Engine) -> None:
    [id_] = book(engine, [Told(TEXT, rating=-1)])
    with engine.begin() as connection:
        connection.execute(insert(Feedback), [{"request_id": id_, "rating": 1, "created_at": NOON + 1}])
    [labelled_request] = read(engine, EVERYTHING)
    assert [label.value for label in labelled_request.labels] == [1.0]


@pytest.mark.parametrize(
    ("preferred", "prefers_fast", "source"),
    [(None, None, Source.AGREED), (Tier.FAST, True, Source.JUDGED), (Tier.PARALLEL, False, Source.JUDGED)],
)
def test_duels_are_contests(
    engine: Engine,
    preferred: Tier | None,
    prefers_fast: bool | None,
    source: Source,
) -> None:
    labelled_request = lesson_of(engine, Told(TEXT, Tier.PARALLEL, agreement=Agreement.DIFFERS, preferred=preferred))
    assert labelled_request.contest == DuelOutcome(Agreement.DIFFERS, Tier.PARALLEL, prefers_fast)
    assert (labelled_request.contest.source, labelled_request.is_labelled) == (source, True)


def test_only_what_is_in_the_window_readable_and_real_is_read(engine: Engine) -> None:
    ids = book(engine, [Told(TEXT), Told(TEXT), Told(TEXT, synthetic=True), Told(TEXT), Told(TEXT)])
    with engine.begin() as connection:
        connection.execute(update(FeatureRow).where(FeatureRow.request_id == ids[1]).values(format=9_999))
        connection.execute(update(FeatureRow).where(FeatureRow.request_id == ids[3]).values(row=b"damaged"))
    found = read(engine, Window(NOON, NOON + 10 * MINUTE, UTC))
    assert [labelled_request.at_us for labelled_request in found] == [NOON, NOON + 4 * MINUTE]
    assert read(engine, Window(NOON + 10 * MINUTE, None, UTC)) == []
    assert read(engine, Window(NOON, NOON, UTC)) == []


SAME, DIFFERS = (DuelOutcome(agreement, Tier.FAST) for agreement in (Agreement.SAME, Agreement.DIFFERS))


def test_agreement_raises_both_and_difference_parts_them() -> None:
    assert posterior(SAME, 0.6, 0.8)[0] > 0.8
    fast, reasoning = posterior(DIFFERS, 0.6, 0.8)
    assert fast < 0.3 < reasoning
    assert fast + reasoning < 1.0


def test_a_judge_shifts_the_belief_and_does_not_replace_it() -> None:
    for agreement, expected in ((Agreement.DIFFERS, posterior(DIFFERS, 0.5, 0.5)[0]), (Agreement.UNCLEAR, 0.5)):
        for prefers_fast in (True, False):
            sides = posterior(DuelOutcome(agreement, Tier.FAST, prefers_fast), 0.5, 0.5)
            preferred, other = sides if prefers_fast else sides[::-1]
            assert other < expected < preferred < 0.9


@given(st.floats(0.01, 0.99), st.floats(0.01, 0.99), st.sampled_from([None, True, False]))
def test_beliefs_are_chances(p_fast: float, p_reasoning: float, prefers_fast: bool | None) -> None:
    for agreement in (Agreement.SAME, Agreement.DIFFERS):
        sides = posterior(DuelOutcome(agreement, Tier.FAST, prefers_fast), p_fast, p_reasoning)
        assert all(0.0 <= side <= 1.0 for side in sides)


def test_ratings_of_what_was_explored_weigh_more_but_not_without_end(engine: Engine) -> None:
    usual = [Told(TEXT, rating=1, propensity=0.99) for _ in range(20)]
    book(engine, [*usual, Told(TEXT, rating=0, score=0.0, propensity=0.001)])
    labelled_requests = read(engine, EVERYTHING)
    examples = examples_of(labelled_requests, np.full((21, 2), 0.5))
    ratio = (examples[-1].fast_weight / TRUST[Source.SCORE].weight) / (
        examples[0].fast_weight / TRUST[Source.RATING].weight
    )
    assert ratio == pytest.approx(MOST_INVERSE * 0.99, rel=1e-3)
    # Together they weigh what they are worth: one heavy rating is not many.
    assert sum(example.fast_weight for example in examples) < 21


def test_weak_signals_are_held_back(engine: Engine) -> None:
    told = [Told(TEXT, outcome=Outcome.CANCELLED) for _ in range(200)] + [Told(TEXT, score=1.0)]
    book(engine, told)
    examples = examples_of(read(engine, EVERYTHING), np.full((201, 2), 0.5))
    assert sum(example.fast_weight for example in examples[:200]) == pytest.approx(0.2)
    assert examples[-1].fast_weight == pytest.approx(1.0)


def test_without_other_labels_weak_ones_say_nothing(engine: Engine) -> None:
    labelled_request = lesson_of(engine, Told(TEXT, outcome=Outcome.CANCELLED))
    [example] = examples_of([labelled_request], np.array([[0.5, 0.5]]))
    assert (example.fast, example.reasoning) == (None, None)


def test_sources_are_counted_by_request(engine: Engine) -> None:
    book(engine, [Told(TEXT, rating=1, agreement=Agreement.SAME), Told(TEXT, rating=-1)])
    assert sources_of(read(engine, EVERYTHING)) == {Source.RATING: 2, Source.AGREED: 1}


def test_every_source_states_its_weight_and_bias() -> None:
    assert all(TRUST[source].weight > 0 and TRUST[source].bias for source in Source)
