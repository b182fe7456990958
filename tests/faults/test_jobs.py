"""Background jobs whose worker is killed, in short; `scripts/bench_jobs` runs the long form on both databases."""

from pathlib import Path

from scripts.benchmarks.faults.jobs import MODELS, kill_jobs
from scripts.benchmarks.faults.served import Place
from tests.builders.databases import lay_out


async def test_killed_jobs_end_pay_no_settled_sample_twice_and_agree_with_the_provider(tmp_path: Path) -> None:
    place = Place.make(tmp_path / "instance", models=MODELS)
    lay_out(place.database_url)
    found = await kill_jobs(place, jobs=6, samples=8, kills=2)
    assert found.holds, found
    assert found.stretches > found.jobs  # some were taken over
