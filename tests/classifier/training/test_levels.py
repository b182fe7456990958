import numpy as np
import pytest

from classifier.training.levels import level_and_slope, sigmoid


def test_a_level_far_from_the_base_is_found_without_overshooting() -> None:
    logits = np.linspace(7.0, 9.0, 1500)
    right = (np.random.default_rng(0).random(1500) < 0.25).astype(float)
    slope, level = level_and_slope(logits, right)
    assert np.mean(sigmoid(slope * logits + level)) == pytest.approx(0.25, abs=0.02)


def test_a_few_labels_leave_the_slope_where_it_is_expected() -> None:
    slope, _ = level_and_slope(np.array([0.1, -0.2, 0.0]), np.array([1.0, 0.0, 1.0]))
    assert slope == pytest.approx(1.0, abs=0.1)
