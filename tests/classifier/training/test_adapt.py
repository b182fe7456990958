import numpy as np
import pytest

from classifier import artifact
from classifier.training.adapt import adapt
from classifier.training.card import model_card
from classifier.training.labels import GradedConversation
from classifier.training.metrics import auroc
from classifier.training.placement import chances, place
from classifier.types import Abilities, Turn

BASE = artifact.load()


def some_labels(count: int, *, fast: float, reasoning: float) -> list[GradedConversation]:
    """Traffic where questions about turbines are hard for the fast tier and questions about gardens are not."""
    random, labels = np.random.default_rng(0), []
    for at in range(count):
        subject = ("turbine blade stress", "garden flower colour")[at % 2]
        filler = " ".join(random.choice(["about", "under", "near", "with", "from", "over"], 6))
        text = f"question {filler} {subject} number {random.integers(1000)} item {chr(97 + at % 26) * 4}"
        is_hard = at % 2 == 0
        right = float(random.random() < (0.1 if is_hard else 0.9) * fast * 2), float(random.random() < reasoning)
        labels.append(GradedConversation((Turn("user", text),), *right))
    return labels


def test_fifty_labels_move_the_level_and_keep_the_ranking() -> None:
    labels = some_labels(50, fast=0.1, reasoning=0.3)
    adapted = adapt(labels, BASE, "test", lambda _: None)
    said = np.mean([adapted.model.estimate(label.turns).p_fast for label in labels])
    assert said == pytest.approx(np.mean([label.fast for label in labels]), abs=0.08)
    assert adapted.method == "calibration of the base"


def test_enough_labels_teach_a_ranking_of_their_own() -> None:
    labels = some_labels(400, fast=0.5, reasoning=0.9)
    adapted = adapt(labels, BASE, "test", lambda _: None)
    gain = [adapted.model.estimate(label.turns).gain for label in labels]
    assert adapted.method.startswith("own ranking")
    assert auroc([label.fast < label.reasoning for label in labels], gain) > 0.8


def test_abilities_do_not_move_adapted_heads() -> None:
    model = adapt(some_labels(50, fast=0.3, reasoning=0.8), BASE, "test", lambda _: None).model
    turns = (Turn("user", "a question"),)
    assert model.estimate(turns, Abilities(-1.0, 1.0)) == model.estimate(turns)


def test_an_adapted_model_survives_saving(tmp_path_factory: pytest.TempPathFactory) -> None:
    adapted, directory = (
        adapt(some_labels(300, fast=0.5, reasoning=0.9), BASE, "test", lambda _: None),
        tmp_path_factory.mktemp("a"),
    )
    artifact.save(adapted.model, directory, {})
    turns = (Turn("user", "question about turbine blade stress"),)
    assert artifact.load(directory).estimate(turns) == adapted.model.estimate(turns)


def test_the_card_shows_data_controls_and_limits() -> None:
    labels = some_labels(60, fast=0.4, reasoning=0.8)
    card = model_card(adapt(labels, BASE, "test", lambda _: None), labels, "0" * 64, BASE.version)
    for wanted in ("60 labelled", "length only", "cost-matched shuffled", "oracle", "ECE", "## Limits"):
        assert wanted in card


def test_a_model_is_placed_near_the_ability_its_answers_were_drawn_from() -> None:
    texts = [f"What is {at} times {at + 3}, and is the result prime?" for at in range(60)]
    conversations = [(Turn("user", text),) for text in texts]
    wanted = 1.0
    chance = [BASE.estimate(turns, Abilities(fast=wanted)).p_fast for turns in conversations]
    assert place(BASE, conversations, chance) == pytest.approx(wanted, abs=0.3)
    assert chances(BASE, conversations[:2]).shape[0] == 2
