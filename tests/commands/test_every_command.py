import shutil
from importlib.metadata import version
from pathlib import Path

import pytest
import typer

from router.cli import app
from tests.commands.conftest import Command

pytestmark = pytest.mark.usefixtures("books")
COMMANDS = {
    "serve",
    "init",
    "doctor",
    "estimate",
    "report",
    "whatif",
    "ledger/export",
    "ledger/verify",
    "ledger/reconcile",
    "ledger/forget",
    "policy/show",
    "policy/propose",
    "policy/validate",
    "policy/canary",
    "policy/activate",
    "policy/rollback",
    "policy/log",
    "policy/backtest",
    "policy/solve",
    "policy/realised",
    "policy/pace",
    "revenue/show",
    "revenue/set",
    "budget/show",
    "budget/set",
    "prices/list",
    "prices/import",
    "prices/diff",
    "keys/create",
    "keys/list",
    "keys/revoke",
    "admin/reset",
    "db/upgrade",
    "db/check",
}


def known() -> set[str]:
    found = set()
    for name, command in typer.main.get_command(app).commands.items():  # type: ignore[attr-defined]
        found |= {f"{name}/{sub}" for sub in getattr(command, "commands", {})} or {name}
    return found


def test_the_commands_of_the_contract_are_there() -> None:
    assert known() >= COMMANDS


@pytest.mark.parametrize("command", sorted(known()))
def test_every_command_has_help(tierwise: Command, command: str) -> None:
    ran = tierwise(*command.split("/"), "--help")
    assert (ran.code, "Usage: " in ran.out) == (0, True)


@pytest.mark.parametrize("command", ["", "report", "keys", "keys create", "policy backtest"])
def test_help_is_asked_for_in_short_too(tierwise: Command, command: str) -> None:
    ran = tierwise(*command.split(), "-h")
    assert (ran.code, "Usage: " in ran.out) == (0, True)


def test_it_says_which_version_it_is(tierwise: Command) -> None:
    ran = tierwise("--version")
    assert (ran.code, ran.out) == (0, f"tierwise {version('tierwise')}\n")


@pytest.mark.parametrize(
    "command",
    [
        "report",
        "whatif",
        "agreement",
        "ledger export",
        "ledger verify",
        "policy realised",
        "keys list",
        "alerts list",
    ],
)
def test_without_books_there_are_none_to_read_and_none_are_made(tierwise: Command, here: Path, command: str) -> None:
    shutil.rmtree("var")
    ran = tierwise(*command.split())
    assert (ran.code, ran.out, list(here.iterdir())) == (2, "", [])
    assert "there are no books yet in sqlite:///var/tierwise.db" in ran.err
    assert "`tierwise serve` makes them" in ran.err


@pytest.mark.parametrize(
    "listing",
    [
        "report",
        "whatif",
        "keys/list",
        "policy/show",
        "policy/log",
        "revenue/show",
        "budget/show",
        "prices/list",
        "prices/diff",
        "ledger/export",
        "ledger/verify",
    ],
)
@pytest.mark.parametrize("form", ["table", "json", "csv"])
def test_every_listing_takes_every_format(tierwise: Command, listing: str, form: str) -> None:
    assert tierwise(*listing.split("/"), "--format", form).code == 0


@pytest.mark.parametrize("listing", ["report", "keys/list", "ledger/export", "doctor"])
def test_a_format_that_does_not_exist_is_refused(tierwise: Command, listing: str) -> None:
    assert tierwise(*listing.split("/"), "--format", "xml").code == 2


@pytest.mark.parametrize("command", ["report", "keys list", "serve", "doctor", "db upgrade", "estimate", "admin reset"])
def test_a_wrong_key_stops_every_command_in_one_line_that_names_it(tierwise: Command, command: str) -> None:
    Path("tierwise.toml").write_text("[server]\nprot = 1\n")
    ran = tierwise(*command.split())
    says = "tierwise: tierwise.toml, line 2: server.prot: unknown key; did you mean server.port?\n"
    assert (ran.code, ran.err) == (2, says)


def test_a_command_that_does_not_exist_is_refused(tierwise: Command) -> None:
    assert tierwise("fly").code == 2
