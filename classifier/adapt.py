"""`tierwise train`: adapts a model to an operator's own labelled traffic. Training only.

Few labels move the calibration of the base; enough of them, judged by cross-validation, teach a ranking of their own.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from classifier.conversation import summarise
from classifier.design import design, folds_of, invariances, scales_of
from classifier.features import extract
from classifier.heads import Heads, Shape, fit_heads
from classifier.labels import Label
from classifier.model import DifficultyModel, Parameters
from classifier.recipe import Columns
from classifier.vocabulary import learn

Array = npt.NDArray[np.float64]
Progress = Callable[[str], None]

FEWEST_LABELS = 20
FEWEST_FOR_RANKING = 200
CANDIDATES = tuple(
    Shape(alpha=alpha, alpha_shape=alpha, surface_weight=weight)
    for alpha in (1.5, 3.0, 6.0, 12.0)
    for weight in (0.06, 0.12)
)
# On new traffic the slope of the base is believed by half, and its level to within some 0.7 of a logit.
_PRIOR_SLOPE, _SLOPE_SCALE, _LEVEL_SCALE = 0.5, 0.2, 0.7


@dataclass(frozen=True)
class Adapted:
    """The adapted model, what was done, and out-of-fold predictions (labels x tiers) to judge it by."""

    model: DifficultyModel
    method: str
    held_out: Array


def adapt(labels: Sequence[Label], base: DifficultyModel, version: str, progress: Progress) -> Adapted:
    """Fit to labels; the method with the lower log loss out of fold is kept."""
    outcomes = np.array([(label.fast, label.reasoning) for label in labels])
    folds = folds_of([_text(label) for label in labels])
    progress(f"{len(labels)} labels: calibrating the base")
    logits = np.array([_logits_of_base(base, label) for label in labels])
    recalibrated = _recalibrated_out_of_fold(logits, outcomes, folds)
    best = Adapted(
        _recalibrated(base, logits, outcomes, recalibrated, version), "calibration of the base", recalibrated
    )
    if len(labels) < FEWEST_FOR_RANKING:
        return best
    own = _own(labels, outcomes, folds, base, version, progress)
    gain = outcomes[:, 1] - outcomes[:, 0]
    losses = [float(np.mean((_gain(each.held_out) - gain) ** 2)) for each in (best, own)]
    progress(f"squared error of the gain: base {losses[0]:.4f}, own ranking {losses[1]:.4f}")
    return own if losses[1] <= losses[0] else best


def _text(label: Label) -> str:
    return summarise(label.turns).text


def _gain(chances: Array) -> Array:
    return np.asarray(chances[:, 1] - chances[:, 0])


def _logits_of_base(base: DifficultyModel, label: Label) -> tuple[float, float]:
    estimate = base.estimate(label.turns)
    return tuple(float(np.log(chance / (1 - chance))) for chance in (estimate.p_fast, estimate.p_reasoning))  # type: ignore[return-value]


def level_and_slope(logits: Array, right: Array) -> tuple[float, float]:
    """The most probable slope and intercept under the priors above, by Newton's method."""
    found = np.array([_PRIOR_SLOPE, 0.0])
    precision = np.diag([_SLOPE_SCALE**-2, _LEVEL_SCALE**-2])
    features = np.stack((logits, np.ones_like(logits)), axis=1)
    for _ in range(25):
        chance = 1 / (1 + np.exp(-(features @ found)))
        gradient = features.T @ (right - chance) - precision @ (found - np.array([_PRIOR_SLOPE, 0.0]))
        hessian = (features * (chance * (1 - chance))[:, None]).T @ features + precision
        found = found + np.linalg.solve(hessian, gradient)
    return float(found[0]), float(found[1])


def _recalibrated_out_of_fold(logits: Array, outcomes: Array, folds: npt.NDArray[np.intp]) -> Array:
    held_out = np.zeros_like(outcomes)
    for fold in np.unique(folds):
        test = folds == fold
        for tier in range(2):
            slope, level = level_and_slope(logits[~test, tier], outcomes[~test, tier])
            held_out[test, tier] = 1 / (1 + np.exp(-(slope * logits[test, tier] + level)))
    return held_out


def _recalibrated(
    base: DifficultyModel, logits: Array, outcomes: Array, held_out: Array, version: str
) -> DifficultyModel:
    moves = [level_and_slope(logits[:, tier], outcomes[:, tier]) for tier in range(2)]
    before = base.parameters.final.astype(np.float64)
    final = [[slope * before[tier, 0], slope * before[tier, 1] + level] for tier, (slope, level) in enumerate(moves)]
    parameters = replace(
        base.parameters,
        final=np.array(final, np.float32),
        reference_scores=np.sort(_gain(held_out)).astype(np.float32),
    )
    return DifficultyModel(parameters, version=version, abilities=base.abilities, is_adapted=True)


def _own(
    labels: Sequence[Label],
    outcomes: Array,
    folds: npt.NDArray[np.intp],
    base: DifficultyModel,
    version: str,
    progress: Progress,
) -> Adapted:
    """A single expert on the labels alone, its strength and weights chosen out of fold."""
    texts = [_text(label) for label in labels]
    documents = [extract(text) for text in texts]
    scales = scales_of(documents)
    vocabulary = learn(documents, [0] * len(documents), min_documents=1, max_rows=100_000)
    whole, at, seen = design(documents, vocabulary), np.arange(len(documents)), np.ones(len(vocabulary), np.bool_)
    gain = outcomes[:, 1] - outcomes[:, 0]
    best: tuple[float, Shape, Heads] | None = None
    for shape in CANDIDATES:
        invariant = invariances(texts, vocabulary, scales, seen, shape.surface_weight)
        heads = fit_heads(whole.rows(at, scales, seen, shape.surface_weight), invariant, outcomes, folds, shape)
        chances = 1 / (1 + np.exp(-heads.held_out))
        loss = float(np.mean((_gain(chances) - gain) ** 2) + np.mean((chances - outcomes) ** 2))
        progress(f"strength {shape.alpha}, surface {shape.surface_weight}: loss {loss:.4f}")
        if best is None or loss < best[0]:
            best = loss, shape, heads
    assert best is not None
    _, shape, heads = best
    columns = Columns.empty(len(vocabulary), len(scales.mean), 4)
    columns.put(slice(0, 2), heads.weights, shape.surface_weight)
    lengths = [float(np.log(base.estimate(label.turns).output_fast.expected)) for label in labels]
    columns.bias[-1] = float(np.mean(lengths))
    typical = outcomes.mean(axis=0).clip(0.02, 0.98)
    chances = 1 / (1 + np.exp(-heads.held_out))
    parameters = Parameters(
        keys=vocabulary.keys[:-1],
        idf=vocabulary.idf[:-1],
        gram_weights=columns.grams.astype(np.float16).astype(np.float32),
        seen=np.ones((len(vocabulary) + 1, 2), np.float32),
        surface_mean=np.stack([scales.mean] * 2).astype(np.float32),
        surface_scale=np.stack([scales.scale] * 2).astype(np.float32),
        surface_weights=columns.surface.astype(np.float32),
        bias=columns.bias.astype(np.float32),
        knots=np.array([0.0, 1.0], np.float32),
        reference=np.array([0.0, 1.0], np.float32),
        prior_logits=np.log(typical / (1 - typical)).astype(np.float32),
        final=np.array([[1.0, 0.0], [1.0, 0.0]], np.float32),
        familiar_coverage=float(np.float32(0.5 * np.quantile(whole.coverage, 0.05))),
        usual_coverage=np.array([np.median(whole.coverage) * 0.7], np.float32),
        spread=base.parameters.spread,
        length_quantiles=base.parameters.length_quantiles,
        thinking=base.parameters.thinking,
        reference_scores=np.sort(_gain(chances)).astype(np.float32),
    )
    model = DifficultyModel(parameters, version=version, abilities=base.abilities, is_adapted=True)
    return Adapted(model, f"own ranking (strength {shape.alpha}, surface weight {shape.surface_weight})", chances)
