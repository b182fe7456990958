"""The bounds of booked revenue, and reversing an event.

No event is above `MOST_EVENT_NANOUSD` and no UTC day above `MOST_DAY_NANOUSD` without signs: twelve years of full days
are less than the largest integer of either database, so no sum over a period overflows. An event beyond the bound, from
before there was one, counts nowhere. An event is never deleted: what takes it out is an event that reverses it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, func, or_, select, update

from router.database.books_tables import RevenueDay
from router.database.engine import AuditHook, writing
from router.database.tables import RevenueEvent
from router.database.upsert import insert_or_nothing, insert_or_update
from router.errors import InvalidRequest, NotFound
from router.money import NANO_PER_USD, usd_text
from router.types import DAY_US

MOST_EVENT_NANOUSD = 1_000_000 * NANO_PER_USD
MOST_DAY_NANOUSD = 2_000_000 * NANO_PER_USD
COUNTS_IN_SQL = f"amount_nanousd BETWEEN -{MOST_EVENT_NANOUSD} AND {MOST_EVENT_NANOUSD}"
REVERSED = "#reversed"  # ends the id of the event that reverses another
CODE = "revenue_out_of_bounds"


@dataclass(frozen=True, slots=True)
class BookedEvent:
    """One event as it is booked."""

    source: str
    event_id: str
    kind: str
    day: str | None
    segment: str | None
    country: str | None
    request_id: str | None
    amount_nanousd: int
    received_at: int
    is_reversed: bool

    @property
    def counts(self) -> bool:
        """Whether reports count it: neither reversed, nor beyond what an event may have."""
        return not self.is_reversed and abs(self.amount_nanousd) <= MOST_EVENT_NANOUSD


def require_bounded(source: str, event_id: str, amount_nanousd: int) -> None:
    """Raise InvalidRequest for an event above what one may have."""
    if abs(amount_nanousd) > MOST_EVENT_NANOUSD:
        most = usd_text(MOST_EVENT_NANOUSD).partition(".")[0]
        message = f"event {event_id!r} of {source!r}: one event has at most ${most}; split it, or look at its unit"
        raise InvalidRequest(message, param="amount_usd", code=CODE)


def day_of(day: str | None, received_at: int) -> str:
    """Return the UTC day that an event counts for: its own, or the one it arrived on."""
    return day if day is not None else datetime.fromtimestamp(received_at // 1_000_000, UTC).date().isoformat()


def add_to_days(connection: Connection, amounts: Iterable[tuple[str, int]], *, is_bounded: bool = True) -> None:
    """Add new events to what their days have; raises InvalidRequest where a day would have too much."""
    days: dict[str, int] = {}
    for day, amount in amounts:
        days[day] = days.get(day, 0) + abs(amount)
    for day, amount in sorted(days.items()):
        row = {"day": day, "amount_nanousd": amount}
        insert_or_update(connection, RevenueDay, row, ("day",), {"amount_nanousd": RevenueDay.amount_nanousd + amount})
        total = connection.scalar(select(RevenueDay.amount_nanousd).where(RevenueDay.day == day)) or 0
        if is_bounded and total > MOST_DAY_NANOUSD:
            most = usd_text(MOST_DAY_NANOUSD).partition(".")[0]
            message = f"the revenue of {day} would come to more than ${most}, signs aside: nothing was booked"
            raise InvalidRequest(message, param="amount_usd", code=CODE)


def recount_days(connection: Connection, days: Iterable[str]) -> None:
    """Add up anew what days have, after events were deleted."""
    for day in days:
        amount = func.abs(RevenueEvent.amount_nanousd)
        counted = select(func.sum(amount)).where(_is_of_day(day), amount <= MOST_EVENT_NANOUSD)
        total = int(connection.scalar(counted) or 0)
        connection.execute(update(RevenueDay).where(RevenueDay.day == day).values(amount_nanousd=total))


def _is_of_day(day: str) -> ColumnElement[bool]:
    begins = int(datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp()) * 1_000_000
    arrived = RevenueEvent.received_at.between(begins, begins + DAY_US - 1)
    return or_(RevenueEvent.day == day, RevenueEvent.day.is_(None) & arrived)


def reverse(engine: Engine, source: str, event_id: str, now_us: int, hook: AuditHook | None = None) -> BookedEvent:
    """Book the event that reverses another; once, however often it is asked for. Raises NotFound."""
    with writing(engine) as connection:
        known = _find(connection, source, event_id)
        if known is None:
            raise NotFound(f"there is no revenue event {event_id!r} of {source!r}")
        day = day_of(known.day, known.received_at) if known.request_id is None else known.day
        reversal = {
            "source": source,
            "event_id": event_id + REVERSED,
            "request_id": known.request_id,
            "segment": known.segment,
            "country": known.country,
            "day": day,
            "kind": known.kind,
            "amount_nanousd": -known.amount_nanousd,
            "received_at": now_us,
        }
        if insert_or_nothing(connection, RevenueEvent, [reversal]):
            if abs(known.amount_nanousd) <= MOST_EVENT_NANOUSD:
                add_to_days(connection, [(day_of(day, now_us), known.amount_nanousd)], is_bounded=False)
            if hook is not None:
                hook(connection, {"amount_nanousd": known.amount_nanousd}, None)
        return known


def list_events(engine: Engine, *, source: str | None, day: str | None, largest: bool, most: int) -> list[BookedEvent]:
    """List booked events, the newest first, or the largest first."""
    table = RevenueEvent.__table__
    query = select(table).where(~table.c.event_id.endswith(REVERSED, autoescape=True))
    if source is not None:
        query = query.where(table.c.source == source)
    if day is not None:
        query = query.where(_is_of_day(day))
    order = func.abs(table.c.amount_nanousd).desc() if largest else table.c.received_at.desc()
    with engine.connect() as connection:
        rows = connection.execute(query.order_by(order, table.c.id.desc()).limit(most)).mappings().all()
        reversals = select(table.c.source, table.c.event_id).where(
            table.c.event_id.in_([row["event_id"] + REVERSED for row in rows])
        )
        gone = {(one.source, one.event_id.removesuffix(REVERSED)) for one in connection.execute(reversals)}
    return [_event_of(row, is_reversed=(row["source"], row["event_id"]) in gone) for row in rows]


def count_unbounded(engine: Engine) -> int:
    """Count the events beyond what one may have: they count nowhere."""
    with engine.connect() as connection:
        beyond = func.abs(RevenueEvent.amount_nanousd) > MOST_EVENT_NANOUSD
        is_original = ~RevenueEvent.event_id.endswith(REVERSED, autoescape=True)
        return connection.scalar(select(func.count()).select_from(RevenueEvent).where(beyond, is_original)) or 0


def _find(connection: Connection, source: str, event_id: str) -> BookedEvent | None:
    table = RevenueEvent.__table__
    query = select(table).where(table.c.source == source, table.c.event_id == event_id)
    row = connection.execute(query).mappings().one_or_none()
    return None if row is None else _event_of(row, is_reversed=False)


def _event_of(row: Mapping[Any, Any], *, is_reversed: bool) -> BookedEvent:
    names = ("source", "event_id", "kind", "day", "segment", "country", "request_id", "amount_nanousd", "received_at")
    return BookedEvent(**{name: row[name] for name in names}, is_reversed=is_reversed)
