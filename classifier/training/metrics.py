"""Measures of ranking, routing and calibration, and bootstrap intervals around them. numpy only."""

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from classifier.types import Interval

Array = npt.NDArray[np.float64]
Measure = Callable[[npt.NDArray[np.intp]], float]


def auroc(positive: npt.ArrayLike, score: npt.ArrayLike) -> float:
    """Chance that a positive scores above a negative, ties half; NaN where one of the two is missing."""
    is_positive, scores = np.asarray(positive, np.bool_), np.asarray(score, np.float64)
    positives, negatives = int(is_positive.sum()), int((~is_positive).sum())
    if not positives or not negatives:
        return float("nan")
    _, inverse, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[inverse]
    return float((ranks[is_positive].sum() - positives * (positives + 1) / 2) / (positives * negatives))


def quantiles_within(score: Array, part: npt.NDArray[np.intp]) -> Array:
    """Each score as its quantile among those of its own part, ties in the middle; 0..1.

    Scores of models fitted to different folds are not comparable: each fold's level is set by the others, and so runs
    against what is true in it, which pulls an AUROC over all folds below what any of the models has.
    """
    quantiles = np.zeros(len(score))
    for each in np.unique(part):
        at = part == each
        _, inverse, counts = np.unique(score[at], return_inverse=True, return_counts=True)
        quantiles[at] = ((np.cumsum(counts) - counts / 2) / at.sum())[inverse]
    return quantiles


def curve(score: Array, weak: Array, strong: Array, points: int = 10) -> tuple[Array, Array]:
    """Share sent to the strong model, and mean quality, at quantile thresholds of the score (RouteLLM's curve)."""
    edges = np.quantile(score, np.linspace(0, 1, points + 1))
    chosen = [score > edge if at == points else score >= edge for at, edge in enumerate(edges)]
    share = np.array([picked.mean() for picked in chosen])[::-1]
    quality = np.array([np.where(picked, strong, weak).mean() for picked in chosen])[::-1]
    return share, quality


def apgr(score: Array, weak: Array, strong: Array) -> float:
    """Average performance gap recovered: 0.5 is random (RouteLLM, arXiv 2406.18665)."""
    share, quality = curve(score, weak, strong)
    width = np.diff(share)
    area = float(np.sum((quality[1:] + quality[:-1]) / 2 * width))
    low, gap, whole = float(weak.mean()), float(strong.mean() - weak.mean()), float(width.sum())
    return (area - low * whole) / (gap * whole) if gap and whole else float("nan")


def cpt(score: Array, weak: Array, strong: Array, recovered: float) -> float:
    """Share of strong calls that recovers a share of the performance gap."""
    share, quality = curve(score, weak, strong)
    wanted = weak.mean() + recovered * (strong.mean() - weak.mean())
    return float(np.interp(wanted, np.maximum.accumulate(quality), share))


def ece(chance: Array, right: Array, bins: int = 10) -> float:
    """Expected calibration error over bins of equal mass."""
    parts = np.array_split(np.argsort(chance, kind="stable"), bins)
    return float(
        sum(abs(chance[part].mean() - right[part].mean()) * len(part) for part in parts if len(part)) / len(chance)
    )


def ece_floor(chance: Array, draws: int = 40) -> float:
    """The ECE that a perfectly calibrated model would show on as many items: noise, not fault."""
    random = np.random.default_rng(0)
    return float(np.mean([ece(chance, (random.random(len(chance)) < chance).astype(float)) for _ in range(draws)]))


def brier(chance: Array, right: Array) -> float:
    """Mean squared error of a probability."""
    return float(np.mean((chance - right) ** 2))


def bootstrap(measure: Measure, clusters: Sequence[str], draws: int = 300, seed: int = 0) -> Interval:
    """The measure on all rows, and its 95 % interval over draws of whole clusters."""
    names, member = np.unique(np.asarray(clusters), return_inverse=True)
    rows_of = np.split(np.argsort(member, kind="stable"), np.cumsum(np.bincount(member))[:-1])
    random = np.random.default_rng(seed)
    values = [
        measure(np.concatenate([rows_of[at] for at in random.integers(0, len(names), len(names))]))
        for _ in range(draws)
    ]
    low, high = np.nanquantile(values, (0.025, 0.975))
    return Interval(measure(np.arange(len(member))), float(low), float(high))
