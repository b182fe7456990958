"""How things are, as the health page reads it from the books."""

from typing import cast

from classifier.model import DifficultyModel
from router.admin.queries import health
from tests.builders.databases import open_books
from tests.builders.dispatchers import FixedModel
from tests.builders.traffics import a_world, store


class Other(FixedModel):
    version = "test"  # by which traffic is booked


def test_scores_of_another_classifier_are_not_held_against_this_ones_reference(
    sqlite_url: str,
) -> None:
    engine = open_books(sqlite_url)
    store(engine, a_world(300).traffic)
    counts = [health.scores(engine, cast(DifficultyModel, model)).drift.count for model in (Other(), FixedModel())]
    engine.dispose()
    assert counts == [300, 0]
