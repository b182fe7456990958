"""What a score is worth at what the query costs: section 7's rule, alike for one query and for whole columns."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.decision.worth import HIGHEST, LEAST_RATIO, MOST_RATIO, ratio_of, worth_of, worths_of

scores = st.floats(-1, HIGHEST).map(lambda score: round(score, 6))
ratios = st.floats(LEAST_RATIO, MOST_RATIO)


@pytest.mark.parametrize(
    ("extra", "usual", "ratio"),
    [
        (2_000, 1_000, 2.0),
        (None, 1_000, 1.0),
        (1_000, None, 1.0),
        (1_000, 0, 1.0),
        (1_000, -5, 1.0),
        (100_000, 1_000, 16.0),
        (10, 1_000, 0.25),
        (-10, 1_000, 0.25),
    ],
)
def test_a_ratio_is_kept_within_bounds_and_is_one_where_nothing_is_known(
    extra: int | None, usual: int | None, ratio: float
) -> None:
    assert ratio_of(extra, usual) == ratio


def test_what_costs_four_times_the_usual_must_promise_four_times_as_much() -> None:
    assert worth_of(0.4, 4.0, 1.0) == 0.1
    assert worth_of(0.4, 4.0, 0.5) == 0.2
    assert worth_of(0.4, 4.0, 0.0) == 0.4
    assert worth_of(0.5, 0.25, 1.0) == HIGHEST
    assert worth_of(-0.4, 4.0, 1.0) == -0.4
    assert worth_of(0.0, 0.25, 1.0) == 0.0


@given(st.lists(st.tuples(scores, ratios | st.just(math.nan)), min_size=1, max_size=20), st.floats(0, 2))
def test_columns_are_worth_what_each_query_is(rows: list[tuple[float, float]], sensitivity: float) -> None:
    found = worths_of(np.array([score for score, _ in rows]), np.array([ratio for _, ratio in rows]), sensitivity)
    one_by_one = [worth_of(score, 1.0 if math.isnan(ratio) else ratio, sensitivity) for score, ratio in rows]
    assert found.tolist() == pytest.approx(one_by_one, abs=2e-6)


@given(scores, ratios, ratios, st.floats(0, 2))
def test_a_dearer_query_is_never_worth_more(score: float, one: float, other: float, sensitivity: float) -> None:
    cheap, dear = sorted((one, other))
    assert worth_of(score, dear, sensitivity) <= worth_of(score, cheap, sensitivity) or score <= 0
