from dataclasses import replace

import numpy as np
import pytest

from classifier import artifact
from classifier.model import DifficultyModel
from classifier.rows import ReadFeatures
from classifier.training.adapt import Example, adapt_to_examples, gather_outcomes
from classifier.training.inherited import InheritedModel, merge_vocabularies, words_of
from classifier.training.ranking import as_model, mix_with_base, own_ranking
from classifier.types import Abilities, Turn

SHIPPED = artifact.load()
# Experts alone: their word is what is inherited, and these are exam questions.
BASE = DifficultyModel(replace(SHIPPED.parameters, consumer=None), version=SHIPPED.version, abilities=SHIPPED.abilities)
NOBODY = Abilities()
PAIR = Abilities(fast=-1.0, reasoning=1.6)


def an_exam(count: int) -> list[ReadFeatures]:
    """Exam questions, a kind that the base knows."""
    asked = (
        "enthalpy of the reaction",
        "marginal revenue of the firm",
        "velocity of the block",
        "membrane of the cell",
    )
    options = "\nA. it rises\nB. it falls\nC. it stays the same\nD. none of the above"
    return [
        BASE.read((Turn("user", f"Which of the following is true of the {asked[at % 4]} at {at} degrees?{options}"),))
        for at in range(count)
    ]


def answered(seen: list[ReadFeatures], abilities: Abilities) -> list[Example]:
    """As right as models of such abilities are expected to be."""
    judged = [BASE.judge(each, abilities) for each in seen]
    return [Example(each, said.p_fast, said.p_reasoning) for each, said in zip(seen, judged, strict=True)]


def placed(examples: list[Example], base: DifficultyModel, abilities: Abilities) -> list[float]:
    known = gather_outcomes(examples)
    heard = InheritedModel(base, [example.seen for example in examples], abilities)
    return [heard.place(tier, known.outcomes[:, tier], known.weights[:, tier]).ability for tier in range(2)]


def test_tiers_are_placed_where_their_answers_speak_for() -> None:
    assert placed(answered(an_exam(80), PAIR), BASE, NOBODY) == pytest.approx([-1.0, 1.6], abs=0.3)


def test_an_ability_that_is_given_is_kept() -> None:
    fast, reasoning = placed(answered(an_exam(80), PAIR), BASE, Abilities(fast=0.7))
    assert fast == 0.7
    assert reasoning == pytest.approx(1.6, abs=0.3)


def test_without_answers_a_tier_stays_at_the_reference() -> None:
    seen = an_exam(10)
    heard = InheritedModel(BASE, seen, NOBODY)
    said = [BASE.judge(each).p_fast for each in seen]
    nothing = np.zeros(10)
    place = heard.place(0, nothing, nothing)
    assert place.ability == pytest.approx(BASE.parameters.reference[0])
    assert 1 / (1 + np.exp(-place.logits)) == pytest.approx(said)


def test_fifty_labels_give_the_gain_of_the_pair_that_was_graded() -> None:
    seen = an_exam(50)
    model = adapt_to_examples(answered(seen, PAIR), BASE, "test", lambda _: None).model
    said, wanted = ([each.p_reasoning - each.p_fast for each in (m.judge(s, a) for s in seen)]
                    for m, a in ((model, NOBODY), (BASE, PAIR)))  # fmt: skip
    assert said == pytest.approx(wanted, abs=0.06)


def test_an_adapted_base_keeps_its_place() -> None:
    examples = answered(an_exam(50), PAIR)
    adapted = adapt_to_examples(examples, BASE, "test", lambda _: None).model
    assert placed(examples, adapted, NOBODY) == pytest.approx(adapted.parameters.reference.tolist())


def test_united_vocabularies_begin_with_ones_own() -> None:
    examples = answered(an_exam(20), PAIR)
    own = own_ranking([each.seen.features for each in examples], gather_outcomes(examples), lambda _: None)
    both = merge_vocabularies(own.vocabulary, BASE)
    assert both.keys[: len(own.vocabulary)].tolist() == own.vocabulary.keys[:-1].tolist()
    assert set(BASE.parameters.keys.tolist()) <= set(both.keys.tolist())


def test_an_experts_word_is_served_as_the_mixture_says_out_of_fold() -> None:
    examples = answered(an_exam(120), PAIR)
    seen, known = [each.seen for each in examples], gather_outcomes(examples)
    own = own_ranking([each.features for each in seen], known, lambda _: None)
    mixtures = mix_with_base(own, BASE, InheritedModel(BASE, seen, NOBODY), known)
    assert [each.own_share for each in mixtures] == [0.75, 0.5, 0.25]
    assert "75% the word of the base" in mixtures[-1].method
    served = as_model(mixtures[-1], seen, known, BASE, "test")
    said = np.array([served.judge(each).p_fast for each in seen])
    assert np.corrcoef(said, mixtures[-1].held_out[:, 0])[0, 1] > 0.9


def test_each_expert_has_a_word() -> None:
    examples = answered(an_exam(20), PAIR)
    own = own_ranking([each.seen.features for each in examples], gather_outcomes(examples), lambda _: None)
    words = words_of(BASE, own.vocabulary, own.scales, 0.1)
    assert len(words) == len(BASE.parameters.usual_coverage)
    low, high = words[0].knots[:2]
    assert words[0].at((low + high) / 2) == pytest.approx((words[0].at(low) + words[0].at(high)) / 2)
