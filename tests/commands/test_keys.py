import csv
import io
import json
import shutil
from pathlib import Path

import pytest

from tests.commands.conftest import Command

pytestmark = pytest.mark.usefixtures("books")


def listed(tierwise: Command) -> list[dict[str, str]]:
    rows: list[dict[str, str]] = json.loads(tierwise("keys", "list", "--format", "json").out)
    return rows


def test_a_key_is_printed_once_as_json(tierwise: Command) -> None:
    ran = tierwise("keys", "create", "app", "--format", "json")
    secret = json.loads(ran.out)["key"]
    assert secret.startswith("tw-")
    assert secret not in tierwise("keys", "list", "--format", "json").out


def test_a_key_is_printed_alone_for_a_shell(tierwise: Command) -> None:
    ran = tierwise("keys", "create", "app")
    assert ran.out.strip().startswith("tw-")
    assert len(ran.out.split()) == 1


def test_making_a_key_makes_state_directory_and_database(tierwise: Command, here: Path) -> None:
    shutil.rmtree(here / "var")
    tierwise("keys", "create", "app")
    assert (here / "var" / "tierwise.db").exists()


def test_new_keys_may_chat_and_rate_in_every_tier(tierwise: Command) -> None:
    tierwise("keys", "create", "app")
    [row] = listed(tierwise)
    assert (row["scopes"], row["allowed_tiers"], row["segment"]) == (
        "chat,feedback",
        "fast,parallel,reasoning",
        "default",
    )


@pytest.mark.parametrize("options", [("--scope", "chat", "--scope", "assign"), ("--scopes", "assign, chat")])
def test_scopes_are_given_one_by_one_or_as_a_list(tierwise: Command, options: tuple[str, ...]) -> None:
    tierwise("keys", "create", "app", *options, "--segment", "plus", "--allowed-tiers", "fast")
    [row] = listed(tierwise)
    assert (row["scopes"], row["segment"], row["allowed_tiers"]) == ("assign,chat", "plus", "fast")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--scope", "root"), "'root' is not one of"),
        (("--allowed-tiers", "slow"), "'slow' is not one of"),
        (("--segment", "Free Users"), "segment 'Free Users'"),
    ],
)
def test_what_a_key_cannot_have_is_refused(tierwise: Command, options: tuple[str, ...], says: str) -> None:
    ran = tierwise("keys", "create", "app", *options)
    assert (ran.code, ran.out) == (2, "")
    assert says in " ".join(ran.err.split())


def test_a_name_that_is_taken_is_refused_in_one_line(tierwise: Command) -> None:
    tierwise("keys", "create", "app")
    assert tierwise("keys", "create", "app").err == "tierwise: there is a key named 'app' already\n"


def test_a_revoked_key_is_listed_with_its_end(tierwise: Command) -> None:
    tierwise("keys", "create", "app")
    assert tierwise("keys", "revoke", "app").code == 0
    assert listed(tierwise)[0]["revoked_at"] is not None
    assert tierwise("keys", "revoke", "app").code == 2


def test_the_listing_as_csv_has_a_head_and_empty_cells(tierwise: Command) -> None:
    tierwise("keys", "create", "app")
    [row] = csv.DictReader(io.StringIO(tierwise("keys", "list", "--format", "csv").out))
    assert (row["name"], row["revoked_at"]) == ("app", "")


def test_a_key_is_made_with_an_end_models_and_limits_and_listed_with_them(tierwise: Command) -> None:
    options = ("--expires", "90d", "--allowed-models", "gpt-5", "--requests-per-minute", "60")
    tierwise("keys", "create", "app", *options, "--user-usd-per-day", "0.25", "--max-n", "none")
    [row] = listed(tierwise)
    assert row["allowed_models"] == "gpt-5"
    assert row["expires_at"] > row["created_at"]
    assert row["limits"] == "requests_per_minute=60 max_n=none user_usd_per_day=0.250000000"


def test_models_and_limits_are_changed_and_inherited_again(tierwise: Command) -> None:
    tierwise("keys", "create", "app", "--allowed-tiers", "fast", "--concurrency", "3")
    assert listed(tierwise)[0]["allowed_models"] == "none"
    tierwise("keys", "change", "app", "--allowed-models", "all", "--concurrency", "default", "--max-tokens", "500")
    [row] = listed(tierwise)
    assert (row["allowed_models"], row["limits"]) == ("all", "max_tokens=500")


def test_a_rotated_key_is_printed_once_and_the_list_says_how_long_the_old_one_lives(tierwise: Command) -> None:
    first = tierwise("keys", "create", "app").out.strip()
    second = json.loads(tierwise("keys", "rotate", "app", "--overlap", "30m", "--format", "json").out)["key"]
    [row] = listed(tierwise)
    assert first != second
    assert second.startswith(row["prefix"])
    assert row["old_valid_until"] is not None


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("create", "b", "--expires", "soon"), "no duration"),
        (("create", "b", "--expires", "2020-01-01"), "expires in the future"),
        (("create", "b", "--max-n", "many"), "is no number"),
        (("rotate", "app", "--overlap", "a while"), "no duration"),
        (("rotate", "nobody"), "no valid key"),
        (("change", "app"), "what is to change"),
    ],
)
def test_what_cannot_be_of_a_key_is_said(tierwise: Command, words: tuple[str, ...], says: str) -> None:
    tierwise("keys", "create", "app")
    ran = tierwise("keys", *words)
    assert ran.code != 0
    assert says in " ".join(ran.err.replace("│", " ").split())


def test_each_key_has_a_secret_for_its_webhooks_that_is_stored_nowhere(
    tierwise: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    tierwise("keys", "create", "app")
    assert "jobs.webhooks.secret" in tierwise("keys", "webhook", "app").err
    monkeypatch.setenv("TIERWISE_JOBS__WEBHOOKS__SECRET", f"whsec_{'AAAA' * 10}")
    asked = [("app",), ("app",), ()]
    first, again, keyless = [tierwise("keys", "webhook", *name).out.strip() for name in asked]
    assert first == again != keyless
    assert first.startswith("whsec_")
    assert tierwise("keys", "webhook", "nobody").code == 2
