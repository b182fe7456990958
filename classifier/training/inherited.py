"""What an adapted model inherits from its base: where its tiers stand on the base's scale, and an expert's word.

Abilities are told from the labels where nobody gave them. An expert's word is linear in n-grams and signals, so that a
mixture of it with a ranking of one's own is one table again. Training only.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from classifier.model import DifficultyModel
from classifier.rows import ReadFeatures
from classifier.training.design import Scales
from classifier.training.levels import logit
from classifier.types import Abilities
from classifier.vocabulary import Vocabulary

Array = npt.NDArray[np.float64]

_GRID = np.linspace(-3.5, 4.3, 40)
_PRIOR_SCALE = 1.0  # around the reference; some fifty labels outweigh it
LEAST_LIKENESS = 0.5  # of an expert's logits to the base's own, for the base to be speaking with its voice


class Placed(NamedTuple):
    """Where a tier stands, and the base's logits of all examples there."""

    ability: float
    logits: Array


class InheritedModel:
    """What a base says of examples, at whatever abilities."""

    def __init__(self, model: DifficultyModel, seen: Sequence[ReadFeatures], abilities: Abilities) -> None:
        """Take abilities that are known; those that are not are open, unless the base is adapted and has its own."""
        self._reference: list[float] = model.parameters.reference.tolist()
        self._given = (abilities.fast, abilities.reasoning)
        judged = [model.judge(each, abilities) for each in seen]
        self._settled = logit(np.array([(each.p_fast, each.p_reasoning) for each in judged]).reshape(-1, 2))
        self._is_open = [not model.is_adapted and ability is None for ability in self._given]
        self._at: Array | None = None
        if any(self._is_open):
            pairs = [Abilities(float(low), float(high)) for low, high in _GRID.reshape(-1, 2)]
            chances = [[(j.p_fast, j.p_reasoning) for at in pairs for j in (model.judge(each, at),)] for each in seen]
            self._at = np.array(chances).reshape(len(seen), len(_GRID))

    def place(self, tier: int, right: Array, weight: Array) -> Placed:
        """Place a tier at the posterior mean of its ability, given outcomes (0..1) of the examples that have weight."""
        given, reference = self._given[tier], self._reference[tier]
        if self._at is None or not self._is_open[tier] or not weight.any():
            return Placed(reference if given is None else given, self._settled[:, tier])
        likelihood = (weight * right) @ np.log(self._at) + (weight * (1 - right)) @ np.log1p(-self._at)
        likelihood -= ((_GRID - reference) / _PRIOR_SCALE) ** 2 / 2
        mass = np.exp(likelihood - likelihood.max())
        ability = float(mass @ _GRID / mass.sum())
        upper = int(np.clip(np.searchsorted(_GRID, ability), 1, len(_GRID) - 1))
        share = (ability - _GRID[upper - 1]) / (_GRID[upper] - _GRID[upper - 1])
        return Placed(ability, logit((1 - share) * self._at[:, upper - 1] + share * self._at[:, upper]))


@dataclass(frozen=True)
class Word:
    """The weights of one expert of a base (features x knots) over a vocabulary and scales of one's own."""

    weights: Array
    knots: Array

    def at(self, ability: float) -> Array:
        """Weights giving the logit at an ability."""
        upper = int(np.clip(np.searchsorted(self.knots, ability), 1, len(self.knots) - 1))
        share = (ability - self.knots[upper - 1]) / (self.knots[upper] - self.knots[upper - 1])
        return np.asarray((1 - share) * self.weights[:, upper - 1] + share * self.weights[:, upper])


def merge_vocabularies(own: Vocabulary, base: DifficultyModel) -> Vocabulary:
    """Join two vocabularies: one's own n-grams, then those that only the base knows."""
    keys, idf = base.parameters.keys, base.parameters.idf
    is_new = ~np.isin(keys, own.keys[:-1])
    return Vocabulary(np.append(own.keys[:-1], keys[is_new]), np.append(own.idf[:-1], idf[is_new]))


def words_of(base: DifficultyModel, vocabulary: Vocabulary, scales: Scales, surface_weight: float) -> list[Word]:
    """The word of each expert, laid out as `Design.rows` is; where signals are clipped it is only nearly the same."""
    given = base.parameters
    knots = len(given.knots)
    order = np.argsort(given.keys)
    at = order[np.minimum(np.searchsorted(given.keys[order], vocabulary.keys[:-1]), len(order) - 1)]
    is_known = (given.keys[at] == vocabulary.keys[:-1])[:, None]
    words = []
    for expert in range(len(given.usual_coverage)):
        columns = slice(expert * knots, (expert + 1) * knots)
        # What an expert never saw has no weight in its columns.
        grams = np.where(is_known, given.gram_weights[at][:, columns].astype(np.float32), 0.0)
        signals = given.surface_weights[:, columns] / given.surface_scale[expert][:, None]
        shift = (scales.mean - given.surface_mean[expert]) @ signals + given.bias[columns]
        surface = signals * scales.scale[:, None] / surface_weight
        words.append(Word(np.vstack((grams, surface, shift[None])), given.knots.astype(np.float64)))
    return words
