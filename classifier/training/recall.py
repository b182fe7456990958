"""Kinds of question that come from templates: what is said of a template that was taught. Training only.

A new question of a known template shares almost all of its words with those taught, a new template about half. So an
expert has two words: the one that holds for new templates, and a surer one for a template that it recalls.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sklearn.linear_model import LogisticRegression

from classifier.training.design import Design

Array = npt.NDArray[np.float64]
Rows = npt.NDArray[np.intp]


@dataclass(frozen=True)
class Recall:
    """Log-odds that a text's template was taught: by share of its n-grams that the expert knows, and a constant."""

    slope: float
    constant: float


def shares_known(whole: Design, at: Rows, known: npt.NDArray[np.bool_], folds: Rows) -> Array:
    """Share of each text's n-grams that the texts of the other folds hold."""
    shares = np.zeros(len(at))
    for fold in np.unique(folds):
        held = folds == fold
        common = known & whole.frequent_grams(at[~held], 1)
        sizes = np.array([max(1, len(whole.documents[row].grams)) for row in at[held]])
        shares[held] = np.asarray((whole.grams[at[held]] > 0) @ common.astype(np.float64)) / sizes
    return shares


def fit_recall(new: Array, taught: Array) -> Recall:
    """Tell questions of taught templates from those of new ones; both are shares of known n-grams."""
    shares = np.concatenate((new, taught))[:, None]
    label = np.repeat([0, 1], [len(new), len(taught)])
    fitted = LogisticRegression(C=100.0).fit(shares, label)
    return Recall(float(fitted.coef_[0, 0]), float(fitted.intercept_[0]))
