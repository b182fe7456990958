import subprocess
import sys
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from classifier import artifact
from classifier.model import DifficultyModel
from classifier.types import Abilities, Estimate, Stakes, Turn
from tests.classifier.builders import MATHS, SMALL_TALK, a_conversation


@pytest.fixture(scope="module")
def model() -> DifficultyModel:
    return artifact.load()


def test_a_competition_problem_gains_more_from_reasoning_than_small_talk(model: DifficultyModel) -> None:
    assert model.estimate(a_conversation(MATHS)).gain > model.estimate(a_conversation(SMALL_TALK)).gain


def test_a_more_able_fast_model_is_more_likely_right(model: DifficultyModel) -> None:
    weak, strong = (model.estimate(a_conversation(MATHS), Abilities(fast=at)) for at in (-1.0, 1.5))
    assert strong.p_fast > weak.p_fast


def test_high_stakes_raise_the_score_and_not_the_gain(model: DifficultyModel) -> None:
    estimate = model.estimate(a_conversation("can I take ibuprofen while pregnant?"))
    assert estimate.stakes is Stakes.HIGH
    assert estimate.score == pytest.approx(estimate.gain + 0.1)


def test_names_in_any_spelling_find_the_same_ability(model: DifficultyModel) -> None:
    known = model.ability_of("openai/gpt-4o-mini-2024-07-18")
    assert known is not None
    assert known == model.ability_of("gpt-4o-mini")
    assert model.ability_of("nobody/has-heard-of-it") is None


def test_reference_scores_are_a_sorted_sample(model: DifficultyModel) -> None:
    assert len(model.reference_scores) > 500
    assert np.all(np.diff(model.reference_scores) >= 0)


def _fields(estimate: Estimate) -> tuple[float, ...]:
    return estimate.p_fast, estimate.p_reasoning, estimate.uncertainty


@settings(max_examples=200, deadline=None)
@given(st.lists(st.builds(Turn, st.sampled_from(["system", "user", "assistant", "tool", "odd"]), st.text())))
def test_any_conversation_gets_probabilities_and_ordered_forecasts(turns: list[Turn]) -> None:
    estimate = _MODEL.estimate(turns)
    assert all(0.0 <= value <= 1.0 for value in _fields(estimate))
    for forecast in (estimate.output_fast, estimate.output_reasoning):
        assert 1 <= forecast.low <= forecast.expected <= forecast.high


_MODEL = artifact.load()


def test_serving_imports_nothing_of_training() -> None:
    code = (
        "import sys, classifier.artifact as a, classifier.types as t; a.load().estimate([t.Turn('user', 'hi')]);"
        "print([m for m in ('sklearn', 'scipy', 'pandas', 'pyarrow') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"


def test_a_very_long_text_costs_no_more_than_a_page(model: DifficultyModel) -> None:
    page, book = a_conversation("some words of it " * 200), a_conversation("some words of it " * 200_000)
    model.estimate(page)
    assert _peak_bytes(model, book) < 2 * _peak_bytes(model, page)


def _peak_bytes(model: DifficultyModel, turns: tuple[Turn, ...]) -> int:
    """The memory that reading them takes: no part of a long text is copied, folded or split beyond its bounds."""
    tracemalloc.start()
    try:
        model.estimate(turns)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_talk_is_no_harder_for_being_longer(model: DifficultyModel) -> None:
    short, long = (
        model.estimate(a_conversation("tell me about gardens and weather in town " * times)) for times in (1, 12)
    )
    assert abs(long.p_fast - short.p_fast) < 0.05


def test_a_text_of_a_known_kind_is_judged_with_less_doubt(model: DifficultyModel) -> None:
    known, unknown = (model.estimate(a_conversation(text)) for text in (MATHS, "krell voona thrix mompo " * 12))
    assert known.uncertainty < unknown.uncertainty
