"""Reads why calls failed: by model and cause over a stretch of time, from rollups, with requests to look at."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Engine, or_, select

from router.admin.queries.decisions import LOOKED_THROUGH
from router.database import ids
from router.database.labels import read_label_texts
from router.database.tables import Call, Request
from router.errors import Cause
from router.reports.dimensions import WENT_WELL
from router.reports.queries import sum_by
from router.reports.reading import reading
from router.reports.window import Window
from router.types import FAILED_CALLS

MOST_EXAMPLES = 5


@dataclass(frozen=True, slots=True)
class CauseOfFailure:
    """How many calls of a model failed for a cause, of how many; the newest requests, and the statuses that came."""

    model: str
    cause: str
    failed: int
    calls: int
    examples: Sequence[str] = ()
    statuses: Sequence[int] = ()


@dataclass(slots=True)
class _Seen:
    requests: dict[str, None] = field(default_factory=dict)
    statuses: set[int] = field(default_factory=set)


def read(engine: Engine, window: Window) -> Sequence[CauseOfFailure]:
    """Count failures by model and cause, the commonest first."""
    with reading(engine, window) as books:
        report = sum_by(books, ["model", "cause"], {})
        seen = _newest(books.connection, window, with_made_up=books.counts_made_up)
    calls: dict[str, int] = {}
    for (model, _), sums in report.rows.items():
        calls[model or Cause.UNKNOWN] = calls.get(model or Cause.UNKNOWN, 0) + sums.calls
    found = [
        _cause(model or Cause.UNKNOWN, cause or Cause.UNKNOWN, sums.calls, calls, seen)
        for (model, cause), sums in report.rows.items()
        if cause != WENT_WELL and sums.calls
    ]
    return sorted(found, key=lambda one: (-one.failed, one.model, one.cause))


def _cause(
    model: str, cause: str, failed: int, calls: Mapping[str, int], seen: Mapping[tuple[str, str], _Seen]
) -> CauseOfFailure:
    there = seen.get((model, cause), _Seen())
    return CauseOfFailure(model, cause, failed, calls[model], tuple(there.requests), tuple(sorted(there.statuses)))


def _newest(connection: Connection, window: Window, *, with_made_up: bool) -> dict[tuple[str, str], _Seen]:
    """Return the newest requests with a failed call, by model and cause, among the newest calls of the window."""
    table = Call.__table__
    newest = select(table).order_by(table.c.request_id.desc()).limit(LOOKED_THROUGH)
    if window.since_us is not None:
        newest = newest.where(table.c.request_id >= ids.text_at(window.since_us // 1_000))
    if window.until_us is not None:
        newest = newest.where(table.c.request_id < ids.text_at(window.until_us // 1_000))
    calls = newest.subquery()
    failed = select(calls).where(or_(calls.c.status.in_(FAILED_CALLS), calls.c.cause.is_not(None)))
    if not with_made_up:
        failed = failed.join(Request, Request.id == calls.c.request_id).where(Request.synthetic.is_(False))
    labels = read_label_texts(connection)
    seen: dict[tuple[str, str], _Seen] = {}
    for row in connection.execute(failed.order_by(calls.c.request_id.desc())):
        _note(
            seen.setdefault((labels.get(row.provider_model_id, "unknown"), str(row.cause or Cause.UNKNOWN)), _Seen()),
            row,
        )
    return seen


def _note(seen: _Seen, row: Any) -> None:
    if len(seen.requests) < MOST_EXAMPLES:
        seen.requests[row.request_id] = None
    if row.http_status is not None:
        seen.statuses.add(row.http_status)
