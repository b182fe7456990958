import html
import json
import time
from pathlib import Path
from typing import Any

import pytest

from tests.admin.operators import signed_in
from tests.api.service import serving, settings_of
from tests.builders.databases import open_books
from tests.builders.traffics import a_world, store
from tests.commands.conftest import Command

pytestmark = pytest.mark.usefixtures("books")


def shown(tierwise: Command, *version: str) -> dict[str, object]:
    found: dict[str, object] = json.loads(tierwise("policy", "show", *version, "--format", "json").out)
    return found


def log(tierwise: Command) -> list[dict[str, object]]:
    found: list[dict[str, object]] = json.loads(tierwise("policy", "log", "--format", "json").out)
    return found


def test_from_a_proposal_to_a_rollback(tierwise: Command) -> None:
    ran = tierwise("policy", "propose", "--set", "reasoning_threshold=0.3", "--note", "margin fell", "--author", "ada")
    assert ran.out.startswith("version 2: reasoning_threshold 0.25 -> 0.3")
    assert shown(tierwise)["version"] == 1
    assert tierwise("policy", "activate", "2", "--note", "as planned", "--author", "ada").code == 0
    assert shown(tierwise)["version"] == 2
    assert "version 1 is in force again" in tierwise("policy", "rollback", "--author", "bob", "--note", "it hurts").out
    assert [(entry["act"], entry["version"], entry["author"]) for entry in log(tierwise)] == [
        ("rolled_back", 1, "bob"),
        ("activated", 2, "ada"),
        ("proposed", 2, "ada"),
        ("activated", 1, "config"),
    ]


def test_the_author_is_the_user_of_the_system(tierwise: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGNAME", "grace")
    tierwise("policy", "propose", "--set", "explore=0.02")
    assert log(tierwise)[0]["author"] == "grace"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("propose", "--set", "reasoning_threshold=7"), "reasoning_threshold: must be a number from -1 to 2"),
        (("propose", "--set", "speed=1"), "unknown dial 'speed'"),
        (("propose",), "say what changes"),
        (("activate", "12", "--note", "so"), "there is no policy version 12"),
        (("rollback", "--note", "so"), "nothing to roll back"),
        (("activate", "1"), "say why with --note"),
        (("rollback", "--note", " "), "say why with --note"),
        (("propose", "--set", "max_deep_share=18"), "write 18 % or 0.18"),
        (("show", "4"), "there is no policy version 4"),
    ],
)
def test_what_makes_no_sense_is_named(tierwise: Command, arguments: tuple[str, ...], says: str) -> None:
    ran = tierwise("policy", *arguments)
    assert ran.code == 2
    assert says in ran.err


def test_changes_that_came_too_late_are_proposed_again(tierwise: Command) -> None:
    tierwise("policy", "propose", "--set", "explore=0.02")
    tierwise("policy", "propose", "--set", "max_deep_share=0.2")
    tierwise("policy", "activate", "2", "--note", "as planned")
    assert "--like 3" in tierwise("policy", "activate", "3", "--note", "as planned").err
    tierwise("policy", "propose", "--like", "3")
    tierwise("policy", "activate", "4", "--note", "as planned")
    dials = shown(tierwise)["dials"]
    assert isinstance(dials, dict)
    assert (dials["explore"], dials["max_deep_share"]) == (0.02, 0.2)


def test_before_anything_is_activated_the_built_in_dials_are_shown(tierwise: Command) -> None:
    assert shown(tierwise)["version"] == 0
    assert "built-in" in tierwise("policy", "show").out


@pytest.fixture
def busy(tierwise: Command) -> Command:
    """The command, with a past to look at."""
    tierwise("policy", "propose", "--set", "reasoning_threshold=0.3", "--set", "parallel_threshold=0.15")
    tierwise("policy", "activate", "2", "--note", "as planned")
    engine = open_books("sqlite:///var/tierwise.db")
    store(engine, a_world(1_500).traffic)
    engine.dispose()
    return tierwise


PAST = ("--since", "2023-01-01")


def test_a_back_test_stands_beside_its_controls(busy: Command) -> None:
    ran = busy("policy", "backtest", "--set", "reasoning_threshold=0.2", *PAST, "--format", "json")
    found = json.loads(ran.out)
    names = ["as it was", "proposed", "in force", "always fast", "shuffled", "costs not counted"]
    assert list(found["policies"]) == list(found["whole"]) == names
    assert found["policies"]["always fast"]["deep_share"]["value"] == 0
    proposed = found["policies"]["proposed"]["cost_usd_per_1k"]
    assert proposed["low"] < proposed["value"] < proposed["high"]
    assert list(found["segments"]) == ["free", "plus"]
    assert (found["requests"], found["changes"]) == (1_500, {"reasoning_threshold": {"before": 0.3, "after": 0.2}})


def test_a_back_test_for_people_says_what_it_assumes(busy: Command) -> None:
    shown = busy("policy", "backtest", "1", *PAST).out
    assert "always fast" in shown
    assert "keeps its own cost" in shown
    assert "by segment" in shown


async def test_the_page_shows_the_figures_and_the_assumptions_of_the_command(
    tierwise: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIERWISE_DATABASE_URL", f"sqlite:///{tmp_path}/books.db")
    async with serving(settings_of(tmp_path)) as service:
        store(service.engine, a_world(900).traffic, (int(time.time()) - 4_000) * 1_000)
        ran = tierwise("policy", "backtest", "--set", "max_deep_share=0.1", "--format", "json")
        ada = await signed_in(service)
        page = (await ada.get("thresholds")).text
        there = await ada.told("thresholds/backtest", {"span": "7d", "dials": {"max_deep_share": "0.1"}})
    here = json.loads(ran.out)
    assert html.unescape(page).split("What the figures rest on", 1)[1].split("</ul>", 1)[0].split("<li>")[1:] == [
        f"{assumption}</li>" for assumption in here["assumptions"]
    ]
    assert there["requests"] == here["requests"] == 900
    for of_page, of_command in ((there, here["policies"]), (there["whole"], here["whole"])):
        columns = {name.replace("_", " "): column for name, column in of_page["columns"].items()}
        columns["as it was"] = of_page["as_it_was"]
        assert {name: of_the_page(column) for name, column in columns.items()} == {
            name: of_the_command(column) for name, column in of_command.items()
        }
    for of_page, of_command in (
        ("by_segment", "segments"),
        ("whole_by_segment", "whole_segments"),
        ("by_country", "countries"),
    ):
        assert there[of_page] == {name: of_the_command(part) for name, part in here[of_command].items()}


def of_the_page(column: dict[str, Any]) -> dict[str, Any]:
    """A column of the page's back-test without its count of ratings, which it rounds."""
    return {name: cell for name, cell in column.items() if name != "ratings"}


def of_the_command(column: dict[str, Any]) -> dict[str, Any]:
    """The same of the command's: of three estimates of quality the one that the page shows, unknown ones as null."""
    known = {name: cell if cell["value"] is not None else None for name, cell in column.items() if is_figure(name)}
    if "quality_dr" not in column:
        return known
    doubt = column["quality_doubt"]
    return known | {"quality": None if doubt else column["quality_dr"], "doubt": doubt}


def is_figure(name: str) -> bool:
    return not name.startswith("quality_") and name not in {"ratings", "effective_ratings"}


def test_quality_is_not_claimed_without_evidence(tierwise: Command) -> None:
    engine = open_books("sqlite:///books.db")
    store(engine, a_world(300, rated=0.1).traffic)
    engine.dispose()
    Path("tierwise.toml").write_text('database_url = "sqlite:///books.db"')
    ran = tierwise("policy", "backtest", "--set", "reasoning_threshold=0.2", *PAST)
    assert "quality: not enough evidence" in ran.out


@pytest.mark.parametrize("command", [("backtest", "1"), ("solve", "--max-deep-share", "0.1")])
def test_figures_as_csv(busy: Command, command: tuple[str, ...]) -> None:
    lines = busy("policy", *command, *PAST, "--format", "csv").out.splitlines()
    assert lines[0] == "policy,segment,country,figure,value,low,high,of"
    margins = [line.split(",") for line in lines if line.split(",")[3] == "margin"]
    assert {margin[-1] for margin in margins} == {"all", "decided"}


def test_a_solution_is_proposed_with_its_target_as_the_note(busy: Command) -> None:
    shown_text = busy("policy", "solve", "--max-deep-share", "0.05", *PAST, "--propose", "--author", "ada").out
    assert "What binds: max_deep_share" in shown_text
    assert "version 3 is proposed" in shown_text
    proposed = shown(busy, "3")
    assert proposed["state"] == "proposed"
    assert "max_deep_share 0.05" in str(proposed["note"])
    assert shown(busy)["version"] == 2


def test_a_solution_as_json(busy: Command) -> None:
    target = ("--min-margin", "0.2", *PAST, "--format", "json")
    found = json.loads(busy("policy", "solve", "--of", "decided", *target).out)
    assert found["binding"] == "min_margin"
    assert found["predicted"]["margin"]["low"] >= 0.2
    assert (found["proposed"], found["predicted_whole"]) == (None, None)
    # Shadow calls cost more than everything earns: no threshold brings that back.
    assert found["as_it_was"]["margin"]["value"] < 0
    assert "min_margin cannot be met" in busy("policy", "solve", *target).err
    whole = json.loads(busy("policy", "solve", "--max-deep-share", "0.1", *PAST, "--format", "json").out)
    assert whole["predicted_whole"]["deep_share"]["value"] <= 0.1


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("solve",), "name at least one target"),
        (("solve", "--max-deep-share", "0.05"), "nothing to replay"),
        (("backtest", "--set", "explore=0"), "nothing to replay"),
        (("backtest",), "say what to test"),
        (("solve", "--min-margin", "0.3", "--since", "lately"), "neither a date"),
    ],
)
def test_without_a_target_or_a_past_there_is_no_answer(
    tierwise: Command, arguments: tuple[str, ...], says: str
) -> None:
    ran = tierwise("policy", *arguments)
    assert ran.code == 2
    assert says in ran.err
