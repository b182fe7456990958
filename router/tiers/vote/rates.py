"""How far a verifier can be trusted, and how many samples that trust is worth. Pure.

The ceiling law: among many samples of which a share p is right, picking one that the verifier accepts is right with
p*TPR/(p*TPR+(1-p)*FPR), however many are drawn (arXiv 2411.17501 finds the same bend).
"""

from dataclasses import dataclass
from math import sqrt

from classifier.types import Z95, Interval


def wilson(hits: float, n: float) -> Interval:
    """Return Wilson's 95 % interval of a share of n; all of 0..1 when n is zero."""
    if not n:
        return Interval(0.5, 0.0, 1.0)
    share, z2 = hits / n, Z95 * Z95
    centre = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = Z95 * sqrt(share * (1 - share) / n + z2 / (4 * n * n)) / (1 + z2 / n)
    return Interval(share, min(share, max(0.0, centre - half)), max(share, min(1.0, centre + half)))


@dataclass(frozen=True, slots=True)
class VerifierRates:
    """Counts from a labelled bank: right answers accepted of all right, wrong answers accepted of all wrong."""

    right_accepted: int
    right: int
    wrong_accepted: int
    wrong: int

    @property
    def true_positive(self) -> Interval:
        """P(accepted | right)."""
        return wilson(self.right_accepted, self.right)

    @property
    def false_positive(self) -> Interval:
        """P(accepted | wrong)."""
        return wilson(self.wrong_accepted, self.wrong)


def ceiling(p: float, tpr: float, fpr: float) -> float:
    """Return the accuracy that endless samples reach when an accepted one is picked."""
    accepted = p * tpr + (1 - p) * fpr
    return p * tpr / accepted if accepted else p


def accuracy_of_selection(samples: int, p: float, tpr: float, fpr: float) -> float:
    """Return the accuracy of picking an accepted one of so many samples, any one when none is accepted."""
    accepted = p * tpr + (1 - p) * fpr
    none = (1 - accepted) ** samples
    unaccepted_right = p * (1 - tpr) / (1 - accepted) if accepted < 1 else p
    return (1 - none) * ceiling(p, tpr, fpr) + none * unaccepted_right


def worthwhile_samples(p: float, tpr: float, fpr: float, most: int, tolerance: float = 0.005) -> int:
    """Return the fewest samples that come within `tolerance` of the ceiling, at most `most`."""
    goal = ceiling(p, tpr, fpr) - tolerance
    return next((n for n in range(1, most) if accuracy_of_selection(n, p, tpr, fpr) >= goal), most)
