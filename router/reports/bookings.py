"""What is booked, as it stands in the books: requests with their calls, corrections and revenue, a page at a time.

For exports, which tell of single calls; reports add up (`router.reports.reading`). What arrived after its month was
closed is told by when it was posted, as reports count it (`router.ledger.posted`).
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, TypeVar

from router.database import ids
from router.database.closing_tables import LineKind
from router.ledger import lines, posted
from router.ledger.attribution import RevenueAttribution, Unmatched, fetch_rows
from router.ledger.lines import PAGE_REQUESTS
from router.reports.reading import BooksSnapshot
from router.types import Usage

Row = TypeVar("Row", "BookedRequest", "BookedCall")
COLUMNS_OF_CORRECTIONS = """
COALESCE(a.call_no, -1), a.amount_nanousd, r.created_at, a.effective_at, a.provider_model
FROM adjustments a JOIN runs r ON r.id = a.run_id"""
CORRECTIONS = f"""
SELECT {{id}} AS id, {COLUMNS_OF_CORRECTIONS} WHERE {{between}} AND a.{lines.IN_TIME} ORDER BY a.id
"""
FREE_CORRECTIONS = f"""
SELECT NULL, {COLUMNS_OF_CORRECTIONS}
WHERE a.request_id IS NULL AND a.effective_at >= :lo AND a.effective_at < :hi AND a.{lines.IN_TIME} ORDER BY a.id
"""
LATE_CORRECTIONS = f"""
SELECT {{id}} AS id, {COLUMNS_OF_CORRECTIONS} WHERE a.id IN :numbers ORDER BY a.id
"""
REQUEST_IN_TIME = f"id NOT IN (SELECT request_id FROM late_lines WHERE kind = {LineKind.REQUEST:d})"  # noqa: S608
CALL_IN_TIME = (
    f"(request_id, call_no) NOT IN (SELECT request_id, number FROM late_lines WHERE kind = {LineKind.CALL:d})"  # noqa: S608
)


class BookedRequest(NamedTuple):
    """A row of `requests`; closed lists and labels by their numbers. Fields are named as the columns are."""

    id: bytes
    opened_at: int
    final_tier: int
    first_tier: int
    reason: int
    outcome: int
    segment_id: int
    country_id: int
    language_id: int | None
    policy_version: int
    key_id: int | None
    turn: int
    synthetic: bool
    answer_call_no: int | None
    expected_revenue_nanousd: int | None


class BookedCall(NamedTuple):
    """A row of `calls`, as above."""

    request_id: bytes
    call_no: int
    started_at: int
    kind: int
    status: int
    precision: int
    provider_model_id: int
    service_id: int | None
    price_id: int | None
    cost_nanousd: int | None
    input_fresh: int | None
    input_cached: int | None
    input_cache_write: int | None
    output_visible: int | None
    output_reasoning: int | None

    @property
    def usage(self) -> Usage | None:
        """What was counted; None where nothing is known of it."""
        return None if self.input_fresh is None else Usage(*(count or 0 for count in self[-5:]))


class BookedCorrection(NamedTuple):
    """A row of `adjustments`; of no request where the id is None, of no call in particular where the number is -1."""

    request_id: bytes | None
    call_no: int
    amount_nanousd: int
    recorded_us: int
    effective_at: int
    provider_model: str | None


@dataclass(frozen=True, slots=True)
class BookedPage:
    """Requests that count here, and lines of these or others; `booked` is revenue by request.

    `owners` are requests that count elsewhere and have lines here, `unmatched` statements that no request matches;
    `posted_us` is when all of it was posted, where it arrived after its month was closed.
    """

    requests: Mapping[bytes, BookedRequest]
    calls: Sequence[BookedCall] = ()
    corrections: Sequence[BookedCorrection] = ()
    booked: Mapping[bytes, int] = field(default_factory=dict)
    owners: Mapping[bytes, BookedRequest] = field(default_factory=dict)
    unmatched: Sequence[Unmatched] = ()
    posted_us: int | None = None

    def owner(self, id: bytes | None) -> BookedRequest | None:
        """Find the request that a line belongs to; None where it is not known."""
        return None if id is None else self.requests.get(id) or self.owners.get(id)

    def carriers(self) -> dict[bytes, int]:
        """Find for each request the call that carries what is counted once a request: the answer, else the first."""
        carriers: dict[bytes, int] = {}
        for call in self.calls:
            request = self.requests.get(call.request_id)
            if call.request_id not in carriers or (request is not None and request.answer_call_no == call.call_no):
                carriers[call.request_id] = call.call_no
        return carriers

    def models_of_calls(self) -> dict[tuple[bytes | None, int], int]:
        """Find the model, as a label, of each call: a correction of a call is one of its model."""
        return {(call.request_id, call.call_no): call.provider_model_id for call in self.calls}

    def without_made_up(self) -> "BookedPage":
        """Return what is left without what is made up."""
        gone = {id for id, request in (*self.owners.items(), *self.requests.items()) if request.synthetic}
        return replace(
            self,
            requests={id: request for id, request in self.requests.items() if id not in gone},
            calls=[call for call in self.calls if call.request_id not in gone],
            corrections=[correction for correction in self.corrections if correction.request_id not in gone],
            booked={id: amount for id, amount in self.booked.items() if id not in gone},
            unmatched=[left for left in self.unmatched if not left.made_up],
        )


class Bookings:
    """Reads the window of one snapshot."""

    def __init__(self, books: BooksSnapshot) -> None:
        self._books = books
        self._connection = books.connection
        self._dialect = books.connection.dialect.name
        self._attribution = RevenueAttribution()

    def pages(self) -> Iterator[BookedPage]:
        """Read the requests that came in and what hangs on them, oldest first."""
        at, end = ids.first_at(self._books.start_ms), ids.first_at(self._books.end_ms)
        while at < end:
            query = f"{_select(BookedRequest)} FROM requests WHERE {{between}} AND {REQUEST_IN_TIME}"
            rows = self._read(f"{query} ORDER BY id LIMIT :most", "id", at, end, PAGE_REQUESTS)
            found = [BookedRequest._make(row) for row in rows]
            stop = end if len(found) < PAGE_REQUESTS else int.from_bytes(found[-1].id, "big") + 1
            query = (
                f"{_select(BookedCall)} FROM calls WHERE {{between}} AND {CALL_IN_TIME} ORDER BY request_id, call_no"
            )
            yield self._as_counted(
                BookedPage(
                    {bytes(row.id): row for row in found},
                    [BookedCall._make(row) for row in self._read(query, "request_id", at, stop)],
                    [BookedCorrection._make(row) for row in self._read(CORRECTIONS, "a.request_id", at, stop)],
                    self._attribution.of_requests(self._connection, at, stop),
                )
            )
            at = stop

    def others(self) -> Iterator[BookedPage]:
        """Read what belongs to no request, and what was posted for closed months."""
        start_ms, end_ms = self._books.start_ms, self._books.end_ms
        bounds = {"lo": start_ms * 1_000, "hi": end_ms * 1_000}
        free = [BookedCorrection._make(row) for row in fetch_rows(self._connection, FREE_CORRECTIONS, bounds)]
        unmatched = self._attribution.read_unmatched(self._connection, start_ms, end_ms)
        yield self._as_counted(BookedPage({}, corrections=free, unmatched=unmatched))
        for quarter in posted.late_quarters(self._connection, start_ms, end_ms, self._attribution).values():
            yield self._as_counted(self._late_page(quarter))

    def _late_page(self, quarter: posted.LateQuarter) -> BookedPage:
        owners = {row.id: row for row in self._by_ids(BookedRequest, "requests", "id", quarter.ms)}
        calls = self._by_ids(BookedCall, "calls", "request_id", {id for id, _ in quarter.calls})
        moments = [*quarter.ms.values(), *quarter.adjustments.values(), *(ms for _, ms in quarter.bookings)]
        return BookedPage(
            {id: owners[id] for id in quarter.requests if id in owners},
            [call for call in calls if (call.request_id, call.call_no) in quarter.calls],
            self._late_corrections(list(quarter.adjustments)),
            quarter.sum_bookings(),
            owners,
            [booking.unmatched for booking, _ in quarter.bookings if booking.unmatched is not None],
            min(moments) * 1_000,
        )

    def _late_corrections(self, numbers: Sequence[int]) -> list[BookedCorrection]:
        query = LATE_CORRECTIONS.format(id=ids.as_bytes(self._dialect, "a.request_id"))
        found = [BookedCorrection._make(row) for row in posted.read_by_numbers(self._connection, query, numbers)]
        return [row._replace(request_id=row.request_id and bytes(row.request_id)) for row in found]

    def _by_ids(self, kind: type[Row], table: str, column: str, wanted: Iterable[bytes]) -> list[Row]:
        query = f"{_select(kind)} FROM {table} WHERE {column} IN :ids ORDER BY 1"
        return [kind(*row) for row in posted.read_by_ids(self._connection, query, column, wanted)]

    def _as_counted(self, page: BookedPage) -> BookedPage:
        return page if self._books.counts_made_up else page.without_made_up()

    def _read(self, query: str, column: str, at: int, stop: int, most: int | None = None) -> list[tuple[Any, ...]]:
        named = query.format(id=ids.as_bytes(self._dialect, column), between=ids.between(self._dialect, column))
        limit = {} if most is None else {"most": most}
        return fetch_rows(self._connection, named, ids.bounds(self._dialect, at, stop) | limit)


def _select(kind: type[BookedRequest] | type[BookedCall]) -> str:
    return f"SELECT {{id}} AS id, {', '.join(kind._fields[1:])}"
