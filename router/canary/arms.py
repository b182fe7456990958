"""Pure: what became of the requests of a canary and of those beside it, added up as the guards need it.

Nothing here depends on the order in which requests are added, so that every worker, and one that was started anew,
comes to the same figures. Requests are kept apart by stratum: by what was settled about a query before anybody
answered it, so that arms are compared on like queries.
"""

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from router.canary.clusters import Clusters
from router.canary.confidence_sequences import Floats
from router.types import DEFAULT_SEGMENT

STEPS = 16  # histogram steps per doubling: a value is known to 2 %


class Stratum(NamedTuple):
    """What is known of a query before it is answered: its segment, and the tier that either policy wants for it.

    `differs`: the two policies do not treat it alike, or that is not known. Where they do, the canary can change
    nothing about the answer.
    """

    segment: str = DEFAULT_SEGMENT
    control_tier: str | None = None
    canary_tier: str | None = None
    differs: bool = True


@dataclass(frozen=True, slots=True)
class Observation:
    """What became of one request. `revenue_nanousd` is expected; None is unknown, of a cost too."""

    is_canary: bool
    stratum: Stratum
    cost_nanousd: int | None
    revenue_nanousd: int | None = None
    has_failed: bool = False
    first_byte_ms: int | None = None
    asked_again: bool = False
    decided_itself: bool = True  # neither tier nor effort was asked for by the client
    is_deep: bool = False
    conversation: int | None = None  # its mark


@dataclass(slots=True)
class ArmTally:
    """One arm in one stratum."""

    requests: int = 0
    failed: int = 0
    asked_again: int = 0
    thumbs_down: int = 0
    decided: int = 0
    deep: int = 0
    cost_nanousd: int = 0
    revenue_nanousd: int = 0
    revenue_known: int = 0
    costs: Counter[int] = field(default_factory=Counter)
    first_bytes: Counter[int] = field(default_factory=Counter)

    def add(self, seen: Observation) -> None:
        """Count a request."""
        self.requests += 1
        self.failed += seen.has_failed
        self.asked_again += seen.asked_again
        self.decided += seen.decided_itself
        self.deep += seen.decided_itself and seen.is_deep
        if seen.cost_nanousd is not None:
            self.cost_nanousd += seen.cost_nanousd
            self.costs[step_of(seen.cost_nanousd)] += 1
        if seen.revenue_nanousd is not None:
            self.revenue_nanousd += seen.revenue_nanousd
            self.revenue_known += 1
        if seen.first_byte_ms is not None:
            self.first_bytes[step_of(seen.first_byte_ms)] += 1


class Arms:
    """The canary and its control."""

    def __init__(self) -> None:
        self._tallies: dict[Stratum, tuple[ArmTally, ArmTally]] = {}
        self.clusters = Clusters()

    def add(self, seen: Observation) -> None:
        """Count a request."""
        self.tally(seen.stratum, is_canary=seen.is_canary).add(seen)
        cost, wait = seen.cost_nanousd, seen.first_byte_ms
        self.clusters.add(
            seen.conversation, None if cost is None else step_of(cost), None if wait is None else step_of(wait)
        )

    def tally(self, stratum: Stratum, *, is_canary: bool) -> ArmTally:
        """One arm in one stratum, to add to."""
        if stratum not in self._tallies:
            self._tallies[stratum] = (ArmTally(), ArmTally())
        return self._tallies[stratum][0 if is_canary else 1]

    def strata(self) -> Iterator[tuple[Stratum, ArmTally, ArmTally]]:
        """Every stratum with its canary and its control."""
        for stratum, (canary, control) in self._tallies.items():
            yield stratum, canary, control

    def total(self, name: str, *, is_canary: bool) -> int:
        """Add a count up over the strata."""
        return sum(getattr(pair[0 if is_canary else 1], name) for pair in self._tallies.values())


def step_of(value: int) -> int:
    """The histogram step of a value; 0 is nothing."""
    return 0 if value <= 0 else 1 + math.floor(STEPS * math.log2(value))


def value_of(steps: Floats) -> Floats:
    """The values in the middle of steps."""
    return np.where(steps == 0, 0.0, 2.0 ** ((steps - 0.5) / STEPS))
