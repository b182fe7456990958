"""Classifiers at work: one window each, and one for each segment with a cap of its own."""

from typing import cast

from classifier.model import DifficultyModel
from classifier.types import Abilities
from router.decision.scorers import Scorers
from tests.builders.dispatchers import FixedModel


def some_scorers(models: dict[str | None, FixedModel]) -> Scorers:
    return Scorers(lambda version: cast(DifficultyModel, models[version]), lambda model: Abilities(None, None))


def test_each_classifier_and_each_segment_with_a_cap_has_a_window_of_its_own() -> None:
    scorers = some_scorers({None: FixedModel(), "own": FixedModel()})
    windows = [scorers.of(version).window(segment) for version in (None, "own") for segment in (None, "free")]
    assert len({id(window) for window in windows}) == 4
    assert scorers.of("own").window("free") is windows[3]


def test_another_model_under_the_same_name_begins_anew() -> None:
    models: dict[str | None, FixedModel] = {None: FixedModel()}
    scorers = some_scorers(models)
    before = scorers.of(None)
    assert scorers.of(None) is before
    models[None] = FixedModel()
    assert scorers.of(None) is not before
