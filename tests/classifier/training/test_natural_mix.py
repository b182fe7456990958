"""Weights hold both margins, and quantiles of weighted values are those of what they stand for."""

import numpy as np
import pytest

from classifier.training.consumer_corpus import read_queries
from classifier.training.natural_mix import KINDS, LEVELS, quantiles_of, weights_of

QUERIES = read_queries()
WEIGHTS = weights_of(QUERIES)


def test_the_assumed_shares_are_shares() -> None:
    assert sum(LEVELS) == pytest.approx(1)
    assert sum(KINDS.values()) == pytest.approx(1)


def test_kinds_and_levels_have_the_shares_that_are_assumed() -> None:
    for group, share in KINDS.items():
        assert WEIGHTS[[query.kind in group for query in QUERIES]].sum() == pytest.approx(share, abs=1e-3)
    for level, share in enumerate(LEVELS):
        assert WEIGHTS[[query.level == level for query in QUERIES]].sum() == pytest.approx(share, abs=1e-3)


def test_what_no_score_decides_weighs_nothing() -> None:
    assert WEIGHTS[[query.kind == "housekeeping" for query in QUERIES]].sum() == 0


def test_quantiles_of_weighted_values() -> None:
    values, weights = np.array([3.0, 1.0, 2.0]), np.array([0.0, 0.5, 0.5])
    found = quantiles_of(values, weights, 100)
    assert np.all(np.diff(found) >= 0)
    assert np.median(found) == pytest.approx(1.5, abs=0.02)
