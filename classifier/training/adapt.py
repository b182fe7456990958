"""`tierwise train`: adapts a model to an operator's own labelled traffic. Training only.

Few labels place the tiers on the base's scale and move its calibration; enough of them, judged by cross-validation,
teach a ranking of their own, alone or mixed with the word of the base.
What it learns from are examples: features and what is known of each tier. No text is needed.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits

from classifier.model import DifficultyModel
from classifier.rows import ReadFeatures, pack
from classifier.training.design import folds_of
from classifier.training.inherited import InheritedModel
from classifier.training.labels import GradedConversation
from classifier.training.levels import KnownOutcomes, fit_level, gain, sigmoid
from classifier.training.ranking import as_model, mix_with_base, own_ranking
from classifier.types import Abilities

Array = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
Progress = Callable[[str], None]

FEWEST_LABELS = 20
FEWEST_FOR_RANKING = 200


@dataclass(frozen=True, slots=True)
class Example:
    """What was read of a conversation, and how right each tier's answer was, 0..1; None: not known."""

    seen: ReadFeatures
    fast: float | None
    reasoning: float | None
    fast_weight: float = 1.0
    reasoning_weight: float = 1.0

    @property
    def cluster(self) -> str:
        """Conversations that read alike belong on one side of a split."""
        return hashlib.blake2b(pack(self.seen), digest_size=8).hexdigest()


@dataclass(frozen=True)
class Adapted:
    """The adapted model, what was done, and out-of-fold predictions (examples x tiers) to judge it by."""

    model: DifficultyModel
    method: str
    held_out: Array


def adapt(labels: Sequence[GradedConversation], base: DifficultyModel, version: str, progress: Progress) -> Adapted:
    """Fit to labelled conversations."""
    examples = [Example(base.read(label.turns), label.fast, label.reasoning) for label in labels]
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
    """Fit to examples; the method with the lower squared error of the gain out of fold is kept.

    Where one expert of the base speaks, the base alone is kept only if it is better by more than one standard error.
    """
    known, seen = gather_outcomes(examples), [example.seen for example in examples]
    progress(f"{len(examples)} labels: placing and calibrating the base")
    inherited_model = InheritedModel(base, seen, abilities)
    calibrated = recalibrate(base, inherited_model, known, version)
    if int(known.is_paired.sum()) < fewest_for_ranking:
        return calibrated
    with threadpool_limits(limits=1):  # a second thread gains little, and waits busily where cores are shared
        own = own_ranking([each.features for each in seen], known, progress)
        mixtures = mix_with_base(own, base, inherited_model, known)
    best = min((own, *mixtures), key=lambda each: known.gain_error(each.held_out))
    excess = known.gain_errors(best.held_out) - known.gain_errors(calibrated.held_out)
    margin = float(excess.std()) / len(excess) ** 0.5 if mixtures else 0.0
    for name, held_out in (("base", calibrated.held_out), ("own ranking", own.held_out), ("best", best.held_out)):
        progress(f"squared error of the gain: {name} {known.gain_error(held_out):.4f}")
    if excess.mean() > margin:
        return calibrated
    return Adapted(as_model(best, seen, known, base, version), best.method, best.held_out)


def gather_outcomes(examples: Sequence[Example]) -> KnownOutcomes:
    """Gather the outcomes and folds of examples."""
    outcomes = np.array([(e.fast or 0.0, e.reasoning or 0.0) for e in examples], np.float64)
    weights = np.array(
        [(e.fast_weight * (e.fast is not None), e.reasoning_weight * (e.reasoning is not None)) for e in examples],
        np.float64,
    )
    return KnownOutcomes(outcomes, weights, folds_of([example.cluster for example in examples]))


def recalibrate(base: DifficultyModel, inherited_model: InheritedModel, known: KnownOutcomes, version: str) -> Adapted:
    """Take the base at the abilities that the labels speak for, with a slope and a level of each tier's logits."""

    def calibrate(tier: int, taught: Mask) -> tuple[float, Array, float, float]:
        right, weight = known.outcomes[:, tier], known.weights_for(tier, taught)
        ability, logits = inherited_model.place(tier, right, weight)
        return ability, logits, *fit_level(logits, right, weight)

    held_out = np.zeros_like(known.outcomes)
    for fold in np.unique(known.folds):
        test = known.folds == fold
        for tier in range(2):
            _, logits, slope, level = calibrate(tier, ~test)
            held_out[test, tier] = sigmoid(slope * logits[test] + level)
    before = base.parameters.final.astype(np.float64)
    calibrations = [calibrate(tier, np.ones(len(held_out), np.bool_)) for tier in range(2)]
    final = [
        [slope * before[at, 0], slope * before[at, 1] + level] for at, (_, _, slope, level) in enumerate(calibrations)
    ]
    parameters = replace(
        base.parameters,
        final=np.array(final, np.float32),
        reference=np.array([ability for ability, _, _, _ in calibrations], np.float32),
        reference_scores=np.sort(gain(held_out)).astype(np.float32),
    )
    model = DifficultyModel(parameters, version=version, abilities=base.abilities, is_adapted=True)
    return Adapted(model, "calibration of the base", held_out)
