"""Closes calendar months (UTC, as bills and statements have their days): from then on their figures stand.

Whatever arrives for a closed month afterwards (late requests, corrections, bookings, reversals) is noted by triggers in
the same transaction, and counts in the month that is open then (`router.ledger.posted`). No month is opened again.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Engine, insert, select, text, update

from router.database import ids
from router.database.closing_tables import ClosedMonth
from router.database.engine import AuditHook, exclusive, writing
from router.database.tables import Request
from router.errors import InvalidRequest

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class NotClosable(InvalidRequest):
    """A month that cannot be closed; the message says why, and what to do."""


@dataclass(frozen=True, slots=True)
class Month:
    """A calendar month of UTC, from `start_us` (inclusive) to `end_us` (exclusive)."""

    name: str
    start_us: int
    end_us: int


@dataclass(frozen=True, slots=True)
class MonthClosing:
    """One closed month: by whom, when, why, and the figures it was closed with (None: they were not written down)."""

    month: Month
    closed_at: int
    author: str
    note: str
    figures: Mapping[str, int] | None


def month_named(name: str) -> Month:
    """Read a month such as 2026-10; raises NotClosable."""
    try:
        start = datetime.strptime(name, "%Y-%m").replace(tzinfo=UTC)
    except ValueError:
        start = None
    if start is None or start < EPOCH or f"{start:%Y-%m}" != name:
        raise NotClosable(f"{name!r} is not a month such as 2026-10")
    end = start.replace(year=start.year + start.month // 12, month=start.month % 12 + 1)
    return Month(name, _micros(start), _micros(end))


def month_at(at_us: int) -> Month:
    """Return the month of an instant."""
    return month_named(f"{datetime.fromtimestamp(at_us // 1_000_000, UTC):%Y-%m}")


def month_at_number(number: int) -> str:
    """Name a month that is counted from January 1970."""
    return f"{1970 + number // 12:04d}-{number % 12 + 1:02d}"


def close(engine: Engine, name: str, author: str, note: str, now_us: int, hook: AuditHook | None = None) -> Month:
    """Close a month, for good; raises NotClosable, and SQLAlchemyError.

    Nobody books while it is closed: what is booked before is part of the month, what is booked after is late.
    """
    month = month_named(name)
    if month.end_us > now_us:
        raise NotClosable(f"{name} is not over yet (months end at midnight UTC)")
    with exclusive(engine) as connection:
        if connection.dialect.name == "postgresql":
            tables = "requests, calls, adjustments, revenue_events"
            connection.execute(text(f"LOCK TABLE {tables} IN SHARE ROW EXCLUSIVE MODE"))
        _require_next(connection, month)
        row = {
            "month": name,
            "end_us": month.end_us,
            "end_day": _moment(month.end_us).date().isoformat(),
            "end_id": ids.text_at(month.end_us // 1_000),
            "closed_at": now_us,
            "author": author,
            "note": note,
        }
        connection.execute(insert(ClosedMonth).values(**row))
        if hook is not None:
            hook(connection, None, {"month": name})
    return month


def keep_figures(engine: Engine, month: Month, figures: Mapping[str, int]) -> None:
    """Write down what a month was closed with, so that it can be checked that it stands; once."""
    here = (ClosedMonth.month == month.name, ClosedMonth.figures.is_(None))
    with writing(engine) as connection:
        connection.execute(update(ClosedMonth).where(*here).values(figures=dict(figures)))


def read_closings(engine: Engine) -> list[MonthClosing]:
    """Read the closed months, the newest first."""
    table = ClosedMonth.__table__
    with engine.connect() as connection:
        rows = connection.execute(select(table).order_by(table.c.end_us.desc())).all()
    return [_closing(row) for row in rows]


def _closing(row: Any) -> MonthClosing:
    return MonthClosing(month_named(row.month), row.closed_at, row.author, row.note, row.figures)


def _require_next(connection: Connection, month: Month) -> None:
    """Raise NotClosable where the month is closed already, or one before it is open that has requests."""
    newest = connection.scalar(select(ClosedMonth.end_us).order_by(ClosedMonth.end_us.desc()).limit(1)) or 0
    if month.end_us <= newest:
        raise NotClosable(f"{month.name} is closed already; what is closed stays closed")
    first, start = ids.text_at(newest // 1_000), ids.text_at(month.start_us // 1_000)
    before = select(Request.id).where(Request.id >= first, Request.id < start).order_by(Request.id).limit(1)
    if (oldest := connection.scalar(before)) is not None:
        raise NotClosable(
            f"close {month_at(int(oldest[:12], 16) * 1_000).name} first: months are closed in their order"
        )


def _moment(at_us: int) -> datetime:
    return datetime.fromtimestamp(at_us // 1_000_000, UTC)


def _micros(moment: datetime) -> int:
    return round(moment.timestamp()) * 1_000_000
