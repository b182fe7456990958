"""`tierwise evaluate` on recorded outcomes of sources and models that nobody here has heard of."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as parquet
import pytest
import typer
from typer.testing import CliRunner

from classifier import artifact
from classifier.training.assessment import assess
from classifier.training.corpus import Corpus, read
from classifier.training.trials import PairsError, pairs_in, pairs_of_names
from router.commands.evaluate import evaluate

COUNT = 160
CHANCES = {"tiny": 0.2, "middling": 0.5, "great": 0.9, "seldom-asked": 0.99}


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Recorded outcomes of a source of arithmetic questions, in the form that the development data have."""
    made, random = tmp_path_factory.mktemp("outcomes"), np.random.default_rng(0)
    ids = [f"sums/{at}" for at in range(COUNT)]
    queries = {
        "query_id": ids,
        "source": ["sums"] * COUNT,
        "task": ["sums"] * COUNT,
        "domain": ["maths"] * COUNT,
        "text": [f"What is {at * 37} plus {at * 91}? Explain step {at}." for at in range(COUNT)],
        "split": ["kept"] * COUNT,
        "use": ["train"] * COUNT,
        "task_holdout": [False] * COUNT,
    }
    outcomes = [
        {"query_id": id, "model": model, "score": float(random.random() < chance), "output_tokens": 50}
        for model, chance in CHANCES.items()
        for id in (ids[:20] if model == "seldom-asked" else ids)
    ]
    parquet.write_table(pa.table(queries), made / "queries.parquet")
    columns = {name: [row[name] for row in outcomes] for name in outcomes[0]}
    length = {name: [None] * len(outcomes) for name in ("output_chars", "thinking_chars")}
    parquet.write_table(pa.table({**columns, **length}), made / "outcomes.parquet")
    return made


@pytest.fixture(scope="module")
def corpus(directory: Path) -> Corpus:
    return read(directory)


def test_a_source_without_a_known_pair_is_tried_with_its_best_and_its_middling_model(corpus: Corpus) -> None:
    assert pairs_in(corpus) == {"sums": (("middling", "great"),)}


def test_pairs_can_be_asked_for(corpus: Corpus) -> None:
    assert pairs_in(corpus, pairs_of_names(["tiny:great"])) == {"sums": (("tiny", "great"),)}
    with pytest.raises(PairsError, match="no outcomes of nobody; there are great, middling"):
        pairs_in(corpus, [("nobody", "great")])


@pytest.mark.parametrize("said", ["tiny", "tiny:", ":great", "tiny:tiny"])
def test_a_pair_that_is_none_is_named(said: str) -> None:
    with pytest.raises(PairsError, match="WEAK:STRONG"):
        pairs_of_names([said])


def test_an_unknown_source_is_judged_as_a_new_one(corpus: Corpus) -> None:
    found, tried = assess(corpus, artifact.load())
    measures = [bar.measure for bar in found]
    assert [(trial.group, len(trial.texts)) for trial in tried] == [("sums", COUNT)]
    assert "APGR with 120 labels of a new source (sums), 5 draws" in measures
    for part in ("need AUROC on a new source", "with 50 labels", "placing", "flips, worst", "CPU ms", "memory added"):
        assert any(part in measure for measure in measures), part
    assert not any("in distribution" in measure for measure in measures)


def test_the_command_prints_the_bars_and_every_pair(directory: Path) -> None:
    app = typer.Typer()
    app.command()(evaluate)
    quick = CliRunner().invoke(app, ["--data", str(directory), "--quick", "--pair", "tiny:great"])
    assert quick.exit_code == 0, quick.output
    assert "tiny → great" in quick.output
    assert "| measure |" not in quick.output
    refused = CliRunner().invoke(app, ["--data", str(directory), "--pair", "tiny"])
    assert (refused.exit_code, "WEAK:STRONG" in refused.output) == (2, True)
