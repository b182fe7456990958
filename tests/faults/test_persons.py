"""Nobody gets more than the day allows, with eight workers that ask at once and are killed on the way."""

from pathlib import Path

from scripts.benchmarks.faults import persons
from scripts.benchmarks.faults.served import Place
from tests.builders.databases import lay_out


def test_nobody_has_more_than_the_allowance(tmp_path: Path) -> None:
    place = Place.make(tmp_path / "persons")
    lay_out(place.database_url)
    found = persons.press(place, 160, people=600)
    assert found.over == 0, found
    assert found.granted > found.spent > 0, found
