"""Verification, re-rating and reconciliation: what is wrong is found, and corrected without touching a line."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path

import pytest
from sqlalchemy import Engine, func, insert, select, text, update

from router.database.tables import Adjustment, Call, PriceRow
from router.errors import InvalidRequest
from router.ledger import correction, export, pricelist, reconcile
from router.ledger.pricelist import StatedRates
from router.ledger.prices import PriceBook
from router.ledger.shipping import Shipper
from router.ledger.spool import Spool
from router.ledger.verify import verify
from router.types import CallStatus, Precision
from tests.ledger.builders import (
    MODEL,
    NOON,
    USAGE,
    FakeClock,
    a_closing,
    a_result,
    an_id,
    an_intent,
    an_opening,
)

DAY = "2027-01-15"


@dataclass
class Ledger:
    """Books with three priced calls, one unknown and one unpriced."""

    engine: Engine
    book: PriceBook
    ids: list[str]

    def total(self) -> int:
        with self.engine.connect() as connection:
            lines = connection.scalar(select(func.sum(Call.cost_nanousd)))
            corrections = connection.scalar(select(func.sum(Adjustment.amount_nanousd)))
        return int(lines or 0) + int(corrections or 0)


@pytest.fixture
def ledger(engine: Engine, spool: Spool, clock: FakeClock) -> Ledger:
    pricelist.sync(engine, [MODEL], {}, NOON)
    book = PriceBook.load(engine)
    price = book.in_effect(MODEL, NOON)
    assert price is not None
    ids = [an_id(NOON + n * 1_000_000) for n in range(4)]
    hold = price.hold(2_000, 1_000)
    for request_id in ids[:3]:
        spool.write([an_opening(request_id), an_intent(request_id, price_id=price.id, hold_nanousd=hold)])
        cost = price.cost(USAGE)
        spool.write([a_result(request_id, price_id=price.id, cost_nanousd=cost), a_closing(request_id)])
    lost = an_intent(ids[0], 1, price_id=price.id, hold_nanousd=hold)
    unknown = a_result(
        ids[0],
        1,
        price_id=price.id,
        cost_nanousd=hold,
        usage=None,
        precision=Precision.UNKNOWN,
        status=CallStatus.CANCELLED,
    )
    spool.write([lost])
    spool.write([unknown])
    free = an_intent(ids[3], provider_model="ollama/mine", hold_nanousd=None)
    spool.write([an_opening(ids[3]), free])
    spool.write([a_result(ids[3]), a_closing(ids[3])])
    Shipper(spool, engine, clock=clock).turn()
    return Ledger(engine, book, ids)


def test_sound_books_are_found_sound(ledger: Ledger) -> None:
    found = verify(ledger.engine)
    assert found.breaks == {}
    assert (found.requests, found.calls) == (4, 5)
    assert (found.notes["unpriced lines"], found.notes["unknown lines (the hold is booked)"]) == (1, 1)


@pytest.mark.parametrize(
    ("tampering", "law"),
    [
        ("UPDATE calls SET cost_nanousd = cost_nanousd + 1 WHERE precision = 1", "amount = usage x price"),
        ("UPDATE calls SET cost_nanousd = 0 WHERE precision = 3", "keeps its hold"),
        ("UPDATE calls SET price_id = 99 WHERE price_id IS NOT NULL", "exists"),
        ("UPDATE calls SET cost_nanousd = 0 WHERE price_id IS NULL", "no amount without a price"),
        ("DELETE FROM requests", "belongs to a booked request"),
        ("DELETE FROM calls", "that answered a request is booked"),
        ("UPDATE prices SET effective_to = 5", "in effect when the call began"),
    ],
)
def test_tampering_is_found(ledger: Ledger, tampering: str, law: str) -> None:
    with ledger.engine.begin() as connection:
        connection.execute(text(tampering))
    assert any(law in broken for broken in verify(ledger.engine).breaks)


def test_overlapping_prices_are_found(ledger: Ledger) -> None:
    with ledger.engine.begin() as connection:
        row = connection.execute(select(PriceRow.__table__)).mappings().one()
        connection.execute(insert(PriceRow).values({**row, "id": 50, "effective_from": 10}))
    assert "prices of a model do not overlap" in verify(ledger.engine).breaks


def test_refused_requests_break_the_promise(ledger: Ledger, tmp_path: Path) -> None:
    (tmp_path / "spool").mkdir(exist_ok=True)
    (tmp_path / "spool" / "rejected.jsonl").write_text("{}\n")
    assert "nothing is refused by the database" in verify(ledger.engine, tmp_path).breaks


def test_rerating_with_the_same_prices_finds_nothing(ledger: Ledger) -> None:
    assert correction.differences(ledger.engine, ledger.book) == []


def test_rerating_adds_the_difference_and_leaves_the_lines(ledger: Ledger) -> None:
    before = ledger.total()
    with ledger.engine.begin() as connection:
        doubled = [{**r, "input": 2 * r["input"], "output": 2 * r["output"]} for r in _rates(ledger)]
        connection.execute(update(PriceRow).values(rates=doubled))
    changes = correction.differences(ledger.engine, PriceBook.load(ledger.engine))
    assert len(changes) == 3
    assert all(change.after_nanousd == 2 * (change.before_nanousd or 0) for change in changes)
    correction.rerate(ledger.engine, changes, "tester", "prices doubled", NOON)
    assert ledger.total() - before == sum(c.after_nanousd - (c.before_nanousd or 0) for c in changes)
    assert correction.differences(ledger.engine, PriceBook.load(ledger.engine)) == []
    assert "a re-rated line stands at its new amount" not in verify(ledger.engine).breaks


def test_rerating_prices_what_had_no_price(ledger: Ledger) -> None:
    pricelist.sync(ledger.engine, ["ollama/mine"], {"ollama/mine": STATED}, NOON)
    (change,) = correction.differences(ledger.engine, PriceBook.load(ledger.engine))
    assert (change.model, change.before_nanousd) == ("ollama/mine", None)
    correction.rerate(ledger.engine, [change], "tester", "now priced", NOON)
    assert correction.differences(ledger.engine, PriceBook.load(ledger.engine)) == []


def test_a_bill_is_compared_by_day_and_model(ledger: Ledger, tmp_path: Path) -> None:
    bill = tmp_path / "bill.csv"
    bill.write_text(f"date,model,cost_usd\n{DAY},steady,0.000200\n{DAY},steady-2026-08-07,0.000100\n")
    (row,) = reconcile.compare(ledger.engine, reconcile.read_bill(bill))
    assert (row.day, row.model, row.billed_nanousd, row.lines) == (DAY, MODEL, 300_000, 4)
    assert row.booked_nanousd == ledger.total()
    assert row.held_nanousd > 0
    assert row.capture_rate == (Decimal(row.booked_nanousd) / 300_000).quantize(Decimal("0.0001"))


def test_booked_differences_close_the_gap_once(ledger: Ledger, tmp_path: Path) -> None:
    bill = tmp_path / "bill.json"
    bill.write_text(json.dumps([{"day": DAY, "model": MODEL, "amount_usd": "0.0003"}]))
    rows = reconcile.compare(ledger.engine, reconcile.read_bill(bill))
    reconcile.book(ledger.engine, rows, "tester", "bill", NOON)
    (again,) = reconcile.compare(ledger.engine, reconcile.read_bill(bill))
    assert (again.difference_nanousd, again.capture_rate) == (0, Decimal(1))
    assert ledger.total() == 300_000


def test_a_bill_that_cannot_be_read_says_where(tmp_path: Path) -> None:
    bill = tmp_path / "bill.csv"
    bill.write_text("date,model,cost_usd\n2027-01-15,x,lots\n")
    with pytest.raises(InvalidRequest, match="row 1"):
        reconcile.read_bill(bill)


def test_the_export_has_the_columns_of_the_contract(ledger: Ledger, tmp_path: Path) -> None:
    with (tmp_path / "x.csv").open("w+") as file:
        export.write_csv(export.lines(ledger.engine), file)
        file.seek(0)
        header, *rows = file.read().splitlines()
    assert header == (
        "request_id,call_no,kind,tier,provider_model,status,input_fresh,input_cached,input_cache_write,"
        "output_visible,output_reasoning,cost_nanousd,price_id,precision,started_at,segment"
    )
    assert len(rows) == 5
    assert f"{ledger.ids[3]},0,answer,fast,ollama/mine,ok,800,700,0,350,0,,,exact,{DAY}T08:00:00+00:00,default" in rows


def test_the_export_as_json_says_null_for_what_is_unknown(ledger: Ledger, tmp_path: Path) -> None:
    with (tmp_path / "x.json").open("w+") as file:
        export.write_json(export.lines(ledger.engine), file)
        file.seek(0)
        rows = json.load(file)
    assert {tuple(row) for row in rows} == {export.COLUMNS}
    assert [row["cost_nanousd"] for row in rows if row["provider_model"] == "ollama/mine"] == [None]


@dataclass(frozen=True)
class _Stated:
    input: Decimal = Decimal("0.1")
    output: Decimal = Decimal("0.2")
    cached_input: Decimal | None = None
    cache_write: Decimal | None = None
    thinking: Decimal | None = None
    per_call: Decimal | None = None
    services: Mapping[str, StatedRates] = field(default_factory=dict)


STATED = replace(_Stated())


def _rates(ledger: Ledger) -> list[dict[str, int]]:
    with ledger.engine.connect() as connection:
        found: list[dict[str, int]] = connection.scalars(select(PriceRow.rates)).one()
    return found


def test_a_difference_beyond_all_sense_is_a_wrong_unit(sqlite_engine: Engine) -> None:
    billed = 9_000_000_000 * 10**9
    row = reconcile.DayOfModel(DAY, MODEL, 0, 0, billed, 1, 0)
    with pytest.raises(InvalidRequest, match="look at the bill's unit"):
        reconcile.book(sqlite_engine, [row], "operator", "the bill", NOON)
