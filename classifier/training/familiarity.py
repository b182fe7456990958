"""How texts of no known kind are told. Training only.

Each kind of source is left out in turn: what the gate of the others makes of its texts is what unknown texts look
like. classifier/training/length.py says what is made of them.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sklearn.linear_model import LogisticRegression

from classifier.model import DOUBTFUL, NEAREST, TRUSTED
from classifier.training.design import Design, Scales

Array = npt.NDArray[np.float64]
Rows = npt.NDArray[np.intp]

ALWAYS_KNOWN = (0.0, 0.0, 0.0, 30.0)
_FOLDS = 3
_KIND_WEIGHT = 1000.0


@dataclass(frozen=True)
class Familiarity:
    """Weights of distance, margin and likeness, and a constant: the log-odds that a text's kind is known.

    `known` is what they make, out of fold, of each expert's own texts: how far the expert's word counts there.
    """

    weights: Array
    known: Mapping[str, Array]


def fit_gate(whole: Design, experts: Mapping[str, Rows], scales: Scales, surface_weight: float) -> Array:
    """Weights (features and the constant, by expert) of which expert a text belongs to; two experts or more."""
    label = np.repeat(np.arange(len(experts)), [len(at) for at in experts.values()])
    every = np.ones(whole.grams.shape[1], np.bool_)
    rows = whole.rows(np.concatenate(list(experts.values())), scales, every, surface_weight)[:, :-1]
    gate = LogisticRegression(C=50.0, max_iter=300, tol=1e-3).fit(rows, label)
    weights = np.vstack([gate.coef_.T, gate.intercept_])
    return np.hstack([np.zeros_like(weights), weights]) if len(experts) == 2 else weights


def fit_familiarity(
    whole: Design,
    experts: Mapping[str, Rows],
    scales: Mapping[str, Scales],
    usual: Mapping[str, float],
    folds: npt.NDArray[np.intp],
    gate: "Gate",
) -> Familiarity:
    """Learn what unknown texts look like from each kind left out.

    `folds` keep clusters whole. With fewer than three kinds there is nothing to learn from, and all are known.
    """
    if len(experts) < 3:
        return Familiarity(np.array(ALWAYS_KNOWN), {name: np.ones(len(at)) for name, at in experts.items()})
    own = {name: np.zeros((len(at), 3)) for name, at in experts.items()}
    signs, labels, masses = [], [], []
    for name, at in experts.items():
        others = {other: rows for other, rows in experts.items() if other != name}
        unknown = gate.signs(whole, others, scales, usual, at)
        signs.append(unknown)
        labels.append(np.zeros(len(at)))
        masses.append(np.full(len(at), _KIND_WEIGHT / len(at)))
    part = folds % _FOLDS
    for fold in range(_FOLDS):
        taught = {name: at[part[at] != fold] for name, at in experts.items()}
        for name, at in experts.items():
            held = at[part[at] == fold]
            signs.append(gate.signs(whole, taught, scales, usual, held))
            own[name][part[at] == fold] = signs[-1]
            labels.append(np.ones(len(held)))
            masses.append(np.full(len(held), _KIND_WEIGHT / len(at)))
    learner = LogisticRegression(C=1.0, max_iter=300)
    learner.fit(np.vstack(signs), np.concatenate(labels), sample_weight=np.concatenate(masses))
    weights = np.append(learner.coef_[0], learner.intercept_)
    return Familiarity(weights, {name: _weight(each, weights) for name, each in own.items()})


def _weight(signs: Array, weights: Array) -> Array:
    """How far the experts' word counts, as `DifficultyModel` reads it."""
    chance = 1 / (1 + np.exp(-(signs @ weights[:-1] + weights[-1])))
    return np.asarray(np.clip((chance - DOUBTFUL) / (TRUSTED - DOUBTFUL), 0.0, 1.0))


class Gate:
    """Fits gates as the recipe does, each set of experts once, and reads texts by them."""

    def __init__(self, common: Scales, surface_weight: float, sharpness: float, min_documents: int) -> None:
        self._common, self._surface_weight, self._sharpness = common, surface_weight, sharpness
        self._min_documents = min_documents
        self._fitted: dict[bytes, Array] = {}

    def weights(self, whole: Design, experts: Mapping[str, Rows]) -> Array:
        """The gate's weights, sharpened."""
        key = b"|".join(at.tobytes() for at in experts.values())
        if key not in self._fitted:
            self._fitted[key] = fit_gate(whole, experts, self._common, self._surface_weight) * self._sharpness
        return self._fitted[key]

    def signs(
        self,
        whole: Design,
        experts: Mapping[str, Rows],
        scales: Mapping[str, Scales],
        usual: Mapping[str, float],
        at: Rows,
    ) -> Array:
        """What tells whether texts are of a known kind, as `DifficultyModel` reads it."""
        every = np.ones(whole.grams.shape[1], np.bool_)
        rows = whole.rows(at, self._common, every, self._surface_weight)
        logits = np.asarray(rows @ self.weights(whole, experts))
        likeliest = logits.argmax(axis=1)
        ordered = np.sort(logits, axis=1)
        documents = [whole.documents[row] for row in at]
        distance, likeness = np.zeros(len(at)), np.zeros(len(at))
        sizes = np.array([max(1, len(document.grams)) for document in documents])
        for place, name in enumerate(experts):
            distances = np.abs(scales[name].apply(documents)).mean(axis=1)
            seen = whole.frequent_grams(experts[name], self._min_documents).astype(np.float64)
            share = np.asarray((whole.grams[at] > 0) @ seen) / (sizes * usual[name])
            distance = np.where(likeliest == place, distances, distance)
            likeness = np.where(likeliest == place, np.minimum(1.0, share), likeness)
        return np.stack((np.log(distance + NEAREST), np.log1p(ordered[:, -1] - ordered[:, -2]), likeness), axis=1)
