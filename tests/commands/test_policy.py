import json

import pytest

from tests.commands.conftest import Command


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
    assert tierwise("policy", "activate", "2", "--author", "ada").code == 0
    assert shown(tierwise)["version"] == 2
    assert "version 1 is in force again" in tierwise("policy", "rollback", "--author", "bob").out
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
        (("activate", "12"), "there is no policy version 12"),
        (("rollback",), "nothing to roll back"),
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
    tierwise("policy", "activate", "2")
    assert "--like 3" in tierwise("policy", "activate", "3").err
    tierwise("policy", "propose", "--like", "3")
    tierwise("policy", "activate", "4")
    dials = shown(tierwise)["dials"]
    assert isinstance(dials, dict)
    assert (dials["explore"], dials["max_deep_share"]) == (0.02, 0.2)


def test_before_anything_is_activated_the_built_in_dials_are_shown(tierwise: Command) -> None:
    assert shown(tierwise)["version"] == 0
    assert "built-in" in tierwise("policy", "show").out
