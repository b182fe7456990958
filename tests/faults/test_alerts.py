"""Alerts under SIGKILL, in short; `scripts/faults --only alerts` runs the long form."""

from pathlib import Path

from scripts.benchmarks.faults.alerts import kill_alerts
from scripts.benchmarks.faults.served import Place
from tests.builders.databases import lay_out


async def test_killed_workers_raise_each_alert_once_and_deliver_it_at_least_once(tmp_path: Path) -> None:
    place = Place.make(tmp_path / "alerts")
    lay_out(place.database_url)
    found = await kill_alerts(place, kills=3, workers=2, breakers=8)
    assert found.holds, found
