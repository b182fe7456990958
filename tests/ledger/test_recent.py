"""A share cap begins with what all workers decided, and made-up traffic is no traffic."""

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from router.clock import request_id
from router.ledger import recent as recent_decisions
from router.ledger.recent import PAUSE_US, RecentDecisions
from router.ledger.shipping import Shipper
from router.ledger.spool import Spool
from router.types import Reason, Tier
from tests.ledger.builders import NOON, a_closing, a_result, an_intent, an_opening


def book(engine: Engine, directory: Path, later_us: int = 0, **changes: Any) -> None:
    spool = Spool.open(directory)
    at = request_id(NOON + later_us)
    spool.write([an_opening(at, **changes), an_intent(at)])
    spool.write([a_result(at), a_closing(at)])
    Shipper(spool, engine).turn()
    spool.close()


@pytest.mark.parametrize(
    ("changes", "rows"),
    [
        ({"score": 0.4, "first_tier": Tier.REASONING, "reason": Reason.ABOVE_THRESHOLD}, [("default", 0.4, True)]),
        ({"score": 0.4, "reason": Reason.SHARE_CAP, "segment": "free"}, [("free", 0.4, False)]),
        ({"score": 0.4, "reason": Reason.OVERRIDE}, []),
        ({"score": 0.4, "reason": Reason.HOUSEKEEPING}, []),
        ({"score": 0.4, "synthetic": True}, []),
    ],
)
def test_only_real_decisions_by_score_count(
    engine: Engine, tmp_path: Path, changes: dict[str, Any], rows: list[tuple[str, float, bool]]
) -> None:
    recent = RecentDecisions(engine, lambda: NOON)
    book(engine, tmp_path, **changes)
    recent.refresh()
    found = [row for decided in recent.snapshot.by_classifier.values() for row in decided]
    assert [(row.segment, round(row.score, 6), row.is_deep) for row in found] == rows


def test_nothing_is_read_again_while_nothing_is_new(engine: Engine, tmp_path: Path) -> None:
    recent = RecentDecisions(engine, lambda: NOON)
    book(engine, tmp_path)
    recent.refresh()
    before = recent.snapshot
    recent.refresh()
    assert recent.snapshot is before
    book(engine, tmp_path, later_us=5_000)
    recent.refresh()
    assert recent.snapshot.generation == before.generation + 1


def test_many_are_not_read_again_within_some_seconds(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recent_decisions, "MOST_READ", 1)
    now_us = NOON
    recent = RecentDecisions(engine, lambda: now_us)
    book(engine, tmp_path)
    recent.refresh()
    before = recent.snapshot
    book(engine, tmp_path, later_us=5_000)
    recent.refresh()
    assert recent.snapshot is before
    now_us += PAUSE_US
    recent.refresh()
    assert recent.snapshot.generation == before.generation + 1
