"""The books as Parquet: what DuckDB makes of them, by the queries that the documentation has, is what reports say."""

import re
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet
import pytest
from sqlalchemy import Engine

from router.mistakes.extras import MissingExtra
from router.reports.parquet import COLUMNS_OF_PARQUET, write_parquet
from router.reports.queries import Report, costs
from router.reports.stamp import Stamp
from router.reports.window import Window, zone_of
from tests.builders.databases import lay_out
from tests.commands.conftest import Command, here, tierwise  # noqa: F401 - fixtures
from tests.reports.test_focus import ALWAYS, UNLISTED, books, close_january  # noqa: F401 - fixture

GUIDE = Path(__file__).parents[2] / "docs" / "how-to" / "finance.md"
BY_DAY, BY_MODEL, BY_SEGMENT = re.findall(r"```sql\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)


@pytest.fixture
def exported(books: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Engine:  # noqa: F811
    """Books, and their export in the directory where the queries look for it."""
    monkeypatch.chdir(tmp_path)
    write_parquet(books, Stamp.of(books, ALWAYS), Path("books"))
    return books


def ask(query: str) -> list[tuple[Any, ...]]:
    with duckdb.connect() as connection:
        return connection.execute(query).fetchall()


def of_report(report: Report, *figures: str) -> dict[str | None, tuple[Decimal, ...]]:
    """The rows of a report, amounts in dollars."""
    return {
        key[0]: tuple(Decimal(getattr(sums, name)) / (10**9 if name.endswith("nanousd") else 1) for name in figures)
        for key, sums in report.rows.items()
    }


def test_by_day_requests_cost_and_revenue_are_those_of_the_report(exported: Engine) -> None:
    found = {str(day): tuple(Decimal(one or 0) for one in rest) for day, *rest in ask(BY_DAY)}
    assert found == of_report(costs(exported, ["day"], ALWAYS), "requests", "cost_nanousd", "expected_nanousd")


def test_by_model_the_cost_is_that_of_the_report_and_unpriced_calls_are_told(exported: Engine) -> None:
    found = {model: (cost or Decimal(0), unpriced) for model, cost, unpriced in ask(BY_MODEL)}
    said = of_report(costs(exported, ["model"], ALWAYS), "cost_nanousd")
    assert {model: (cost,) for model, (cost, _) in found.items()} == said
    assert found[UNLISTED] == (Decimal("0.000005000"), 1)


def test_by_segment_the_margin_is_that_of_the_report(exported: Engine) -> None:
    found = {segment: (left, booked or Decimal(0)) for segment, left, booked in ask(BY_SEGMENT) if left is not None}
    said = of_report(costs(exported, ["segment"], ALWAYS), "expected_nanousd", "cost_nanousd", "booked_nanousd")
    assert found == {name: (expected - cost, booked) for name, (expected, cost, booked) in said.items() if name}


def test_amounts_are_decimals_unknown_is_null_and_there_is_no_text_of_prompts(exported: Engine) -> None:
    [first, *_] = sorted(Path("books").glob("day=*/books.parquet"))
    schema = pyarrow.parquet.read_schema(first)
    assert schema.names == list(COLUMNS_OF_PARQUET)
    assert {str(schema.field(name).type) for name in schema.names if name.endswith("_usd")} == {"decimal128(19, 9)"}
    assert schema.metadata[b"tierwise.zone"] == b"UTC"
    query = "SELECT cost_usd, input_fresh FROM 'books/*/*.parquet' WHERE model LIKE 'example/%' AND \"row\" = 'call'"
    assert ask(query) == [(None, 800)]


def test_days_are_those_of_the_zone_and_replaced_whole(exported: Engine) -> None:
    window = Window(None, None, zone_of("Asia/Tokyo"))
    for _ in range(2):
        written = write_parquet(exported, Stamp.of(exported, window), Path("tokyo"))
    rows = ask("SELECT day::VARCHAR, COUNT(*) FROM 'tokyo/*/*.parquet' GROUP BY day ORDER BY day")
    assert dict(rows) == written
    said = costs(exported, ["day"], window)
    found = dict(
        ask("SELECT day::VARCHAR, SUM(requests) FROM 'tokyo/*/*.parquet' GROUP BY day HAVING SUM(requests) > 0")
    )
    assert found == {key[0]: sums.requests for key, sums in said.rows.items() if sums.requests}
    assert not list(Path("tokyo").glob("day=*/.*"))


def test_without_pyarrow_the_extra_is_named(sqlite_engine: Engine, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingExtra, match=r"tierwise\[parquet\]"):
        write_parquet(sqlite_engine, Stamp.of(sqlite_engine, ALWAYS), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_command_wants_a_directory_and_whole_days(tierwise: Command, here: Path) -> None:  # noqa: F811
    lay_out(f"sqlite:///{here}/var/tierwise.db")
    assert tierwise("ledger", "export", "--format", "parquet").code == 2
    assert tierwise("ledger", "export", "-o", "out").code == 2
    refused = tierwise("ledger", "export", "--format", "parquet", "-o", "out", "--since", "2026-03-01T12:00")
    assert (refused.code, "whole days" in refused.err) == (2, True)
    ran = tierwise("ledger", "export", "--format", "parquet", "-o", "out", "--since", "7d")
    assert (ran.code, ran.out) == (0, "")
    assert "0 rows of 0 days in out" in ran.err


def test_what_arrives_for_a_closed_month_is_in_the_file_of_the_day_that_posted_it(
    exported: Engine, tmp_path: Path
) -> None:
    close_january(exported, tmp_path)
    write_parquet(exported, Stamp.of(exported, ALWAYS), Path("books"))
    found = {str(day): tuple(Decimal(one or 0) for one in rest) for day, *rest in ask(BY_DAY)}
    assert found == of_report(costs(exported, ["day"], ALWAYS), "requests", "cost_nanousd", "expected_nanousd")
