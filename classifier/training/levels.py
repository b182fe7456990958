"""Slope and level of logits from few labels, and what is known of both tiers. Training only."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

FEWEST_OF_A_TIER = 10  # with fewer, a tier's calibration stays as it is
UNCHANGED = (1.0, 0.0)


@dataclass(frozen=True, slots=True)
class Prior:
    """What slope is expected of the base's logits on new traffic (level: 0), and how surely: standard deviations."""

    slope: float
    slope_scale: float
    level_scale: float


# On new traffic the slope of the base is believed, its level hardly;
# `scripts/evaluate --settle` prints what else was tried.
PRIOR = Prior(slope=1.0, slope_scale=0.3, level_scale=1.5)


@dataclass(frozen=True)
class KnownOutcomes:
    """Outcomes by example and tier, how much each weighs (0: not known), and folds."""

    outcomes: Array
    weights: Array
    folds: npt.NDArray[np.intp]

    @property
    def is_paired(self) -> npt.NDArray[np.bool_]:
        """Of which examples both tiers are known."""
        return np.asarray((self.weights > 0).all(axis=1))

    def of(self, tier: int) -> npt.NDArray[np.bool_]:
        """Of which examples a tier is known."""
        return np.asarray(self.weights[:, tier] > 0)

    def gain_errors(self, chances: Array) -> Array:
        """Squared errors of the gain where both tiers are known."""
        return np.asarray((gain(chances) - gain(self.outcomes))[self.is_paired] ** 2)

    def gain_error(self, chances: Array) -> float:
        """The mean of `gain_errors`."""
        return float(np.mean(self.gain_errors(chances)))

    def weights_for(self, tier: int, rows: Mask) -> Array:
        """How much each of some examples weighs for a tier; nothing at all where too few are known to move it."""
        weights = self.weights[:, tier] * rows
        return np.asarray(weights if (weights > 0).sum() >= FEWEST_OF_A_TIER else np.zeros_like(weights))

    def chance_error(self, chances: Array) -> float:
        """Squared error of P(correct), mean of both tiers."""
        errors = (chances - self.outcomes) ** 2
        return float(np.mean([np.average(errors[:, tier], weights=self.weights[:, tier]) for tier in range(2)]))


def gain(chances: Array) -> Array:
    """What the reasoning tier adds to P(correct)."""
    return np.asarray(chances[:, 1] - chances[:, 0])


def sigmoid(logits: Array) -> Array:
    """From logits to chances."""
    return np.asarray(1 / (1 + np.exp(-logits)))


def logit(chance: Array) -> Array:
    """From chances to logits."""
    return np.asarray(np.log(chance / (1 - chance)))


def level_and_slope(
    logits: Array, right: Array, weight: Array | None = None, prior: Prior = PRIOR
) -> tuple[float, float]:
    """The most probable slope and intercept under the prior, by Newton's method; a step that overshoots is halved."""
    expected = np.array([prior.slope, 0.0])
    fitted = expected
    mass = np.ones_like(logits) if weight is None else weight
    precision = np.diag([prior.slope_scale**-2, prior.level_scale**-2])
    features = np.stack((logits, np.ones_like(logits)), axis=1)

    def likelihood(at: Array) -> float:
        predicted, apart = features @ at, at - expected
        return float(mass @ (right * predicted - np.logaddexp(0, predicted)) - apart @ precision @ apart / 2)

    for _ in range(25):
        chance = sigmoid(features @ fitted)
        gradient = features.T @ (mass * (right - chance)) - precision @ (fitted - expected)
        hessian = (features * (mass * chance * (1 - chance))[:, None]).T @ features + precision
        step = np.linalg.solve(hessian, gradient)
        for _ in range(20):
            if likelihood(fitted + step) >= likelihood(fitted):
                fitted = fitted + step
                break
            step = step / 2
    return float(fitted[0]), float(fitted[1])


def fit_level(logits: Array, right: Array, weight: Array) -> tuple[float, float]:
    """Fit slope and intercept to the rows that weigh anything; unchanged where none does."""
    at = weight > 0
    return level_and_slope(logits[at], right[at], weight[at]) if at.any() else UNCHANGED
