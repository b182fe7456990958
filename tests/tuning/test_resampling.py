"""Intervals are read from the draws as numpy reads quantiles, and what is not known stays so."""

import math

import numpy as np
import pytest

from router.tuning.resampling import interval_of


@pytest.mark.parametrize("draws", [1, 2, 100, 300, 401])
def test_the_ends_are_the_quantiles_of_the_draws(draws: int) -> None:
    column = np.random.default_rng(draws).normal(size=draws + 1)
    found = interval_of(column)
    assert (found.low, found.high) == pytest.approx(np.quantile(column[1:], [0.025, 0.975]).tolist())
    assert (found.value, found.error) == pytest.approx((column[0], column[1:].std()))


def test_a_draw_that_is_not_known_leaves_no_interval() -> None:
    found = interval_of(np.array([1.0, 2.0, math.nan, 3.0]))
    assert found.value == 1.0
    assert math.isnan(found.low)
    assert math.isnan(found.high)
