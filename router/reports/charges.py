"""What was charged within each hour, by model, price and kind of token: the rows that a bill is made of.

A call that its price explains is charged by kind of token; the rounding of its amount goes to the largest of them, so
that charges add up to the books exactly. What no quantity explains stands by itself: a call without a price, one that
is booked at its upper bound, a correction, revenue of a request without a paid call. Read a page of requests at a time.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import select

from router.database import codes
from router.database.tables import ApiKey, PriceRow
from router.ledger.prices import Price, price_of
from router.money import PICO_PER_NANO
from router.reports.bookings import BookedCall, BookedCorrection, BookedPage, BookedRequest, Bookings
from router.reports.reading import BooksSnapshot
from router.types import HOUR_US, Usage

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
    is_made_up: bool = False


@dataclass(frozen=True, slots=True)
class Charge:
    """What charges are added up by; `recorded_us` is when a correction was booked, or a late line posted."""

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
    bookings, adder = Bookings(books), _Adder(books)
    open_hours: Charges = {}
    for page in bookings.pages():
        adder.add_page(page, open_hours)
        newest = max((_hour(id) for id in page.requests), default=0)
        for charge in sorted((c for c in open_hours if c.hour_us < newest), key=lambda c: c.hour_us):
            yield charge, open_hours.pop(charge)
    yield from sorted(open_hours.items(), key=lambda item: item[0].hour_us)
    others: Charges = {}
    for page in bookings.others():
        adder.add_page(page, others)
    yield from others.items()


class _Adder:
    """Adds pages of one snapshot up; prices are read once."""

    def __init__(self, books: BooksSnapshot) -> None:
        self._books = books
        rows = books.connection.execute(select(PriceRow.__table__))
        self._prices: Mapping[int, Price] = {row.id: price_of(row) for row in rows}

    def add_page(self, page: BookedPage, into: Charges) -> None:
        """Add requests and all that hangs on them, and what belongs to none."""
        carriers = page.carriers()
        corrected = {(row.request_id, row.call_no) for row in page.corrections}
        for call in page.calls:
            first = self._add_call(call, page, into)
            first.calls += 1
            if call.cost_nanousd is None and (call.request_id, call.call_no) not in corrected:
                usage = call.usage or Usage()
                first.unpriced_calls += 1
                first.unpriced_input += usage.input_tokens
                first.unpriced_output += usage.output_tokens
            if carriers[call.request_id] == call.call_no:
                _add_revenue(first, page, call.request_id)
        for id in (page.requests.keys() | page.booked.keys()) - carriers.keys():
            charge = Charge(_hour(id), Basis.NO_CALL, self._origin(page.owner(id)), recorded_us=page.posted_us)
            _add_revenue(_sums(into, charge), page, id)
        models = page.models_of_calls() if page.corrections else {}
        for row in page.corrections:
            model = self._books.labels.get(models.get((row.request_id, row.call_no), 0), row.provider_model)
            self._add_correction(row, model, page, into)
        for left in page.unmatched:
            origin = Origin(segment=self._books.labels.get(left.segment_id), is_made_up=bool(left.made_up))
            charge = Charge(_floor(left.at_ms * 1_000), Basis.NO_CALL, origin, recorded_us=page.posted_us)
            sums = _sums(into, charge)
            sums.booked_nanousd = (sums.booked_nanousd or 0) + left.amount_nanousd

    def _add_call(self, call: BookedCall, page: BookedPage, into: Charges) -> ChargeSums:
        """Add the charges of one call; returns the first, which carries what is counted once a call."""
        labels, cost, usage = self._books.labels, call.cost_nanousd, call.usage
        price = self._prices.get(call.price_id or 0)
        service = labels.get(call.service_id or 0)
        split: list[tuple[TokenMeter, int, int]] | None = None
        if cost is not None and price is not None and usage is not None:
            split = split_call(cost, usage, price, service)
        basis = Basis.UNPRICED if cost is None else Basis.UNMETERED if split is None else Basis.USAGE
        origin = self._origin(page.owner(call.request_id))
        common = (_hour(call.request_id), basis, origin, labels.get(call.provider_model_id))
        touched = []
        whole: tuple[TokenMeter | None, int, int] = (None, 0, (cost or 0) * PICO_PER_NANO)
        for meter, quantity, pico in split or (whole,):
            known = (KINDS[call.kind], PRECISIONS[call.precision], meter, page.posted_us)
            sums = _sums(into, Charge(*common, *known))
            sums.billed_pico += pico
            sums.quantity += quantity
            touched.append(sums)
        return touched[0]

    def _add_correction(self, row: BookedCorrection, model: str | None, page: BookedPage, into: Charges) -> None:
        hour_us = _floor(row.effective_at) if row.request_id is None else _hour(row.request_id)
        recorded_us = row.recorded_us if page.posted_us is None else page.posted_us
        origin = self._origin(page.owner(row.request_id))
        charge = Charge(hour_us, Basis.CORRECTION, origin, model, recorded_us=recorded_us)
        _sums(into, charge).billed_pico += row.amount_nanousd * PICO_PER_NANO

    def _origin(self, request: BookedRequest | None) -> Origin:
        if request is None:
            return Origin()
        segment = self._books.labels.get(request.segment_id)
        tier, is_made_up = TIERS[request.final_tier], bool(request.synthetic)
        return Origin(tier, segment, request.policy_version, request.key_id, is_made_up)


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


def _add_revenue(sums: ChargeSums, page: BookedPage, id: bytes) -> None:
    """Count a request, with what it was expected to earn and what was booked for it."""
    request, booked = page.requests.get(id), page.booked.get(id)
    sums.requests += request is not None
    if request is not None and request.expected_revenue_nanousd is not None:
        sums.expected_nanousd = (sums.expected_nanousd or 0) + request.expected_revenue_nanousd
    if booked is not None:
        sums.booked_nanousd = (sums.booked_nanousd or 0) + booked


def _sums(into: Charges, charge: Charge) -> ChargeSums:
    return into.setdefault(charge, ChargeSums())


def _hour(id: bytes) -> int:
    return _floor(int.from_bytes(bytes(id)[:6], "big") * 1_000)


def _floor(at_us: int) -> int:
    return at_us - at_us % HOUR_US
