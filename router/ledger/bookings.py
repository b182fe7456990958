"""Which request earned what was booked: events that name a request, and statements spread over the requests they match.

A statement is of a UTC day (without one, the day it arrived), a segment and a country; what it leaves out matches all.
It is spread over the requests that came in on that day: over those that may carry ads in proportion to what each was
expected to earn; where nothing was expected, evenly over those that may carry ads, else over all. Statements alike are
netted first. Shares are whole nano-dollars by largest remainder, ties to the older request: they add up to the
statement exactly. A statement that nothing matches stays with its day, segment and country.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, text

from router.ledger import ids

DAY_MS = 86_400_000
UNKNOWN = -1

OF_REQUESTS = """
SELECT {id} AS id, SUM(amount_nanousd) FROM revenue_events
WHERE request_id IS NOT NULL AND {between} GROUP BY request_id
"""
STATEMENTS = """
SELECT e.day, e.received, e.segment, e.country, s.id, c.id, SUM(e.amount_nanousd)
FROM (
    SELECT day, CASE WHEN day IS NULL THEN received_at / 86400000000 END AS received, segment, country, amount_nanousd
    FROM revenue_events WHERE request_id IS NULL
) e
LEFT JOIN labels s ON s.text = e.segment
LEFT JOIN labels c ON c.text = e.country
GROUP BY e.day, e.received, e.segment, e.country, s.id, c.id
ORDER BY e.day, e.received, e.segment, e.country
"""
OF_DAY = """
SELECT {id} AS id, segment_id, country_id, COALESCE(expected_revenue_nanousd, 0), CAST(ads_eligible AS INTEGER)
FROM requests WHERE {between} ORDER BY id
"""


@dataclass(frozen=True, slots=True)
class Statement:
    """An amount for a UTC day, of a segment or country by their labels; None matches all, UNKNOWN nothing."""

    at_ms: int
    segment_id: int | None
    country_id: int | None
    amount_nanousd: int

    def matches(self, segment_id: int, country_id: int) -> bool:
        """Tell whether a request of the day belongs to it."""
        return self.segment_id in (None, segment_id) and self.country_id in (None, country_id)


@dataclass(frozen=True, slots=True)
class Unmatched:
    """What of a statement found no request."""

    at_ms: int
    segment_id: int
    country_id: int
    amount_nanousd: int


@dataclass(frozen=True, slots=True)
class _Day:
    shares: dict[bytes, int]
    unmatched: list[Unmatched]


class Bookings:
    """What was booked, read within one transaction: days that were spread once are remembered."""

    def __init__(self) -> None:
        self._statements: dict[int, list[Statement]] | None = None
        self._days: dict[int, _Day] = {}

    def of_requests(self, connection: Connection, start: int, end: int) -> dict[bytes, int]:
        """What was booked for the ids from `start` to `end` (exclusive), as numbers."""
        dialect = connection.dialect.name
        query = OF_REQUESTS.format(id=ids.selected(dialect, "request_id"), between=ids.between(dialect, "request_id"))
        found = {row[0]: int(row[1]) for row in connection.execute(text(query), ids.bounds(dialect, start, end))}
        low, high = start.to_bytes(17, "big")[1:], (end - 1).to_bytes(16, "big")
        for day_ms in self._days_between(connection, start >> 80, (end - 1) >> 80):
            for id, share in self._day(connection, day_ms).shares.items():
                if low <= id <= high:
                    found[id] = found.get(id, 0) + share
        return found

    def unmatched(self, connection: Connection, start_ms: int, end_ms: int) -> list[Unmatched]:
        """The statements of days that begin in a stretch of time, as far as no request matches them."""
        days = [d for d in self._days_between(connection, start_ms, end_ms - 1) if start_ms <= d]
        return [left for day_ms in days for left in self._day(connection, day_ms).unmatched]

    def days(self, connection: Connection) -> Iterable[int]:
        """The days, as their first millisecond, for which there are statements."""
        return self._by_day(connection).keys()

    def _days_between(self, connection: Connection, first_ms: int, last_ms: int) -> list[int]:
        return [d for d in self._by_day(connection) if d <= last_ms and first_ms < d + DAY_MS]

    def _by_day(self, connection: Connection) -> dict[int, list[Statement]]:
        if self._statements is None:
            self._statements = {}
            for day, received, segment, country, segment_id, country_id, amount in connection.execute(text(STATEMENTS)):
                at = midnight_ms(day) if day is not None else int(received) * DAY_MS
                wanted = [
                    None if t is None else UNKNOWN if i is None else int(i)
                    for t, i in ((segment, segment_id), (country, country_id))
                ]
                self._statements.setdefault(at, []).append(Statement(at, wanted[0], wanted[1], int(amount)))
        return self._statements

    def _day(self, connection: Connection, day_ms: int) -> _Day:
        if day_ms not in self._days:
            if len(self._days) > 3:  # read in the order of time: older ones are done with
                self._days.pop(next(iter(self._days)))
            self._days[day_ms] = self._spread_day(connection, day_ms)
        return self._days[day_ms]

    def _spread_day(self, connection: Connection, day_ms: int) -> _Day:
        dialect = connection.dialect.name
        query = OF_DAY.format(id=ids.selected(dialect, "id"), between=ids.between(dialect, "id"))
        bounds = ids.bounds(dialect, ids.first_at(day_ms), ids.first_at(day_ms + DAY_MS))
        rows = connection.execute(text(query), bounds).fetchall()
        shares: dict[bytes, int] = {}
        unmatched = []
        for statement in self._by_day(connection)[day_ms]:
            matching = [row for row in rows if statement.matches(row[1], row[2])]
            if not matching:
                known = [UNKNOWN if i is None else i for i in (statement.segment_id, statement.country_id)]
                unmatched.append(Unmatched(day_ms, known[0], known[1], statement.amount_nanousd))
            for row, share in zip(matching, spread(statement.amount_nanousd, weights(matching)), strict=True):
                if share:
                    shares[row[0]] = shares.get(row[0], 0) + share
        return _Day(shares, unmatched)


def weights(matching: Sequence[Any]) -> list[int]:
    """By what a statement is split over requests: what each was expected to earn, or evenly."""
    expected = [row[3] if row[4] else 0 for row in matching]
    if any(expected):
        return expected
    eligible = [row[4] for row in matching]
    return eligible if any(eligible) else [1] * len(matching)


def spread(amount: int, weights: Sequence[int]) -> list[int]:
    """Split an amount in proportion to the weights into integers that add up to it, by largest remainder."""
    total = sum(weights)
    if not total:
        return []
    sign = -1 if amount < 0 else 1
    parts = [divmod(abs(amount) * weight, total) for weight in weights]
    left = abs(amount) - sum(whole for whole, _ in parts)
    largest = sorted(range(len(parts)), key=lambda place: -parts[place][1])[:left]
    shares = [whole for whole, _ in parts]
    for place in largest:
        shares[place] += 1
    return [sign * share for share in shares]


def midnight_ms(day: str) -> int:
    """The first millisecond of a UTC day; days before 1970 count as its first."""
    return max(int(datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp()) * 1_000, 0)
