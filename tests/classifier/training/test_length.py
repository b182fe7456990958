import numpy as np
import pytest

from classifier.features import QUESTION, SURFACE_NAMES
from classifier.training.design import Scales
from classifier.training.length import fit_falls, fit_lines, length_logits, on_scale

SIGNALS = len(SURFACE_NAMES)


def some_texts(count: int = 300, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(count, SIGNALS))


def chances(signals: np.ndarray, level: float, fall: float) -> np.ndarray:
    """Chances at two knots that fall with the length of the question."""
    logits = level - fall * signals[:, [QUESTION]] + np.array([0.0, 1.0])
    return np.asarray(1 / (1 + np.exp(-logits)))


def test_what_falls_with_length_within_every_source_is_found() -> None:
    falls = fit_falls([(signals := some_texts(seed=seed), chances(signals, seed - 1.0, 0.5)) for seed in range(3)])
    assert falls[:, 0] == pytest.approx(0.5, abs=0.25)
    assert falls[:, 1] == pytest.approx(0.0, abs=0.05)


def test_nothing_becomes_easier_by_being_longer() -> None:
    signals = some_texts()
    assert fit_falls([(signals, chances(signals, 0.0, -0.5))])[:, 0].tolist() == [0.0, 0.0]


def test_a_kind_keeps_its_own_level_as_far_as_is_asked() -> None:
    kinds = [(some_texts(seed=seed), np.full((300, 1), level)) for seed, level in enumerate((0.2, 0.8))]
    falls = np.zeros((1, 2))
    shared, own = (fit_lines(falls, kinds, own_level)[:, 0, 2] for own_level in (0.0, 1.0))
    assert shared == pytest.approx(0.0)
    assert own == pytest.approx(np.log((0.25, 4.0)))


def test_a_line_says_the_same_on_another_scale() -> None:
    old = Scales(np.zeros(SIGNALS), np.ones(SIGNALS))
    new = Scales(np.full(SIGNALS, 0.3), np.full(SIGNALS, 2.0))
    signals, line = some_texts(), np.array([[0.4, 0.2, 0.1], [0.3, 0.5, 1.0]])
    assert length_logits(on_scale(line, old, new), (signals - new.mean) / new.scale) == pytest.approx(
        length_logits(line, signals)
    )
