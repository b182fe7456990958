"""One decision shows what it was held against: thresholds as pacing moved them, and the share cap."""

from dataclasses import dataclass, replace

import pytest
from sqlalchemy import Engine, insert

from router.admin.queries.cuts import cuts_of
from router.database.engine import writing
from router.database.pace_tables import PaceStep
from router.decision.policy import Policy, SegmentDials
from router.pacing.multipliers import INTERVAL_US, LAG_US
from router.types import Reason

PACED = Policy(3, reasoning_threshold=0.3, parallel_threshold=0.2, max_deep_share=0.1, pacing="on", min_margin=0.3)
STEP = 28_000_000


@dataclass(frozen=True)
class Row:
    id: str
    reason: Reason = Reason.ABOVE_THRESHOLD
    score: float = 0.4
    cost_ratio: float | None = None


def a_row(at_us: int, reason: Reason = Reason.ABOVE_THRESHOLD) -> Row:
    return Row(f"{at_us // 1_000:012x}{0:020x}", reason)


def a_step(engine: Engine, interval: int, price: float, *, version: int = 3, is_dry: bool = False) -> None:
    step = {
        "segment": "free",
        "interval": interval,
        "until": interval * INTERVAL_US,
        "policy_version": version,
        "is_dry": is_dry,
        "is_frozen": False,
        "price": price,
        "error": 0.0,
        "target": "margin",
        "overspent_nanousd": 0,
        "requests": 1,
    }
    with writing(engine) as connection:
        connection.execute(insert(PaceStep).values(**step))


def test_thresholds_are_those_that_pacing_had_moved_by_then(engine: Engine) -> None:
    a_step(engine, STEP, 1.5)
    a_step(engine, STEP + 1, 2.0)
    at_us = (STEP + 1) * INTERVAL_US + LAG_US + 1_000_000  # the second step is taken a minute later
    with engine.connect() as connection:
        cuts = cuts_of(connection, PACED, "free", a_row(at_us))
        other = cuts_of(connection, PACED, "plus", a_row(at_us))
        unpaced = cuts_of(connection, replace(PACED, pacing="dry_run"), "free", a_row(at_us))
    assert (cuts.multiplier, cuts.reasoning, cuts.parallel) == pytest.approx((1.5, 0.45, 0.3))
    assert (cuts.set_reasoning, cuts.held) == (0.3, False)
    assert other.multiplier == unpaced.multiplier == 1.0


def test_steps_of_another_version_and_dry_ones_moved_nothing(engine: Engine) -> None:
    a_step(engine, STEP, 1.5, version=2)
    a_step(engine, STEP + 1, 1.5, is_dry=True)
    with engine.connect() as connection:
        assert cuts_of(connection, PACED, "free", a_row((STEP + 3) * INTERVAL_US)).multiplier == 1.0


def test_a_segments_own_dials_and_the_cap_that_held_are_shown(engine: Engine) -> None:
    policy = replace(PACED, segments={"free": SegmentDials(reasoning_threshold=0.5, max_deep_share=0.02)})
    with engine.connect() as connection:
        cuts = cuts_of(connection, policy, "free", a_row(STEP * INTERVAL_US, Reason.SHARE_CAP))
    assert (cuts.reasoning, cuts.max_deep_share, cuts.held) == (0.5, 0.02, True)
    assert cuts.worth == 0.4
