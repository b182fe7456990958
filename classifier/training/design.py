"""Texts as matrices for the learner, and the rows that teach it what must not matter. Training only."""

import random
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import sparse

from classifier.features import Features, extract
from classifier.model import SURFACE_BOUND
from classifier.vocabulary import Vocabulary
from classifier.wording import around

Array = npt.NDArray[np.float64]
INVARIANCE_ROWS = 480
INSISTENCE = 4.0  # how strongly differences are held to be nothing


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
    """N-grams weighed by tf-idf, the documents they came from, and the share of n-grams known."""

    grams: sparse.csr_matrix
    documents: Sequence[Features]
    coverage: Array

    def frequent_grams(self, at: npt.NDArray[np.intp], min_documents: int) -> npt.NDArray[np.bool_]:
        """Which n-grams at least so many of the documents `at` hold."""
        return np.asarray(self.grams[at].getnnz(axis=0) >= min_documents, np.bool_)

    def rows(
        self, at: npt.NDArray[np.intp], scales: Scales, seen: npt.NDArray[np.bool_], surface_weight: float
    ) -> sparse.csr_matrix:
        """Features of the documents `at`: the seen n-grams at unit length, surface signals, and the constant last."""
        grams = self.grams[at] @ sparse.diags(seen.astype(np.float64))
        lengths = np.sqrt(np.asarray(grams.multiply(grams).sum(axis=1)).ravel())
        grams = sparse.diags(1.0 / np.maximum(lengths, 1e-6)) @ grams
        surface = scales.apply([self.documents[row] for row in at]) * surface_weight
        return sparse.hstack([grams, surface, np.ones((len(at), 1))]).tocsr()


def scales_of(documents: Sequence[Features]) -> Scales:
    """Scales that training documents have; the floor keeps rare signals from exploding."""
    surface = np.stack([document.surface for document in documents]).astype(np.float64)
    return Scales(surface.mean(axis=0), surface.std(axis=0) + 0.05)


def design(documents: Sequence[Features], vocabulary: Vocabulary) -> Design:
    """Matrices of documents over a vocabulary."""
    weighed = [vocabulary.weigh(document) for document in documents]
    starts = np.concatenate(([0], np.cumsum([len(rows) for rows, _, _ in weighed])))
    rows = np.concatenate([rows for rows, _, _ in weighed]).astype(np.int64)
    weights = np.concatenate([weights for _, weights, _ in weighed]).astype(np.float64)
    grams = sparse.csr_matrix((weights, rows, starts), shape=(len(documents), len(vocabulary)))
    return Design(grams, documents, np.array([known for _, _, known in weighed]))


def invariances(
    texts: Sequence[str],
    vocabulary: Vocabulary,
    scales: Scales,
    seen: npt.NDArray[np.bool_],
    surface_weight: float,
) -> sparse.csr_matrix:
    """What wording around a question changes in its features: rows whose target is zero.

    A linear model that predicts zero for a difference is blind to it (tangent propagation).
    """
    chance = random.Random(0)
    chosen = [texts[chance.randrange(len(texts))] for _ in range(INVARIANCE_ROWS)]
    at = np.arange(len(chosen))
    plain = design([extract(text) for text in chosen], vocabulary)
    wrapped = design([extract(text.join(around(chance))) for text in chosen], vocabulary)
    return (wrapped.rows(at, scales, seen, surface_weight) - plain.rows(at, scales, seen, surface_weight)) * INSISTENCE


def folds_of(clusters: Sequence[str], count: int = 5, seed: int = 7) -> npt.NDArray[np.intp]:
    """Folds that keep clusters whole, by a seeded shuffle of cluster names."""
    names = sorted(set(clusters))
    order = np.random.default_rng(seed).permutation(len(names))
    fold_of = {name: int(at) % count for name, at in zip(names, order, strict=True)}
    return np.array([fold_of[cluster] for cluster in clusters])
