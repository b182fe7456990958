"""Replicas behind nginx on one PostgreSQL, in short; `scripts/cluster_demo` runs the whole table with Redis."""

from pathlib import Path

import pytest

from scripts.benchmarks.cluster import events
from scripts.benchmarks.cluster.faults import play
from scripts.benchmarks.cluster.parts import NotInstalled, nginx_command
from scripts.benchmarks.faults.__main__ import postgresql


async def test_of_two_replicas_one_is_killed_and_nothing_is_lost_doubled_or_overspent(tmp_path: Path) -> None:
    try:
        nginx_command()
    except NotInstalled as error:
        pytest.skip(str(error))
    with postgresql(tmp_path / "pg") as (url, server):
        faults = {"a kill": events.kill}
        found = await play(tmp_path / "served", url, server, count=2, faults=faults, small_nanousd=1_000_000)
    (event,) = found.events
    assert event.holds, event
    assert (found.is_shipped, found.account.holds, found.breaks) == (True, True, {}), found
    assert found.large.holds, found.large
    assert found.small.holds, found.small
    assert (found.alerts.raised, found.alerts.doubled) == (found.alerts.delivered, 0), found.alerts
