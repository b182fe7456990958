"""The learner: ridge regression in its dual form, as a scikit-learn estimator. Training only.

Difficulty labels are few and noisy and features are many, so n x n systems are cheap, and out-of-fold predictions
for every fold and strength come from one Gram matrix.
"""

from typing import Any, Self

import numpy as np
import numpy.typing as npt
from scipy import sparse
from sklearn.base import BaseEstimator, MultiOutputMixin, RegressorMixin
from sklearn.utils.validation import check_is_fitted, validate_data

Array = npt.NDArray[np.float64]


class TextRidge(MultiOutputMixin, RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """Linear model with squared loss and penalty `alpha`; several targets share one factorisation."""

    def __init__(self, alpha: float = 1.0) -> None:
        self.alpha = alpha

    def fit(self, X: Any, y: Any) -> Self:
        """Learn `coef_` (features, or features x targets) and `intercept_`."""
        X, y = validate_data(self, X, y, accept_sparse="csr", multi_output=True, y_numeric=True, dtype=np.float64)
        targets = np.asarray(y, np.float64)
        weights = solve(gram(X), targets, self.alpha)
        self.coef_ = X.T @ weights
        self.intercept_ = targets.mean(axis=0) + weights.sum(axis=0)
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
    """Inner products of all rows; the added one is the constant feature."""
    product = X @ X.T
    return np.asarray(product.toarray() if sparse.issparse(product) else product) + 1.0


def solve(kernel: Array, targets: Array, alpha: float) -> Array:
    """Dual weights for centred targets."""
    system = kernel + alpha * np.eye(len(kernel))
    solved: Array = np.linalg.solve(system, targets - targets.mean(axis=0))
    return solved


def out_of_fold(kernel: Array, targets: Array, folds: npt.NDArray[np.intp], alpha: float) -> Array:
    """Predict every row from the rows of the other folds."""
    predicted = np.empty_like(targets)
    for fold in np.unique(folds):
        test = folds == fold
        train = ~test
        weights = solve(kernel[np.ix_(train, train)], targets[train], alpha)
        predicted[test] = targets[train].mean(axis=0) + kernel[np.ix_(test, train)] @ weights
    return predicted
