"""What a score is worth at what the query costs: the number that thresholds are compared with. Pure.

A query for which thinking costs twice what is usual must promise more for the same tier, and one for which it costs
half may promise less: `worth = score / ratio ** cost_sensitivity`, section 7 of the design.
"""

import numpy as np
from numpy.typing import NDArray

HIGHEST = 1.1  # no worth is higher; a threshold above it stays "never"
LEAST_RATIO, MOST_RATIO = 0.25, 16.0
SCORE_DIGITS = 6  # scores and worths are rounded, so that a gain of exactly a threshold reaches it in binary too
USUAL = 1.0  # the ratio of a query that costs what is usual, and of one of which that is not known


def ratio_of(extra_nanousd: float | None, usual_nanousd: float | None) -> float:
    """Tell how many times the usual a query's thinking costs beyond a fast answer, kept within 1/4 and 16.

    1 where either is unknown, or where the usual is nothing.
    """
    if extra_nanousd is None or usual_nanousd is None or usual_nanousd <= 0:
        return USUAL
    return min(max(extra_nanousd / usual_nanousd, LEAST_RATIO), MOST_RATIO)


def worth_of(score: float, ratio: float, sensitivity: float) -> float:
    """Divide a score by what the query costs; what promises nothing stays as it is."""
    if score <= 0 or not sensitivity or ratio == USUAL:
        return score
    divisor: float = ratio**sensitivity
    return round(min(HIGHEST, score / divisor), SCORE_DIGITS)


def worths_of(scores: NDArray[np.float64], ratios: NDArray[np.float64], sensitivity: float) -> NDArray[np.float64]:
    """Do the same to whole columns; a ratio that is not known (NaN) is the usual one."""
    if not sensitivity:
        return scores
    known = np.where(np.isnan(ratios), USUAL, ratios)
    divided = np.round(np.minimum(HIGHEST, scores / known**sensitivity), SCORE_DIGITS)
    return np.where((scores <= 0) | (known == USUAL), scores, divided)
