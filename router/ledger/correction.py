"""Corrections of the books: runs that add the difference and never touch a line.

Re-rating prices lines again (with the timeline as it stands now, or with one price row); reconciliation takes over
what a provider billed. Both show the difference first and book it only on demand.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Engine, Row, and_, func, insert, select

from router.database.engine import exclusive
from router.database.tables import Adjustment, Call, LabelText, Run
from router.ledger import budgets
from router.ledger.prices import PriceBook
from router.types import Precision, Usage

REVERSAL, RERATED, RECONCILED = "reversal", "rerated", "reconciled"


@dataclass(frozen=True, slots=True)
class Rerated:
    """One line whose amount changes; `before` None was unpriced."""

    request_id: str
    call_no: int
    model: str
    started_at: int
    before_nanousd: int | None
    after_nanousd: int
    price_id: int


def differences(
    engine: Engine,
    book: PriceBook,
    *,
    models: Sequence[str] = (),
    since_us: int = 0,
    until_us: int = 2**62,
    price_id: int | None = None,
) -> list[Rerated]:
    """Find the lines that cost something else by today's timeline, or by one named price row of their model."""
    prices = book.by_id()
    rerated = []
    with engine.connect() as connection:
        for line in connection.execute(_lines(models, since_us, until_us)):
            price = prices[price_id] if price_id is not None else book.in_effect(line.model, line.started_at)
            if price is None or price.model != line.model:
                continue
            tokens = (line.input_fresh, line.input_cached, line.input_cache_write)
            usage = Usage(*tokens, line.output_visible, line.output_reasoning)
            after = price.cost(usage, line.service)
            before = None if line.cost_nanousd is None and not line.corrections else _stands(line)
            if before != after:
                where = (line.request_id, line.call_no, line.model, line.started_at)
                rerated.append(Rerated(*where, before, after, price.id))
    return rerated


def rerate(engine: Engine, changes: Sequence[Rerated], author: str, note: str, now_us: int) -> int:
    """Book the differences as one run: a reversal of what stands, and the new amount. Returns the run's id."""
    rows: list[dict[str, Any]] = []
    for change in changes:
        common = {
            "request_id": change.request_id,
            "call_no": change.call_no,
            "day": utc_day(change.started_at),
            "provider_model": change.model,
            "effective_at": change.started_at,
        }
        if change.before_nanousd is not None:
            amount = -change.before_nanousd
            rows.append({**common, "kind": REVERSAL, "price_id": None, "amount_nanousd": amount})
        amount = change.after_nanousd
        rows.append({**common, "kind": RERATED, "price_id": change.price_id, "amount_nanousd": amount})
    with exclusive(engine) as connection:
        return book_run(connection, "rerate", rows, author, note, now_us)


def book_run(
    connection: Connection, kind: str, rows: Iterable[dict[str, Any]], author: str, note: str, now_us: int
) -> int:
    """Write a run with its adjustments, and let the budgets follow; returns its id."""
    made = connection.execute(insert(Run).values(kind=kind, created_at=now_us, author=author, note=note))
    assert made.inserted_primary_key is not None
    run_id = int(made.inserted_primary_key[0])
    if adjustments := [{**row, "run_id": run_id} for row in rows]:
        connection.execute(insert(Adjustment), adjustments)
        budgets.correct(connection, adjustments)
    return run_id


def utc_day(at_us: int) -> str:
    """Return the UTC day of an instant."""
    return datetime.fromtimestamp(at_us // 1_000_000, UTC).date().isoformat()


def _lines(models: Sequence[str], since_us: int, until_us: int) -> Any:
    model, service = LabelText.__table__.alias("model"), LabelText.__table__.alias("service")
    corrected = (
        select(
            Adjustment.request_id,
            Adjustment.call_no,
            func.sum(Adjustment.amount_nanousd).label("amount"),
            func.count().label("corrections"),
        )
        .where(Adjustment.request_id.is_not(None))
        .group_by(Adjustment.request_id, Adjustment.call_no)
        .subquery()
    )
    query = (
        select(
            Call.__table__,
            model.c.text.label("model"),
            service.c.text.label("service"),
            corrected.c.amount.label("corrected_by"),
            corrected.c.corrections,
        )
        .join(model, model.c.id == Call.provider_model_id)
        .join(service, service.c.id == Call.service_id, isouter=True)
        .join(
            corrected,
            and_(corrected.c.request_id == Call.request_id, corrected.c.call_no == Call.call_no),
            isouter=True,
        )
        .where(Call.started_at >= since_us, Call.started_at < until_us)
        .where(Call.precision != Precision.UNKNOWN, Call.input_fresh.is_not(None))
        .order_by(Call.request_id, Call.call_no)
    )
    return query.where(model.c.text.in_(models)) if models else query


def _stands(line: Row[Any]) -> int:
    return int(line.cost_nanousd or 0) + int(line.corrected_by or 0)
