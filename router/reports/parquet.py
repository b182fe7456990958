"""The books as Parquet, a file a day in directories `day=2026-11-01` as Hive names them, for DuckDB and its like.

A row is a call, a correction, or a request or revenue without a call. Amounts are decimals, unknown is NULL, and there
is no text of prompts. pyarrow comes with the extra `parquet` and is imported here only, when somebody exports.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, tzinfo
from decimal import Decimal
from pathlib import Path
from typing import Any

from sqlalchemy import Engine

from router.database import codes
from router.mistakes.extras import require
from router.money import NANO_PER_USD
from router.reports.bookings import BookedCall, BookedCorrection, BookedPage, BookedRequest, Bookings
from router.reports.reading import BooksSnapshot, reading
from router.reports.stamp import Stamp

FILE = "books.parquet"
CALL, CORRECTION, NO_CALL = "call", "correction", "no_call"
TEXT, COUNT, NUMBER, AMOUNT, INSTANT, FLAG = "text", "count", "number", "amount", "instant", "flag"
# What each column is, in the order of the file.
COLUMNS_OF_PARQUET: Mapping[str, str] = {
    "row": TEXT,
    "request_id": TEXT,
    "requested_at": INSTANT,
    "posted_at": INSTANT,
    "tier": TEXT,
    "first_tier": TEXT,
    "reason": TEXT,
    "outcome": TEXT,
    "segment": TEXT,
    "country": TEXT,
    "language": TEXT,
    "policy_version": NUMBER,
    "key_id": NUMBER,
    "turn": NUMBER,
    "is_made_up": FLAG,
    "requests": COUNT,
    "expected_revenue_usd": AMOUNT,
    "booked_revenue_usd": AMOUNT,
    "call_no": NUMBER,
    "kind": TEXT,
    "model": TEXT,
    "status": TEXT,
    "precision": TEXT,
    "started_at": INSTANT,
    "input_fresh": COUNT,
    "input_cached": COUNT,
    "input_cache_write": COUNT,
    "output_visible": COUNT,
    "output_reasoning": COUNT,
    "cost_usd": AMOUNT,
    "price_id": NUMBER,
}
Row = dict[str, object]


def write_parquet(engine: Engine, stamp: Stamp, directory: Path) -> dict[str, int]:
    """Write the days of a window; returns how many rows each has. A day that is there already is replaced whole.

    Days are those of the window's zone; the window is to be made of whole ones. Raises MissingExtra and OSError.
    """
    files = _Files(directory, stamp)
    with reading(engine, stamp.window) as books:
        rows = _Rows(books)
        bookings = Bookings(books)
        for page in bookings.others():
            files.add(rows.of_page(page))
        for page in bookings.pages():
            files.add(rows.of_page(page))
            if page.requests:
                files.flush(up_to=_day(_at(max(page.requests)), stamp))
    return files.close()


class _Rows:
    """Lays booked things out as rows, by the columns of the file; what is missing is NULL."""

    def __init__(self, books: BooksSnapshot) -> None:
        self._labels = books.labels

    def of_page(self, page: BookedPage) -> Iterator[tuple[int, Row]]:
        """Lay out a page: when each row counts, in microseconds, and the row."""
        for happened_us, row in self._rows_of(page):
            yield happened_us if page.posted_us is None else page.posted_us, row | {"posted_at": page.posted_us}

    def _rows_of(self, page: BookedPage) -> Iterator[tuple[int, Row]]:
        carriers = page.carriers()
        for call in page.calls:
            id = call.request_id
            row = self._request(id, page.owner(id)) | self._call(call)
            yield _at(id), row | (_earnings(page, id) if carriers[id] == call.call_no else {})
        for id in sorted((page.requests.keys() | page.booked.keys()) - carriers.keys()):
            yield _at(id), self._request(id, page.owner(id)) | {"row": NO_CALL} | _earnings(page, id)
        models = page.models_of_calls() if page.corrections else {}
        for correction in page.corrections:
            id_, model = correction.request_id, correction.provider_model
            told = _correction(correction, self._labels.get(models.get((id_, correction.call_no), 0), model))
            if id_ is None:
                yield correction.effective_at, told
            else:
                yield _at(id_), self._request(id_, page.owner(id_)) | told
        for left in page.unmatched:
            known = {"segment": self._labels.get(left.segment_id), "country": self._labels.get(left.country_id)}
            amount, is_made_up = _usd(left.amount_nanousd), bool(left.made_up)
            yield left.at_ms * 1_000, {"row": NO_CALL, **known, "booked_revenue_usd": amount, "is_made_up": is_made_up}

    def _request(self, id: bytes, request: BookedRequest | None) -> Row:
        row: Row = {"request_id": id.hex(), "requested_at": _at(id)}
        if request is None:
            return row
        return row | {
            "tier": _TIERS[request.final_tier],
            "first_tier": _TIERS[request.first_tier],
            "reason": _REASONS[request.reason],
            "outcome": _OUTCOMES[request.outcome],
            "segment": self._labels.get(request.segment_id),
            "country": self._labels.get(request.country_id),
            "language": self._labels.get(request.language_id or 0),
            "policy_version": request.policy_version,
            "key_id": request.key_id,
            "turn": request.turn,
            "is_made_up": bool(request.synthetic),
        }

    def _call(self, call: BookedCall) -> Row:
        return {
            "row": CALL,
            "call_no": call.call_no,
            "kind": _KINDS[call.kind],
            "model": self._labels.get(call.provider_model_id),
            "status": _STATUSES[call.status],
            "precision": _PRECISIONS[call.precision],
            "started_at": call.started_at,
            "input_fresh": call.input_fresh,
            "input_cached": call.input_cached,
            "input_cache_write": call.input_cache_write,
            "output_visible": call.output_visible,
            "output_reasoning": call.output_reasoning,
            "cost_usd": None if call.cost_nanousd is None else _usd(call.cost_nanousd),
            "price_id": call.price_id,
        }


class _Files:
    """The files that are open, by day; each appears under its name when it is whole."""

    def __init__(self, directory: Path, stamp: Stamp) -> None:
        require("parquet", "Parquet")
        import pyarrow
        from pyarrow import parquet

        self._arrow, self._parquet = pyarrow, parquet
        self._directory, self._stamp = directory, stamp
        told = {name: str(value) for name, value in stamp.cells().items()}
        self._schema = _schema(pyarrow).with_metadata({f"tierwise.{name}": value for name, value in told.items()})
        self._waiting: dict[str, list[Row]] = {}
        self._open: dict[str, Any] = {}
        self._written: dict[str, int] = {}

    def add(self, rows: Iterator[tuple[int, Row]]) -> None:
        """Take rows over; they are kept until they are flushed."""
        for at_us, row in rows:
            self._waiting.setdefault(_day(at_us, self._stamp), []).append(row)

    def flush(self, up_to: str) -> None:
        """Write what waits of days up to one, and finish those before it: no more rows of them will come."""
        for day in sorted(day for day in self._waiting if day <= up_to):
            self._write(day, self._waiting.pop(day))
        for day in [day for day in self._open if day < up_to]:
            self._finish(day)

    def close(self) -> dict[str, int]:
        """Write and finish what is left; returns how many rows each day has."""
        for day in sorted(self._waiting):
            self._write(day, self._waiting[day])
        for day in list(self._open):
            self._finish(day)
        return self._written

    def _write(self, day: str, rows: Sequence[Row]) -> None:
        if day not in self._open:
            place = self._directory / f"day={day}"
            place.mkdir(parents=True, exist_ok=True)
            self._open[day] = self._parquet.ParquetWriter(place / f".{FILE}.new", self._schema, compression="zstd")
        table = self._arrow.Table.from_pylist(rows, schema=self._schema)
        self._open[day].write_table(table)
        self._written[day] = self._written.get(day, 0) + len(rows)

    def _finish(self, day: str) -> None:
        self._open.pop(day).close()
        place = self._directory / f"day={day}"
        os.replace(place / f".{FILE}.new", place / FILE)


def _schema(arrow: Any) -> Any:
    types = {
        TEXT: arrow.string(),
        COUNT: arrow.int64(),
        NUMBER: arrow.int32(),
        AMOUNT: arrow.decimal128(19, 9),
        INSTANT: arrow.timestamp("us", tz="UTC"),
        FLAG: arrow.bool_(),
    }
    return arrow.schema([(name, types[kind]) for name, kind in COLUMNS_OF_PARQUET.items()])


def _earnings(page: BookedPage, id: bytes) -> Row:
    """What is counted once a request."""
    request, booked = page.requests.get(id), page.booked.get(id)
    expected = None if request is None else request.expected_revenue_nanousd
    return {
        "requests": int(request is not None),
        "expected_revenue_usd": None if expected is None else _usd(expected),
        "booked_revenue_usd": None if booked is None else _usd(booked),
    }


def _correction(correction: BookedCorrection, model: str | None) -> Row:
    return {
        "row": CORRECTION,
        "call_no": None if correction.call_no < 0 else correction.call_no,
        "model": model,
        "started_at": correction.recorded_us,
        "cost_usd": _usd(correction.amount_nanousd),
    }


def _usd(nano: int) -> Decimal:
    return Decimal(nano) / NANO_PER_USD


def _at(id: bytes) -> int:
    return int.from_bytes(id[:6], "big") * 1_000


def _day(at_us: int, stamp: Stamp) -> str:
    zone: tzinfo = stamp.window.zone
    return datetime.fromtimestamp(at_us // 1_000_000, UTC).astimezone(zone).date().isoformat()


def _names(members: Mapping[Any, int]) -> dict[int, str]:
    return {code: str(member) for member, code in members.items()}


_TIERS, _REASONS, _OUTCOMES = _names(codes.TIERS), _names(codes.REASONS), _names(codes.OUTCOMES)
_KINDS, _STATUSES, _PRECISIONS = _names(codes.KINDS), _names(codes.STATUSES), _names(codes.PRECISIONS)
