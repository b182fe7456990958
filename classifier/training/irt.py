"""Item response theory over the outcome matrix: how able is each model, how hard and how telling is each query.

Two-parameter logistic model, P(right) = sigmoid(a * (ability - b)), fitted for the most probable parameters under
weak priors. Used in training only; serving sees the result through the fitted heads.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Items:
    """What the outcome matrix says of queries (rows) and models (columns)."""

    ability: Array
    difficulty: Array
    discrimination: Array

    def probability(self, ability: float) -> Array:
        """P(right) of each query for a model of that ability."""
        return sigmoid(self.discrimination * (ability - self.difficulty))


def sigmoid(values: Array) -> Array:
    """The logistic function, safe at both ends."""
    return 1.0 / (1.0 + np.exp(-np.clip(values, -30, 30)))


def fit(scores: Array, groups: npt.NDArray[np.intp], *, iterations: int = 400) -> Items:
    """Fit abilities over all queries and a normal prior of difficulty per group of queries (its own mean).

    `scores` is queries x models in 0..1 with NaN for "not asked".
    """
    from scipy.optimize import minimize

    seen = np.isfinite(scores)
    rows, columns = np.nonzero(seen)
    right = scores[seen]
    n_queries, n_models = scores.shape
    group_sizes = np.bincount(groups)

    def loss(flat: Array) -> tuple[float, Array]:
        ability, difficulty, log_slope = np.split(flat, [n_models, n_models + n_queries])
        slope = np.exp(log_slope)
        distance = ability[columns] - difficulty[rows]
        logits = slope[rows] * distance
        chance = sigmoid(logits)
        error = chance - right
        mean = np.bincount(groups, difficulty) / np.maximum(group_sizes, 1)
        spread = difficulty - mean[groups]
        value = float(np.sum(np.logaddexp(0, logits) - right * logits))
        value += float(
            np.sum(ability**2) / 8 + np.sum(spread**2) / 4.5 + np.sum(mean**2) / 18 + 2 * np.sum(log_slope**2)
        )
        of_ability = np.bincount(columns, error * slope[rows], n_models) + ability / 4
        of_difficulty = -np.bincount(rows, error * slope[rows], n_queries) + spread / 2.25
        of_difficulty += (mean / np.maximum(group_sizes, 1) / 9)[groups]
        of_slope = np.bincount(rows, error * logits, n_queries) + 4 * log_slope
        return value, np.concatenate((of_ability, of_difficulty, of_slope))

    start = np.zeros(n_models + 2 * n_queries)
    fitted = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": iterations})
    ability, difficulty, log_slope = np.split(fitted.x, [n_models, n_models + n_queries])
    return Items(ability, difficulty, np.exp(log_slope))
