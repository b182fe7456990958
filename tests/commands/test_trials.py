"""Trials on the command line."""

import json
from pathlib import Path

import pytest

from tests.commands.conftest import Command


@pytest.fixture
def ready(tierwise: Command) -> Command:
    """The command, with version 2 proposed on top of version 1."""
    tierwise("policy", "propose", "--set", "reasoning_threshold=0.3", "--set", "segments.free.max_deep_share=0.02")
    return tierwise


def test_a_canary_is_started_shown_and_stopped(ready: Command) -> None:
    begun = ready("policy", "canary", "2", "--share", "0.1", "--note", "carefully", "--author", "ada")
    assert begun.out.startswith("version 2 answers in place of version 1 for 0.1 of conversations")
    assert "On trial: version 2 answers" in ready("policy", "show").out
    trial = json.loads(ready("policy", "show", "--format", "json").out)["trial"]
    assert (trial["version"], trial["share"], trial["state"]) == (2, 0.1, "running")
    [running] = json.loads(ready("policy", "canary", "--format", "json").out)
    assert running["verdict"] == (
        "too early to tell after 0 requests beside 0: about 5,000 more requests of the canary are needed"
    )
    assert ready("policy", "canary", "--stop", "--author", "bob").out.startswith("stopped: version 2")
    acts = json.loads(ready("policy", "log", "--format", "json").out)
    assert [(entry["act"], entry["author"]) for entry in acts[:2]] == [
        ("canary_stopped", "bob"),
        ("canary_started", "ada"),
    ]
    [listed] = json.loads(ready("policy", "canary", "--format", "json").out)
    assert (listed["state"], listed["note"]) == ("stopped", "carefully")


def test_a_shadow_sees_all_conversations(ready: Command) -> None:
    assert "decides in the shadow of version 1 for 1 of conversations" in ready("policy", "canary", "2", "--shadow").out


def test_segments_and_unset_dials_are_shown(ready: Command) -> None:
    shown = ready("policy", "show", "2").out
    assert "segments.free.max_deep_share" in shown
    assert json.loads(ready("policy", "show", "2", "--format", "json").out)["dials"]["segments"] == {
        "free": {"max_deep_share": 0.02}
    }
    ready("policy", "activate", "2", "--note", "as planned")
    ready("policy", "propose", "--set", "segments.free.max_deep_share=none")
    assert json.loads(ready("policy", "show", "3", "--format", "json").out)["changes"] == {
        "segments.free.max_deep_share": {"before": 0.02, "after": None}
    }


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("2", "--share", "200 %"), "share: must be above 0 and at most 0.9"),
        (("7",), "there is no policy version 7"),
        (("2", "--on-success", "cheer"), "on_success: must be wait or activate"),
        (("2", "--shadow", "--on-success", "activate"), "a shadow acts on nothing"),
        (("--stop",), "nothing to stop"),
        (("2", "--stop"), "--stop takes no version"),
    ],
)
def test_what_makes_no_sense_is_named(ready: Command, arguments: tuple[str, ...], says: str) -> None:
    ran = ready("policy", "canary", *arguments)
    assert ran.code == 2
    assert says in ran.err
    assert json.loads(ready("policy", "canary", "--format", "json").out) == []


def test_after_the_configuration_changed_a_version_is_validated_again(ready: Command) -> None:
    Path("tierwise.toml").write_text('[tiers.reasoning]\nmodel = "scripted/deep"\n')
    assert "tierwise policy validate 2" in ready("policy", "activate", "2", "--note", "as planned").err
    assert ready("policy", "validate", "2").out.startswith("version 2 fits the configuration")
    assert ready("policy", "activate", "2", "--note", "as planned").code == 0
