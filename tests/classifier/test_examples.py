"""Learning from rows is learning from their texts; labels may be partial and weighted."""

import numpy as np
import pytest

from classifier.features import SURFACE_NAMES, extract
from classifier.rows import pack, unpack
from classifier.training.adapt import Adapted, Example, adapt, adapt_to_examples
from classifier.training.wrapping import join
from classifier.types import Abilities, Turn
from tests.classifier.training.test_adapt import BASE, some_labels


def quiet(line: str) -> None:
    """Progress that nobody reads."""


def numbers_of(adapted: Adapted) -> dict[str, bytes]:
    parameters = adapted.model.parameters
    return {name: np.asarray(getattr(parameters, name)).tobytes() for name in parameters.__dataclass_fields__}


@pytest.mark.parametrize("count", [60, 220])
def test_texts_and_their_stored_rows_give_the_same_artefact(count: int) -> None:
    labels = some_labels(count, fast=0.5, reasoning=0.9)
    stored = [pack(BASE.read(label.turns)) for label in labels]
    examples = [Example(unpack(row), label.fast, label.reasoning) for row, label in zip(stored, labels, strict=True)]
    of_texts, of_rows = adapt(labels, BASE, "test", quiet), adapt_to_examples(examples, BASE, "test", quiet)
    assert of_texts.method == of_rows.method
    assert numbers_of(of_texts) == numbers_of(of_rows)


def test_a_tier_of_which_nothing_is_known_stays_as_it_is() -> None:
    labels = some_labels(80, fast=0.1, reasoning=0.9)
    examples = [Example(BASE.read(label.turns), label.fast, None) for label in labels]
    adapted = adapt_to_examples(examples, BASE, "test", quiet)
    for label in labels[:5]:
        before, after = BASE.estimate(label.turns), adapted.model.estimate(label.turns)
        assert after.p_reasoning == pytest.approx(before.p_reasoning)
    said = np.mean([adapted.model.estimate(label.turns).p_fast for label in labels])
    assert said == pytest.approx(np.mean([label.fast for label in labels]), abs=0.08)


def test_what_weighs_little_moves_little() -> None:
    seen = [BASE.read(label.turns) for label in some_labels(60, fast=0.5, reasoning=0.9)]

    def level(weight: float) -> float:
        examples = [Example(each, 0.0, 1.0, weight, weight) for each in seen]
        model = adapt_to_examples(examples, BASE, "test", quiet).model
        return float(np.mean([model.judge(each).p_fast for each in seen]))

    assert level(1.0) < level(0.01) - 0.1


def test_partial_labels_teach_a_ranking_too() -> None:
    labels = some_labels(320, fast=0.5, reasoning=0.95)
    examples = [
        Example(BASE.read(label.turns), label.fast, label.reasoning if at % 3 else None)
        for at, label in enumerate(labels)
    ]
    adapted = adapt_to_examples(examples, BASE, "test", quiet)
    hard = [adapted.model.judge(e.seen) for e in examples[::2]]
    easy = [adapted.model.judge(e.seen) for e in examples[1::2]]
    assert adapted.method.startswith("own ranking")
    assert np.mean([j.p_reasoning - j.p_fast for j in hard]) > np.mean([j.p_reasoning - j.p_fast for j in easy]) + 0.3


def test_a_base_is_recalibrated_for_the_models_it_was_asked_about() -> None:
    labels = some_labels(50, fast=0.3, reasoning=0.8)
    examples = [Example(BASE.read(label.turns), label.fast, label.reasoning) for label in labels]
    strong = adapt_to_examples(examples, BASE, "test", quiet, abilities=Abilities(1.0, 2.0)).model
    assert strong.parameters.reference.tolist() == [1.0, 2.0]


def test_joined_features_are_those_of_the_joined_text() -> None:
    first, second = "For 'a friend' of mine: ", "What is 12 times 30,\nand is 'the result' even?"
    found, wanted = join(extract(first), extract(second)), extract(first + second)
    seam = set(wanted.grams.tolist()) - set(found.grams.tolist())
    assert len(seam) == 1
    assert set(found.grams.tolist()) < set(wanted.grams.tolist())
    for place, name in enumerate(SURFACE_NAMES):
        assert found.surface[place] == pytest.approx(wanted.surface[place], abs=0.06), name


def test_what_reads_alike_is_one_cluster() -> None:
    once, again = (Example(BASE.read((Turn("user", text),)), 1.0, None) for text in ("Is it so?", "IS IT SO?"))
    assert once.cluster == again.cluster
