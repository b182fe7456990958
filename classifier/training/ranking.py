"""A ranking of one's own: linear, fitted to the labels alone, or mixed with the word of the base. Training only."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy import sparse

from classifier.features import Features
from classifier.model import DifficultyModel, Parameters
from classifier.rows import ReadFeatures
from classifier.training.design import Design, Scales, design, scales_of
from classifier.training.familiarity import ALWAYS_KNOWN
from classifier.training.heads import Shape, platt
from classifier.training.inherited import LEAST_LIKENESS, InheritedModel, Word, merge_vocabularies, words_of
from classifier.training.learner import gram, out_of_fold, solve
from classifier.training.levels import KnownOutcomes, fit_level, gain, logit, sigmoid
from classifier.training.recipe import Columns
from classifier.training.wrapping import invariances_of
from classifier.vocabulary import Vocabulary, learn

Array = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
Progress = Callable[[str], None]

CANDIDATES = tuple(
    Shape(alpha=alpha, alpha_shape=alpha, surface_weight=weight)
    for alpha in (1.5, 3.0, 6.0, 12.0)
    for weight in (0.06, 0.12)
)
OWN_SHARES = (0.75, 0.5, 0.25)  # of the own ranking in a mixture with the base


@dataclass(frozen=True)
class Ranking:
    """A linear ranking: weights (features x tiers) over a vocabulary, and chances out of fold."""

    vocabulary: Vocabulary
    scales: Scales
    whole: Design
    shape: Shape
    weights: Array
    held_out: Array
    own_share: float = 1.0

    @property
    def method(self) -> str:
        """What was done, in the operator's words."""
        fitted = f"strength {self.shape.alpha}, surface weight {self.shape.surface_weight}"
        if self.own_share == 1:
            return f"own ranking ({fitted})"
        return f"own ranking ({fitted}) and {1 - self.own_share:.0%} the word of the base"


def own_ranking(documents: list[Features], known: KnownOutcomes, progress: Progress) -> Ranking:
    """A single expert on the labels alone, its strength and weights chosen out of fold."""
    scales = scales_of(documents)
    vocabulary = learn(documents, [0] * len(documents), min_documents=1, max_rows=100_000)
    whole, at, seen = design(documents, vocabulary), np.arange(len(documents)), np.ones(len(vocabulary), np.bool_)
    best: tuple[float, Shape, Array, Array] | None = None
    tiers: dict[float, list[_Tier]] = {}
    for shape in CANDIDATES:
        if shape.surface_weight not in tiers:
            invariant = invariances_of(documents, vocabulary, scales, seen, shape.surface_weight)
            rows = whole.rows(at, scales, seen, shape.surface_weight)
            tiers[shape.surface_weight] = [_Tier(rows, invariant, known, tier) for tier in range(2)]
        fitted = [tier.fit(shape.alpha) for tier in tiers[shape.surface_weight]]
        weights, chances = (np.stack(part, axis=1) for part in zip(*fitted, strict=True))
        loss = known.gain_error(chances) + known.chance_error(chances)
        progress(f"strength {shape.alpha}, surface {shape.surface_weight}: loss {loss:.4f}")
        if best is None or loss < best[0]:
            best = loss, shape, weights, chances
    assert best is not None
    return Ranking(vocabulary, scales, whole, *best[1:])


def mix_with_base(
    own: Ranking, base: DifficultyModel, inherited_model: InheritedModel, known: KnownOutcomes
) -> list[Ranking]:
    """Mix with the word of the expert that the base speaks with here; none where no single one is heard."""
    if base.is_adapted:
        return []
    count, grams = len(known.folds), len(own.vocabulary)
    every, weight = np.ones(count, np.bool_), own.shape.surface_weight
    vocabulary = merge_vocabularies(own.vocabulary, base)
    foreign = slice(grams, len(vocabulary))  # of which the labelled texts hold none
    rows = own.whole.rows(np.arange(count), own.scales, np.ones(grams, np.bool_), weight)

    def calibrate(word: Word, tier: int, taught: Mask) -> tuple[Array, Array, Array]:
        """Calibrated weights, what they say, and what the base says."""
        right, mass = known.outcomes[:, tier], known.weights_for(tier, taught)
        place = inherited_model.place(tier, right, mass)
        weights = word.at(place.ability)
        logits_of_word = np.asarray(rows @ np.delete(weights, foreign))
        slope, level = fit_level(logits_of_word, right, mass)
        weights = weights * slope
        weights[-1] += level
        return weights, slope * logits_of_word + level, place.logits

    def likeness(word: Word) -> float:
        return min(_correlation(*calibrate(word, tier, every)[1:]) for tier in range(2))

    likest = max(words_of(base, vocabulary, own.scales, weight), key=likeness)
    if likeness(likest) < LEAST_LIKENESS:
        return []
    inherited = np.stack([calibrate(likest, tier, every)[0] for tier in range(2)], axis=1)
    logits_of_word = np.zeros_like(own.held_out)
    for fold in np.unique(known.folds):
        test = known.folds == fold
        for tier in range(2):
            logits_of_word[test, tier] = calibrate(likest, tier, ~test)[1][test]
    padded = np.insert(own.weights, [grams] * (len(vocabulary) - grams), 0.0, axis=0)
    logits = logit(own.held_out)
    return [
        replace(
            own,
            vocabulary=vocabulary,
            weights=share * padded + (1 - share) * inherited,
            held_out=sigmoid(share * logits + (1 - share) * logits_of_word),
            own_share=share,
        )
        for share in OWN_SHARES
    ]


def _correlation(one: Array, other: Array) -> float:
    return float(np.corrcoef(one, other)[0, 1]) if one.std() and other.std() else 0.0


def as_model(
    ranking: Ranking, seen: Sequence[ReadFeatures], known: KnownOutcomes, base: DifficultyModel, version: str
) -> DifficultyModel:
    """A model of one expert."""
    vocabulary, scales, whole = ranking.vocabulary, ranking.scales, ranking.whole
    columns = Columns.empty(len(vocabulary), len(scales.mean), 4)
    columns.put(slice(0, 2), ranking.weights, ranking.shape.surface_weight)
    lengths = [float(np.log(base.judge(each).output_fast.expected)) for each in seen]
    columns.bias[-1] = float(np.mean(lengths))
    typical = np.average(known.outcomes, axis=0, weights=known.weights).clip(0.02, 0.98)
    parameters = Parameters(
        keys=vocabulary.keys[:-1],
        idf=vocabulary.idf[:-1],
        gram_weights=columns.grams.astype(np.float16).astype(np.float32),
        seen=np.ones((len(vocabulary) + 1, 2), np.float32),
        surface_mean=np.stack([scales.mean] * 2).astype(np.float32),
        surface_scale=np.stack([scales.scale] * 2).astype(np.float32),
        surface_weights=columns.surface.astype(np.float32),
        bias=columns.bias.astype(np.float32),
        recalled=np.zeros((0, 3), np.float32),
        knots=np.array([0.0, 1.0], np.float32),
        reference=np.array([0.0, 1.0], np.float32),
        prior_logits=np.log(typical / (1 - typical)).astype(np.float32),
        final=np.array([[1.0, 0.0], [1.0, 0.0]], np.float32),
        general=np.array([[(0.0, 0.0, logit) for logit in np.log(typical / (1 - typical))]], np.float32),
        familiarity=np.array(ALWAYS_KNOWN, np.float32),
        familiar_coverage=float(np.float32(0.5 * np.quantile(whole.coverage, 0.05))),
        usual_coverage=np.array([np.median(whole.coverage) * 0.7], np.float32),
        spread=base.parameters.spread,
        length_quantiles=base.parameters.length_quantiles,
        thinking=base.parameters.thinking,
        reference_scores=np.sort(gain(ranking.held_out)).astype(np.float32),
    )
    return DifficultyModel(parameters, version=version, abilities=base.abilities, is_adapted=True)


class _Tier:
    """Weighted ridge on a tier's soft outcomes; several strengths share its matrices."""

    def __init__(self, rows: sparse.csr_matrix, invariant: sparse.csr_matrix, known: KnownOutcomes, tier: int) -> None:
        self._is_known = known.of(tier)
        # What is not known weighs next to nothing, and so is predicted and teaches nothing.
        self._mass = np.where(self._is_known, known.weights[:, tier], 1e-9)
        self._root = np.sqrt(self._mass)
        self._target = target = known.outcomes[:, tier]
        self._centre = float(np.average(target[self._is_known], weights=self._mass[self._is_known]))
        self._everything = sparse.vstack([sparse.diags(self._root) @ rows, invariant]).tocsr()
        self._kernel = gram(self._everything)
        self._groups = np.concatenate((known.folds, np.full(invariant.shape[0], -1)))
        taught = np.where(self._is_known, target - self._centre, 0.0) * self._root
        self._padded = np.concatenate((taught, np.zeros(invariant.shape[0])))

    def fit(self, alpha: float) -> tuple[Array, Array]:
        """Weights giving the tier's calibrated logit, and chances out of fold."""
        predicted = out_of_fold(self._kernel, self._padded, self._groups, alpha)[: len(self._target)]
        held_out = self._centre + predicted / self._root
        weights = np.asarray(self._everything.T @ solve(self._kernel, self._padded, alpha)).ravel()
        weights[-1] += self._centre
        at = self._is_known
        slope, intercept = platt(held_out[at], self._target[at], self._mass[at])
        weights *= slope
        weights[-1] += intercept
        return weights, sigmoid(held_out * slope + intercept)
