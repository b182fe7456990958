"""Requests of the past as columns of numbers: what a back-test replays. Holds no text, knows no database."""

from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray

from router.types import Reason, Tier

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

TIERS = tuple(Tier)  # the columns of everything that has one per tier
FAST, REASONING, PARALLEL = (TIERS.index(tier) for tier in (Tier.FAST, Tier.REASONING, Tier.PARALLEL))
# Where a score decided; in every other case the request goes where it went whatever the thresholds are.
SCORED = (
    Reason.BELOW_THRESHOLD,
    Reason.ABOVE_THRESHOLD,
    Reason.SHARE_CAP,
    Reason.FOLLOW_UP,
    Reason.PUSHBACK,
    Reason.EXPLORED,
)


@dataclass(frozen=True, slots=True)
class Traffic:
    """Requests of `auto` that a score decided, in the order in which they came; NaN is unknown.

    `tiers` are places in TIERS: the first choice, to which cost and time of escalations and fallbacks belong.
    `rewards` are feedback from 0 to 1. `others` counts requests of the same time that no score decided.
    """

    scores: Floats
    may_vote: Bools
    p_fast: Floats
    p_reasoning: Floats
    tiers: Ints
    propensities: Floats
    cost_usd: Floats
    revenue_usd: Floats
    total_ms: Floats
    rewards: Floats
    segments: Ints
    segment_names: tuple[str, ...]
    others: int = 0

    def __len__(self) -> int:
        return len(self.scores)

    def rows(self, chosen: Bools | Ints | slice) -> "Traffic":
        """Only some of the rows."""
        columns = [field.name for field in fields(self) if field.name not in ("segment_names", "others")]
        return replace(self, **{name: getattr(self, name)[chosen] for name in columns})
