"""Fits what tells the form of an answer and the stakes: words, cues, and what the rules make of the cues.

One ridge regression of nine columns on the train split. Which scores it gives out of fold, with all queries of an
author in one fold, decides how far each type is favoured and from where on stakes are high.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import sparse

from classifier.consumer import TYPES, WORD_BITS
from classifier.training.consumer_corpus import ConsumerQuery
from classifier.training.consumer_rows import Array, HashedTexts, Reading, authors_of, hint_rows_of
from classifier.training.learner import gram, out_of_fold, solve
from classifier.types import Stakes

_STRENGTH = 0.9
_STEPS = np.arange(-0.3, 0.31, 0.02)


@dataclass(frozen=True)
class FittedForms:
    """Weights by column (stakes, then the types), and the shares of both that are right out of fold."""

    words: Array  # 2**WORD_BITS, 9
    hints: Array  # HINTS, 9
    bias: Array  # 9
    stakes_right: float
    types_right: float


def fit_forms(queries: Sequence[ConsumerQuery], readings: Sequence[Reading], texts: HashedTexts) -> FittedForms:
    """Fit on queries, whose words were counted."""
    hints, of_hints = hint_rows_of(readings)
    rows = sparse.hstack([texts.counted[:, : 1 << WORD_BITS], hints]).tocsr()
    targets = _targets(queries)
    usual = targets.mean(axis=0)
    kernel = gram(rows) + 1.0
    held_out = usual + out_of_fold(kernel, targets - usual, authors_of(queries), _STRENGTH)
    threshold, stakes_right = _threshold(held_out[:, 0], targets[:, 0] > 0)
    favours, types_right = _favours(held_out[:, 1:], targets[:, 1:].argmax(axis=1))
    dual = solve(kernel, targets - usual, _STRENGTH)
    weights = np.asarray(rows.T @ dual)
    by_word = texts.fold_words(weights[: 1 << WORD_BITS])
    bias = usual + dual.sum(axis=0) + np.concatenate(([-threshold], favours))
    return FittedForms(by_word, weights[1 << WORD_BITS :] * of_hints[:, None], bias, stakes_right, types_right)


def _targets(queries: Sequence[ConsumerQuery]) -> Array:
    """One for high stakes, then one for the type of each query."""
    types = [[query.answer_type is each for each in TYPES] for query in queries]
    return np.column_stack(([query.stakes is Stakes.HIGH for query in queries], np.array(types))).astype(np.float64)


def _threshold(scores: Array, is_high: npt.NDArray[np.bool_]) -> tuple[float, float]:
    """The score from which on stakes are called high so that most are right."""
    thresholds = np.quantile(scores, np.linspace(0.8, 0.999, 200))
    shares = [float(((scores > threshold) == is_high).mean()) for threshold in thresholds]
    return float(thresholds[int(np.argmax(shares))]), max(shares)


def _favours(scores: Array, types: npt.NDArray[np.intp]) -> tuple[Array, float]:
    """What is added to the score of each type so that most are right, found type by type, three times round."""
    favours, right = np.zeros(scores.shape[1]), 0.0
    for _ in range(3):
        for at in range(len(favours)):
            shares = []
            for step in _STEPS:
                moved = scores + favours
                moved[:, at] += step
                shares.append(float((moved.argmax(axis=1) == types).mean()))
            right = max(shares)
            favours[at] += _STEPS[int(np.argmax(shares))]
    return favours, right
