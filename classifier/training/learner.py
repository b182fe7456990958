"""The learner: ridge regression in its dual form, as a scikit-learn estimator. Training only.

Difficulty labels are few and noisy and features are many, so n x n systems are cheap, and out-of-fold predictions
for every fold and strength come from one Gram matrix.
"""

from typing import Any, Self

import numpy as np
import numpy.typing as npt
from scipy import linalg, sparse
from sklearn.base import BaseEstimator, MultiOutputMixin, RegressorMixin
from sklearn.utils.validation import check_is_fitted, validate_data

Array = npt.NDArray[np.float64]


class TextRidge(MultiOutputMixin, RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """Linear model with squared loss and penalty `alpha`; several targets share one factorisation.

    With `fit_intercept` the targets are centred and a constant feature is added.
    """

    def __init__(self, alpha: float = 1.0, fit_intercept: bool = True) -> None:
        self.alpha = alpha
        self.fit_intercept = fit_intercept

    def fit(self, X: Any, y: Any) -> Self:
        """Learn `coef_` (features, or features x targets) and `intercept_`."""
        X, y = validate_data(self, X, y, accept_sparse="csr", multi_output=True, y_numeric=True, dtype=np.float64)
        targets = np.asarray(y, np.float64)
        centre = targets.mean(axis=0) * self.fit_intercept
        weights = solve(gram(X) + self.fit_intercept, targets - centre, self.alpha)
        self.coef_ = X.T @ weights
        self.intercept_ = centre + weights.sum(axis=0) * self.fit_intercept
        return self

    def predict(self, X: Any) -> Array:
        """Predicted targets of the rows of X."""
        check_is_fitted(self)
        X = validate_data(self, X, accept_sparse="csr", reset=False, dtype=np.float64)
        return np.asarray(X @ self.coef_ + self.intercept_)

    def __sklearn_tags__(self) -> object:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags


def gram(X: Any) -> Array:
    """Inner products of all rows."""
    product = X @ X.T
    return np.asarray(product.toarray() if sparse.issparse(product) else product)


def solve(kernel: Array, targets: Array, alpha: float) -> Array:
    """Dual weights."""
    system = kernel.copy()
    system.flat[:: len(kernel) + 1] += alpha
    return np.asarray(linalg.solve(system, targets, assume_a="pos", overwrite_a=True, check_finite=False), np.float64)


def out_of_fold(kernel: Array, targets: Array, folds: npt.NDArray[np.intp], alpha: float) -> Array:
    """Predict every row from the other folds; rows of a negative fold always teach and are not predicted.

    One inverse serves all folds: what a fold is off by, when it is left out, follows from its block of the inverse.
    """
    system = kernel.copy()
    system.flat[:: len(kernel) + 1] += alpha
    factor, _ = linalg.lapack.dpotrf(system, lower=False, overwrite_a=True)
    inverse, _ = linalg.lapack.dpotri(factor, lower=False, overwrite_c=True)
    inverse = np.triu(inverse)
    inverse += np.triu(inverse, 1).T
    dual = inverse @ targets
    predicted = np.zeros_like(targets)
    for fold in np.unique(folds[folds >= 0]):
        rows = np.flatnonzero(folds == fold)
        off = linalg.solve(inverse[np.ix_(rows, rows)], dual[rows], assume_a="pos", check_finite=False)
        predicted[rows] = targets[rows] - off
    return predicted
