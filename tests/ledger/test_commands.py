"""`tierwise ledger` and `tierwise prices`, as an operator uses them."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text
from typer.testing import CliRunner, Result

from router.commands import ledger, prices
from router.ledger.export import COLUMNS, csv_cell
from router.ledger.shipping import Shipper
from router.ledger.spool import Spool
from tests.builders.databases import open_books
from tests.ledger.builders import FakeClock, spool_requests
from tests.reports.books import a_booked_request, book

JULY_US = 1_783_000_000_000_000  # 2026-07-02


class Operator:
    """Somebody at a terminal, in a directory with a configuration."""

    def __init__(self, config: Path) -> None:
        self.config = config

    def types(self, app: object, *arguments: str) -> Result:
        return CliRunner().invoke(app, [*arguments, "--config", str(self.config)])  # type: ignore[arg-type]


@pytest.fixture
def operator(tmp_path: Path, sqlite_url: str, spool: Spool, clock: FakeClock) -> Iterator[Operator]:
    engine = open_books(sqlite_url)
    spool_requests(spool, 2)
    Shipper(spool, engine, clock=clock).turn()
    config = tmp_path / "tierwise.toml"
    config.write_text(
        f'database_url = "{sqlite_url}"\nstate_dir = "{tmp_path}"\n'
        '[tiers.fast]\nmodel = "openai/gpt-5-nano"\n[tiers.reasoning]\nmodel = "ollama/mine"\n'
    )
    yield Operator(config)
    engine.dispose()


def test_export_tells_causes_behind_the_fixed_columns_where_asked(operator: Operator) -> None:
    head = operator.types(ledger.app, "export", "--causes").stdout.splitlines()[0]
    assert head == ",".join([*COLUMNS, "cause", "http_status"])


@pytest.mark.parametrize("text", ["=1+1", "+cmd|x", "-2+3", "@SUM(A1)", "\t=1", "\r=1", "-", "=", "＝1", "+-1"])
def test_a_table_program_runs_no_text_of_ours(text: str) -> None:
    assert csv_cell(text) == f"'{text}"


@pytest.mark.parametrize("value", ["-0.5", "+3", "-.5", "1e-9", "-1e-9", "-12%", "gpt-5", "a=b", "", 0, -3, True])
def test_numbers_and_plain_text_stay_as_they_are(value: object) -> None:
    assert csv_cell(value) == value


def test_unknown_is_an_empty_cell() -> None:
    assert csv_cell(None) == ""


def test_export_as_csv_and_json(operator: Operator) -> None:
    assert len(operator.types(ledger.app, "export", "--format", "csv").stdout.splitlines()) == 3
    assert len(json.loads(operator.types(ledger.app, "export", "--format", "json").stdout)) == 2


def test_verify_says_sound_and_exits_with_zero(operator: Operator) -> None:
    found = operator.types(ledger.app, "verify")
    assert (found.exit_code, "the books are sound" in found.stdout) == (0, True)


def test_verify_exits_with_one_on_a_break(operator: Operator, sqlite_url: str) -> None:
    engine = open_books(sqlite_url)
    with engine.begin() as connection:
        connection.execute(text("UPDATE calls SET cost_nanousd = 0"))
    engine.dispose()
    found = operator.types(ledger.app, "verify", "--format", "json")
    assert found.exit_code == 1
    assert json.loads(found.stdout)[0]["kind"] == "break"


def test_reconcile_prints_the_capture_rate(operator: Operator, tmp_path: Path) -> None:
    bill = tmp_path / "bill.csv"
    bill.write_text("day,model,amount_usd\n2027-01-15,scripted/steady,0.01\n")
    found = operator.types(ledger.app, "reconcile", "--provider-bill", str(bill))
    assert found.exit_code == 0, found.output
    assert "capture rate 0.0000" in found.stdout


def test_rerate_shows_first(operator: Operator) -> None:
    found = operator.types(ledger.app, "rerate", "--format", "json")
    assert (found.exit_code, found.stdout.strip()) == (0, "[]")


def test_prices_list_names_models_without_a_price(operator: Operator) -> None:
    rows = json.loads(operator.types(prices.app, "list", "--format", "json").stdout)
    by_model = {row["model"]: row for row in rows}
    assert by_model["ollama/mine"]["source"] == "NO PRICE"
    assert (by_model["openai/gpt-5-nano"]["input"], by_model["openai/gpt-5-nano"]["output"]) == ("0.05", "0.4")


def test_prices_import_takes_over_what_is_new(operator: Operator) -> None:
    shown = json.loads(operator.types(prices.app, "diff", "openai/gpt-5.4", "--format", "json").stdout)
    assert [row["change"] for row in shown] == ["new"]
    assert operator.types(prices.app, "import", "openai/gpt-5.4", "--yes").exit_code == 0
    assert json.loads(operator.types(prices.app, "diff", "openai/gpt-5.4", "--format", "json").stdout) == []


def test_a_month_is_closed_once_listed_and_verified(operator: Operator, tmp_path: Path, sqlite_url: str) -> None:
    engine = open_books(sqlite_url)
    book(engine, tmp_path / "before", a_booked_request(at_us=JULY_US, costs=[7_000]))
    closed = operator.types(ledger.app, "close", "2026-07", "--note", "agreed")
    assert "2026-07 is closed: 1 requests, cost $0.000007000" in closed.stdout
    again = operator.types(ledger.app, "close", "2026-07")
    assert (again.exit_code, "closed already" in str(again.exception)) == (1, True)
    book(engine, tmp_path / "late", a_booked_request(at_us=JULY_US + 1, costs=[900]))
    [month] = json.loads(operator.types(ledger.app, "months", "--format", "json").stdout)
    assert (month["month"], month["note"], month["requests"], month["stands"]) == ("2026-07", "agreed", 1, "yes")
    assert (month["late_requests"], month["late_cost_usd"]) == (1, "0.000000900")
    with engine.begin() as connection:
        connection.execute(text("""UPDATE closed_months SET figures = '{"requests": 9}'"""))
    assert "a closed month stands as it was closed" in operator.types(ledger.app, "verify").stdout
    engine.dispose()


def test_made_up_requests_are_deleted_and_named_in_an_export(
    operator: Operator, tmp_path: Path, sqlite_url: str
) -> None:
    engine = open_books(sqlite_url)
    book(engine, tmp_path / "made", a_booked_request(synthetic=True))
    plain, whole = (operator.types(ledger.app, "export", *more) for more in ((), ("--with-made-up",)))
    assert plain.stderr.startswith("1 of 3 requests are made up, and left out")
    assert len(whole.stdout.splitlines()) == len(plain.stdout.splitlines()) + 1
    assert whole.stdout.splitlines()[0] == ",".join([*COLUMNS, "synthetic"])
    gone = operator.types(ledger.app, "forget", "--made-up", "--format", "json")
    assert json.loads(gone.stdout) == [{"requests": 1}]
    assert operator.types(ledger.app, "export").stdout == plain.stdout
    assert operator.types(ledger.app, "forget").exit_code == 2
    engine.dispose()
