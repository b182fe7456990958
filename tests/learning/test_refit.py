"""Learning from the books: refitted on what came earlier, judged on what came later, stored, proposed."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import Engine
from typer.testing import CliRunner

from classifier.training.holdout import FEWEST_PAIRS, HoldoutVerdict, compare_on_holdout
from classifier.types import Abilities, Turn
from router.cli import app
from router.decision.policy import Policy
from router.learning import artifacts, labels
from router.learning.examples import examples_of
from router.learning.labels import LabelledRequest
from router.learning.refit import FEWEST_LABELS, NotEnoughEvidence, Refit, refit, same_share
from router.learning.refit_card import card
from router.policies import versions
from router.reports.window import Window
from tests.builders.databases import open_books
from tests.builders.taught import BASE, NOON, Told, book, some_duels, some_texts

EVERYTHING = Window(None, None, UTC)


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    engine = open_books(f"sqlite:///{tmp_path_factory.mktemp('taught')}/books.db")
    book(engine, some_duels(480))
    yield engine
    engine.dispose()


@pytest.fixture(scope="module")
def labelled_requests(engine: Engine) -> list[LabelledRequest]:
    return labels.read(engine, EVERYTHING)


@pytest.fixture(scope="module")
def found(labelled_requests: list[LabelledRequest]) -> Refit:
    return refit(labelled_requests, BASE, Abilities(), lambda line: None, labels_for_ranking=400)


def test_duels_alone_teach_which_questions_need_reasoning(found: Refit) -> None:
    assert found.adapted.method.startswith("own ranking")
    gains: dict[bool, list[float]] = {}
    for text, is_hard in some_texts(60, seed=9):
        estimate = found.adapted.model.estimate((Turn("user", text),))
        gains.setdefault(is_hard, []).append(estimate.gain)
    assert np.mean(gains[True]) > np.mean(gains[False]) + 0.1


def test_what_was_learnt_is_judged_on_what_came_later(found: Refit) -> None:
    figures = found.figures
    assert (found.labels, found.taught, figures.pairs) == (480, 360, 120)
    assert figures.verdict is HoldoutVerdict.BETTER
    assert figures.rankings["adapted"].need.value > figures.rankings["shipped"].need.value
    controls = {"adapted", "shipped", "length only", "cost-matched shuffled", "random", "oracle"}
    assert set(figures.rankings) == controls
    assert found.span_us[0] < found.span_us[1] < found.span_us[2]


def test_the_card_names_sources_biases_controls_and_the_verdict(found: Refit) -> None:
    written = card(found, BASE.version, ("a/fast", "b/deep"))
    for wanted in (
        "Verdict: **better**",
        "duel, agreement",
        "may be wrong alike",
        "length only",
        "oracle",
        "## Limits",
    ):
        assert wanted in written


def test_few_labels_set_the_calibration_and_prove_nothing(labelled_requests: list[LabelledRequest]) -> None:
    few = refit(labelled_requests[:FEWEST_LABELS], BASE, Abilities(), lambda line: None)
    assert few.adapted.method == "calibration of the base"
    assert few.figures.verdict is HoldoutVerdict.TOO_LITTLE
    assert "**Not enough evidence**" in card(few, BASE.version, ("a", "b"))


def test_too_few_labels_are_refused(labelled_requests: list[LabelledRequest]) -> None:
    with pytest.raises(NotEnoughEvidence, match="49 labelled"):
        refit(labelled_requests[:49], BASE, Abilities(), lambda line: None)


def test_the_same_books_give_the_same_version(labelled_requests: list[LabelledRequest], found: Refit) -> None:
    again = refit(labelled_requests[:60], BASE, Abilities(), lambda line: None)
    assert again.digest == refit(labelled_requests[:60], BASE, Abilities(), lambda line: None).digest != found.digest


def test_thresholds_move_so_that_as_many_queries_stay_deep(
    labelled_requests: list[LabelledRequest], found: Refit
) -> None:
    scores = np.array([labelled_request.score for labelled_request in labelled_requests])
    policy = Policy(
        1, parallel_threshold=float(np.quantile(scores, 0.7)), reasoning_threshold=float(np.quantile(scores, 0.9))
    )
    moved = same_share(labelled_requests, policy, found.adapted.model)
    now = np.array([(j := found.adapted.model.judge(each.seen)).p_reasoning - j.p_fast for each in labelled_requests])
    # Many of these scores are alike, so that more than a tenth reach the quantile.
    for name, threshold in moved.items():
        open_before = np.mean(scores >= getattr(policy, name))
        assert np.mean(now >= threshold) == pytest.approx(open_before, abs=0.05)
    assert moved.keys() == {"parallel_threshold", "reasoning_threshold"}
    assert same_share(labelled_requests[:50], policy, found.adapted.model) == {}


def test_a_worse_model_is_called_worse(labelled_requests: list[LabelledRequest], found: Refit) -> None:

    final = found.adapted.model.parameters.final.copy()
    final[0, 1] += 3.0
    final[1, 1] -= 3.0
    parameters = replace(found.adapted.model.parameters, final=final)
    worse = type(BASE)(parameters, version="worse", abilities=BASE.abilities, is_adapted=True)
    chances = np.array([(each.p_fast, each.p_reasoning) for each in labelled_requests])
    figures = compare_on_holdout(examples_of(labelled_requests[: FEWEST_PAIRS + 50], chances), worse, BASE, Abilities())
    assert figures.verdict is HoldoutVerdict.WORSE


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "tierwise.toml"
    path.write_text(
        f'database_url = "sqlite:///{tmp_path}/books.db"\nstate_dir = "{tmp_path}/state"\n'
        '[tiers.fast]\nmodel = "scripted/fast"\n[tiers.reasoning]\nmodel = "scripted/deep"\n'
        '[tiers.parallel]\nmodels = ["scripted/fast"]\n'
    )
    return path


def test_the_command_stores_shows_and_proposes(config: Path, tmp_path: Path) -> None:
    engine = open_books(f"sqlite:///{tmp_path}/books.db")
    book(engine, some_duels(440))
    run = CliRunner()
    since = ["--since", "2027-01-01", "--config", str(config)]
    done = run.invoke(app, ["train", "--from-ledger", *since, "--out", str(tmp_path / "out"), "--propose"])
    assert done.exit_code == 0, done.output
    [stored] = artifacts.list_all(engine)
    assert "# Model card: " + stored.version in done.stdout
    assert artifacts.unpack(artifacts.blob_of(engine, stored.version)).is_adapted
    assert (tmp_path / "out" / "card.md").exists()
    with engine.connect() as connection:
        proposed = versions.newest(connection, state="proposed")
    assert proposed.body["classifier"] == stored.version
    listed = run.invoke(app, ["artifacts", "list", "--config", str(config), "--format", "csv"])
    assert stored.version in listed.stdout
    shown = run.invoke(app, ["artifacts", "card", stored.version, "--config", str(config)])
    assert "## Limits" in shown.stdout
    again = run.invoke(app, ["train", "--from-ledger", *since])
    assert (again.exit_code, "already" in again.output) == (2, True)
    engine.dispose()


def test_the_command_says_when_there_is_not_enough(config: Path, tmp_path: Path) -> None:
    engine = open_books(f"sqlite:///{tmp_path}/books.db")
    book(engine, [Told("How tall is it?", rating=1)], NOON)
    engine.dispose()
    done = CliRunner().invoke(app, ["train", "--from-ledger", "--since", "2027-01-01", "--config", str(config)])
    assert (done.exit_code, "not enough evidence: 1 labelled" in done.output) == (1, True)


def test_the_command_wants_one_source_of_labels() -> None:
    assert CliRunner().invoke(app, ["train"]).exit_code == 2
