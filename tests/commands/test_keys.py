import csv
import io
import json
from pathlib import Path

import pytest

from tests.commands.conftest import Command


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
