"""`tierwise train` and `tierwise evaluate` as an operator calls them."""

import json
from pathlib import Path

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from classifier import artifact
from router.commands.evaluate import evaluate
from router.commands.train import train


@pytest.fixture
def app() -> typer.Typer:
    made = typer.Typer()
    made.command()(train)
    made.command()(evaluate)
    return made


@pytest.fixture
def labels(tmp_path: Path) -> Path:
    random, path = np.random.default_rng(0), tmp_path / "labels.jsonl"
    rows = [
        {
            "text": f"question number {at} about subject {at % 7}",
            "outcomes": {"fast": int(fast), "reasoning": int(reasoning)},
        }
        for at, (fast, reasoning) in enumerate(zip(random.random(60) < 0.4, random.random(60) < 0.8, strict=True))
    ]
    path.write_text("\n".join(map(json.dumps, rows)))
    return path


def test_training_writes_an_artefact_that_loads_and_a_card(app: typer.Typer, labels: Path, tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["train", "--labels", str(labels), "--out", str(tmp_path / "out")])
    assert result.exit_code == 0, result.output
    assert artifact.load(tmp_path / "out").is_adapted
    assert "60 labelled" in (tmp_path / "out" / "card.md").read_text()


def test_too_few_labels_are_refused(app: typer.Typer, tmp_path: Path) -> None:
    few = tmp_path / "few.jsonl"
    few.write_text('{"text": "x", "outcomes": {"fast": 1, "reasoning": 1}}\n')
    result = CliRunner().invoke(app, ["train", "--labels", str(few), "--out", str(tmp_path / "out")])
    assert result.exit_code == 2
    assert "at least 20" in result.output


def test_placing_prints_an_ability(app: typer.Typer, tmp_path: Path) -> None:
    graded = tmp_path / "graded.jsonl"
    graded.write_text("\n".join(json.dumps({"text": f"What is {at} + {at}?", "correct": at % 2}) for at in range(50)))
    result = CliRunner().invoke(app, ["train", "--ability", "--labels", str(graded)])
    assert -4 < json.loads(result.output)["ability"] < 4


def test_evaluating_labels_shows_the_controls(app: typer.Typer, labels: Path) -> None:
    result = CliRunner().invoke(app, ["evaluate", "--labels", str(labels)])
    assert result.exit_code == 0, result.output
    for control in ("length only", "cost-matched shuffled", "random", "oracle", "always fast"):
        assert control in result.output


def test_evaluating_nothing_is_an_error(app: typer.Typer) -> None:
    result = CliRunner().invoke(app, ["evaluate"])
    assert result.exit_code == 2
    assert "either --labels FILE or --data DIR" in result.output
