"""What was charged within each hour, by model, price and kind of token: the rows that a bill is made of.

A call that its price explains is charged by kind of token; the rounding of its amount goes to the largest of them, so
that charges add up to the books exactly. What no quantity explains stands by itself: a call without a price, one that
is booked at its upper bound, a correction, revenue of a request without a paid call. Read a page of requests at a time.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import select

from router.database import codes, ids
from router.database.tables import ApiKey, PriceRow
from router.ledger.attribution import RevenueAttribution, fetch_rows
from router.ledger.lines import PAGE_REQUESTS
from router.ledger.prices import Price, price_of
from router.money import PICO_PER_NANO
from router.reports.reading import BooksSnapshot
from router.types import HOUR_US, Usage

REQUESTS = """
SELECT {id} AS id, final_tier, segment_id, policy_version, key_id, COALESCE(answer_call_no, -1),
    expected_revenue_nanousd
FROM requests WHERE {between} ORDER BY id LIMIT :most
"""
CALLS = """
SELECT {id} AS id, call_no, kind, precision, provider_model_id, price_id, service_id, cost_nanousd,
    input_fresh, input_cached, input_cache_write, output_visible, output_reasoning
FROM calls WHERE {between} ORDER BY request_id, call_no
"""
CORRECTIONS = """
SELECT {id} AS id, COALESCE(a.call_no, -1), a.amount_nanousd, r.created_at, a.provider_model
FROM adjustments a JOIN runs r ON r.id = a.run_id WHERE {between} ORDER BY a.id
"""
FREE_CORRECTIONS = """
SELECT a.effective_at, a.amount_nanousd, r.created_at, a.provider_model
FROM adjustments a JOIN runs r ON r.id = a.run_id
WHERE a.request_id IS NULL AND a.effective_at >= :lo AND a.effective_at < :hi ORDER BY a.id
"""
KINDS = {code: str(kind) for kind, code in codes.KINDS.items()}
PRECISIONS = {code: str(precision) for precision, code in codes.PRECISIONS.items()}
TIERS = {code: str(tier) for tier, code in codes.TIERS.items()}
PER_CALL = "calls"  # in the place of a token bucket: the fee of a call


class Basis(StrEnum):
    """What an amount rests on."""

    USAGE = "usage"
    UNPRICED = "unpriced"
    UNMETERED = "unmetered"
    CORRECTION = "correction"
    NO_CALL = "no_call"


@dataclass(frozen=True, slots=True)
class TokenMeter:
    """What is counted at one price: a bucket of tokens, or calls; `unit_pico` dollars for each."""

    bucket: str
    price_id: int
    service: str
    above_tokens: int
    unit_pico: int


@dataclass(frozen=True, slots=True)
class Origin:
    """Where charges come from; what is not known is None."""

    tier: str | None = None
    segment: str | None = None
    policy_version: int | None = None
    key_id: int | None = None


@dataclass(frozen=True, slots=True)
class Charge:
    """What charges are added up by; `recorded_us` is when a correction was booked."""

    hour_us: int
    basis: Basis
    origin: Origin
    model: str | None = None
    kind: str | None = None
    precision: str | None = None
    meter: TokenMeter | None = None
    recorded_us: int | None = None


@dataclass(slots=True)
class ChargeSums:
    """Integers only: pico-dollars, counts, nano-dollars of revenue (None where nothing is known of it)."""

    billed_pico: int = 0
    quantity: int = 0
    requests: int = 0
    calls: int = 0
    unpriced_calls: int = 0
    unpriced_input: int = 0
    unpriced_output: int = 0
    expected_nanousd: int | None = None
    booked_nanousd: int | None = None


Charges = dict[Charge, ChargeSums]


def charges(books: BooksSnapshot) -> Iterator[tuple[Charge, ChargeSums]]:
    """Read the charges of the window, hour by hour; corrections and revenue of no request come last."""
    reader = _Reader(books)
    at, end = ids.first_at(books.start_ms), ids.first_at(books.end_ms)
    open_hours: Charges = {}
    while at < end:
        at, newest_hour = reader.add_page(at, end, open_hours)
        for charge in sorted((c for c in open_hours if c.hour_us < newest_hour), key=lambda c: c.hour_us):
            yield charge, open_hours.pop(charge)
    yield from sorted(open_hours.items(), key=lambda item: item[0].hour_us)
    yield from reader.read_free().items()


class _Reader:
    """Reads pages of one snapshot; prices and names are read once."""

    def __init__(self, books: BooksSnapshot) -> None:
        self._books = books
        self._connection = books.connection
        self._dialect = books.connection.dialect.name
        self._attribution = RevenueAttribution()
        rows = self._connection.execute(select(PriceRow.__table__))
        self._prices: Mapping[int, Price] = {row.id: price_of(row) for row in rows}

    def add_page(self, at: int, end: int, into: Charges) -> tuple[int, int]:
        """Add the next requests and all that hangs on them; return where to go on, and the newest hour."""
        query = REQUESTS.format(id=ids.as_bytes(self._dialect, "id"), between=ids.between(self._dialect, "id"))
        page = {**ids.bounds(self._dialect, at, end), "most": PAGE_REQUESTS}
        requests = fetch_rows(self._connection, query, page)
        stop = end if len(requests) < PAGE_REQUESTS else int.from_bytes(requests[-1][0], "big") + 1
        calls = self._read(CALLS, "request_id", at, stop)
        corrections = self._read(CORRECTIONS, "a.request_id", at, stop)
        booked = self._attribution.of_requests(self._connection, at, stop)
        by_id = {bytes(row[0]): row for row in requests}
        carriers = _carriers(calls, by_id)
        corrected = {(bytes(row[0]), row[1]) for row in corrections}
        for row in calls:
            self._add_call(row, by_id, carriers, corrected, booked, into)
        for id in (by_id.keys() | booked.keys()) - carriers.keys():
            sums = _sums(into, Charge(_hour(id), Basis.NO_CALL, self._origin(by_id.get(id))))
            _add_revenue(sums, by_id.get(id), booked.get(id))
        for id, _, amount, recorded_us, model in corrections:
            origin = self._origin(by_id.get(bytes(id)))
            charge = Charge(_hour(id), Basis.CORRECTION, origin, model, recorded_us=int(recorded_us))
            _sums(into, charge).billed_pico += int(amount) * PICO_PER_NANO
        return stop, max((_hour(id) for id in by_id), default=0)

    def read_free(self) -> Charges:
        """Read what belongs to no request: reconciled differences, and statements that no request matches."""
        found: Charges = {}
        bounds = {"lo": self._books.start_ms * 1_000, "hi": self._books.end_ms * 1_000}
        for at_us, amount, recorded_us, model in fetch_rows(self._connection, FREE_CORRECTIONS, bounds):
            charge = Charge(_floor(int(at_us)), Basis.CORRECTION, Origin(), model, recorded_us=int(recorded_us))
            _sums(found, charge).billed_pico += int(amount) * PICO_PER_NANO
        for left in self._attribution.read_unmatched(self._connection, self._books.start_ms, self._books.end_ms):
            origin = Origin(segment=self._books.labels.get(left.segment_id))
            sums = _sums(found, Charge(_floor(left.at_ms * 1_000), Basis.NO_CALL, origin))
            sums.booked_nanousd = (sums.booked_nanousd or 0) + left.amount_nanousd
        return found

    def _read(self, query: str, column: str, at: int, stop: int) -> Sequence[Any]:
        names = {"id": ids.as_bytes(self._dialect, column), "between": ids.between(self._dialect, column)}
        return fetch_rows(self._connection, query.format(**names), ids.bounds(self._dialect, at, stop))

    def _origin(self, request: Any) -> Origin:
        if request is None:
            return Origin()
        _, tier, segment, policy, key, *_ = request
        return Origin(TIERS.get(tier), self._books.labels.get(segment), policy, key)

    def _add_call(
        self,
        row: Any,
        requests: Mapping[bytes, Any],
        carriers: Mapping[bytes, int],
        corrected: set[tuple[bytes, int]],
        booked: Mapping[bytes, int],
        into: Charges,
    ) -> None:
        """Add the charges of one call; its first carries what is counted once, and the revenue of its request."""
        id, number, kind, precision, model, price_id, service, cost, *tokens = row
        id = bytes(id)
        labels = self._books.labels
        price = self._prices.get(price_id)
        usage = None if tokens[0] is None else Usage(*(count or 0 for count in tokens))
        split = (
            None
            if cost is None or price is None or usage is None
            else split_call(cost, usage, price, labels.get(service))
        )
        basis = Basis.UNPRICED if cost is None else Basis.UNMETERED if split is None else Basis.USAGE
        origin, hour = self._origin(requests.get(id)), _hour(id)
        for place, (meter, quantity, pico) in enumerate(split or [(None, 0, (cost or 0) * PICO_PER_NANO)]):
            charge = Charge(hour, basis, origin, labels.get(model), KINDS[kind], PRECISIONS[precision], meter)
            sums = _sums(into, charge)
            sums.billed_pico += pico
            sums.quantity += quantity
            if place == 0:
                sums.calls += 1
                if cost is None and (id, number) not in corrected:
                    sums.unpriced_calls += 1
                    sums.unpriced_input += usage.input_tokens if usage else 0
                    sums.unpriced_output += usage.output_tokens if usage else 0
                if carriers.get(id) == number:
                    _add_revenue(sums, requests.get(id), booked.get(id))


def split_call(
    cost_nanousd: int, usage: Usage, price: Price, service: str | None
) -> list[tuple[TokenMeter, int, int]] | None:
    """Split the amount of a call by what was counted: meter, quantity, pico-dollars, which add up to the amount.

    None where the price does not explain the amount.
    """
    if price.cost(usage, service) != cost_nanousd:
        return None
    rates = price.rates_of(usage, service)
    counts = {bucket: getattr(usage, bucket) for bucket in rates.by_bucket()}
    parts = [
        (TokenMeter(bucket, price.id, rates.service, rates.above_tokens, unit), counts[bucket], counts[bucket] * unit)
        for bucket, unit in rates.by_bucket().items()
        if counts[bucket] or (bucket == "input_fresh" and not any(counts.values()))
    ]
    if fee := price.per_call_nanousd * PICO_PER_NANO:
        parts.append((TokenMeter(PER_CALL, price.id, rates.service, 0, fee), 1, fee))
    most = max(range(len(parts)), key=lambda place: parts[place][2])
    meter, quantity, pico = parts[most]
    parts[most] = (meter, quantity, pico + cost_nanousd * PICO_PER_NANO - sum(part[2] for part in parts))
    return parts


def read_key_names(books: BooksSnapshot) -> dict[int, str]:
    """Read the names of API keys by their ids."""
    return {row.id: row.name for row in books.connection.execute(select(ApiKey.id, ApiKey.name))}


def _carriers(calls: Sequence[Any], requests: Mapping[bytes, Any]) -> dict[bytes, int]:
    """Find for each request the call that carries what is counted once a request: the answer, else the first."""
    carriers: dict[bytes, int] = {}
    for row in calls:
        id, number = bytes(row[0]), int(row[1])
        request = requests.get(id)
        if id not in carriers or (request is not None and request[5] == number):
            carriers[id] = number
    return carriers


def _add_revenue(sums: ChargeSums, request: Any, booked: int | None) -> None:
    if request is not None:
        sums.requests += 1
        if request[6] is not None:
            sums.expected_nanousd = (sums.expected_nanousd or 0) + int(request[6])
    if booked is not None:
        sums.booked_nanousd = (sums.booked_nanousd or 0) + booked


def _sums(into: Charges, charge: Charge) -> ChargeSums:
    return into.setdefault(charge, ChargeSums())


def _hour(id: bytes) -> int:
    return _floor(int.from_bytes(bytes(id)[:6], "big") * 1_000)


def _floor(at_us: int) -> int:
    return at_us - at_us % HOUR_US
