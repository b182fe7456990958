"""The ledger's promise against a served instance, in short; `scripts/faults` runs the long form."""

from pathlib import Path

import pytest

from scripts.benchmarks.faults.disconnects import disconnects
from scripts.benchmarks.faults.kills import kills
from scripts.benchmarks.faults.outage import locked, outage
from scripts.benchmarks.faults.served import Place
from tests.builders.databases import lay_out


@pytest.fixture
def place(tmp_path: Path) -> Place:
    made = Place.make(tmp_path / "instance")
    lay_out(made.database_url)
    return made


async def test_killed_under_load_the_books_agree_with_the_provider(place: Place) -> None:
    found = await kills(place, rounds=2)
    assert (found.held, found.breaks) == (2, {}), found
    assert found.last.served > 0


async def test_clients_that_hang_up_are_settled_and_cancelled(place: Place) -> None:
    found = await disconnects(place, 24, within_s=5.0)  # a busy machine is slow; `scripts/faults` holds it to a second
    assert (found.made, found.lost) == (24, 0), found
    assert found.in_time == found.settled > 0, found
    assert found.upstream_in_time, found


async def test_a_locked_database_loses_and_doubles_nothing(place: Place) -> None:
    found = await outage(place, 3.0, locked(place))
    assert (found.failed, found.drained) == (0, True), found.examples
    assert found.account.holds
    assert found.account.lines == found.account.served
