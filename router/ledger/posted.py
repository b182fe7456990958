"""What counts in a stretch of time: the lines of what came in then, and what was posted then for closed months.

A line that arrived after its month was closed leaves the month as it is. It counts at the moment at which it was
posted, in a month that was open, with the keys of its request. All that reports and rollups add up is read here.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from sqlalchemy import Connection, bindparam, text

from router.database import ids
from router.database.closing_tables import LineKind
from router.database.tables import RequestId
from router.ledger import lines
from router.ledger.attribution import LateBooking, RevenueAttribution
from router.ledger.cells import QUARTER_MS
from router.ledger.lines import Lines, Posted

IDS_AT_ONCE = 500  # ids in one statement
Value = TypeVar("Value")
LATE = """
SELECT id, kind, {request}, number, posted_at FROM late_lines
WHERE posted_at >= :lo AND posted_at < :hi ORDER BY posted_at, id
"""
ADJUSTMENTS = """
SELECT a.id, {request}, COALESCE(a.call_no, -1), a.amount_nanousd, a.effective_at, COALESCE(l.id, -1) FROM adjustments a
LEFT JOIN labels l ON l.text = a.provider_model WHERE a.id IN :numbers ORDER BY a.id
"""


@dataclass(slots=True)
class LateQuarter:
    """What was posted within a quarter of an hour; `ms` has the moment of the first part of each request."""

    ms: dict[bytes, int] = field(default_factory=dict)
    requests: set[bytes] = field(default_factory=set)
    calls: set[tuple[bytes, int]] = field(default_factory=set)
    adjustments: dict[int, int] = field(default_factory=dict)  # by their numbers, with their moments
    bookings: list[tuple[LateBooking, int]] = field(default_factory=list)

    def sum_bookings(self) -> dict[bytes, int]:
        """Add up the revenue that was posted, by request."""
        booked: dict[bytes, int] = defaultdict(int)
        for booking, _ in self.bookings:
            for id, share in booking.shares.items():
                booked[id] += share
        return booked


def read(connection: Connection, start_ms: int, end_ms: int, attribution: RevenueAttribution) -> Iterator[Lines]:
    """Read what counts from `start_ms` to `end_ms` (exclusive), a page at a time."""
    yield from lines.read(connection, start_ms, end_ms, attribution)
    yield from read_late(connection, start_ms, end_ms, attribution)


def read_late(connection: Connection, start_ms: int, end_ms: int, attribution: RevenueAttribution) -> Iterator[Lines]:
    """Read what was posted for closed months from `start_ms` to `end_ms` (exclusive)."""
    for quarter in late_quarters(connection, start_ms, end_ms, attribution).values():
        yield from _pages(connection, quarter)


def late_quarters(
    connection: Connection, start_ms: int, end_ms: int, attribution: RevenueAttribution
) -> Mapping[int, LateQuarter]:
    """Read which lines of closed months were posted from `start_ms` to `end_ms` (exclusive), by quarters of an hour."""
    query = LATE.format(request=ids.as_bytes(connection.dialect.name, "request_id"))
    rows = connection.execute(text(query), {"lo": start_ms * 1_000, "hi": end_ms * 1_000}).all()
    quarters: dict[int, LateQuarter] = defaultdict(LateQuarter)
    for late_id, kind, request_id, number, posted_at in rows:
        ms = posted_at // 1_000
        quarter = quarters[ms // QUARTER_MS]
        touched = [] if request_id is None else [bytes(request_id)]
        match kind:
            case LineKind.REQUEST:
                quarter.requests.update(touched)
            case LineKind.CALL:
                quarter.calls.add((touched[0], number))
            case LineKind.ADJUSTMENT:
                quarter.adjustments[number] = ms
            case _:
                booking = attribution.late_booking(connection, late_id)
                quarter.bookings.append((booking, ms))
                touched = list(booking.shares)
        for id in touched:
            quarter.ms.setdefault(id, ms)
    return quarters


def _pages(connection: Connection, quarter: LateQuarter) -> Iterator[Lines]:
    requests = read_by_ids(connection, lines.REQUESTS_OF, "id", quarter.ms)
    calls = read_by_ids(connection, lines.CALLS_OF, "request_id", {id for id, _ in quarter.calls})
    adjusted, free = _read_adjustments(connection, list(quarter.adjustments))
    first: set[bytes] = set().union(*(booking.first for booking, _ in quarter.bookings))
    calls = [row for row in calls if (row[0], row[1]) in quarter.calls]
    page = lines.lay_out(requests, calls, adjusted, quarter.sum_bookings(), Posted(quarter.requests, first, quarter.ms))
    if page is not None:
        yield page
    unmatched = [(booking.unmatched, ms) for booking, ms in quarter.bookings if booking.unmatched is not None]
    moments = [*(quarter.adjustments[row[0]] for row in free), *(ms for _, ms in unmatched)]
    alone = lines.stand_alone([row[1:] for row in free], [statement for statement, _ in unmatched], moments)
    if alone is not None:
        yield alone


def _read_adjustments(connection: Connection, wanted: Sequence[int]) -> tuple[list[Any], list[Any]]:
    """Read late adjustments: of requests as `lines` lays them out, and of none, those with their number before them."""
    query = ADJUSTMENTS.format(request=ids.as_bytes(connection.dialect.name, "a.request_id"))
    adjusted, free = [], []
    for id, request_id, call_no, amount, effective_at, model in read_by_numbers(connection, query, wanted):
        if request_id is None:
            free.append((id, effective_at, model, amount))
        else:
            adjusted.append((bytes(request_id), call_no, amount))
    return sorted(adjusted), free


def read_by_numbers(connection: Connection, query: str, wanted: Sequence[int]) -> Iterator[Any]:
    """Read rows of single adjustments, by their numbers."""
    statement = text(query).bindparams(bindparam("numbers", expanding=True))
    for numbers in _chunks(wanted):
        yield from connection.execute(statement, {"numbers": numbers})


def read_by_ids(connection: Connection, query: str, column: str, wanted: Iterable[bytes]) -> list[Any]:
    """Read rows of single requests, sorted by id."""
    named = query.format(id=ids.as_bytes(connection.dialect.name, column))
    statement = text(named).bindparams(bindparam("ids", expanding=True, type_=RequestId()))
    rows: list[Any] = []
    for some in _chunks(sorted(wanted)):
        rows += connection.execute(statement, {"ids": [id.hex() for id in some]}).all()
    return [(bytes(row[0]), *row[1:]) for row in rows]


def _chunks(values: Sequence[Value]) -> Iterator[Sequence[Value]]:
    for place in range(0, len(values), IDS_AT_ONCE):
        yield values[place : place + IDS_AT_ONCE]
