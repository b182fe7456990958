import numpy as np
import pytest

from classifier.drift import CalibrationMonitor, ScoreStability


def _stability(scores: np.ndarray) -> ScoreStability:
    stability = ScoreStability(np.random.default_rng(0).normal(0.2, 0.1, 1000))
    for score in scores:
        stability.observe(float(score))
    return stability


def test_scores_like_the_reference_raise_no_alarm() -> None:
    assert not _stability(np.random.default_rng(1).normal(0.2, 0.1, 2000)).reading().is_alarming


def test_shifted_scores_raise_an_alarm() -> None:
    assert _stability(np.random.default_rng(1).normal(0.35, 0.1, 2000)).reading().is_alarming


def test_a_handful_of_scores_says_nothing() -> None:
    reading = _stability(np.full(10, 0.9)).reading()
    assert np.isnan(reading.value)
    assert not reading.is_alarming


def test_only_the_last_window_counts() -> None:
    stability = ScoreStability(np.linspace(0, 1, 500), window=300)
    for score in [*np.full(1000, 0.99), *np.linspace(0, 1, 300)]:
        stability.observe(float(score))
    assert not stability.reading().is_alarming


@pytest.mark.parametrize(("kept", "is_alarming"), [(0.7, False), (0.4, True)])
def test_broken_promises_raise_an_alarm(kept: float, is_alarming: bool) -> None:
    watch, random = CalibrationMonitor(), np.random.default_rng(2)
    for _ in range(1500):
        watch.observe(0.7, float(random.random() < kept))
    assert watch.gap().is_alarming is is_alarming


def test_kept_promises_have_a_small_calibration_error() -> None:
    watch, random = CalibrationMonitor(), np.random.default_rng(3)
    for promised in random.random(2000):
        watch.observe(float(promised), float(random.random() < promised))
    assert watch.ece() < 0.06
