"""The thresholds that decided a request: its policy's and segment's, as pacing moved them then, and the share cap."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, select

from router.database.pace_tables import PaceStep
from router.decision.policy import Policy
from router.decision.worth import worth_of
from router.pacing.controller import apply_multiplier
from router.pacing.multipliers import FORGOTTEN_US, INTERVAL_US, LAG_US
from router.types import Reason


@dataclass(frozen=True, slots=True)
class Cuts:
    """What a query's worth was held against; `set_parallel` and `set_reasoning` are what the policy says unpaced.

    The share cap lets at most `max_deep_share` through; where it `held` this one back, its own cut was above the worth.
    """

    worth: float
    parallel: float
    reasoning: float
    set_parallel: float
    set_reasoning: float
    multiplier: float
    max_deep_share: float
    held: bool


def cuts_of(connection: Connection, policy: Policy, segment: str, row: Any) -> Cuts:
    """Return what decided a row of requests."""
    own = policy.for_segment(segment)
    multiplier = (
        _multiplier(connection, policy, segment, int(row.id[:12], 16) * 1_000) if policy.pacing == "on" else 1.0
    )
    paced = apply_multiplier(own, multiplier)
    ratio = 1.0 if row.cost_ratio is None else row.cost_ratio
    return Cuts(
        worth_of(row.score, ratio, own.cost_sensitivity),
        paced.parallel_threshold,
        paced.reasoning_threshold,
        own.parallel_threshold,
        own.reasoning_threshold,
        multiplier,
        own.max_deep_share,
        row.reason == Reason.SHARE_CAP,
    )


def _multiplier(connection: Connection, policy: Policy, segment: str, at_us: int) -> float:
    """Return the multiplier that workers followed at an instant, to some seconds; 1 where pacing had taken no step."""
    newest = (at_us - LAG_US) // INTERVAL_US - 1
    query = (
        select(PaceStep.price)
        .where(PaceStep.segment == segment, PaceStep.policy_version == policy.version, PaceStep.is_dry.is_(False))
        .where(PaceStep.interval <= newest, PaceStep.interval > newest - FORGOTTEN_US // INTERVAL_US)
        .order_by(PaceStep.interval.desc())
        .limit(1)
    )
    price = connection.scalar(query)
    return 1.0 if price is None else float(price)
