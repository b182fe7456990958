"""Clients that take more than their part, in short; `scripts/faults` measures how long others wait beside them."""

from pathlib import Path

from scripts.benchmarks.faults.crowding import crowded, hang, leave_unfinished, read_nothing
from scripts.benchmarks.faults.served import Place
from tests.builders.databases import lay_out


def a_place(directory: Path, models: str) -> Place:
    place = Place.make(directory, models=models)
    lay_out(place.database_url)
    return place


async def test_beside_hung_requests_of_one_key_another_is_served(tmp_path: Path) -> None:
    found = await hang(a_place(tmp_path / "hung", crowded()), 300, 40)
    assert found.failed == 0, found


async def test_clients_that_read_nothing_are_cut_off_and_booked(tmp_path: Path) -> None:
    found = await read_nothing(a_place(tmp_path / "unread", crowded(2.0)), 4, within_s=120)
    assert found.freed_s is not None, found
    assert (found.cancelled, found.booked) == (4, 4), found


async def test_bodies_that_never_end_take_bounded_memory(tmp_path: Path) -> None:
    found = await leave_unfinished(a_place(tmp_path / "unfinished", crowded()), 8, 8)
    assert found.growth_bytes <= 64_000_000, found
    assert (found.refused, found.served) == (6, found.asked), found
