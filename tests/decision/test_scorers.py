"""Classifiers at work: one window each, and one for each segment with a cap of its own."""

from typing import NamedTuple, cast

import pytest

from classifier.model import DifficultyModel
from classifier.types import Abilities
from router.decision.scorers import NothingRecent, Scorers
from tests.builders.dispatchers import FixedModel


class Row(NamedTuple):
    segment: str
    score: float
    is_deep: bool
    cost_ratio: float = 1.0


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


def test_a_window_begins_with_the_books_and_begins_anew_when_they_say_more() -> None:
    scorer = some_scorers({None: FixedModel()}).of(None)
    assert scorer.window(None).deep_share == 0.0
    recent = NothingRecent(1, {scorer.model.version: [Row("free", 0.4, True), Row("plus", 0.1, False)]})
    assert scorer.window(None, recent).deep_share == 0.5
    assert scorer.window("free", recent).deep_share == 1.0
    assert scorer.window(None, recent) is scorer.window(None, recent)
    later = NothingRecent(2, {scorer.model.version: [Row("plus", 0.1, False)]})
    assert scorer.window(None, later).deep_share == 0.0


def test_segments_with_a_cap_of_their_own_stay_out_of_the_common_window() -> None:
    scorer = some_scorers({None: FixedModel()}).of(None)
    recent = NothingRecent(1, {scorer.model.version: [Row("free", 0.4, True), Row("plus", 0.1, False)]})
    assert scorer.window(None, recent, frozenset({"free"})).deep_share == 0.0


def test_a_window_holds_what_scores_are_worth_at_what_their_queries_cost() -> None:
    scorer = some_scorers({None: FixedModel()}).of(None)
    recent = NothingRecent(1, {scorer.model.version: [Row("free", 0.4, True, 4.0)] * 1_000})
    assert scorer.window(None, recent).cut(0.5) == pytest.approx(0.4)
    assert scorer.window(None, recent, sensitivity=1.0).cut(0.5) == pytest.approx(0.1)
