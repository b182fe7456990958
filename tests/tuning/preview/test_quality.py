"""Sums over cells say what the estimators say row by row, where all requests of a cell go the same way."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.tuning import off_policy
from router.tuning.off_policy import Quality
from router.tuning.preview.quality import Ratings, Sent
from router.tuning.traffic import TIERS, Floats, Ints, Traffic
from tests.builders.traffics import a_world

EXPLORE = 0.3
COUNT = 600
TRAFFIC = a_world(COUNT).traffic
EVERYONE = slice(0, 2)


def in_cells_of_their_own(traffic: Traffic = TRAFFIC) -> Ratings:
    """Ratings where each request has a cell for itself."""
    return Ratings.of(traffic, traffic.segments * len(traffic) + np.arange(len(traffic)), len(traffic))


def some_choices(seed: int) -> Ints:
    """The greedy tier of each request."""
    return np.random.default_rng(seed).choice(len(TIERS), COUNT, p=[0.7, 0.2, 0.1])


def sent_to(choices: Ints, segments: slice = EVERYONE) -> Sent:
    """Everybody goes to the greedy tier, but for exploration in equal parts."""
    greedy = np.broadcast_to(np.eye(len(TIERS))[choices].T, (2, len(TIERS), COUNT))
    return Sent(greedy[segments], np.full_like(greedy[segments], EXPLORE / len(TIERS)), EXPLORE)


def chances_of(choices: Ints) -> Floats:
    chances: Floats = np.eye(len(TIERS))[choices] * (1 - EXPLORE) + EXPLORE / len(TIERS)
    return chances


def assert_alike(one: Quality, other: Quality, *names: str) -> None:
    for name in names:
        here, there = getattr(one, name), getattr(other, name)
        assert (here.value, here.error) == pytest.approx((there.value, there.error), rel=1e-6), name
    assert (one.labels, one.doubt) == (other.labels, other.doubt)
    assert one.effective_labels == pytest.approx(other.effective_labels)


@given(st.integers(0, 50))
def test_three_estimators_say_what_they_say_of_rows(seed: int) -> None:
    choices = some_choices(seed)
    by_cell = in_cells_of_their_own().quality(sent_to(choices), EVERYONE)
    by_row = off_policy.quality(TRAFFIC, chances_of(choices))
    assert_alike(by_cell, by_row, "ips", "snips")
    assert by_cell.doubly_robust.value == pytest.approx(by_row.doubly_robust.value)
    assert by_cell.doubly_robust.error == pytest.approx(by_row.doubly_robust.error, rel=0.01)


def test_one_segment_is_judged_by_its_own_ratings() -> None:
    choices, plus = some_choices(1), np.flatnonzero(TRAFFIC.segments == 1)
    by_cell = in_cells_of_their_own().quality(sent_to(choices, slice(1, 2)), slice(1, 2))
    by_row = off_policy.quality(TRAFFIC.rows(plus), chances_of(choices)[plus])
    assert_alike(by_cell, by_row, "ips", "snips")


@pytest.mark.parametrize("known", [0, 1])
def test_less_than_two_ratings_tell_nothing(known: int) -> None:
    rewards = np.full(COUNT, np.nan)
    rewards[:known] = 1.0
    quality = in_cells_of_their_own(replace(TRAFFIC, rewards=rewards)).quality(sent_to(some_choices(1)), EVERYONE)
    assert (quality.labels, quality.doubt) == (known, off_policy.too_few(known))
    assert math.isnan(quality.doubly_robust.value)


def test_what_was_never_explored_is_a_reason_to_doubt() -> None:
    sure = replace(TRAFFIC, propensities=np.ones(COUNT))
    quality = in_cells_of_their_own(sure).quality(sent_to((sure.tiers + 1) % len(TIERS)), EVERYONE)
    assert quality.doubt is not None
    assert "nothing was explored" in quality.doubt


def test_a_cell_that_is_partly_greedy_has_the_mean_of_both_chances() -> None:
    sent = Sent(np.array([0.25]), np.array([0.1]), explore=0.2)
    assert sent.chance.item() == pytest.approx(0.25 * 0.9 + 0.75 * 0.1)
    assert sent.mean_square().item() == pytest.approx(0.25 * 0.9**2 + 0.75 * 0.1**2)
    assert sent.largest().item() == pytest.approx(0.9)
    assert Sent(np.array([0.0]), np.array([0.1]), explore=0.2).largest().item() == pytest.approx(0.1)


@given(st.just(0.0) | st.floats(0.001, 1), st.floats(0, 1))
def test_a_mean_of_squares_is_at_least_the_square_of_the_mean(greedy: float, explore: float) -> None:
    sent = Sent(np.array([greedy]), np.array([explore / len(TIERS)]), explore)
    assert sent.chance.item() ** 2 <= sent.mean_square().item() + 1e-12
    assert sent.mean_square().item() <= sent.largest().item() ** 2 + 1e-12
