from pathlib import Path

import numpy as np
import pytest

from classifier import artifact
from classifier.abilities import canonical
from classifier.training import corpus, irt, train
from classifier.training.corpus import CorpusMissing

DATA = Path(__file__).parents[3] / corpus.DEFAULT_DIRECTORY


def test_absent_data_are_named_with_their_originals(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(CorpusMissing, match="TIGER-AI-Lab/MMLU-Pro"):
        corpus.read(tmp_path)
    assert train.main(["--data", str(tmp_path)]) == 2


def test_irt_finds_the_order_of_abilities_and_of_difficulties() -> None:
    random = np.random.default_rng(0)
    ability, difficulty = np.linspace(-2, 2, 24), random.normal(size=400)
    right = (random.random((400, 24)) < irt.sigmoid(ability[None] - difficulty[:, None])).astype(float)
    items = irt.fit(right, np.zeros(400, np.intp))
    assert np.corrcoef(items.ability, ability)[0, 1] > 0.97
    assert np.corrcoef(items.difficulty, difficulty)[0, 1] > 0.85


@pytest.mark.parametrize(
    "name", ["gpt-4o-mini", "openai/gpt-4o-mini", "openrouter/openai/gpt-4o-mini-2024-07-18", " GPT-4o-mini "]
)
def test_spellings_of_a_name_are_one_name(name: str) -> None:
    assert canonical(name) == "gpt-4o-mini"


@pytest.mark.parametrize(
    ("name", "known_as"),
    [
        ("gpt-4-1106-preview", "gpt-4-turbo"),
        ("openai/gpt-4-0125-preview", "gpt-4-turbo"),
        ("gpt-4-turbo-preview", "gpt-4-turbo"),
        ("gpt-4-0613", "gpt-4"),
        ("mistralai/Mixtral-8x7B-Instruct-v0.1", "mixtral-8x7b"),
    ],
)
def test_names_that_hide_another_model_are_told_apart(name: str, known_as: str) -> None:
    assert canonical(name) == known_as


@pytest.mark.skipif(not DATA.is_dir(), reason="the recorded outcomes are not beside the checkout")
def test_the_shipped_artefact_names_the_data_it_was_fitted_on() -> None:
    rows = corpus.read(DATA)
    assert artifact.about(artifact.SHIPPED)["training_data_sha256"] == rows.digest
    assert all(query.use == "train" for query in rows.of(use="train", split="train", holdout=False).queries)
