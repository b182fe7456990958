"""What is booked, as it stands in the books: requests with their calls, corrections and revenue, a page at a time.

For exports, which tell of single calls; reports add up (`router.reports.reading`). A line stands at the moment at which
it happened, also where it arrived after its month was closed and reports count it later (`router.ledger.posted`).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from router.database import ids
from router.ledger.attribution import RevenueAttribution, Unmatched, fetch_rows
from router.ledger.lines import PAGE_REQUESTS
from router.reports.reading import BooksSnapshot
from router.types import Usage

CORRECTIONS = """
SELECT {id} AS id, COALESCE(a.call_no, -1), a.amount_nanousd, r.created_at, a.effective_at, a.provider_model
FROM adjustments a JOIN runs r ON r.id = a.run_id WHERE {between} ORDER BY a.id
"""
FREE_CORRECTIONS = """
SELECT NULL, -1, a.amount_nanousd, r.created_at, a.effective_at, a.provider_model
FROM adjustments a JOIN runs r ON r.id = a.run_id
WHERE a.request_id IS NULL AND a.effective_at >= :lo AND a.effective_at < :hi ORDER BY a.id
"""


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
    """Requests in the order in which they came in, and all that hangs on them; `booked` is their revenue."""

    requests: Mapping[bytes, BookedRequest]
    calls: Sequence[BookedCall]
    corrections: Sequence[BookedCorrection]
    booked: Mapping[bytes, int]

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
        """Return what is left without requests that are made up."""
        gone = {id for id, request in self.requests.items() if request.synthetic}
        if not gone:
            return self
        return BookedPage(
            {id: request for id, request in self.requests.items() if id not in gone},
            [call for call in self.calls if call.request_id not in gone],
            [correction for correction in self.corrections if correction.request_id not in gone],
            {id: amount for id, amount in self.booked.items() if id not in gone},
        )


class Bookings:
    """Reads the window of one snapshot."""

    def __init__(self, books: BooksSnapshot) -> None:
        self._books = books
        self._attribution = RevenueAttribution(as_it_happened=True)  # as a provider's bill has it

    def pages(self) -> Iterator[BookedPage]:
        """Read page after page, oldest requests first."""
        at, end = ids.first_at(self._books.start_ms), ids.first_at(self._books.end_ms)
        while at < end:
            found = [BookedRequest._make(row) for row in self._read(self._requests, "id", at, end, PAGE_REQUESTS)]
            stop = end if len(found) < PAGE_REQUESTS else int.from_bytes(found[-1].id, "big") + 1
            page = BookedPage(
                {bytes(row.id): row for row in found},
                [BookedCall._make(row) for row in self._read(self._calls, "request_id", at, stop)],
                [BookedCorrection._make(row) for row in self._read(CORRECTIONS, "a.request_id", at, stop)],
                self._attribution.of_requests(self._books.connection, at, stop),
            )
            yield page if self._books.counts_made_up else page.without_made_up()
            at = stop

    def free_corrections(self) -> Iterator[BookedCorrection]:
        """Read the corrections that belong to no request."""
        bounds = {"lo": self._books.start_ms * 1_000, "hi": self._books.end_ms * 1_000}
        return map(BookedCorrection._make, fetch_rows(self._books.connection, FREE_CORRECTIONS, bounds))

    def statements_left(self) -> Sequence[Unmatched]:
        """Read the statements that no request matches."""
        found = self._attribution.read_unmatched(self._books.connection, self._books.start_ms, self._books.end_ms)
        return [left for left in found if self._books.counts_made_up or not left.made_up]

    @cached_property
    def _requests(self) -> str:
        columns = ", ".join(BookedRequest._fields[1:])
        return f"SELECT {{id}} AS id, {columns} FROM requests WHERE {{between}} ORDER BY id LIMIT :most"  # noqa: S608

    @cached_property
    def _calls(self) -> str:
        columns = ", ".join(BookedCall._fields[1:])
        return f"SELECT {{id}} AS id, {columns} FROM calls WHERE {{between}} ORDER BY request_id, call_no"  # noqa: S608

    def _read(self, query: str, column: str, at: int, stop: int, most: int | None = None) -> list[tuple[object, ...]]:
        dialect = self._books.connection.dialect.name
        text = query.format(id=ids.as_bytes(dialect, column), between=ids.between(dialect, column))
        limit = {} if most is None else {"most": most}
        return fetch_rows(self._books.connection, text, ids.bounds(dialect, at, stop) | limit)
