import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from classifier.training import metrics


def test_a_perfect_ranking_has_an_auroc_of_one() -> None:
    assert metrics.auroc([False, False, True], [0.1, 0.2, 0.3]) == 1.0


def test_ties_count_half() -> None:
    assert metrics.auroc([False, True], [0.5, 0.5]) == 0.5


def test_without_positives_there_is_no_auroc() -> None:
    assert math.isnan(metrics.auroc([False, False], [0.1, 0.2]))


def test_random_routing_recovers_half_of_the_gap() -> None:
    random = np.random.default_rng(0)
    weak, strong = (random.random((2, 20_000)) < [[0.4], [0.8]]).astype(float)
    assert metrics.apgr(random.random(20_000), weak, strong) == pytest.approx(0.5, abs=0.02)


def test_knowing_the_gain_recovers_more_than_random() -> None:
    random = np.random.default_rng(0)
    weak, strong = (random.random((2, 2000)) < [[0.4], [0.8]]).astype(float)
    assert metrics.apgr(strong - weak + 1e-6 * random.random(2000), weak, strong) > 0.75


def test_scores_are_compared_within_their_part_only() -> None:
    score, part = np.array([0.1, 0.2, 0.2, 5.0, 4.0]), np.array([0, 0, 0, 1, 1])
    assert metrics.quantiles_within(score, part) == pytest.approx([1 / 6, 2 / 3, 2 / 3, 0.75, 0.25])


def test_the_level_of_the_other_folds_knows_nothing_but_looks_worse_than_that_over_all_folds() -> None:
    random = np.random.default_rng(0)
    need, fold = random.random(500) < 0.3, np.arange(500) % 5
    level = np.array([need[fold != each].mean() for each in fold])
    assert metrics.auroc(need, level) < 0.48
    assert metrics.auroc(need, metrics.quantiles_within(level, fold)) == 0.5


def test_always_saying_the_base_rate_is_calibrated() -> None:
    right = (np.arange(1000) % 10 < 3).astype(float)
    assert metrics.ece(np.full(1000, 0.3), right) < 0.01


def test_the_noise_floor_shrinks_with_the_sample() -> None:
    random = np.random.default_rng(0)
    assert metrics.ece_floor(random.random(5000)) < metrics.ece_floor(random.random(200))


@given(st.lists(st.floats(0, 1), min_size=5, max_size=40))
def test_an_interval_of_a_mean_holds_the_mean(values: list[float]) -> None:
    every = np.array(values)
    found = metrics.bootstrap(lambda rows: float(every[rows].mean()), [str(at) for at in range(len(every))], draws=60)
    assert found.low - 0.35 <= found.value <= found.high + 0.35
