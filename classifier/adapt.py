"""`tierwise train`: adapts a model to an operator's own labelled traffic. Training only.

Few labels move the calibration of the base; enough of them, judged by cross-validation, teach a ranking of their own.
What it learns from are examples: features and what is known of each tier. No text is needed.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy import sparse

from classifier.design import design, folds_of, scales_of
from classifier.familiarity import ALWAYS_KNOWN
from classifier.heads import Shape, platt
from classifier.labels import Label
from classifier.learner import gram, out_of_fold, solve
from classifier.model import DifficultyModel, Parameters
from classifier.recipe import Columns
from classifier.rows import Seen, packed, read
from classifier.types import Abilities
from classifier.vocabulary import learn
from classifier.wrapping import invariances_of

Array = npt.NDArray[np.float64]
Folds = npt.NDArray[np.intp]
Progress = Callable[[str], None]

FEWEST_LABELS = 20
FEWEST_FOR_RANKING = 200
FEWEST_OF_A_TIER = 10  # with fewer, a tier's calibration stays as it is
CANDIDATES = tuple(
    Shape(alpha=alpha, alpha_shape=alpha, surface_weight=weight)
    for alpha in (1.5, 3.0, 6.0, 12.0)
    for weight in (0.06, 0.12)
)


@dataclass(frozen=True, slots=True)
class Prior:
    """What slope is expected of the base's logits on new traffic (level: 0), and how surely: standard deviations."""

    slope: float
    slope_scale: float
    level_scale: float


# On new traffic the slope of the base is believed, its level hardly; `classifier.settling` prints what else was tried.
PRIOR = Prior(slope=1.0, slope_scale=0.3, level_scale=1.5)
_UNCHANGED = (1.0, 0.0)


@dataclass(frozen=True, slots=True)
class Example:
    """What was read of a conversation, and how right each tier's answer was, 0..1; None: not known."""

    seen: Seen
    fast: float | None
    reasoning: float | None
    fast_weight: float = 1.0
    reasoning_weight: float = 1.0

    @property
    def cluster(self) -> str:
        """Conversations that read alike belong on one side of a split."""
        return hashlib.blake2b(packed(self.seen), digest_size=8).hexdigest()


@dataclass(frozen=True)
class Adapted:
    """The adapted model, what was done, and out-of-fold predictions (examples x tiers) to judge it by."""

    model: DifficultyModel
    method: str
    held_out: Array


@dataclass(frozen=True)
class _Known:
    """Outcomes by example and tier, how much each weighs (0: not known), and folds."""

    outcomes: Array
    weights: Array
    folds: Folds

    @property
    def is_paired(self) -> npt.NDArray[np.bool_]:
        """Of which examples both tiers are known."""
        return np.asarray((self.weights > 0).all(axis=1))

    def of(self, tier: int) -> npt.NDArray[np.bool_]:
        """Of which examples a tier is known."""
        return np.asarray(self.weights[:, tier] > 0)

    def gain_error(self, chances: Array) -> float:
        """Squared error of the gain where both tiers are known."""
        error = _gain(chances) - _gain(self.outcomes)
        return float(np.mean(error[self.is_paired] ** 2))

    def chance_error(self, chances: Array) -> float:
        """Squared error of P(correct), mean of both tiers."""
        errors = (chances - self.outcomes) ** 2
        return float(np.mean([np.average(errors[:, tier], weights=self.weights[:, tier]) for tier in range(2)]))


def adapt(labels: Sequence[Label], base: DifficultyModel, version: str, progress: Progress) -> Adapted:
    """Fit to labelled conversations."""
    examples = [Example(read(label.turns), label.fast, label.reasoning) for label in labels]
    return adapt_to_examples(examples, base, version, progress)


def adapt_to_examples(
    examples: Sequence[Example],
    base: DifficultyModel,
    version: str,
    progress: Progress,
    *,
    abilities: Abilities = Abilities(),  # noqa: B008 - frozen
    fewest_for_ranking: int = FEWEST_FOR_RANKING,
) -> Adapted:
    """Fit to examples; the method with the lower squared error of the gain out of fold is kept."""
    known = _known(examples)
    progress(f"{len(examples)} labels: calibrating the base")
    judged = [base.judge(example.seen, abilities) for example in examples]
    logits = np.array([(_logit(each.p_fast), _logit(each.p_reasoning)) for each in judged])
    best = _recalibrated(base, logits, known, version, abilities)
    paired = int(known.is_paired.sum())
    if paired < fewest_for_ranking:
        return best
    own = _own(examples, known, base, version, progress)
    losses = [known.gain_error(each.held_out) for each in (best, own)]
    progress(f"squared error of the gain: base {losses[0]:.4f}, own ranking {losses[1]:.4f}")
    return own if losses[1] <= losses[0] else best


def _known(examples: Sequence[Example]) -> _Known:
    outcomes = np.array([(e.fast or 0.0, e.reasoning or 0.0) for e in examples], np.float64)
    weights = np.array(
        [(e.fast_weight * (e.fast is not None), e.reasoning_weight * (e.reasoning is not None)) for e in examples],
        np.float64,
    )
    return _Known(outcomes, weights, folds_of([example.cluster for example in examples]))


def _gain(chances: Array) -> Array:
    return np.asarray(chances[:, 1] - chances[:, 0])


def _logit(chance: float) -> float:
    return float(np.log(chance / (1 - chance)))


def _sigmoid(logits: Array) -> Array:
    return np.asarray(1 / (1 + np.exp(-logits)))


def level_and_slope(
    logits: Array, right: Array, weight: Array | None = None, prior: Prior = PRIOR
) -> tuple[float, float]:
    """The most probable slope and intercept under the prior, by Newton's method with steps that never make it worse."""
    expected = np.array([prior.slope, 0.0])
    mass = np.ones_like(logits) if weight is None else weight
    precision = np.diag([prior.slope_scale**-2, prior.level_scale**-2])
    features = np.stack((logits, np.ones_like(logits)), axis=1)

    def loss(at: Array) -> float:
        said = features @ at
        away = at - expected
        return float(np.sum(mass * (np.logaddexp(0, said) - right * said)) + away @ precision @ away / 2)

    found, least = expected, loss(expected)
    for _ in range(25):
        chance = _sigmoid(features @ found)
        gradient = features.T @ (mass * (right - chance)) - precision @ (found - expected)
        hessian = (features * (mass * chance * (1 - chance))[:, None]).T @ features + precision
        step = np.linalg.solve(hessian, gradient)
        while (tried := loss(found + step)) > least and abs(step).max() > 1e-9:
            step = step / 2
        if tried >= least:
            break
        found, least = found + step, tried
    return float(found[0]), float(found[1])


def _recalibrated(base: DifficultyModel, logits: Array, known: _Known, version: str, abilities: Abilities) -> Adapted:
    """The base with a slope and a level of each tier's logits."""

    def moved(tier: int, taught: npt.NDArray[np.bool_]) -> tuple[float, float]:
        at = taught & known.of(tier)
        if at.sum() < FEWEST_OF_A_TIER:
            return _UNCHANGED
        return level_and_slope(logits[at, tier], known.outcomes[at, tier], known.weights[at, tier])

    held_out = np.zeros_like(logits)
    for fold in np.unique(known.folds):
        test = known.folds == fold
        for tier in range(2):
            slope, level = moved(tier, ~test)
            held_out[test, tier] = _sigmoid(slope * logits[test, tier] + level)
    before = base.parameters.final.astype(np.float64)
    moves = [moved(tier, np.ones(len(logits), np.bool_)) for tier in range(2)]
    final = [[slope * before[tier, 0], slope * before[tier, 1] + level] for tier, (slope, level) in enumerate(moves)]
    parameters = replace(
        base.parameters,
        final=np.array(final, np.float32),
        reference=_reference(base, abilities),
        reference_scores=np.sort(_gain(held_out)).astype(np.float32),
    )
    model = DifficultyModel(parameters, version=version, abilities=base.abilities, is_adapted=True)
    return Adapted(model, "calibration of the base", held_out)


def _reference(base: DifficultyModel, abilities: Abilities) -> npt.NDArray[np.float32]:
    """At which abilities the base was asked: what is adapted stays there."""
    if base.is_adapted:
        return base.parameters.reference
    given = (abilities.fast, abilities.reasoning)
    return np.array([r if a is None else a for a, r in zip(given, base.parameters.reference, strict=True)], np.float32)


def _own(
    examples: Sequence[Example], known: _Known, base: DifficultyModel, version: str, progress: Progress
) -> Adapted:
    """A single expert on the labels alone, its strength and weights chosen out of fold."""
    documents = [example.seen.features for example in examples]
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
    _, shape, weights, chances = best
    columns = Columns.empty(len(vocabulary), len(scales.mean), 4)
    columns.put(slice(0, 2), weights, shape.surface_weight)
    lengths = [float(np.log(base.judge(example.seen).output_fast.expected)) for example in examples]
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
        reference_scores=np.sort(_gain(chances)).astype(np.float32),
    )
    model = DifficultyModel(parameters, version=version, abilities=base.abilities, is_adapted=True)
    return Adapted(model, f"own ranking (strength {shape.alpha}, surface weight {shape.surface_weight})", chances)


class _Tier:
    """Weighted ridge on a tier's soft outcomes; several strengths share its matrices."""

    def __init__(self, rows: sparse.csr_matrix, invariant: sparse.csr_matrix, known: _Known, tier: int) -> None:
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
        return weights, _sigmoid(held_out * slope + intercept)
