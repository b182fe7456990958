"""Compares the books with what a provider billed, per UTC day and model."""

import csv
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, select

from router.database.engine import exclusive
from router.database.tables import Adjustment, Call, LabelText, Request
from router.errors import InvalidRequest
from router.ledger.correction import RECONCILED, book_run, utc_day
from router.ledger.made_up import are_counted
from router.money import NotMoney, nano_from_usd
from router.types import DAY_US, Precision

DAY_COLUMNS = ("day", "date", "usage_date", "start_date", "start_time", "start_time_iso")
MODEL_COLUMNS = ("model", "model_id", "line_item", "sku")
AMOUNT_COLUMNS = ("amount_usd", "cost_usd", "amount_value", "amount", "cost", "spend")
MOST_DIFFERENCE_NANOUSD = nano_from_usd("10000000")  # nine hundred of them still have a sum
SNAPSHOT = re.compile(r"-(\d{4}-\d{2}-\d{2}|\d{8}|latest|preview)$")


@dataclass(frozen=True, slots=True)
class DayOfModel:
    """What both sides say about one model on one UTC day."""

    day: str
    model: str
    booked_nanousd: int
    held_nanousd: int  # the part of it that is only an upper bound
    billed_nanousd: int
    lines: int
    unpriced: int

    @property
    def difference_nanousd(self) -> int:
        """What the provider billed beyond the books."""
        return self.billed_nanousd - self.booked_nanousd

    @property
    def capture_rate(self) -> Decimal | None:
        """Booked over billed: 1 when nothing is missed."""
        return capture_rate(self.booked_nanousd, self.billed_nanousd)


def capture_rate(booked_nanousd: int, billed_nanousd: int) -> Decimal | None:
    """Divide what is booked by what was billed; None when nothing was billed."""
    if billed_nanousd == 0:
        return None
    return (Decimal(booked_nanousd) / Decimal(billed_nanousd)).quantize(Decimal("0.0001"))


def read_bill(path: Path) -> dict[tuple[str, str], int]:
    """Read a usage export (CSV with a header, JSON list, or JSON lines) into nano-dollars by day and model."""
    billed: dict[tuple[str, str], int] = {}
    for number, row in enumerate(_rows(path), 1):
        try:
            day = str(_first(row, DAY_COLUMNS))[:10]
            key = (day, str(_first(row, MODEL_COLUMNS)))
            amount = nano_from_usd(Decimal(str(_first(row, AMOUNT_COLUMNS)).removeprefix("$")))
        except (KeyError, NotMoney, InvalidOperation) as error:
            raise InvalidRequest(f"{path}: row {number}: {error}") from None
        billed[key] = billed.get(key, 0) + amount
    return billed


def compare(engine: Engine, billed: Mapping[tuple[str, str], int]) -> list[DayOfModel]:
    """Set books and bill side by side, for the days that the bill covers and the models that it names."""
    days = sorted({day for day, _ in billed})
    booked = _read_booked(engine, days)
    names = {model for _, model in booked}
    of_bill: dict[tuple[str, str], int] = {}
    for (day, name), amount in billed.items():
        key = (day, _our_name(name, names))
        of_bill[key] = of_bill.get(key, 0) + amount
    providers = {model.partition("/")[0] for _, model in of_bill}
    ours = {key for key in booked if key[1].partition("/")[0] in providers}
    nothing = (0, 0, 0, 0)
    rows = []
    for day, model in sorted(ours | of_bill.keys()):
        amount, held, lines, unpriced = booked.get((day, model), nothing)
        rows.append(DayOfModel(day, model, amount, held, of_bill.get((day, model), 0), lines, unpriced))
    return rows


def book(engine: Engine, rows: Sequence[DayOfModel], author: str, note: str, now_us: int) -> int:
    """Book the differences as one run of adjustments; returns its id. Raises InvalidRequest for a senseless one."""
    for row in rows:
        if abs(row.difference_nanousd) > MOST_DIFFERENCE_NANOUSD:
            message = f"{row.model} on {row.day}: a difference above $10,000,000 is not booked; look at the bill's unit"
            raise InvalidRequest(message)
    adjustments = [
        {
            "kind": RECONCILED,
            "request_id": None,
            "call_no": None,
            "day": row.day,
            "provider_model": row.model,
            "price_id": None,
            "amount_nanousd": row.difference_nanousd,
            "effective_at": _midnight(row.day),
        }
        for row in rows
        if row.difference_nanousd
    ]
    with exclusive(engine) as connection:
        return book_run(connection, "reconcile", adjustments, author, note, now_us)


def _read_booked(engine: Engine, days: Sequence[str]) -> dict[tuple[str, str], tuple[int, int, int, int]]:
    """Read the booked amount, the held part, lines and unpriced lines, by day and model."""
    if not days:
        return {}
    since, until = _midnight(days[0]), _midnight(days[-1]) + DAY_US
    sums: dict[tuple[str, str], tuple[int, int, int, int]] = {}
    query = (
        select(Call.started_at, Call.cost_nanousd, Call.precision, LabelText.text)
        .join(LabelText, LabelText.id == Call.provider_model_id)
        .where(Call.started_at >= since, Call.started_at < until)
        .execution_options(yield_per=10_000)
    )
    with engine.connect() as connection:
        if not are_counted(connection):
            made_up = select(Request.id).where(Request.id == Call.request_id, Request.synthetic)
            query = query.where(~made_up.exists())
        for started_at, cost, precision, model in connection.execute(query):
            amount, held, lines, unpriced = sums.get((utc_day(started_at), model), (0, 0, 0, 0))
            held += (cost or 0) if precision is Precision.UNKNOWN else 0
            sums[utc_day(started_at), model] = (amount + (cost or 0), held, lines + 1, unpriced + (cost is None))
        corrections = select(Adjustment.day, Adjustment.provider_model, Adjustment.amount_nanousd)
        for row in connection.execute(corrections.where(Adjustment.day.in_(days))):
            key = (str(row.day), str(row.provider_model))
            amount, held, lines, unpriced = sums.get(key, (0, 0, 0, 0))
            sums[key] = (amount + row.amount_nanousd, held, lines, unpriced)
    return {key: value for key, value in sums.items() if key[0] in days}


def _our_name(name: str, ours: set[str]) -> str:
    """Find the model string that a bill's name means; bills leave the provider out and name snapshots."""
    for candidate in (name, SNAPSHOT.sub("", name)):
        matching = [our for our in sorted(ours) if our == candidate or our.partition("/")[2] == candidate]
        if matching:
            return matching[0]
    return name


def _rows(path: Path) -> Iterator[Mapping[str, Any]]:
    try:
        content = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidRequest(f"{path} cannot be read: {error}") from None
    try:
        if content.lstrip().startswith("["):
            yield from json.loads(content, parse_float=Decimal)
        elif content.lstrip().startswith("{"):
            yield from (json.loads(line, parse_float=Decimal) for line in content.splitlines() if line.strip())
        else:
            yield from csv.DictReader(content.splitlines())
    except json.JSONDecodeError as error:
        raise InvalidRequest(f"{path} is neither CSV nor JSON: {error}") from None


def _first(row: Mapping[str, Any], columns: Sequence[str]) -> Any:
    for column in columns:
        if row.get(column) not in (None, ""):
            return row[column]
    raise KeyError(f"no column {' or '.join(columns)}")


def _midnight(day: str) -> int:
    try:
        return int(datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp()) * 1_000_000
    except ValueError:
        raise InvalidRequest(f"{day!r} is not a day (YYYY-MM-DD)") from None
