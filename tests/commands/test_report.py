import csv
import io
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from router.ledger.export import COLUMNS
from router.types import Tier
from tests.builders.databases import open_books
from tests.commands.conftest import Command
from tests.reports.books import a_booked_request, book

FIGURES = {
    "requests": int,
    "calls": int,
    "unpriced": int,
    "estimated": int,
    "cost_usd": str,
    "expected_revenue_usd": str,
    "booked_revenue_usd": str,
    "contribution_usd": str,
    "deep_share": str,
}


@pytest.fixture
def books(here: Path) -> Iterator[Engine]:
    """Books where commands look for them."""
    (here / "var").mkdir()
    engine = open_books(f"sqlite:///{here}/var/tierwise.db")
    fast = a_booked_request(segment="plus")
    deep = a_booked_request(tier=Tier.REASONING, costs=[20_000_000], models=["openai/big"])
    book(engine, here / "var", fast, deep)
    yield engine
    engine.dispose()


def report(tierwise: Command, *options: str) -> dict[str, Any]:
    ran = tierwise("report", "--format", "json", *options)
    assert ran.code == 0, ran.err
    found: dict[str, Any] = json.loads(ran.out)
    return found


def test_the_report_has_the_shape_of_the_contract(tierwise: Command, books: Engine) -> None:
    found = report(tierwise, "--by", "tier")
    assert found.keys() >= {"window", "zone", "rows", "totals"}
    assert (found["zone"], found["window"]) == ("UTC", {"since": None, "until": None})
    assert [row["tier"] for row in found["rows"]] == ["fast", "reasoning"]
    for figures in (*found["rows"], found["totals"]):
        assert {name: type(figures[name]) for name in FIGURES} == FIGURES


def test_rows_add_up_to_the_totals(tierwise: Command, books: Engine) -> None:
    for by in ("tier", "segment", "model", "day", "tier,segment,model,day"):
        found = report(tierwise, "--by", by)
        for name in ("cost_usd", "expected_revenue_usd", "contribution_usd"):
            assert sum(Decimal(row[name]) for row in found["rows"]) == Decimal(found["totals"][name]), (by, name)


def test_a_window_is_shown_as_it_was_read(tierwise: Command, books: Engine) -> None:
    found = report(tierwise, "--since", "2026-03-01", "--until", "2026-03-02", "--zone", "Asia/Tokyo")
    assert found["window"] == {"since": "2026-02-28T15:00:00+00:00", "until": "2026-03-01T15:00:00+00:00"}
    assert (found["rows"], found["totals"]["requests"]) == ([], 0)


@pytest.mark.parametrize("form", ["table", "csv", "html", "json"])
def test_every_format_says_of_what_and_when_it_is(tierwise: Command, books: Engine, form: str) -> None:
    out = tierwise("report", "--since", "2026-01-01", "--zone", "Asia/Kathmandu", "--format", form).out
    assert "Asia/Kathmandu" in out
    assert "sqlite:///var/tierwise.db" in out
    assert ("1 Jan 2026 00:00" in out) or ("2025-12-31T18:15:00+00:00" in out)


@pytest.mark.parametrize("time", ["week", "month", "quarter"])
def test_longer_steps_are_sums_of_days(tierwise: Command, books: Engine, time: str) -> None:
    for zone in ("UTC", "Asia/Kathmandu"):
        found = report(tierwise, "--by", time, "--zone", zone)
        days = report(tierwise, "--by", f"{time},day", "--zone", zone)
        for row in found["rows"]:
            own = [day for day in days["rows"] if day[time] == row[time]]
            assert sum(Decimal(day["cost_usd"]) for day in own) == Decimal(row["cost_usd"])
        assert sum(row["requests"] for row in found["rows"]) == found["totals"]["requests"] == 2


def test_weeks_are_those_of_iso_8601(tierwise: Command, here: Path) -> None:
    (here / "var").mkdir()
    engine = open_books(f"sqlite:///{here}/var/tierwise.db")
    sunday, monday = (int(datetime(2027, 1, day, 12, tzinfo=UTC).timestamp()) * 1_000_000 for day in (3, 4))
    book(engine, here / "var", a_booked_request(at_us=sunday), a_booked_request(at_us=monday))
    engine.dispose()
    assert [row["week"] for row in report(tierwise, "--by", "week")["rows"]] == ["2026-W53", "2027-W01"]
    assert [row["quarter"] for row in report(tierwise, "--by", "quarter")["rows"]] == ["2027-Q1"]


def test_a_window_stands_beside_the_one_before(tierwise: Command, books: Engine) -> None:
    assert report(tierwise)["before"] is None
    found = report(tierwise, "--since", "2026-01-01", "--until", "2027-06-01")
    assert found["before"]["changes"]["requests"]["now"] == str(found["totals"]["requests"])
    assert "Against " in tierwise("report", "--since", "7d").out


def test_commands_count_days_in_the_configured_zone(
    tierwise: Command, books: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIERWISE_REPORTS__ZONE", "Asia/Tokyo")
    found = report(tierwise, "--since", "2026-03-01", "--until", "2026-03-02")
    assert (found["zone"], found["window"]["since"]) == ("Asia/Tokyo", "2026-02-28T15:00:00+00:00")
    assert report(tierwise, "--zone", "UTC", "--since", "1d")["window"]["since"].endswith("T00:00:00+00:00")


def test_an_unknown_zone_stops_the_start_with_its_name(
    tierwise: Command, books: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIERWISE_REPORTS__ZONE", "Mars/Base")
    ran = tierwise("report")
    assert (ran.code, ran.out) == (2, "")
    assert "reports.zone" in ran.err
    assert "Mars/Base" in ran.err


def test_as_csv_there_is_one_line_a_row(tierwise: Command, books: Engine) -> None:
    rows = list(csv.DictReader(io.StringIO(tierwise("report", "--by", "model", "--format", "csv").out)))
    assert [row["model"] for row in rows] == ["openai/big", "openai/cheap"]


def test_the_table_ends_in_the_totals(tierwise: Command, books: Engine) -> None:
    lines = [line.split()[:3] for line in tierwise("report").out.splitlines()]
    assert ["total", "2", "2"] in lines


def test_a_thousand_requests_are_those_that_were_asked_for(tierwise: Command, books: Engine) -> None:
    everything, deep = tierwise("report").out, tierwise("report", "--where", "tier=reasoning").out
    assert "A thousand requests cost $10.00 and" in everything
    assert "A thousand requests cost $20.00 and" in deep


@pytest.mark.parametrize(
    "options",
    [("--by", "mood"), ("--by", ""), ("--by", "tier,tier"), ("--since", "whenever"), ("--zone", "Mars/Base")],
)
def test_what_cannot_be_asked_is_refused(tierwise: Command, books: Engine, options: tuple[str, str]) -> None:
    ran = tierwise("report", *options)
    assert (ran.code, ran.out) == (2, "")
    assert "Traceback" not in ran.err


def test_the_export_has_the_columns_of_the_contract(tierwise: Command, books: Engine) -> None:
    contract = (
        "request_id,call_no,kind,tier,provider_model,status,input_fresh,input_cached,input_cache_write,output_visible,"
        "output_reasoning,cost_nanousd,price_id,precision,started_at,segment"
    )
    lines = tierwise("ledger", "export", "--format", "csv").out.splitlines()
    assert (lines[0], len(lines)) == (contract, 3)
    exported = json.loads(tierwise("ledger", "export", "--format", "json").out)
    assert {tuple(row) for row in exported} == {COLUMNS}


def test_an_unpriced_call_is_exported_with_an_empty_amount(tierwise: Command, books: Engine, here: Path) -> None:
    book(books, here / "var", a_booked_request(costs=[None], segment="free"))
    rows = csv.DictReader(io.StringIO(tierwise("ledger", "export").out))
    assert [row["cost_nanousd"] for row in rows if row["segment"] == "free"] == [""]
    exported = json.loads(tierwise("ledger", "export", "--format", "json").out)
    assert [row["cost_nanousd"] for row in exported if row["segment"] == "free"] == [None]


def test_a_statement_is_written_where_it_can_be(tierwise: Command, books: Engine, here: Path) -> None:
    asked = ("statement", "--month", "2026-03", "--segment", "plus", "-o")
    assert tierwise(*asked, "plus.html").code == 0
    assert "plus" in (here / "plus.html").read_text(encoding="utf-8")
    refused = tierwise(*asked, "nowhere/plus.html")
    assert (refused.code, "nowhere/plus.html" in refused.err) == (2, True)
