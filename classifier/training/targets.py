"""What the learner is asked to predict: the chance that a model of given ability is right. Training only."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from classifier.abilities import canonical
from classifier.training import irt
from classifier.training.corpus import Corpus

Array = npt.NDArray[np.float64]
_NEIGHBOURHOOD = 0.7  # of abilities: whose results count as those of a model at a knot


@dataclass(frozen=True)
class Outcomes:
    """The outcome matrix with models merged under their canonical names, and what IRT makes of it."""

    names: tuple[str, ...]
    scores: Array
    items: irt.Items


def outcomes_of(corpus: Corpus) -> Outcomes:
    """Merge spellings of one model and fit abilities and difficulties jointly over all sources."""
    scored = [at for at in range(len(corpus.models)) if np.isfinite(corpus.scores[:, at]).any()]
    names = tuple(sorted({canonical(corpus.models[at]) for at in scored}))
    merged = np.full((len(corpus.queries), len(names)), np.nan)
    for column, name in enumerate(names):
        of_name = corpus.scores[:, [at for at in scored if canonical(corpus.models[at]) == name]]
        counts = np.isfinite(of_name).sum(axis=1)
        merged[:, column] = np.where(counts > 0, np.nansum(of_name, axis=1) / np.maximum(counts, 1), np.nan)
    sources = sorted({query.source for query in corpus.queries})
    groups = np.array([sources.index(query.source) for query in corpus.queries])
    return Outcomes(names, merged, irt.fit(merged, groups))


def targets_of(outcomes: Outcomes, knots: tuple[float, ...], irt_share: float, at: npt.NDArray[np.intp]) -> Array:
    """Chance of being right at each knot, rows `at`: IRT blended with what models near the knot really did."""
    items, scores = outcomes.items, outcomes.scores[at]
    columns = []
    for knot in knots:
        believed = items.probability(knot)[at]
        near = np.exp(-(((items.ability - knot) / _NEIGHBOURHOOD) ** 2))
        weights = np.where(np.isfinite(scores), near, 0.0)
        total = weights.sum(axis=1)
        raw = np.sum(weights * np.nan_to_num(scores), axis=1) / np.maximum(total, 1e-9)
        raw = np.where(total > 0.05, raw, believed)
        columns.append(irt_share * believed + (1 - irt_share) * raw)
    return np.stack(columns, axis=1)


def as_served(outcomes: Outcomes, answered: list[tuple[Array, Array]], knots: tuple[float, ...]) -> dict[str, float]:
    """Abilities at which the fitted heads explain what each model did best, so that its level is right when served.

    `answered` holds, per expert, out-of-fold logits (queries x knots) and scores (queries x models). IRT's own ability
    is the centre of a prior that a few dozen answers outweigh.
    """
    grid = np.linspace(knots[0] - 1.9, knots[-1] + 1.9, 153)
    upper = np.clip(np.searchsorted(knots, grid), 1, len(knots) - 1)
    lower_knot, upper_knot = np.array(knots)[upper - 1], np.array(knots)[upper]
    share = (grid - lower_knot) / (upper_knot - lower_knot)
    abilities = {}
    for column, name in enumerate(outcomes.names):
        support = -((grid - outcomes.items.ability[column]) ** 2) / 2
        for logits, scores in answered:
            asked = np.isfinite(scores[:, column])
            chance = irt.sigmoid(logits[asked][:, upper - 1] * (1 - share) + logits[asked][:, upper] * share)
            right = scores[asked, column][:, None]
            support += np.sum(right * np.log(chance) + (1 - right) * np.log(1 - chance), axis=0)
        abilities[name] = float(grid[np.argmax(support)])
    return abilities
