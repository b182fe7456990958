"""Ten identical POSTs with one key, at once, over two workers: one bill, one answer."""

from pathlib import Path

from scripts.benchmarks.faults import retries
from tests.builders.databases import lay_out


async def test_ten_identical_posts_at_once_over_two_workers_are_one_bill_and_one_answer(tmp_path: Path) -> None:
    place = retries.a_place(tmp_path / "instance", workers=2)
    lay_out(place.database_url)
    found = await retries.send_at_once(place, keys=2)
    assert found.holds, found
    assert found.refused > 0
