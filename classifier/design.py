"""Texts as matrices for the learner, and the rows that teach it what must not matter. Training only."""

import random
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import sparse

from classifier.features import Features, extract
from classifier.model import SURFACE_BOUND
from classifier.vocabulary import Vocabulary, learn
from classifier.wording import PREFIXES, SUFFIXES

Array = npt.NDArray[np.float64]
_INVARIANCE_ROWS = 150


@dataclass(frozen=True)
class Scales:
    """Centre and spread of the surface signals."""

    mean: Array
    scale: Array

    def apply(self, documents: Sequence[Features]) -> Array:
        """Standardised and bounded signals."""
        surface = np.stack([document.surface for document in documents]).astype(np.float64)
        return np.clip((surface - self.mean) / self.scale, -SURFACE_BOUND, SURFACE_BOUND)


@dataclass(frozen=True)
class Design:
    """N-grams at unit length, standardised surface signals, and the share of n-grams known."""

    grams: sparse.csr_matrix
    surface: Array
    coverage: Array

    def rows(self, surface_weight: float) -> sparse.csr_matrix:
        """All features side by side, the constant last."""
        constant = np.ones((len(self.surface), 1))
        return sparse.hstack([self.grams, self.surface * surface_weight, constant]).tocsr()


def scales_of(documents: Sequence[Features]) -> Scales:
    """Scales that training documents have; the floor keeps rare signals from exploding."""
    surface = np.stack([document.surface for document in documents]).astype(np.float64)
    return Scales(surface.mean(axis=0), surface.std(axis=0) + 0.05)


def vocabulary_of(documents: list[Features], min_documents: int, max_rows: int) -> Vocabulary:
    """The n-grams worth a weight."""
    return learn(documents, min_documents=min_documents, max_rows=max_rows)


def design(documents: Sequence[Features], vocabulary: Vocabulary, scales: Scales) -> Design:
    """Matrices of documents over a vocabulary."""
    weighed = [vocabulary.weigh(document) for document in documents]
    starts = np.concatenate(([0], np.cumsum([len(rows) for rows, _, _ in weighed])))
    rows = np.concatenate([rows for rows, _, _ in weighed]).astype(np.int64)
    weights = np.concatenate([weights for _, weights, _ in weighed]).astype(np.float64)
    grams = sparse.csr_matrix((weights, rows, starts), shape=(len(documents), len(vocabulary)))
    return Design(grams, scales.apply(documents), np.array([known for _, _, known in weighed]))


def invariances(
    texts: Sequence[str], vocabulary: Vocabulary, scales: Scales, surface_weight: float
) -> sparse.csr_matrix:
    """What wording around a question changes in its features: rows whose target is zero.

    A linear model that predicts zero for a difference is blind to it (tangent propagation).
    """
    chance = random.Random(0)
    chosen = [texts[chance.randrange(len(texts))] for _ in range(_INVARIANCE_ROWS)]
    plain = design([extract(text) for text in chosen], vocabulary, scales)
    wrapped = design([extract(_wrapped(text, chance)) for text in chosen], vocabulary, scales)
    return wrapped.rows(surface_weight) - plain.rows(surface_weight)


def _wrapped(text: str, chance: random.Random) -> str:
    kind = chance.random()
    if kind < 0.35:
        return chance.choice(PREFIXES) + text
    text += chance.choice(SUFFIXES)
    return text if kind < 0.85 else chance.choice(PREFIXES) + text


def folds_of(clusters: Sequence[str], count: int = 5, seed: int = 7) -> npt.NDArray[np.intp]:
    """Folds that keep clusters whole, by a seeded shuffle of cluster names."""
    names = sorted(set(clusters))
    order = np.random.default_rng(seed).permutation(len(names))
    fold_of = {name: int(at) % count for name, at in zip(names, order, strict=True)}
    return np.array([fold_of[cluster] for cluster in clusters])
