"""The page that goes to somebody in finance, read as its text and structure, not as a picture."""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

import pytest
from sqlalchemy import Engine

from router.reports.before import compare_before
from router.reports.charts import LETTER, Series, stack_bars
from router.reports.page import MORE, page
from router.reports.report_charts import time_names
from router.reports.stamp import Stamp
from router.reports.standing import full_report
from router.reports.tables import ColumnKind, Unknown, lay_out
from router.reports.window import Window, window
from router.types import DAY_US, Tier
from tests.ledger.builders import NOON
from tests.reports.books import a_booked_request, book, earn

NOW = datetime(2027, 3, 1, tzinfo=UTC)
ALWAYS = Window(None, None, UTC)
FRAME = {"grid", "axis", "end", "middle", "small", "faint", "interval"}


@pytest.fixture
def books(sqlite_engine: Engine, tmp_path: Path) -> Engine:
    requests = [
        a_booked_request(tier=Tier.FAST, costs=[300_001], at_us=NOON + place * DAY_US // 4) for place in range(8)
    ]
    requests += [a_booked_request(tier=Tier.REASONING, costs=[9_000_000_000, 10_000_000], at_us=NOON)]
    requests += [a_booked_request(tier=Tier.PARALLEL, costs=[None, 500_000], country="US", at_us=NOON + 3 * DAY_US)]
    book(sqlite_engine, tmp_path, *requests)
    earn(sqlite_engine, requests[0], 2_000_000)
    return sqlite_engine


def read(engine: Engine, now: datetime = NOW) -> Element:
    """The page as a tree: that it can be read so says that every tag is closed."""
    stamp = Stamp(ALWAYS, "sqlite:///books.db", int(now.timestamp()) * 1_000_000)
    made = page(full_report(engine, ("tier",), ALWAYS, {}, MORE), stamp, {})
    return ElementTree.fromstring(re.sub(r"(<meta [^>]*)>", r"\1/>", made).replace("<!doctype html>", ""))


def text(element: Element | None) -> str:
    return "" if element is None else " ".join("".join(element.itertext()).split())


def tables(tree: Element) -> Mapping[str, Sequence[Sequence[str]]]:
    """The lines of each table by its heading: head, rows and total."""
    found = {}
    for section in tree.iter("section"):
        if section.find(".//table") is not None:
            lines = [[text(cell) for cell in row] for row in section.iter("tr")]
            found[text(section.find("h2"))] = lines
    return found


def test_the_tiles_have_the_figures_of_the_report(books: Engine) -> None:
    tiles = {text(tile.find("dt")): [text(dd) for dd in tile.findall("dd")] for tile in read(books).iter("div")}
    assert tiles["Requests"] == ["10"]
    assert tiles["Cost"] == ["$9.01", "a lower bound"]
    assert tiles["Actual revenue"] == ["<$0.01", "booked for 1 requests"]
    assert tiles["Deep share"][0] == "20.0 %"
    assert {"Expected revenue", "Margin", "Cost per 1,000 requests"} <= tiles.keys()


def test_what_was_not_booked_is_a_dash_with_its_reason(sqlite_engine: Engine, tmp_path: Path) -> None:
    book(sqlite_engine, tmp_path, a_booked_request(costs=[None]))
    tree = read(sqlite_engine)
    tiles = {text(tile.find("dt")): [text(dd) for dd in tile.findall("dd")] for tile in tree.iter("div")}
    assert tiles["Actual revenue"] == ["–", "nothing was booked"]
    assert tiles["Cost"][0] == "–"
    assert tables(tree)["By tier"][1][2] == "–unknown: no call has a price"


def test_a_table_says_what_the_report_says_and_adds_up(books: Engine) -> None:
    rows = tables(read(books))["By tier"]
    assert rows[0][:3] == ["tier", "requests", "cost"]
    assert [row[0] for row in rows[1:]] == ["fast", "parallel", "reasoning", "total"]
    assert [row[2] for row in rows[1:]] == ["<$0.01", "<$0.01", "$9.01", "$9.01"]
    assert [row[1] for row in rows[1:]] == ["8", "1", "1", "10"]


def test_every_column_of_money_has_one_number_of_decimals(books: Engine) -> None:
    for title, rows in tables(read(books)).items():
        for column in zip(*(row for row in rows[1:] if len(row) == len(rows[0])), strict=True):
            if title != "Every figure, and how it is worked out":
                decimals = {len(cell.partition(".")[2]) for cell in column if re.fullmatch(r"-?<?\$[\d,]+\.\d+", cell)}
                assert len(decimals) <= 1, (title, column)


def test_a_column_of_small_amounts_shows_them_and_hides_none() -> None:
    rows = [("a", Decimal("0.0123456")), ("b", Decimal("0.0000001")), ("c", Decimal("-0.004"))]
    cells = [row[1].text for row in lay_out("t", (("w", ColumnKind.WORDS), ("m", ColumnKind.MONEY)), rows).rows]
    assert cells == ["$0.0123", "<$0.0001", "-$0.0040"]


def test_reasons_for_dashes_stand_above_the_table_once_each() -> None:
    rows = [("a", Unknown("nobody said")), ("b", Unknown("nobody said"))]
    assert lay_out("t", (("w", ColumnKind.WORDS), ("m", ColumnKind.COUNT)), rows).notes == [
        "– is unknown: nobody said."
    ]


def test_every_look_in_a_chart_is_named_in_its_legend(books: Engine) -> None:
    figures = list(read(books).iter("figure"))
    assert len(figures) >= 6
    for figure in figures:
        svg = figure.find("svg")
        assert svg is not None
        assert svg.get("aria-label")
        looks = {str(shape.get("class")).split()[0] for shape in svg if shape.tag != "text"} - FRAME
        named = {str(item.get("class")).removeprefix("k-") for item in figure.iter("li")}
        assert {look.removesuffix("-dot") for look in looks} <= {name.removesuffix("-dot") for name in named}


@pytest.mark.parametrize("days", [1, 2, 7, 31, 92])
def test_dates_below_an_axis_stand_clear_of_each_other(days: int) -> None:
    names = time_names([(date(2026, 11, 1) + timedelta(day)).isoformat() for day in range(days)])
    drawn = stack_bars("x", names, [Series("a", "fast", [Decimal(1)] * days)], None, "$")
    ends = [
        (float(x) - len(name) * LETTER / 2, float(x) + len(name) * LETTER / 2)
        for x, name in re.findall(r'<text x="([\d.]+)" y="222" class="middle">([^<]+)', drawn)
    ]
    assert len(ends) >= min(days, 4)
    assert all(before[1] < after[0] for before, after in pairwise(ends))
    assert ends[0][0] >= 0
    assert ends[-1][1] <= 420


def test_numbers_beside_an_axis_of_money_have_the_sign_and_the_same_decimals() -> None:
    drawn = stack_bars("x", ["a"], [Series("a", "fast", [Decimal("1.4")])], None, "$")
    assert re.findall(r'class="end">([^<]+)', drawn) == ["$0.00", "$0.50", "$1.00", "$1.50"]


def test_days_are_named_as_people_name_them() -> None:
    assert time_names(["2026-11-01", "2026-11-30"]) == ["1 Nov", "30 Nov"]
    assert time_names(["2026-12-31", "2027-01-01"]) == ["31 Dec 26", "1 Jan 27"]
    assert time_names(["2026-11", "2027-01"]) == ["Nov 2026", "Jan 2027"]


def test_days_without_requests_have_their_place_on_the_axis(books: Engine) -> None:
    [chart] = [figure for figure in read(books).iter("figure") if "by day" in text(figure.find("figcaption"))][:1]
    assert {text(title).partition(",")[0] for title in chart.iter("title")} == {"15 Jan", "16 Jan", "17 Jan", "18 Jan"}


def test_a_day_that_is_not_over_is_not_taken_for_a_bad_one(books: Engine) -> None:
    last = datetime.fromtimestamp(NOON / 1e6, UTC) + timedelta(days=3, hours=1)
    assert text(read(books, last)).count("The last day is not over.") == 2
    assert "is not over" not in text(read(books))


def test_the_page_says_what_is_estimated_and_what_is_unknown(books: Engine) -> None:
    tree = read(books)
    [said] = [text(s) for s in tree.iter("section") if text(s.find("h2")).startswith("What is estimated")]
    assert "The cost is a lower bound: 1 of 12 calls (8.3 %) have no price, of openai/cheap." in said
    assert "Expected revenue is an estimate" in said
    assert "Actual revenue is what networks booked: $0.002000 for 1 of 10 requests" in said


def test_what_is_exact_is_said_too(sqlite_engine: Engine, tmp_path: Path) -> None:
    book(sqlite_engine, tmp_path, a_booked_request(costs=[1_000]))
    assert "every call has a price" in text(read(sqlite_engine))
    assert "No network has booked revenue yet" in text(read(sqlite_engine))


def test_tiles_say_how_they_changed_since_the_window_before(sqlite_engine: Engine, tmp_path: Path) -> None:
    counts = (2, 3)
    book(
        sqlite_engine,
        tmp_path,
        *(a_booked_request(at_us=NOON + day * DAY_US) for day, count in enumerate(counts) for _ in range(count)),
    )
    asked = window("2027-01-16", "2027-01-17", "UTC", NOW)
    found = full_report(sqlite_engine, ("tier",), asked, {}, MORE)
    made = page(found, Stamp.of(sqlite_engine, asked), {}, None, compare_before(sqlite_engine, asked, {}))
    assert made.count("+50.0 % against the time before") == 3  # requests, cost and expected revenue
    assert "<dd>3</dd>" in made
