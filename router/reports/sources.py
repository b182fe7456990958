"""What each source of revenue reported, beside what was expected of the requests that its lines are of.

By source, month (UTC), segment and country; a line without a segment or country is of all. Where lines of a source
overlap, so does what was expected of them.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import ColumnElement, func, select

from router.database import ids
from router.database.tables import Request, RevenueEvent
from router.ledger.attribution import midnight_ms
from router.ledger.closing import month_at
from router.ledger.revenue_events import MOST_EVENT_NANOUSD, day_of
from router.reports.queries import sum_by
from router.reports.reading import BooksSnapshot

Key = tuple[str, str, str | None, str | None]
BY_REQUEST = "of requests"


@dataclass(frozen=True, slots=True)
class SourceLine:
    """What a source reported of a month, segment and country; `days` is how many UTC days have a line.

    Of events that name requests, `segment` is BY_REQUEST and `days` is None.
    """

    source: str
    month: str
    segment: str | None
    country: str | None
    days: int | None
    reported_nanousd: int
    expected_nanousd: int

    @property
    def difference_nanousd(self) -> int:
        """What was reported beyond what was expected."""
        return self.reported_nanousd - self.expected_nanousd


def read_sources(books: BooksSnapshot) -> list[SourceLine]:
    """Read what was reported for the window of the books, which has its days in UTC; the newest month first."""
    found = [*_of_statements(books), *_of_requests(books)]
    found.sort(key=lambda line: (line.source, line.segment or "", line.country or ""))
    return sorted(found, key=lambda line: line.month, reverse=True)


def _of_statements(books: BooksSnapshot) -> list[SourceLine]:
    table = RevenueEvent.__table__
    counted = [table.c.request_id.is_(None), func.abs(table.c.amount_nanousd) <= MOST_EVENT_NANOUSD, *_real_only(books)]
    expected = _expectations(books)
    days: dict[Key, set[str]] = {}
    reported: dict[Key, int] = {}
    for row in books.connection.execute(select(table).where(*counted)).mappings():
        day = day_of(row["day"], row["received_at"])
        if not books.start_ms <= midnight_ms(day) < books.end_ms:
            continue
        key = (row["source"], day[:7], row["segment"], row["country"])
        days.setdefault(key, set()).add(day)
        reported[key] = reported.get(key, 0) + int(row["amount_nanousd"])
    lines = []
    for key, of_days in days.items():
        source, month, segment, country = key
        total = sum(
            amount
            for day in of_days
            for of_segment, of_country, amount in expected.get(day, ())
            if segment in (None, of_segment) and country in (None, of_country)
        )
        lines.append(SourceLine(source, month, segment, country, len(of_days), reported[key], total))
    return lines


def _expectations(books: BooksSnapshot) -> Mapping[str, list[tuple[str | None, str | None, int]]]:
    """Return what was expected by day: segment, country, amount."""
    expected: dict[str, list[tuple[str | None, str | None, int]]] = {}
    for (day, segment, country), sums in sum_by(books, ["day", "segment", "country"], {}).rows.items():
        if day is not None and sums.expected_nanousd:
            expected.setdefault(day, []).append((segment, country, sums.expected_nanousd))
    return expected


def _of_requests(books: BooksSnapshot) -> list[SourceLine]:
    amount = RevenueEvent.amount_nanousd
    counted = [func.abs(amount) <= MOST_EVENT_NANOUSD, *_real_only(books)]
    low, high = ids.text_at(books.start_ms), ids.text_at(books.end_ms)
    query = (
        select(RevenueEvent.source, Request.id, func.sum(amount), func.max(Request.expected_revenue_nanousd))
        .join(Request, Request.id == RevenueEvent.request_id)
        .where(Request.id >= low, Request.id < high, *counted)
        .group_by(RevenueEvent.source, Request.id)
    )
    found: dict[tuple[str, str], list[int]] = {}
    for source, request_id, reported, expected in books.connection.execute(query):
        sums = found.setdefault((source, month_at(int(request_id[:12], 16) * 1_000).name), [0, 0])
        sums[0] += int(reported)
        sums[1] += int(expected or 0)
    return [SourceLine(source, month, BY_REQUEST, None, None, *sums) for (source, month), sums in found.items()]


def _real_only(books: BooksSnapshot) -> list[ColumnElement[bool]]:
    """Leave out what belongs to made-up traffic where that does not count."""
    return [] if books.counts_made_up else [RevenueEvent.synthetic.is_(False)]
