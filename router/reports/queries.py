"""The standing question of the books: what did requests cost, and what are they expected to earn, by any dimension.

Rows always add up to the totals. Cost belongs to the whole request, except by model or provider, where it sits on
the calls while requests and revenue sit on the answering call.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import tzinfo
from decimal import Decimal
from typing import Any

from sqlalchemy import Engine, Select, and_, case, func, select

from router.ledger.tables import Adjustment, Call, Label, Request, RevenueEvent
from router.money import usd_text
from router.reports.dimensions import DIMENSIONS, Dimension
from router.types import Precision, Tier

SHARE_DIGITS = Decimal("0.000001")
FIGURES = (
    "requests",
    "calls",
    "cost_usd",
    "expected_revenue_usd",
    "booked_revenue_usd",
    "contribution_usd",
    "deep_share",
    "unpriced",
    "estimated",
    "unknown",
)


@dataclass(frozen=True, slots=True)
class Window:
    """Requests opened from `since_us` (inclusive) to `until_us` (exclusive); None is open-ended."""

    since_us: int | None
    until_us: int | None
    zone: tzinfo


@dataclass(slots=True)
class Sums:
    """What is added up for one row: integers only."""

    requests: int = 0
    deep: int = 0
    expected_nanousd: int = 0
    expected_known: int = 0
    booked_nanousd: int = 0
    calls: int = 0
    priced: int = 0
    cost_nanousd: int = 0
    estimated: int = 0
    unknown: int = 0

    def add(self, other: "Sums") -> None:
        """Add another row's sums."""
        for one in fields(Sums):
            setattr(self, one.name, getattr(self, one.name) + getattr(other, one.name))

    def figures(self) -> dict[str, object]:
        """Write the figures of a report; what is not known is None."""
        has_cost = self.priced > 0 or self.calls == 0
        has_revenue = self.expected_known > 0 or self.requests == 0
        contribution = self.expected_nanousd - self.cost_nanousd if has_cost and has_revenue else None
        return {
            "requests": self.requests,
            "calls": self.calls,
            "cost_usd": usd_text(self.cost_nanousd) if has_cost else None,
            "expected_revenue_usd": usd_text(self.expected_nanousd) if has_revenue else None,
            "booked_revenue_usd": usd_text(self.booked_nanousd),
            "contribution_usd": None if contribution is None else usd_text(contribution),
            "deep_share": str((Decimal(self.deep) / self.requests).quantize(SHARE_DIGITS)) if self.requests else None,
            "unpriced": self.calls - self.priced,
            "estimated": self.estimated,
            "unknown": self.unknown,
        }


@dataclass(slots=True)
class Report:
    """The rows, keyed by the dimensions' values, and their total."""

    by: tuple[str, ...]
    rows: dict[tuple[str | None, ...], Sums] = field(default_factory=dict)

    def totals(self) -> Sums:
        """Add all rows up."""
        total = Sums()
        for sums in self.rows.values():
            total.add(sums)
        return total

    def lines(self) -> list[dict[str, object]]:
        """Write the rows in the order of their keys, the unknown last."""
        ordered = sorted(self.rows, key=lambda key: [(value is None, _natural(value)) for value in key])
        return [dict(zip(self.by, key, strict=True)) | self.rows[key].figures() for key in ordered]


def costs(engine: Engine, by: Sequence[str], window: Window) -> Report:
    """Add up cost and revenue by one or several dimensions."""
    dimensions = [DIMENSIONS[name] for name in by]
    report = Report(tuple(by))
    with engine.connect() as connection:
        labels = {row.id: row.text for row in connection.execute(select(Label.id, Label.text))}
        for query in (_requests(dimensions, window), _calls(dimensions, window)):
            _collect(report, connection.execute(query).mappings(), dimensions, labels, window.zone)
        for query in (_booked(dimensions, window), _adjusted(dimensions, window)):
            _collect(report, connection.execute(query).mappings(), dimensions, labels, window.zone)
    return report


def _requests(dimensions: Sequence[Dimension], window: Window) -> Select[Any]:
    query = select(
        *_keys(dimensions),
        func.count().label("requests"),
        func.sum(case((Request.final_tier != Tier.FAST, 1), else_=0)).label("deep"),
        func.sum(Request.expected_revenue_nanousd).label("expected_nanousd"),
        func.count(Request.expected_revenue_nanousd).label("expected_known"),
    ).select_from(Request)
    return _grouped(_with_answer(query, dimensions), dimensions, window)


def _calls(dimensions: Sequence[Dimension], window: Window) -> Select[Any]:
    query = select(
        *_keys(dimensions),
        func.count().label("calls"),
        func.count(Call.cost_nanousd).label("priced"),
        func.sum(Call.cost_nanousd).label("cost_nanousd"),
        func.sum(case((Call.precision == Precision.ESTIMATED, 1), else_=0)).label("estimated"),
        func.sum(case((Call.precision == Precision.UNKNOWN, 1), else_=0)).label("unknown"),
    ).select_from(Request)
    return _grouped(query.join(Call, Call.request_id == Request.id), dimensions, window)


def _booked(dimensions: Sequence[Dimension], window: Window) -> Select[Any]:
    query = select(
        *_keys(dimensions),
        func.sum(RevenueEvent.amount_nanousd).label("booked_nanousd"),
    ).select_from(Request)
    joined = query.join(RevenueEvent, RevenueEvent.request_id == Request.id)
    return _grouped(_with_answer(joined, dimensions), dimensions, window)


def _adjusted(dimensions: Sequence[Dimension], window: Window) -> Select[Any]:
    query = select(*_keys(dimensions), func.sum(Adjustment.amount_nanousd).label("cost_nanousd")).select_from(Request)
    joined = query.join(Adjustment, Adjustment.request_id == Request.id)
    if any(dimension.on_calls for dimension in dimensions):
        same = and_(Call.request_id == Request.id, Call.call_no == Adjustment.call_no)
        joined = joined.outerjoin(Call, same)
    return _grouped(joined, dimensions, window)


def _keys(dimensions: Sequence[Dimension]) -> list[Any]:
    return [dimension.column.label(f"key{place}") for place, dimension in enumerate(dimensions)]


def _with_answer(query: Select[Any], dimensions: Sequence[Dimension]) -> Select[Any]:
    if not any(dimension.on_calls for dimension in dimensions):
        return query
    return query.outerjoin(Call, and_(Call.request_id == Request.id, Call.call_no == Request.answer_call_no))


def _grouped(query: Select[Any], dimensions: Sequence[Dimension], window: Window) -> Select[Any]:
    if window.since_us is not None:
        query = query.where(Request.opened_at >= window.since_us)
    if window.until_us is not None:
        query = query.where(Request.opened_at < window.until_us)
    return query.group_by(*(f"key{place}" for place in range(len(dimensions))))


def _collect(
    report: Report,
    rows: Iterable[Mapping[Any, Any]],
    dimensions: Sequence[Dimension],
    labels: Mapping[int, str],
    zone: tzinfo,
) -> None:
    for row in rows:
        key = tuple(d.shown(row[f"key{place}"], labels, zone) for place, d in enumerate(dimensions))
        sums = Sums(**{name: int(value or 0) for name, value in row.items() if not name.startswith("key")})
        report.rows.setdefault(key, Sums()).add(sums)


def _natural(value: str | None) -> tuple[int, int | str]:
    return (0, int(value)) if value is not None and value.lstrip("-").isdigit() else (1, value or "")
