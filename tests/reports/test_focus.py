"""A FOCUS bill: its columns, what kind of values they hold, and that it adds up to the books exactly."""

import csv
import io
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, insert

from router.database.engine import writing
from router.database.tables import RevenueEvent
from router.ledger import closing, correction, pricelist
from router.ledger.correction import RECONCILED
from router.ledger.prices import Price, PriceBook, Rates
from router.ledger.shipping import Shipper
from router.ledger.spool import Spool
from router.reports import months
from router.reports.charges import split_call
from router.reports.focus import COLUMNS_OF_FOCUS, FOCUS_COLUMNS, write_focus
from router.reports.queries import costs
from router.reports.window import Window
from router.types import DAY_US, Precision, Usage
from scripts import focus
from tests.builders.databases import lay_out
from tests.commands.conftest import Command, here, tierwise  # noqa: F401 - fixtures
from tests.ledger.builders import MODEL, NOON, USAGE, a_closing, a_result, an_id, an_intent, an_opening
from tests.reports.books import earn

ALWAYS = Window(None, None, UTC)
UNLISTED = "example/unlisted"
MONTH_US = 31 * DAY_US


@pytest.fixture
def books(engine: Engine, tmp_path: Path) -> Engine:
    """Two priced calls, one without a price, one at its upper bound, a request without a call, three corrections."""
    pricelist.sync(engine, [MODEL], {}, NOON)
    price = PriceBook.load(engine).in_effect(MODEL, NOON)
    assert price is not None
    made = [an_id(NOON + place * DAY_US) for place in range(5)]
    with spool_of(engine, tmp_path) as spool:
        for id in made[:2]:
            spool.write([an_opening(id), an_intent(id, price_id=price.id)])
            spool.write([a_result(id, price_id=price.id, cost_nanousd=price.cost(USAGE)), a_closing(id)])
        spool.write([an_opening(made[2], segment="=plus"), an_intent(made[2], provider_model=UNLISTED)])
        spool.write([a_result(made[2]), a_closing(made[2])])
        bound: dict[str, Any] = {
            "precision": Precision.UNKNOWN,
            "usage": None,
            "price_id": price.id,
            "cost_nanousd": 1_000_000,
        }
        spool.write([an_opening(made[3]), an_intent(made[3], price_id=price.id)])
        spool.write([a_result(made[3], **bound), a_closing(made[3])])
        spool.write([an_opening(made[4]), a_closing(made[4], answer_call_no=None)])
    common = {"price_id": None, "effective_at": NOON, "day": "2027-01-15", "provider_model": MODEL}
    rows = [
        common | {"kind": RECONCILED, "request_id": id, "call_no": number, "amount_nanousd": amount}
        for id, number, amount in ((None, None, -7), (made[0], 0, 11), (made[2], 0, 5_000))
    ]
    with writing(engine) as connection:
        correction.book_run(connection, "reconcile", rows, "ann", "invoice", NOON + MONTH_US)
        event = {"source": "net", "event_id": "1", "kind": "statement", "amount_nanousd": 300, "received_at": NOON}
        connection.execute(insert(RevenueEvent).values(**event, day="2027-01-15", country="XX"))
    earn(engine, [an_opening(made[1])], 2_000_000)
    return engine


@contextmanager
def spool_of(engine: Engine, directory: Path) -> Iterator[Spool]:
    spool = Spool.open(directory / "spool")
    yield spool
    Shipper(spool, engine).turn()
    spool.close()


def close_january(books: Engine, directory: Path) -> None:
    """Close the month of the books; a request, its revenue and a statement arrive afterwards."""
    closing.close(books, "2027-01", "ann", "", NOON + MONTH_US)
    id = an_id(NOON)
    with spool_of(books, directory) as spool:
        spool.write([an_opening(id), an_intent(id), a_result(id, cost_nanousd=77), a_closing(id)])
    earn(books, [an_opening(id)], 70)
    with writing(books) as connection:
        event = {"source": "net", "event_id": "late", "kind": "statement", "amount_nanousd": 900, "received_at": NOON}
        connection.execute(insert(RevenueEvent).values(**event, day="2027-01-15"))


def bill(engine: Engine, window: Window = ALWAYS) -> list[Mapping[str, str]]:
    file = io.StringIO()
    count = write_focus(engine, window, file)
    rows: list[Mapping[str, str]] = list(csv.DictReader(io.StringIO(file.getvalue())))
    assert len(rows) == count
    return rows


def total(rows: list[Mapping[str, str]], column: str) -> Decimal:
    return sum((Decimal(row[column]) for row in rows if row[column]), Decimal(0))


def test_a_bill_adds_up_to_the_report_to_the_nano_dollar(books: Engine) -> None:
    rows, report = bill(books), costs(books, ["tier"], ALWAYS).totals()
    assert total(rows, "BilledCost") == total(rows, "EffectiveCost") == Decimal(report.cost_nanousd) / 10**9
    assert total(rows, "x_ExpectedRevenue") == Decimal(report.expected_nanousd) / 10**9
    assert total(rows, "x_BookedRevenue") == Decimal(report.booked_nanousd) / 10**9
    counts = {"x_RequestCount": report.requests, "x_CallCount": report.calls}
    assert {name: total(rows, name) for name in counts} == counts
    assert total(rows, "x_UnpricedCallCount") == report.calls - report.priced


def test_a_window_has_the_charges_of_its_requests(books: Engine) -> None:
    window = Window(NOON + DAY_US, NOON + 3 * DAY_US, UTC)
    rows, report = bill(books, window), costs(books, ["tier"], window).totals()
    assert total(rows, "BilledCost") == Decimal(report.cost_nanousd) / 10**9
    assert total(rows, "x_RequestCount") == 2
    assert {row["ChargePeriodStart"] for row in rows} == {"2027-01-16T08:00:00Z", "2027-01-17T08:00:00Z"}


def test_the_columns_of_focus_come_first_and_our_own_have_the_prefix(books: Engine) -> None:
    assert tuple(bill(books)[0]) == COLUMNS_OF_FOCUS
    assert len(set(COLUMNS_OF_FOCUS)) == len(COLUMNS_OF_FOCUS)
    assert all(column.startswith("x_") == (column not in FOCUS_COLUMNS) for column in COLUMNS_OF_FOCUS)


def test_every_value_has_the_type_of_its_column(books: Engine) -> None:
    never_null = {"BilledCost", "ListCost", "ContractedCost", "EffectiveCost"}
    for row in bill(books):
        for column, value in row.items():
            if column.endswith(("Cost", "UnitPrice", "Quantity")):
                assert re.fullmatch(r"-?\d+\.\d+", value) or (value == "" and column not in never_null), column
            if column.startswith(("ChargePeriod", "BillingPeriod")):
                assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:00:00Z", value)
        assert row["BillingCurrency"] == row["PricingCurrency"] == "USD"
        assert row["ChargeCategory"] in ("Usage", "Adjustment")
        assert all(row[name] for name in ("BillingAccountId", "ProviderName", "ServiceName", "InvoiceIssuerName"))


def test_usage_is_quantity_times_price_and_its_rounding_is_billed(books: Engine) -> None:
    usage = [row for row in bill(books) if row["ChargeCategory"] == "Usage"]
    assert {row["SkuMeter"] for row in usage} == {"Input tokens", "Cached input tokens", "Output tokens"}
    for row in usage:
        quantity = Decimal(row["PricingQuantity"])
        assert quantity * Decimal(row["ListUnitPrice"]) == Decimal(row["ListCost"])
        assert quantity * 1_000_000 == Decimal(row["ConsumedQuantity"])
        assert abs(Decimal(row["BilledCost"]) - Decimal(row["ListCost"])) < Decimal("0.000000001") * 2
        assert row["SkuPriceId"].startswith(f"{row['SkuId']}/")


def test_what_no_quantity_explains_has_none(books: Engine) -> None:
    others = [row for row in bill(books) if row["ChargeCategory"] != "Usage"]
    names = ("PricingQuantity", "ConsumedQuantity", "ListUnitPrice", "SkuId", "PricingUnit")
    assert {row[name] for row in others for name in names} == {""}
    [unpriced] = [row for row in others if row["x_Model"] == UNLISTED and row["x_CallCount"] == "1"]
    assert (unpriced["BilledCost"], unpriced["x_UnpricedCallCount"]) == ("0.0", "0")  # it was corrected
    [bound] = [row for row in others if row["x_Precision"] == "unknown"]
    assert bound["BilledCost"] == "0.001"


def test_tokens_of_a_call_without_a_price_are_told(engine: Engine, tmp_path: Path) -> None:
    id = an_id(NOON)
    with spool_of(engine, tmp_path) as spool:
        spool.write([an_opening(id), an_intent(id), a_result(id), a_closing(id)])
    [row] = bill(engine)
    told = (row["x_UnpricedCallCount"], row["x_UnpricedInputTokens"], row["x_UnpricedOutputTokens"])
    assert told == ("1", "1500", "350")


def test_a_correction_is_a_row_of_the_month_that_booked_it(books: Engine) -> None:
    corrections = [row for row in bill(books) if row["ChargeClass"] == "Correction"]
    assert sorted(row["BilledCost"] for row in corrections) == ["-0.000000007", "0.000000011", "0.000005"]
    assert {row["BillingPeriodStart"] for row in corrections} == {"2027-02-01T00:00:00Z"}
    assert {row["ChargePeriodStart"][:7] for row in corrections} == {"2027-01"}


def test_no_text_of_ours_is_run_by_a_table_program(books: Engine) -> None:
    assert "'=plus" in {row["x_Segment"] for row in bill(books)}


def test_a_fee_per_call_is_a_meter_of_its_own_and_rounding_loses_nothing() -> None:
    price = Price(1, "a/b", 0, None, "config", (Rates(input=333, output=777),), per_call_nanousd=50)
    usage = Usage(input_fresh=7, output_visible=3)
    parts = split_call(price.cost(usage), usage, price, None)
    assert parts is not None
    assert [meter.bucket for meter, _, _ in parts] == ["input_fresh", "output_visible", "calls"]
    assert sum(pico for _, _, pico in parts) == price.cost(usage) * 1_000
    assert split_call(price.cost(usage) + 1, usage, price, None) is None


def test_the_command_writes_a_file_and_says_of_what(tierwise: Command, here: Path) -> None:  # noqa: F811
    lay_out(f"sqlite:///{here}/var/tierwise.db")
    ran = tierwise("report", "--format", "focus", "--since", "2026-03-01", "-o", "bill.csv")
    assert (ran.code, ran.out) == (0, "")
    assert "FOCUS 1.2, 0 rows" in ran.err
    assert "1 Mar 2026 00:00 to" in ran.err
    assert (here / "bill.csv").read_text().splitlines() == [",".join(COLUMNS_OF_FOCUS)]
    assert tierwise("report", "--format", "focus", "--by", "day").code == 2


@pytest.mark.slow
def test_the_finops_foundations_own_validator_finds_nothing(books: Engine, tmp_path: Path) -> None:
    if not focus.is_installed():
        pytest.skip("no focus-validator: scripts/check_focus installs it")
    with (tmp_path / "bill.csv").open("w", encoding="utf-8", newline="") as file:
        write_focus(books, ALWAYS, file)
    _, broken = focus.judge_bill(tmp_path / "bill.csv")
    assert broken == []


def test_made_up_requests_are_left_out_once_there_are_real_ones(books: Engine, tmp_path: Path) -> None:
    id = an_id(NOON)
    with spool_of(books, tmp_path) as spool:
        spool.write([an_opening(id, synthetic=True), an_intent(id), a_result(id), a_closing(id)])
    told = {row["x_IsMadeUp"] for row in bill(books)}
    everything = bill(books, replace(ALWAYS, with_made_up=True))
    assert (told, total(everything, "x_RequestCount")) == ({"false"}, Decimal(6))
    assert [row["x_RequestCount"] for row in everything if row["x_IsMadeUp"] == "true"] == ["1"]


def test_a_file_that_cannot_be_written_is_named(tierwise: Command, here: Path) -> None:  # noqa: F811
    lay_out(f"sqlite:///{here}/var/tierwise.db")
    for form in ("focus", "csv"):
        ran = tierwise("report", "--format", form, "-o", "nowhere/bill.csv")
        assert (ran.code, "nowhere/bill.csv: No such file or directory" in ran.err) == (2, True)


def test_a_closed_month_stands_and_what_arrives_for_it_is_billed_when_it_is_posted(
    books: Engine, tmp_path: Path
) -> None:
    january, before = months.window_of(closing.month_named("2027-01")), bill(books)
    close_january(books, tmp_path)
    assert bill(books, january) == before
    rows, report = bill(books), costs(books, ["tier"], ALWAYS).totals()
    assert total(rows, "BilledCost") == Decimal(report.cost_nanousd) / 10**9
    assert total(rows, "x_BookedRevenue") == Decimal(report.booked_nanousd) / 10**9
    assert total(rows, "x_RequestCount") == report.requests
    [late] = [row for row in rows if row["BilledCost"] == "0.000000077"]
    assert (late["ChargeClass"], late["ChargePeriodStart"]) == ("Correction", "2027-01-15T08:00:00Z")
