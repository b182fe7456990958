"""Reads the price book for people: what is in effect, what was, and which models have no price."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, Engine, select

from router.database.tables import Call, LabelText, PriceRow
from router.ledger.pricelist import usd_per_million
from router.ledger.prices import Rates
from router.money import usd_text
from router.types import CallStatus

MOST_HISTORY = 200
LOOKED_THROUGH = 20_000


@dataclass(frozen=True, slots=True)
class Prices:
    """The book: `current` by model, `past` newest first, `unpriced` models that are configured or were called."""

    current: Sequence[dict[str, Any]]
    past: Sequence[dict[str, Any]]
    unpriced: Sequence[dict[str, Any]]


def read(engine: Engine, configured: Sequence[str]) -> Prices:
    """Read the price book."""
    with engine.connect() as connection, connection.begin():
        table = PriceRow.__table__
        rows = connection.execute(select(table).order_by(table.c.model, table.c.effective_from.desc())).all()
        current = [_price_row(row) for row in rows if row.effective_to is None]
        past = sorted((row for row in rows if row.effective_to is not None), key=lambda row: -row.effective_to)
        called = _count_unpriced(connection)
    priced = {line["model"] for line in current}
    missing = [name for name in sorted({*configured, *called}) if name not in priced]
    unpriced = [{"model": name, "calls": called.get(name, 0), "configured": name in configured} for name in missing]
    return Prices(current, [_price_row(row) for row in past[:MOST_HISTORY]], unpriced)


def _count_unpriced(connection: Connection) -> Mapping[str, int]:
    """Which models the last calls had no price for, and how often."""
    table = Call.__table__
    newest = select(table.c.provider_model_id, table.c.cost_nanousd, table.c.status)
    recent = newest.order_by(table.c.request_id.desc()).limit(LOOKED_THROUGH).subquery()
    query = select(LabelText.text).join(recent, recent.c.provider_model_id == LabelText.id)
    query = query.where(recent.c.cost_nanousd.is_(None), recent.c.status != CallStatus.NOT_SENT)
    counts: dict[str, int] = {}
    for name in connection.scalars(query):
        counts[name] = counts.get(name, 0) + 1
    return counts


def _price_row(row: Any) -> dict[str, Any]:
    rates = [Rates(**stored) for stored in row.rates]
    first = rates[0]
    return {
        "id": row.id,
        "model": row.model,
        "from_us": row.effective_from,
        "to_us": row.effective_to,
        "source": row.source,
        "provenance": row.provenance,
        **{name: _usd(getattr(first, name)) for name in ("input", "cached_input", "cache_write", "output", "thinking")},
        "per_call": usd_text(row.per_call_nanousd) if row.per_call_nanousd else None,
        "variants": [
            {"service": r.service, "above_tokens": r.above_tokens, "input": _usd(r.input), "output": _usd(r.output)}
            for r in rates[1:]
        ],
    }


def _usd(pico: int | None) -> str | None:
    """Dollars per million tokens, without zeros that say nothing."""
    text = usd_per_million(pico)
    if text is None:
        return None
    whole, _, part = f"{Decimal(text).normalize():f}".partition(".")
    return f"{whole}.{part:0<2}"
