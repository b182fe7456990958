"""Alerts under SIGKILL, in short; `scripts/faults --only alerts` runs the long form."""

from pathlib import Path

from scripts.benchmarks.faults.alerts import kill_alerts
from scripts.benchmarks.faults.served import Place


async def test_killed_workers_raise_each_alert_once_and_deliver_it_at_least_once(tmp_path: Path) -> None:
    place = Place.make(tmp_path / "alerts")
    place.engine().dispose()
    found = await kill_alerts(place, kills=4, workers=3, breakers=12)
    assert found.holds, found
