"""Pure: how strongly figures of two arms speak against "the arm makes no difference", however often one looks.

`against_equal` is a test by betting on which arm a request was in, given what became of it (an e-value by exponential
tilting, the conditional form of Robbins' mixture): had the arms been dealt by lot with share q and were they alike,
then E[exp(t A y) / (1 - q + q exp(t y))] = 1 for each request and each tilt t, whatever the distribution of y. No
moment has to exist, and one huge y moves the product by at most 1 / q. A product beyond 1 / alpha is seen with
probability alpha at most, over all looks together (Ville; Howard et al. 2021, Waudby-Smith and Ramdas 2023). The share
is the one that came about and y is taken from its mean, so that a constant costs nothing; what that gives away is paid
back by the saddle point's correction, but for a rest that vanishes as requests come in. What is compared is, for each
tilt, the mean of the logistic transform of y, so that a canary with the same mean but heavier tails may look worse:
the guards therefore also ask that the plain difference of means is harmful.

`interval` is a confidence sequence for a difference of means (Robbins' normal mixture, in the limit of Waudby-Smith et
al. 2024): wide at first, it may be looked at always. `against_at_most` is exact: a mixture of likelihood ratios.
"""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

# Tilts for shares (odds of a canary request to be bad) and for amounts in multiples of the revenue of a request.
SHARE_TILTS: Floats = np.log(np.array([1.15, 1.3, 1.6, 2.0, 3.0, 6.0, 20.0]))
AMOUNT_TILTS: Floats = 0.02 * 1.8 ** np.arange(10, dtype=np.float64)
RATIOS = (1.25, 1.5, 2.0, 3.0, 5.0)


def against_equal(values: Floats, canary: Floats, control: Floats, tilts: Floats) -> Floats:
    """Log e-value by tilt that the canary's values are no higher: `values` occurred so often in each arm."""
    numbers = float(canary.sum()), float(control.sum())
    if min(numbers) == 0:
        return np.zeros(len(tilts))
    number, both = sum(numbers), canary + control
    share = numbers[0] / number
    tilted = np.outer(tilts, values - float(both @ values) / number)
    log_sum = np.logaddexp(math.log1p(-share), math.log(share) + tilted)
    chance = np.exp(math.log(share) + tilted - log_sum)  # to be the canary's, of a value, were it tilted so
    # Dealt without replacement, which the product does not know: the saddle point's share of it.
    spread = number * share * (1.0 - share) / np.maximum((chance * (1.0 - chance)) @ both, 1e-12)
    return np.asarray(tilted @ canary - log_sum @ both - np.log(np.maximum(spread, 1.0)) / 2.0)


def bet(by_tilt: Floats) -> float:
    """Bet on one tilt for all strata, and on one for each: arms may differ by much in some and not at all in others.

    `by_tilt` holds the log evidence of each stratum by tilt.
    """
    together = mix_evidence(by_tilt.sum(axis=0))
    apart = sum(mix_evidence([0.0, mix_evidence(of_stratum)]) for of_stratum in by_tilt)
    return mix_evidence([together, apart])


def against_at_most(bad: int, requests: int, at_most: float) -> float:
    """Log e-value that a share is at most so high."""
    if requests == 0 or at_most >= 1.0:
        return 0.0
    base = max(at_most, 1e-9)
    shares = {min(base * ratio, (1.0 + base) / 2) for ratio in RATIOS} | {(1.0 + base) / 2}
    return mix_evidence([bad * math.log(p / base) + (requests - bad) * math.log((1 - p) / (1 - base)) for p in shares])


def mix_evidence(log_evidence: Sequence[float] | Floats) -> float:
    """The log of the mean of e-values, which is an e-value too."""
    logs = np.asarray(log_evidence, dtype=np.float64)
    top = float(logs.max())
    return top + math.log(float(np.exp(logs - top).mean()))


def interval(estimate: float, variance: float, alpha: float, scale: float) -> tuple[float, float]:
    """Bounds that hold at all looks together; narrowest, for its width, where it separates `scale` from nothing."""
    information = 1.0 / max(variance, 1e-18)
    prior = 9.0 / scale**2 / 8.0
    radius = math.sqrt((information + prior) * math.log((information + prior) / (prior * alpha**2))) / information
    return estimate - radius, estimate + radius
