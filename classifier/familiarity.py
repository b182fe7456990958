"""What is fitted for texts of no known kind: how to tell them, and what length alone says of them. Training only.

Each kind of source is left out in turn: what the gate of the others makes of its texts is what unknown texts look
like. What is learned of length must hold within every source, so it is fitted on differences within sources.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
from sklearn.linear_model import LogisticRegression

from classifier.design import Design, Scales
from classifier.features import LONGEST_SENTENCE, QUESTION
from classifier.model import NEAREST

Array = npt.NDArray[np.float64]
Rows = npt.NDArray[np.intp]

ALWAYS_KNOWN = (0.0, 0.0, 0.0, 30.0)
_FOLDS = 3
_STRENGTH = 0.5  # of the penalty on what length tells, in observations of each source's variance
_KIND_WEIGHT = 1000.0


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
) -> Array:
    """Weights of distance, margin and likeness, and a constant: the log-odds that a text's kind is known.

    `folds` keep clusters whole. With fewer than three kinds there is nothing to learn from, and all are known.
    """
    if len(experts) < 3:
        return np.array(ALWAYS_KNOWN)
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
        for at in experts.values():
            held = at[part[at] == fold]
            signs.append(gate.signs(whole, taught, scales, usual, held))
            labels.append(np.ones(len(held)))
            masses.append(np.full(len(held), _KIND_WEIGHT / len(at)))
    learner = LogisticRegression(C=1.0, max_iter=300)
    learner.fit(np.vstack(signs), np.concatenate(labels), sample_weight=np.concatenate(masses))
    return np.append(learner.coef_[0], learner.intercept_)


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
            seen = whole.seen_in(experts[name], self._min_documents).astype(np.float64)
            share = np.asarray((whole.grams[at] > 0) @ seen) / (sizes * usual[name])
            distance = np.where(likeliest == place, distances, distance)
            likeness = np.where(likeliest == place, np.minimum(1.0, share), likeness)
        return np.stack((np.log(distance + NEAREST), np.log1p(ordered[:, -1] - ordered[:, -2]), likeness), axis=1)


def fit_general(whole: Design, common: Scales, targets: Sequence[tuple[Rows, Array]], typical: Array) -> Array:
    """By knot: how far a logit falls with the length of the question and of its longest sentence; and its level.

    `targets` holds rows and chances (rows x knots) of one source each. Nothing becomes easier by being longer.
    """
    fitted = np.zeros((len(typical), 3))
    fitted[:, 2] = np.log(typical / (1 - typical))
    for knot in range(len(typical)):
        inner, outer = np.eye(2) * _STRENGTH, np.zeros(2)
        for at, chances in targets:
            signals = common.apply([whole.documents[row] for row in at])[:, [QUESTION, LONGEST_SENTENCE]]
            signals = signals - signals.mean(axis=0)
            chance = chances[:, knot]
            logit = (chance - chance.mean()) / max(0.05, float(np.mean(chance * (1 - chance))))
            inner += signals.T @ signals / len(at)
            outer += signals.T @ logit / len(at)
        fitted[knot, :2] = np.maximum(0.0, -np.linalg.solve(inner, outer))
    return fitted
