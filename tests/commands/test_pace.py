"""What the price of a dollar is, and whether predictions came true, as people and programs read it."""

import json
import time

import pytest

from router.pacing.multipliers import INTERVAL_US, LAG_US, Multipliers
from router.policies.versions import in_force
from tests.builders.databases import open_books
from tests.builders.traffics import a_world, store
from tests.commands.conftest import Command

PAST = ("--since", "2023-01-01")


@pytest.fixture
def paced(tierwise: Command) -> Command:
    """The command, after a minute in which the margin was missed."""
    tierwise("policy", "propose", "--set", "min_margin=0.9", "--set", "pacing=on")
    tierwise("policy", "activate", "2", "--note", "as planned")
    engine = open_books("sqlite:///var/tierwise.db")
    first_ms = 28_333_334 * 60_000
    store(engine, a_world(60).traffic, first_ms)
    policy, now_us = in_force(engine), first_ms * 1_000 + INTERVAL_US + LAG_US
    Multipliers(engine, lambda: policy, lambda: now_us).follow()
    engine.dispose()
    return tierwise


def test_the_multipliers_and_their_last_moves(paced: Command) -> None:
    shown = paced("policy", "pace").out
    assert "Pacing is on in version 2" in shown
    assert "free: thresholds are multiplied by 1.105" in shown
    found = json.loads(paced("policy", "pace", "--segment", "free", "--format", "json").out)
    assert list(found["multipliers"]) == ["free"]
    (move,) = found["moves"]
    assert (move["target"], move["state"]) == ("min_margin", "on")
    assert move["spent_usd"] > move["due_usd"]


def test_moves_as_csv(paced: Command) -> None:
    lines = paced("policy", "pace", "--format", "csv").out.splitlines()
    assert lines[0].startswith("at,segment,version,multiplier,error,target,spent_usd")
    assert len(lines) == 3


def test_where_nothing_is_paced_nothing_is_shown(tierwise: Command) -> None:
    assert "Pacing is dry_run in version 0" in tierwise("policy", "pace").out


def test_a_solution_is_held_against_what_came(tierwise: Command) -> None:
    engine = open_books("sqlite:///books.db")
    store(engine, a_world(1_500).traffic)
    with open("tierwise.toml", "w") as file:
        file.write('database_url = "sqlite:///books.db"')
    ran = tierwise("policy", "solve", "--max-deep-share", "0.1", "--segment", "plus", *PAST, "--propose")
    assert "version 2 is proposed" in ran.out
    assert "never been in force" in tierwise("policy", "realised", "2").err
    assert tierwise("policy", "activate", "2", "--note", "as planned").code == 0
    store(engine, a_world(300, 2).traffic, int(time.time() * 1_000) + 1_000, version=2)
    engine.dispose()
    shown = tierwise("policy", "realised").out
    assert "Predicted by solve on" in shown
    assert "of the segment plus" in shown
    found = json.loads(tierwise("policy", "realised", "2", "--format", "json").out)
    assert found["prediction"]["made_by"] == "solve"
    assert set(found["figures"]["deep_share"]) == {"predicted", "realised", "outside"}
    lines = tierwise("policy", "realised", "--format", "csv").out.splitlines()
    assert lines[0].startswith("figure,predicted_value,predicted_low")
