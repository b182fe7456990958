"""The laws of evidence: an innocent canary is not expected to win its bets, and intervals narrow around the truth."""

import math
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.canary.confidence_sequences import (
    AMOUNT_TILTS,
    SHARE_TILTS,
    against_at_most,
    against_equal,
    bet,
    interval,
    mix_evidence,
)


@given(st.lists(st.sampled_from([0.0, 0.3, 1.0, 4.0, 30.0]), min_size=2, max_size=9), st.data())
def test_whoever_is_dealt_into_the_canary_the_bet_is_fair(values: list[float], chosen: st.DataObject) -> None:
    size = chosen.draw(st.integers(1, len(values) - 1))
    amounts = np.array(values)
    won = []
    for dealt in combinations(range(len(values)), size):
        canary = np.zeros(len(values))
        canary[list(dealt)] = 1.0
        won.append(np.exp(against_equal(amounts, canary, 1.0 - canary, AMOUNT_TILTS)).mean())
    assert np.mean(won) <= 1.1  # exact but for what is rough about the approximation of a handful


@pytest.mark.parametrize("at_most", [0.02, 0.3, 0.8])
def test_a_share_that_is_kept_wins_nothing_on_average(at_most: float) -> None:
    requests = 40
    chances = [math.comb(requests, k) * at_most**k * (1 - at_most) ** (requests - k) for k in range(requests + 1)]
    won = sum(p * math.exp(against_at_most(k, requests, at_most)) for k, p in enumerate(chances))
    assert won == pytest.approx(1.0)


def test_one_huge_amount_proves_little() -> None:
    values, control = np.array([0.5, 1e6]), np.array([1_000.0, 0.0])
    found = bet(against_equal(values, np.array([50.0, 1.0]), control, AMOUNT_TILTS)[np.newaxis])
    assert found < math.log(25.0)


def test_more_of_the_same_is_more_evidence() -> None:
    values = np.array([0.0, 1.0])
    few, many = (
        mix_evidence(against_equal(values, np.array([80.0, 20.0]) * n, np.array([950.0, 50.0]) * n, SHARE_TILTS))
        for n in (1, 5)
    )
    assert 0 < few < many


def test_intervals_close_in_on_the_estimate() -> None:
    wide, narrow = interval(0.1, 0.01, 0.01, 0.05), interval(0.1, 0.0001, 0.01, 0.05)
    assert wide[0] < narrow[0] < 0.1 < narrow[1] < wide[1]
