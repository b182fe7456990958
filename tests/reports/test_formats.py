"""Every format says the same, and every state of the books reads well."""

import csv
import io
import json
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from html.parser import HTMLParser
from pathlib import Path

import pytest
from sqlalchemy import Engine
from typer.testing import CliRunner

from router.cli import app
from router.commands.report import report as report_command
from router.ledger import rollups
from router.reports import page as pages
from router.reports.costs import Costs, middle_nanousd
from router.reports.figures import definitions
from router.reports.stamp import Stamp
from router.reports.standing import FullReport, full_report
from router.reports.window import Window
from router.types import DAY_US, Tier
from tests.builders.databases import open_books
from tests.ledger.builders import NOON
from tests.reports.books import a_booked_request, book, earn

ALWAYS = Window(None, None, UTC)
NOW_US = int(datetime(2027, 3, 1, tzinfo=UTC).timestamp()) * 1_000_000


def full(engine: Engine, by: Sequence[str] = ("tier",), window: Window = ALWAYS) -> FullReport:
    return full_report(engine, by, window, {}, pages.MORE)


def html(engine: Engine, window: Window = ALWAYS) -> str:
    return pages.page(full(engine, window=window), Stamp(window, "sqlite:///books.db", NOW_US), {})


@pytest.fixture
def books(sqlite_engine: Engine, tmp_path: Path) -> Engine:
    requests = [
        a_booked_request(tier=Tier.FAST, costs=[300_001], at_us=NOON + place * DAY_US // 4) for place in range(8)
    ]
    requests += [a_booked_request(tier=Tier.REASONING, costs=[9_000_000, 10_000_000], at_us=NOON)]
    requests += [a_booked_request(tier=Tier.PARALLEL, costs=[None, 500_000], country="US", at_us=NOON + DAY_US)]
    book(sqlite_engine, tmp_path, *requests)
    earn(sqlite_engine, requests[0], 2_000_000)
    return sqlite_engine


@pytest.fixture
def served(books: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CliRunner:
    monkeypatch.setenv("TIERWISE_DATABASE_URL", books.url.render_as_string(hide_password=False))
    monkeypatch.setenv("TIERWISE_STATE_DIR", str(tmp_path / "state"))
    return CliRunner()


def test_json_csv_and_table_say_the_same(served: CliRunner) -> None:
    said = {form: served.invoke(app, ["report", "--by", "tier,day", "--format", form]) for form in ("json", "csv")}
    told = json.loads(said["json"].stdout)
    rows = list(csv.DictReader(io.StringIO(said["csv"].stdout)))
    assert [row["cost_usd"] for row in told["rows"]] == [row["cost_usd"] or None for row in rows]
    total = sum(Decimal(row["cost_usd"]) for row in rows)
    assert str(total) == told["totals"]["cost_usd"] == told["figures"]["cost_usd"]
    assert {"window", "zone", "rows", "totals"} <= told.keys()


def test_a_page_is_one_file_without_script_or_network(books: Engine) -> None:
    made = html(books)
    assert "<svg" in made
    assert not re.search(r"<script|https?://|src=|@import|url\(", made)


def test_every_tag_of_a_page_is_closed(books: Engine) -> None:
    class Open(HTMLParser):
        tags: list[str]

        def handle_starttag(self, tag: str, attrs: object) -> None:
            if tag not in ("meta", "line", "polyline", "circle"):
                self.tags.append(tag)

        def handle_endtag(self, tag: str) -> None:
            assert self.tags.pop() == tag

        def handle_startendtag(self, tag: str, attrs: object) -> None:
            pass

    parser = Open()
    parser.tags = []
    parser.feed(html(books))
    assert parser.tags == []


def test_what_operators_name_is_escaped_in_a_page(sqlite_engine: Engine, tmp_path: Path) -> None:
    book(sqlite_engine, tmp_path, a_booked_request(models=["a/<b>x"]))
    assert "<b>x" not in html(sqlite_engine)


def test_unknown_is_said_with_its_reason_and_never_shown_as_nothing(sqlite_engine: Engine, tmp_path: Path) -> None:
    book(sqlite_engine, tmp_path, a_booked_request(costs=[None]))
    found = full(sqlite_engine)
    assert found.figures["cost_usd"] is None
    assert found.figures["cost_p50_usd"] is None
    assert found.figures["contribution_per_query_usd"] is None
    assert "unknown: no call has a price" in html(sqlite_engine)


def test_empty_books_and_future_windows_read_well(books: Engine, tmp_path: Path) -> None:
    empty = open_books(f"sqlite:///{tmp_path}/empty.db")
    assert "no requests in this window" in html(empty)
    empty.dispose()
    future = Window(NOON + 400 * DAY_US, NOON + 500 * DAY_US, UTC)
    assert "no requests in this window" in html(books, future)
    assert full(books, window=future).figures["cost_per_query_usd"] is None


def test_an_unknown_zone_or_filter_is_refused_in_words(served: CliRunner) -> None:
    refused = served.invoke(app, ["report", "--zone", "Mars/Olympus"])
    assert "unknown time zone" in str(refused.exception)
    assert served.invoke(app, ["report", "--where", "color=red"]).exit_code == 2


def test_a_filter_narrows_and_standing_figures_stay_out(served: CliRunner) -> None:
    told = json.loads(served.invoke(app, ["report", "--where", "country=US", "--format", "json"]).stdout)
    assert told["totals"]["requests"] == 1
    assert "figures" not in told


def test_figures_are_the_same_rolled_up(books: Engine) -> None:
    before = full(books)
    rollups.catch_up(books, NOON + 30 * DAY_US)
    after = full(books)
    assert (before.figures, before.overhead, before.spenders) == (after.figures, after.overhead, after.spenders)


def test_savings_count_every_overhead(books: Engine) -> None:
    figures = full(books).figures
    fast, reasoning = Decimal("0.000300001") * 10, Decimal("0.019000000") * 10
    cost = Decimal(str(figures["cost_usd"]))
    assert Decimal(str(figures["always_fast_cost_usd"])) == fast
    assert Decimal(str(figures["saved_against_always_reasoning_usd"])) == reasoning - cost
    assert Decimal(str(figures["cost_max_usd"])) == Decimal("0.019")


def test_booked_revenue_replaces_what_was_expected_of_the_same_request(books: Engine) -> None:
    figures = full(books).figures
    assert figures["gap_usd"] == "0.000550000"
    expected = Decimal(str(figures["expected_revenue_usd"]))
    assert Decimal(str(figures["revenue_usd"])) == expected + Decimal("0.00055")


def test_percentiles_are_at_most_half_a_step_off() -> None:
    for bucket in (0, 17, 160, 320):
        middle = middle_nanousd(bucket)
        assert abs(Decimal(middle) - Decimal(2) ** (Decimal(bucket) / 16)) / middle < Decimal("0.5")
    assert Costs({320: 98, 400: 2}).quantile_usd(50) == Costs({320: 1}).quantile_usd(50)
    assert Costs({320: 98, 400: 2}).quantile_usd(99) == Costs({400: 1}).quantile_usd(99)
    assert Costs({}).quantile_usd(50) is None


def test_every_figure_has_a_formula_and_a_reason_to_be_unknown() -> None:
    assert all(figure.formula and figure.unknown and figure.group for figure in definitions())
    assert report_command.__doc__
