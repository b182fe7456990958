"""Which request earned what was booked: events that name a request, and statements spread over the requests they match.

A statement is of a UTC day (without one, the day it arrived), a segment and a country; what it leaves out matches all.
It is spread over the requests that came in on that day: over those that may carry ads in proportion to what each was
expected to earn; where nothing was expected, evenly over those that may carry ads, else over all. Statements alike are
netted first; made-up statements are spread over made-up requests, others over real ones. Shares are whole nano-dollars
by largest remainder, ties to the older request: they add up to the statement exactly. A statement that nothing matches
stays with its day, segment and country.

What arrived after its month was closed is no part of that. It is spread over the same requests by the same rule, one
line after the other, and counts where it was posted (`router.ledger.posted`).
"""

from bisect import bisect_left
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, text

from router.database import ids
from router.database.closing_tables import LineKind
from router.ledger.cells import UNKNOWN
from router.ledger.revenue_events import COUNTS_IN_SQL
from router.types import DAY_MS

Ints = NDArray[np.int64]
SAFE = 1 << 62

IN_TIME = f"id NOT IN (SELECT number FROM late_lines WHERE kind = {LineKind.EVENT:d})"  # noqa: S608 - our own
OF_REQUESTS = f"""
SELECT {{id}} AS id, SUM(amount_nanousd) FROM revenue_events
WHERE request_id IS NOT NULL AND {COUNTS_IN_SQL} AND {{in_time}} AND {{between}} GROUP BY request_id
"""  # noqa: S608 - numbers of our own
STATEMENTS = f"""
SELECT e.day, e.received, e.segment, e.country, s.id, c.id, CAST(e.synthetic AS INTEGER), SUM(e.amount_nanousd)
FROM (
    SELECT day, CASE WHEN day IS NULL THEN received_at / 86400000000 END AS received, segment, country, synthetic,
        amount_nanousd
    FROM revenue_events WHERE request_id IS NULL AND {COUNTS_IN_SQL} AND {{in_time}}
) e
LEFT JOIN labels s ON s.text = e.segment
LEFT JOIN labels c ON c.text = e.country
GROUP BY e.day, e.received, e.segment, e.country, s.id, c.id, e.synthetic
ORDER BY e.day, e.received, e.segment, e.country, e.synthetic
"""  # noqa: S608 - numbers of our own
LATE_EVENTS = f"""
SELECT l.id, {{id}}, e.day, e.received_at / 86400000000, e.segment, e.country, s.id, c.id,
    CAST(e.synthetic AS INTEGER), e.amount_nanousd
FROM late_lines l
JOIN revenue_events e ON e.id = l.number
LEFT JOIN labels s ON s.text = e.segment
LEFT JOIN labels c ON c.text = e.country
WHERE l.kind = {LineKind.EVENT:d} AND {COUNTS_IN_SQL}
ORDER BY l.id
"""  # noqa: S608 - numbers of our own
OF_DAY = f"""
SELECT {{id}} AS id, segment_id, country_id, COALESCE(expected_revenue_nanousd, 0), CAST(ads_eligible AS INTEGER),
    CAST(synthetic AS INTEGER)
FROM requests WHERE {{between}} AND id NOT IN (SELECT request_id FROM late_lines WHERE kind = {LineKind.REQUEST:d})
ORDER BY id
"""  # noqa: S608 - numbers of our own


@dataclass(frozen=True, slots=True)
class Statement:
    """An amount for a UTC day, of a segment or country by their labels; None matches all, UNKNOWN nothing."""

    at_ms: int
    segment_id: int | None
    country_id: int | None
    made_up: int
    amount_nanousd: int

    def as_unmatched(self) -> "Unmatched":
        """Return what stands for it where no request matches."""
        known = [UNKNOWN if i is None else i for i in (self.segment_id, self.country_id)]
        return Unmatched(self.at_ms, known[0], known[1], self.made_up, self.amount_nanousd)

    def matching(self, segments: Ints, countries: Ints, made_up: Ints) -> Ints:
        """Return the places of the day's requests that belong to it."""
        fits = made_up == self.made_up
        if self.segment_id is not None:
            fits &= segments == self.segment_id
        if self.country_id is not None:
            fits &= countries == self.country_id
        return np.flatnonzero(fits)


@dataclass(frozen=True, slots=True)
class Unmatched:
    """What of a statement found no request."""

    at_ms: int
    segment_id: int
    country_id: int
    made_up: int
    amount_nanousd: int


@dataclass(frozen=True, slots=True)
class LateBooking:
    """What an event that came too late brings each request; `first` are those for which nothing was booked before."""

    shares: Mapping[bytes, int]
    first: frozenset[bytes]
    unmatched: Unmatched | None


NOTHING_LATE = LateBooking({}, frozenset(), None)


@dataclass(frozen=True, slots=True)
class _DayRequests:
    """The requests of a day, as statements are spread over them; columns alike in length."""

    ids: list[bytes]
    segments: Ints
    countries: Ints
    expected: Ints
    eligible: Ints
    made_up: Ints

    def spread(self, statement: Statement) -> tuple[Ints, Ints]:
        """Return the places of the requests that a statement matches, and what it brings each."""
        matching = statement.matching(self.segments, self.countries, self.made_up)
        return matching, spread(statement.amount_nanousd, weights(self.expected[matching], self.eligible[matching]))


@dataclass(frozen=True, slots=True)
class _Day:
    """The requests that earned something, by id in their order, and how much."""

    ids: list[bytes]
    shares: list[int]
    unmatched: list[Unmatched]


class RevenueAttribution:
    """What was booked, read within one transaction: days that were spread once are remembered.

    As it counts in closed months; or, with `as_it_happened`, late events too as if no month had been closed.
    """

    def __init__(self, *, as_it_happened: bool = False) -> None:
        self._in_time = "TRUE" if as_it_happened else IN_TIME
        self._statements: dict[int, list[Statement]] | None = None
        self._days: dict[int, _Day] = {}
        self._late: dict[int, LateBooking] | None = None

    def of_requests(self, connection: Connection, start: int, end: int) -> dict[bytes, int]:
        """Return what was booked for the ids from `start` to `end` (exclusive), as numbers."""
        dialect = connection.dialect.name
        id_, between = ids.as_bytes(dialect, "request_id"), ids.between(dialect, "request_id")
        query = OF_REQUESTS.format(id=id_, between=between, in_time=self._in_time)
        amounts = {row[0]: int(row[1]) for row in connection.execute(text(query), ids.bounds(dialect, start, end))}
        low, last = start.to_bytes(17, "big")[1:], (end - 1).to_bytes(16, "big")
        for day_ms in self._days_between(connection, start >> 80, (end - 1) >> 80):
            day = self._day(connection, day_ms)
            within = slice(bisect_left(day.ids, low), bisect_left(day.ids, last + b"\x00"))
            for id, share in zip(day.ids[within], day.shares[within], strict=True):
                amounts[id] = amounts.get(id, 0) + share
        return amounts

    def read_unmatched(self, connection: Connection, start_ms: int, end_ms: int) -> list[Unmatched]:
        """Return the statements of days that begin in a stretch of time, as far as no request matches them."""
        days = [d for d in self._days_between(connection, start_ms, end_ms - 1) if start_ms <= d]
        return [left for day_ms in days for left in self._day(connection, day_ms).unmatched]

    def late_booking(self, connection: Connection, late_id: int) -> LateBooking:
        """Return what the event of a late line brings; nothing where it counts nowhere."""
        if self._late is None:
            self._late = {}
            dialect = connection.dialect.name
            rows = fetch_rows(connection, LATE_EVENTS.format(id=ids.as_bytes(dialect, "e.request_id")), {})
            by_day: dict[int, list[tuple[Any, ...]]] = {}
            for row in rows:
                by_day.setdefault(_home_day(row), []).append(row)
            for day_ms, of_day in by_day.items():
                self._late |= self._late_of_day(connection, day_ms, of_day)
        return self._late.get(late_id, NOTHING_LATE)

    def _late_of_day(
        self, connection: Connection, day_ms: int, rows: Iterable[tuple[Any, ...]]
    ) -> dict[int, LateBooking]:
        """Spread the late events of a day, one after the other."""
        seen = set(self.of_requests(connection, ids.first_at(day_ms), ids.first_at(day_ms + DAY_MS)))
        requests = None
        found = {}
        for late_id, request_id, _, _, *told in rows:
            shares, unmatched = {}, None
            if request_id is not None:
                shares = {bytes(request_id): int(told[-1])}
            else:
                statement = _statement(day_ms, *told)
                requests = requests or _requests_of_day(connection, day_ms)
                places, amounts = requests.spread(statement)
                if len(places):
                    listed = zip(places.tolist(), amounts.tolist(), strict=True)
                    shares = {requests.ids[place]: amount for place, amount in listed if amount}
                else:
                    unmatched = statement.as_unmatched()
            found[int(late_id)] = LateBooking(shares, frozenset(shares.keys() - seen), unmatched)
            seen |= shares.keys()
        return found

    def days(self, connection: Connection) -> Iterable[int]:
        """Return the days, as their first millisecond, for which there are statements."""
        return self._by_day(connection).keys()

    def _days_between(self, connection: Connection, first_ms: int, last_ms: int) -> list[int]:
        return [d for d in self._by_day(connection) if d <= last_ms and first_ms < d + DAY_MS]

    def _by_day(self, connection: Connection) -> dict[int, list[Statement]]:
        if self._statements is None:
            self._statements = {}
            for row in connection.execute(text(STATEMENTS.format(in_time=self._in_time))):
                day, received, segment, country, segment_id, country_id, made_up, amount = row
                at = midnight_ms(day) if day is not None else int(received) * DAY_MS
                statement = _statement(at, segment, country, segment_id, country_id, made_up, amount)
                self._statements.setdefault(at, []).append(statement)
        return self._statements

    def _day(self, connection: Connection, day_ms: int) -> _Day:
        if day_ms not in self._days:
            if len(self._days) > 3:  # read in the order of time: older ones are done with
                self._days.pop(next(iter(self._days)))
            self._days[day_ms] = self._spread_day(connection, day_ms)
        return self._days[day_ms]

    def _spread_day(self, connection: Connection, day_ms: int) -> _Day:
        requests = _requests_of_day(connection, day_ms)
        earned, has_share = np.zeros(len(requests.ids), np.int64), np.zeros(len(requests.ids), bool)
        unmatched = []
        for statement in self._by_day(connection)[day_ms]:
            matching, shares = requests.spread(statement)
            if not len(matching):
                unmatched.append(statement.as_unmatched())
                continue
            earned[matching] += shares
            has_share[matching] |= shares != 0
        places = np.flatnonzero(has_share)
        return _Day([requests.ids[place] for place in places.tolist()], earned[places].tolist(), unmatched)


def _requests_of_day(connection: Connection, day_ms: int) -> _DayRequests:
    dialect = connection.dialect.name
    query = OF_DAY.format(id=ids.as_bytes(dialect, "id"), between=ids.between(dialect, "id"))
    rows = fetch_rows(connection, query, ids.bounds(dialect, ids.first_at(day_ms), ids.first_at(day_ms + DAY_MS)))
    columns = np.array([row[1:] for row in rows], np.int64).reshape(-1, 5).T.copy()
    return _DayRequests([row[0] for row in rows], *columns)


def _home_day(row: tuple[Any, ...]) -> int:
    """Return the first millisecond of the day that a late event belongs to."""
    _, request_id, day, received, *_ = row
    if request_id is not None:
        return int.from_bytes(bytes(request_id)[:6], "big") // DAY_MS * DAY_MS
    return midnight_ms(day) if day is not None else int(received) * DAY_MS


def _statement(
    at_ms: int,
    segment: str | None,
    country: str | None,
    segment_id: int | None,
    country_id: int | None,
    made_up: int,
    amount: int,
) -> Statement:
    wanted = [
        None if text is None else UNKNOWN if label is None else int(label)
        for text, label in ((segment, segment_id), (country, country_id))
    ]
    return Statement(at_ms, wanted[0], wanted[1], int(made_up), int(amount))


def fetch_rows(connection: Connection, query: str, bounds: Mapping[str, object]) -> list[tuple[Any, ...]]:
    """Fetch rows as the driver makes them: without wrapping, which costs as much again where there are many."""
    result = connection.execute(text(query), bounds)
    cursor: Any = result.cursor
    rows: list[tuple[Any, ...]] = cursor.fetchall()
    result.close()
    return rows


def weights(expected: Ints, eligible: Ints) -> Ints:
    """Return by what a statement is split over requests: what each was expected to earn, or evenly."""
    for candidate in (np.where(eligible == 1, expected, 0), eligible):
        if candidate.any():
            return candidate
    return np.ones(len(expected), np.int64)


def spread(amount: int, weights: Ints) -> Ints:
    """Split an amount in proportion to the weights into integers that add up to it, by largest remainder."""
    total = int(weights.sum())
    if not total:
        return np.zeros(0, np.int64)
    size = abs(amount)
    exact = weights if size * int(weights.max()) < SAFE else weights.astype(object)
    shares = exact * size // total
    rest = exact * size - shares * total
    left = size - int(shares.sum())
    shares[np.argsort(-rest, kind="stable")[:left]] += 1
    return shares.astype(np.int64) * (-1 if amount < 0 else 1)


def midnight_ms(day: str) -> int:
    """Return the first millisecond of a UTC day; days before 1970 count as its first."""
    return max(int(datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp()) * 1_000, 0)
