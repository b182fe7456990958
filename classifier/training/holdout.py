"""Judges an adapted model beside the base and every control, on examples that came after those it learnt from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from classifier.features import SURFACE_NAMES
from classifier.model import DifficultyModel
from classifier.training import controls, metrics
from classifier.training.adapt import Example
from classifier.types import UNKNOWN_INTERVAL, Abilities, Interval

Array = npt.NDArray[np.float64]

FEWEST_PAIRS = 100  # examples of which both tiers are known
FEWEST_NEEDS = 10  # of those, where only reasoning was right
ADAPTED, BASE = "adapted", "shipped"
_CHARACTERS = SURFACE_NAMES.index("characters")


class HoldoutVerdict(StrEnum):
    """What the later examples say of the adapted model beside its base."""

    BETTER = "better"
    NO_DIFFERENCE = "no difference shown"
    WORSE = "worse"
    TOO_LITTLE = "not enough evidence"


@dataclass(frozen=True, slots=True)
class RankingCheck:
    """How well scores find the queries that need the reasoning tier."""

    need: Interval  # AUROC
    apgr: Interval


@dataclass(frozen=True, slots=True)
class CalibrationCheck:
    """How P(correct) of one tier holds; `floor` is the error that noise alone makes at this size."""

    labels: int
    ece: Interval
    floor: float
    brier: float


@dataclass(frozen=True, slots=True)
class HoldoutReport:
    """Figures on the later slice. `difference`: squared error of the gain, adapted less base; below 0 is better."""

    pairs: int
    needed: int
    quality: tuple[float, float]  # always fast, always reasoning
    rankings: Mapping[str, RankingCheck]
    calibrations: Mapping[str, tuple[CalibrationCheck | None, CalibrationCheck | None]]
    difference: Interval | None
    verdict: HoldoutVerdict


def predict(examples: Sequence[Example], model: DifficultyModel, abilities: Abilities) -> Array:
    """Predict P(correct) of both tiers: examples x tiers."""
    judgements = [model.judge(example.seen, abilities) for example in examples]
    return np.array([(each.p_fast, each.p_reasoning) for each in judgements], np.float64).reshape(-1, 2)


def compare_on_holdout(
    examples: Sequence[Example], adapted: DifficultyModel, base: DifficultyModel, abilities: Abilities
) -> HoldoutReport:
    """Compare on examples that neither model has seen."""
    chances = {ADAPTED: predict(examples, adapted, abilities), BASE: predict(examples, base, abilities)}
    clusters = [example.cluster for example in examples]
    calibrations = {
        name: (
            _calibration(predicted[:, 0], [e.fast for e in examples]),
            _calibration(predicted[:, 1], [e.reasoning for e in examples]),
        )
        for name, predicted in chances.items()
    }
    at = np.array([e.fast is not None and e.reasoning is not None for e in examples], np.bool_)
    weak = np.array([e.fast for e in examples if e.fast is not None and e.reasoning is not None], np.float64)
    strong = np.array([e.reasoning for e in examples if e.fast is not None and e.reasoning is not None], np.float64)
    if not len(weak):
        return HoldoutReport(0, 0, (float("nan"), float("nan")), {}, calibrations, None, HoldoutVerdict.TOO_LITTLE)
    gains = {name: predicted[at, 1] - predicted[at, 0] for name, predicted in chances.items()}
    length = np.array([float(e.seen.features.surface[_CHARACTERS]) for e in examples])[at]
    scores = {
        **gains,
        "length only": length,
        "cost-matched shuffled": controls.shuffled(gains[ADAPTED]),
        "random": controls.random(len(weak)),
        "oracle": controls.oracle(weak, strong),
    }
    of = [cluster for cluster, is_paired in zip(clusters, at, strict=True) if is_paired]
    rankings = {name: _ranking(score, weak, strong, of) for name, score in scores.items()}
    errors = {name: (gain - (strong - weak)) ** 2 for name, gain in gains.items()}
    difference = metrics.bootstrap(lambda rows: float(np.mean(errors[ADAPTED][rows] - errors[BASE][rows])), of)
    needed = int(need_of(weak, strong).sum())
    verdict = _verdict(len(weak), needed, difference)
    quality = float(weak.mean()), float(strong.mean())
    return HoldoutReport(len(weak), needed, quality, rankings, calibrations, difference, verdict)


def need_of(weak: Array, strong: Array) -> npt.NDArray[np.bool_]:
    """Which queries need the reasoning tier: the fast one fails and the reasoning one does not."""
    return np.asarray((weak < 0.5) & (strong >= 0.5))


def _verdict(pairs: int, needed: int, difference: Interval) -> HoldoutVerdict:
    if pairs < FEWEST_PAIRS or needed < FEWEST_NEEDS:
        return HoldoutVerdict.TOO_LITTLE
    if difference.high < 0:
        return HoldoutVerdict.BETTER
    return HoldoutVerdict.WORSE if difference.low > 0 else HoldoutVerdict.NO_DIFFERENCE


def _ranking(score: Array, weak: Array, strong: Array, clusters: Sequence[str]) -> RankingCheck:
    need = need_of(weak, strong)
    with np.errstate(all="ignore"):
        return RankingCheck(
            _bootstrap(lambda rows: metrics.auroc(need[rows], score[rows]), clusters),
            _bootstrap(lambda rows: metrics.apgr(score[rows], weak[rows], strong[rows]), clusters),
        )


def _bootstrap(measure: metrics.Measure, clusters: Sequence[str]) -> Interval:
    """As `metrics.bootstrap`; where the measure has no value in any draw, neither has the interval."""
    if np.isnan(measure(np.arange(len(clusters)))):
        return UNKNOWN_INTERVAL
    return metrics.bootstrap(measure, clusters)


def _calibration(predicted: Array, known: Sequence[float | None]) -> CalibrationCheck | None:
    at = np.array([value is not None for value in known], np.bool_)
    if not at.any():
        return None
    chance, right = predicted[at], np.array([value for value in known if value is not None], np.float64)
    rows = [str(row) for row in range(len(right))]
    ece = metrics.bootstrap(lambda drawn: metrics.ece(chance[drawn], right[drawn]), rows)
    return CalibrationCheck(len(right), ece, metrics.ece_floor(chance), metrics.brier(chance, right))
