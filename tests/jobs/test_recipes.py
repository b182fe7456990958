"""Which recipe a request gets, and what a wish cannot have."""

import msgspec
import pytest

from classifier.types import AnswerType, Stakes
from router.errors import InvalidRequest, Unavailable
from router.jobs.recipes import (
    MOST_SAMPLES,
    RECIPE_VERSION,
    RecipeFacts,
    RecipeName,
    RecipeWish,
    choose_recipe,
    read_recipe,
)
from router.tiers.vote.rates import VerifierRates
from router.types import Tier
from tests.jobs.rehearsal import CAST, a_recipe

NO_WISH = RecipeWish()


@pytest.mark.parametrize("tier", [Tier.FAST, Tier.REASONING])
def test_a_tier_of_one_model_gives_one_answer_of_it(tier: Tier) -> None:
    recipe = choose_recipe(NO_WISH, RecipeFacts(tier, AnswerType.NUMERIC), CAST)
    assert (recipe.name, recipe.models, recipe.samples) == (RecipeName.SINGLE, (f"model/{tier}",), 1)


def test_the_parallel_tier_gives_its_vote_and_hands_on_what_stays_open() -> None:
    recipe = choose_recipe(NO_WISH, RecipeFacts(Tier.PARALLEL, AnswerType.NUMERIC), CAST)
    assert (recipe.name, recipe.samples, recipe.confidence) == (RecipeName.VOTE, 8, 0.95)
    assert (recipe.finisher, recipe.synthesised, recipe.verified) == ("model/strong", 2, 0)


def test_a_wish_for_a_deep_answer_beats_the_tier() -> None:
    recipe = choose_recipe(RecipeWish(RecipeName.DEEP), RecipeFacts(Tier.FAST, AnswerType.NUMERIC), CAST)
    assert (recipe.name, recipe.samples, recipe.confidence) == (RecipeName.DEEP, 64, 0.99)
    assert (recipe.verified, recipe.revised, recipe.synthesised) == (3, 2, 4)


def test_open_text_is_compared_and_not_voted_on() -> None:
    recipe = a_recipe(AnswerType.OPEN)
    assert (recipe.samples, recipe.judged, recipe.judge) == (8, 8, "model/judge")
    alone = choose_recipe(RecipeWish(RecipeName.VOTE), RecipeFacts(Tier.PARALLEL, AnswerType.OPEN), CAST)
    assert (alone.samples, alone.judged, alone.synthesised) == (4, 3, 0)


def test_high_stakes_ask_for_more_agreement() -> None:
    assert a_recipe(name=RecipeName.VOTE, stakes=Stakes.HIGH).confidence == 0.99


def test_few_samples_are_asked_for_no_more_agreement_than_they_can_reach() -> None:
    assert a_recipe(samples=3).confidence == pytest.approx(0.9375)


def test_a_weak_verifier_is_given_no_more_samples_than_it_can_choose_from() -> None:
    weak = VerifierRates(right_accepted=9, right=10, wrong_accepted=3, wrong=10)
    assert a_recipe(samples=1_024, selecting=(weak,)).samples < 40


def test_tools_are_voted_on_and_never_rewritten() -> None:
    recipe = a_recipe(name=RecipeName.VOTE, has_tools=True)
    assert not recipe.can_finish
    with pytest.raises(InvalidRequest, match="ask for the recipe vote, or leave out tools"):
        a_recipe(name=RecipeName.DEEP, has_tools=True)


def test_images_are_seen_by_who_synthesises_and_by_no_judge() -> None:
    recipe = a_recipe(AnswerType.OPEN, has_images=True)
    assert (recipe.judge, recipe.verified, recipe.synthesised) == (None, 0, 3)


@pytest.mark.parametrize("samples", [0, -1, MOST_SAMPLES + 1])
def test_a_number_of_samples_that_cannot_be_is_refused_by_name(samples: int) -> None:
    with pytest.raises(InvalidRequest, match=f"samples: {samples} is not between 1 and 1024") as refusal:
        a_recipe(samples=samples)
    assert refusal.value.param == "x_tierwise.samples"


def test_a_single_answer_has_no_number_of_samples() -> None:
    with pytest.raises(InvalidRequest, match="the recipe single takes one answer"):
        a_recipe(name=RecipeName.SINGLE, samples=4)


def test_several_choices_are_no_deep_answer() -> None:
    with pytest.raises(InvalidRequest, match="the recipe deep comes to one answer"):
        a_recipe(n=2)
    assert a_recipe(name=RecipeName.VOTE, n=12).samples >= 12


def test_a_recipe_is_stored_as_json_and_read_again() -> None:
    recipe = a_recipe()
    assert read_recipe(msgspec.json.encode(recipe)) == recipe


def test_a_recipe_of_a_later_program_is_refused_with_what_to_do() -> None:
    later = msgspec.structs.replace(a_recipe(), version=RECIPE_VERSION + 1)
    with pytest.raises(Unavailable, match="run the job with the version of the program that accepted it"):
        read_recipe(msgspec.json.encode(later))
