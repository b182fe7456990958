"""The share cap: a quantile of the last scores, at first of the reference distribution."""

import math
from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.decision.share_cap import Decided, ScoreWindow

SHARES = st.sampled_from([0.0, 0.01, 0.1, 0.29, 0.5, 0.9, 1.0])


def test_it_starts_from_the_reference_distribution() -> None:
    window = ScoreWindow([i / 100 for i in range(100)])
    assert len(window) == 1_000
    assert window.cut(0.1) == pytest.approx(0.9)


def test_real_scores_replace_the_reference_evenly() -> None:
    window = ScoreWindow([i / 100 for i in range(100)])
    for i in range(500):
        window.add(i % 100 / 100)
    assert window.cut(0.1) == pytest.approx(0.9, abs=0.02)


def test_no_share_closes_everything_and_the_whole_share_nothing() -> None:
    window = ScoreWindow([0.1, 0.2, 0.3])
    assert window.cut(0.0) == math.inf
    assert window.cut(1.0) is None


def test_without_a_reference_there_is_no_cap_until_scores_come() -> None:
    assert ScoreWindow([]).cut(0.1) is None


def test_queries_of_equal_need_do_not_overrun_the_cap() -> None:
    window = ScoreWindow([0.3] * 10)
    cut = window.cut(0.1)
    assert cut is not None
    assert cut > 0.3


@given(st.lists(st.floats(-1, 1.1)), st.lists(st.floats(-1, 1.1)), SHARES)
def test_at_most_the_share_reaches_the_cut(reference: list[float], scores: list[float], share: float) -> None:
    window, mirror = ScoreWindow(reference, size=20), deque[float](maxlen=20)
    ordered = sorted(reference)
    mirror.extend(ordered[i * len(ordered) // 20] for i in range(20) if ordered)
    for score in scores:
        window.add(score)
    assert len(window) == (20 if reference else min(20, len(scores)))
    cut = window.cut(share)
    if cut is not None and len(scores) >= 20:
        assert sum(score >= cut for score in scores[-20:]) <= share * 20 + 1e-9


def test_nothing_is_refused_while_fewer_went_deep_than_the_cap_allows() -> None:
    window = ScoreWindow([0.0, 0.1, 0.2])
    assert window.cap(0.1) is None
    window.add(0.9, is_deep=True)
    assert window.cap(0.1) == window.cut(0.1)
    for _ in range(10):
        window.add(0.0)
    assert window.deep_share == pytest.approx(1 / 11)
    assert window.cap(0.1) is None
    assert window.cap(0.0) == math.inf


def test_it_begins_with_what_was_decided_before() -> None:
    recent = [Decided(0.5, True)] * 200 + [Decided(0.0, False)] * 800
    window = ScoreWindow([0.9], recent=recent)
    assert window.deep_share == pytest.approx(0.2)
    assert window.cut(0.1) == math.nextafter(0.5, 1.0)
