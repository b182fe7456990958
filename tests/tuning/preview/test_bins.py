"""Bins hold every score once and cut at the thresholds that matter; the share cap is the one of the service."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.decision.share_cap import WINDOW_SCORES, ScoreWindow
from router.tuning.preview.bins import CapCuts, ScoreBins
from router.tuning.traffic import Floats, Ints

some_scores = st.lists(st.floats(-1, 2).map(lambda score: round(score, 2)), min_size=1, max_size=300).map(np.array)
shares = st.floats(0, 1) | st.sampled_from([0.0, 0.1, 0.5, 1.0])


def many_scores(count: int = 5_000) -> Floats:
    scores: Floats = np.random.default_rng(3).beta(1, 6, count)
    return scores


@given(some_scores, st.lists(st.floats(-2, 3), max_size=5))
def test_every_score_is_in_one_bin_between_its_edges(scores: Floats, exact: list[float]) -> None:
    bins = ScoreBins(scores, exact)
    place = bins.of(scores)
    assert np.all(np.diff(bins.edges) > 0)
    assert np.all((bins.edges[place] <= scores) & (scores < bins.edges[place + 1]))


@given(some_scores, st.floats(-2, 3))
def test_a_threshold_that_must_be_exact_cuts_no_bin(scores: Floats, threshold: float) -> None:
    bins = ScoreBins(scores, [threshold])
    [place] = bins.places(np.array([threshold]))
    assert place == round(place)
    assert np.array_equal(bins.of(scores) >= place, scores >= threshold)


def test_a_threshold_inside_a_bin_cuts_it_in_proportion() -> None:
    bins = ScoreBins(many_scores())
    low, high = bins.edges[10:12]
    assert bins.places(np.array([low, low + (high - low) / 4, high])) == pytest.approx([10.0, 10.25, 11.0])


def test_thresholds_beyond_all_scores_are_the_ends() -> None:
    bins = ScoreBins(many_scores())
    assert bins.places(np.array([-9.0, 9.0])).tolist() == [0.0, len(bins)]
    assert bins.of(np.array([-9.0, 9.0])).tolist() == [0, len(bins) - 1]


def test_bins_are_narrow_where_few_requests_reach() -> None:
    scores = many_scores()
    edges = ScoreBins(scores).edges
    share_above = 1.0 - np.searchsorted(np.sort(scores), edges) / len(scores)
    assert np.mean(share_above < 0.0625) >= 0.25


def test_a_score_that_many_requests_share_has_a_bin_of_its_own() -> None:
    scores = np.append(many_scores(), np.full(100, 0.123456))
    bins = ScoreBins(scores)
    [place] = bins.of(np.array([0.123456]))
    assert set(scores[bins.of(scores) == place]) == {0.123456}


def test_more_shared_scores_than_bins_are_worth_get_none() -> None:
    scores = np.repeat(np.arange(400) / 400.0, 10)
    assert len(ScoreBins(scores)) < 400


def test_scores_far_apart_have_no_grid_of_round_thresholds() -> None:
    assert len(ScoreBins(np.array([-10.0, 0.0, 10.0]))) < 300


def test_all_scores_alike_are_one_bin() -> None:
    bins = ScoreBins(np.full(50, 0.2))
    assert (len(bins), bins.edges[0]) == (1, 0.2)


def cut_of(scores: Floats, share: float) -> float:
    """What the service's own window says, which has no cap as None."""
    window = ScoreWindow([], len(scores))
    for score in scores:
        window.add(score)
    cut = window.cut(share)
    return -math.inf if cut is None else cut


def of_one_segment(scores: Floats, moments: Ints) -> CapCuts:
    return CapCuts(scores, np.zeros(len(scores), np.int64), moments, moments)


@given(some_scores, shares)
def test_a_cap_cuts_where_the_service_does(scores: Floats, share: float) -> None:
    cuts = of_one_segment(scores, np.array([len(scores)]))
    assert cuts.common(share).tolist() == [cut_of(scores, share)]
    assert cuts.own(0, share).tolist() == [cut_of(scores, share)]


def test_a_moment_looks_at_the_scores_just_before_it_and_the_first_ones_stand_for_what_was_before() -> None:
    scores = many_scores(3 * WINDOW_SCORES)
    cuts = of_one_segment(scores, np.array([10, 2 * WINDOW_SCORES])).common(0.1)
    assert cuts.tolist() == [
        cut_of(scores[:WINDOW_SCORES], 0.1),
        cut_of(scores[WINDOW_SCORES : 2 * WINDOW_SCORES], 0.1),
    ]


@given(some_scores, shares, st.integers(0, 99))
def test_segments_with_a_cap_of_their_own_stand_apart(scores: Floats, share: float, seed: int) -> None:
    segments = np.random.default_rng(seed).integers(0, 2, len(scores))
    segments[0] = 0
    cuts = CapCuts(scores, segments, np.array([len(scores)]), np.array([len(scores)]))
    own = scores[segments == 0]
    assert cuts.own(0, share).tolist() == [cut_of(own, share)]
    assert cuts.common(share, apart=[1]).tolist() == [cut_of(own, share)]


def test_the_memory_of_windows_is_counted() -> None:
    assert of_one_segment(many_scores(10), np.array([10])).nbytes() == 10 * (8 + 2 + 8)
