import json
from pathlib import Path

import pytest

from tests.commands.conftest import Command

HEALTHY = """
[tiers.fast]
model = "scripted/fast"
[tiers.reasoning]
model = "scripted/deep"
[tiers.parallel]
models = ["scripted/fast"]
"""


def findings(tierwise: Command, *options: str) -> tuple[int, dict[str, tuple[str, str]]]:
    ran = tierwise("doctor", "--format", "json", *options)
    return ran.code, {row["what"]: (row["state"], row["says"]) for row in json.loads(ran.out)}


def test_a_healthy_configuration_has_nothing_bad(tierwise: Command) -> None:
    Path("tierwise.toml").write_text(HEALTHY)
    code, found = findings(tierwise)
    assert (code, found["scripted/deep"]) == (0, ("ok", "answers"))
    assert found["configuration"] == ("ok", "tierwise.toml")


def test_a_model_that_does_not_answer_is_bad(tierwise: Command) -> None:
    Path("tierwise.toml").write_text(HEALTHY.replace("scripted/deep", "scripted/fail-503"))
    code, found = findings(tierwise)
    assert (code, found["scripted/fail-503"][0]) == (1, "bad")


def test_a_policy_that_the_tiers_contradict_is_named(tierwise: Command) -> None:
    Path("tierwise.toml").write_text(HEALTHY)
    assert findings(tierwise, "--offline")[1]["policy, of the file"] == ("ok", "fits the tiers")
    tierwise("policy", "propose", "--set", "explore=0.02")
    Path("tierwise.toml").write_text(HEALTHY.replace('["scripted/fast"]', '["scripted/deep"]'))
    state, says = findings(tierwise, "--offline")[1]["policy, version 1"]
    assert state == "warning"
    assert "parallel samples the reasoning model" in says


def test_providers_are_left_alone_when_told_so(tierwise: Command) -> None:
    Path("tierwise.toml").write_text(HEALTHY.replace("scripted/deep", "scripted/fail-503"))
    code, found = findings(tierwise, "--offline")
    assert (code, "scripted/fail-503" in found) == (0, False)


def test_a_model_without_a_price_is_named(tierwise: Command) -> None:
    Path("tierwise.toml").write_text('[models.own]\nmodel = "openai/nobody-priced-this"\n')
    assert findings(tierwise, "--offline")[1]["price of openai/nobody-priced-this"][0] == "warning"


def test_a_variable_that_sets_nothing_is_named(tierwise: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIERWISE_SERVR__PORT", "1")
    assert findings(tierwise, "--offline")[1]["TIERWISE_SERVR__PORT"] == ("warning", "sets nothing")


def test_a_database_that_cannot_be_read_is_bad(tierwise: Command) -> None:
    Path("tierwise.toml").write_text('database_url = "postgresql+psycopg://me:pssst@127.0.0.1:9/none"\n')
    ran = tierwise("doctor", "--offline", "--format", "json")
    assert (ran.code, "pssst" in ran.out) == (1, False)


def test_looking_changes_nothing(tierwise: Command, here: Path) -> None:
    tierwise("doctor", "--offline")
    assert list(here.iterdir()) == []


def test_it_says_who_needs_a_key(tierwise: Command) -> None:
    Path("tierwise.toml").write_text(HEALTHY)
    assert "until the first is made" in findings(tierwise, "--offline")[1]["API keys"][1]
    tierwise("keys", "create", "app")
    assert "1 live, so server.auth = auto counts as required" in findings(tierwise, "--offline")[1]["API keys"][1]
    tierwise("keys", "revoke", "app")
    assert "until the first is made" in findings(tierwise, "--offline")[1]["API keys"][1]
