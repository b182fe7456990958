"""Fits one expert: ridge on soft targets, out-of-fold calibration to logits. Training only."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import sparse
from sklearn.linear_model import LogisticRegression

from classifier.training.learner import TextRidge, gram, out_of_fold

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Shape:
    """How one expert is fitted; `alpha_shape` None keeps what knots differ in constant (one dimension)."""

    alpha: float
    alpha_shape: float | None
    surface_weight: float
    irt_share: float = 1.0


@dataclass(frozen=True)
class Heads:
    """Weights (features x knots, the last feature is the constant) giving logits; and logits out of fold."""

    weights: Array
    held_out: Array


def fit_heads(
    rows: sparse.csr_matrix, invariant: sparse.csr_matrix, target: Array, folds: npt.NDArray[np.intp], shape: Shape
) -> Heads:
    """Fit level and shape of the targets over the knots, each with its own penalty, then calibrate each knot."""
    count = len(target)
    everything = sparse.vstack([rows, invariant]).tocsr()
    kernel = gram(everything)
    groups = np.concatenate((folds, np.full(invariant.shape[0], -1)))
    level = target.mean(axis=1, keepdims=True)
    centre = target.mean(axis=0)
    common = np.repeat(level - level.mean(), target.shape[1], axis=1)
    if shape.alpha_shape is None:
        parts = [(common, shape.alpha)]
    elif shape.alpha_shape == shape.alpha:
        parts = [(target - centre, shape.alpha)]
    else:
        parts = [(common, shape.alpha), (target - centre - common, shape.alpha_shape)]
    held_out = np.tile(centre, (count, 1))
    weights = np.zeros((everything.shape[1], target.shape[1]))
    for part, alpha in parts:
        padded = np.vstack([part, np.zeros((invariant.shape[0], part.shape[1]))])
        held_out += out_of_fold(kernel, padded, groups, alpha)[:count]
        weights += TextRidge(alpha, fit_intercept=False).fit(everything, padded).coef_.reshape(len(weights), -1)
    weights[-1] += centre
    for knot in range(target.shape[1]):
        slope, intercept = platt(held_out[:, knot], target[:, knot])
        held_out[:, knot] = held_out[:, knot] * slope + intercept
        weights[:, knot] *= slope
        weights[-1, knot] += intercept
    return Heads(weights, held_out)


def platt(raw: Array, target: Array, weight: Array | None = None) -> tuple[float, float]:
    """Slope and intercept so that sigmoid(slope * raw + intercept) matches soft targets."""
    values = np.concatenate((raw, raw))[:, None]
    labels = np.repeat([1, 0], len(raw))
    masses = np.clip(np.concatenate((target, 1 - target)), 1e-6, None)
    if weight is not None:
        masses = masses * np.concatenate((weight, weight))
    fitted = LogisticRegression(C=1e4, max_iter=500).fit(values, labels, sample_weight=masses)
    return float(fitted.coef_[0, 0]), float(fitted.intercept_[0])
