"""What is guarded while a canary answers, from where on it is harmful, and how a verdict reads. Values only."""

import math
from dataclasses import dataclass
from enum import StrEnum

LONGEST_ODDS = 1_000_000_000  # whatever is beyond is as good as certain


class Guard(StrEnum):
    """A figure that a canary must not make worse."""

    MARGIN = "margin"
    ERRORS = "errors"
    SLOW = "slow"
    REGENERATES = "regenerates"
    THUMBS_DOWN = "thumbs_down"
    DEEP_SHARE = "deep_share"


class GuardStatus(StrEnum):
    """How a canary, or one of its guards, stands."""

    UNDECIDED = "undecided"
    BREACHED = "breached"
    PASSED = "passed"


@dataclass(frozen=True, slots=True)
class HarmLimits:
    """From where on a difference is harmful, how seldom an innocent canary may be rolled back, and when it has passed.

    `margin` is in parts of the revenue of a request, all others are shares of the requests: .01 more errors is one
    more in a hundred requests. A request is slow when it took longer to its first byte than 95 of 100 of the control
    did. The deep share is held against the canary's own cap, or the control's share where that is above it.
    """

    margin: float = 0.05
    errors: float = 0.01
    slow: float = 0.05
    regenerates: float = 0.02
    thumbs_down: float = 0.01
    deep_share: float = 0.02
    false_alarms: float = 0.04
    margin_part: float = 0.5  # of the false alarms; the others share the rest
    least_requests: int = 20
    most_requests: int = 5_000
    clustering: float = 1.5  # requests of one conversation are alike: so many count as one, until the books tell

    def harmful(self, guard: Guard) -> float:
        """From where on a difference is harmful."""
        return float(getattr(self, guard.value))

    def alpha(self, guard: Guard) -> float:
        """How often this guard alone may be wrong about an innocent canary."""
        if guard is Guard.MARGIN:
            return self.false_alarms * self.margin_part
        return self.false_alarms * (1 - self.margin_part) / (len(Guard) - 1)


@dataclass(frozen=True, slots=True)
class GuardFinding:
    """What one guard sees: the figure of both arms, the harm with bounds that hold at all looks, and the evidence.

    `evidence` is the natural logarithm of an e-value; from `needed` on it is beyond chance.
    """

    guard: Guard
    canary: float
    control: float
    harm: float
    low: float
    high: float
    evidence: float
    needed: float
    harmful: float

    def requests_needed(self, requests: int) -> float:
        """Tell after how many requests it would be decided if they go on like these; infinite where none would do.

        An interval narrows as the root of their number, evidence grows with it.
        """
        room, width = self.harmful - self.harm, self.high - self.harm
        if room > 0.0:
            return requests * (width / room) ** 2 if math.isfinite(width) else math.inf
        return requests * self.needed / self.evidence if self.evidence > 0.0 else math.inf

    @property
    def standing(self) -> GuardStatus:
        """Harm shown, harm excluded, or neither yet."""
        if self.evidence >= self.needed and self.harm >= self.harmful:
            return GuardStatus.BREACHED
        return GuardStatus.PASSED if self.high < self.harmful else GuardStatus.UNDECIDED

    def __str__(self) -> str:
        """Write the finding for an operator."""
        name = self.guard.value.replace("_", " ")
        odds = f"1 in {min(math.exp(min(max(self.evidence, 0.0), 50.0)), LONGEST_ODDS):,.0f}"
        return f"{name} {self.canary:.3f} where {self.control:.3f} is without it; by chance at most {odds}"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What all guards together say; while that is nothing yet, after about how many `more` requests they can tell."""

    standing: GuardStatus
    findings: tuple[GuardFinding, ...]
    canary_requests: int
    control_requests: int
    more: int = 0

    @property
    def breached(self) -> GuardFinding | None:
        """The guard with the strongest evidence of harm."""
        breached = [finding for finding in self.findings if finding.standing is GuardStatus.BREACHED]
        return max(breached, key=lambda finding: finding.evidence - finding.needed, default=None)

    def __str__(self) -> str:
        """Write the verdict for an operator and for the log."""
        seen = f"{self.canary_requests:,} requests beside {self.control_requests:,}"
        if (finding := self.breached) is not None:
            return f"{finding} (after {seen})"
        if self.standing is GuardStatus.PASSED:
            is_sure = all(finding.standing is GuardStatus.PASSED for finding in self.findings)
            return f"{'every guard excludes harm' if is_sure else 'no guard was breached'} after {seen}"
        return f"too early to tell after {seen}: about {self.more:,} more requests of the canary are needed"
