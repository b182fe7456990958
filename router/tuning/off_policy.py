"""How good a policy's answers would be, judged from the logs of another one: IPS, self-normalised, doubly robust.

Pure. Needs feedback, logged propensities and some exploration; says so where they are not enough. Assumes that those
who give feedback are as the others. (Dudik, Langford, Li 2011, "Doubly Robust Policy Evaluation and Learning";
Swaminathan and Joachims 2015, "The Self-Normalized Estimator for Counterfactual Learning".)
"""

from dataclasses import dataclass

import numpy as np

from classifier.types import UNKNOWN_INTERVAL, Interval
from router.tuning.traffic import FAST, TIERS, Floats, Traffic

LEAST_LABELS = 100
LEAST_EFFECTIVE = 50.0
MOST_UNSUPPORTED = 0.001
LEAST_LABELS_TO_SHIFT = 20
MOST_ERRORS_OFF = 4.0
NEVER_EXPLORED = 1.0 - 1e-6  # a propensity from which on nothing else could have happened


@dataclass(frozen=True, slots=True)
class Quality:
    """Mean feedback (0 to 1) under a policy by three estimators; `doubt` says why they should not be relied on."""

    ips: Interval
    snips: Interval
    doubly_robust: Interval
    labels: int
    effective_labels: float
    doubt: str | None


def quality(traffic: Traffic, chances: Floats) -> Quality:
    """Estimate the mean feedback if rows had gone to tiers with these chances."""
    labelled = np.flatnonzero(~np.isnan(traffic.rewards))
    count = len(labelled)
    if count < 2:
        return Quality(UNKNOWN_INTERVAL, UNKNOWN_INTERVAL, UNKNOWN_INTERVAL, count, 0.0, too_few(count))
    rewards, tiers = traffic.rewards[labelled], traffic.tiers[labelled]
    wanted = chances[labelled, tiers]
    weights = wanted / traffic.propensities[labelled]
    total = max(weights.sum(), 1e-12)
    effective = float(total**2 / max((weights**2).sum(), 1e-12))
    ips = weights * rewards
    normalised = float(ips.sum() / total)
    spread = float(np.sqrt((weights**2 * (rewards - normalised) ** 2).sum()) / total)
    heaviest = float(weights.max() / total * rewards.std())
    return Quality(
        widened(_mean(ips), heaviest),
        widened(Interval.around(normalised, spread), heaviest),
        _doubly_robust(traffic, chances, labelled, weights),
        count,
        effective,
        _doubt(count, effective, weights, wanted, traffic.propensities[labelled]),
    )


def _doubly_robust(traffic: Traffic, chances: Floats, labelled: np.ndarray, weights: Floats) -> Interval:
    """Return the classifier's promise for all rows, corrected by what feedback said of the labelled ones."""
    promises = promises_of(traffic, labelled)
    direct = _mean((chances * promises).sum(axis=1))
    surprise = traffic.rewards[labelled] - promises[labelled, traffic.tiers[labelled]]
    correction = widened(_mean(weights * surprise), float(weights.max() / len(labelled) * surprise.std()))
    return Interval.around(direct.value + correction.value, float(np.hypot(direct.error, correction.error)))


def promises_of(traffic: Traffic, labelled: np.ndarray) -> Floats:
    """Return P(correct) by tier, at the level of the feedback where there is enough; parallel counts as reasoning."""
    by_tier = [traffic.p_fast if place == FAST else traffic.p_reasoning for place in range(len(TIERS))]
    promises = np.stack(by_tier, axis=1)
    for place in range(len(TIERS)):
        rated = labelled[traffic.tiers[labelled] == place]
        if len(rated) >= LEAST_LABELS_TO_SHIFT:
            promises[:, place] += (traffic.rewards[rated] - promises[rated, place]).mean()
    return np.clip(promises, 0.0, 1.0)


def _mean(values: Floats) -> Interval:
    return Interval.around(float(values.mean()), float(values.std(ddof=1) / np.sqrt(len(values))))


def widened(interval: Interval, heaviest: float) -> Interval:
    """Add what one more rating of the heaviest weight could do: a few heavy ones hide how much they vary."""
    return Interval.around(interval.value, float(np.hypot(interval.error, heaviest)))


def too_few(count: int) -> str:
    """Say that so many rated answers are no evidence."""
    return f"{count} rated answers, at least {LEAST_LABELS} are needed"


def _doubt(count: int, effective: float, weights: Floats, wanted: Floats, propensities: Floats) -> str | None:
    if count < LEAST_LABELS:
        return too_few(count)
    never_explored = propensities >= NEVER_EXPLORED
    unsupported = float(np.where(never_explored, 1.0 - wanted, 0.0).mean())
    return doubt(count, effective, unsupported, float(weights.mean()), float(weights.std(ddof=1)), float(weights.max()))


def doubt(count: int, effective: float, unsupported: float, mean: float, spread: float, heaviest: float) -> str | None:
    """Say why ratings with weights of this mean, spread and maximum are not enough evidence; None if they are."""
    if count < LEAST_LABELS:
        return too_few(count)
    if unsupported > MOST_UNSUPPORTED:
        return f"{unsupported:.1%} of rated queries would change tier where nothing was explored"
    if effective < LEAST_EFFECTIVE:
        return f"{effective:.0f} effective ratings, at least {LEAST_EFFECTIVE:.0f} are needed"
    # With a few heavy weights the spread is underestimated: at least one of them may be there or not.
    error = max(spread / np.sqrt(count), heaviest / count)
    if abs(mean - 1.0) > max(0.02, MOST_ERRORS_OFF * error):
        return f"weights average {mean:.2f} instead of 1: the log does not cover what this policy does"
    return None
