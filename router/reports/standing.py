"""Puts a whole report together in one snapshot: the rows asked for, the standing figures, overhead, top spenders,
and how fresh all of it is.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

from sqlalchemy import Engine, func, select

from router.database.tables import ApiKey, PolicyVersion, PriceRow, Request, RevenueVersion
from router.ledger.cells import QUARTER_MS
from router.ledger.made_up import MadeUp
from router.reports.costs import Costs
from router.reports.coverage import CoverageFigures, coverage
from router.reports.dimensions import DIMENSIONS
from router.reports.figures import Standing, per_request, values
from router.reports.forecasts import ForecastQuality, forecast_quality
from router.reports.queries import Filters, Report, Sums, share, sum_by
from router.reports.reading import BooksSnapshot, reading
from router.reports.window import Window
from router.types import DEFAULT_SEGMENT

TOP_SPENDERS = 10


@dataclass(frozen=True, slots=True)
class Freshness:
    """What the report stands on: how late the books and rollups are, and which versions are in force."""

    newest_request_ms: int | None
    rolled_up_to_ms: int | None
    policy_version: int | None
    revenue_version: int | None
    newest_price_us: int | None
    software: str


@dataclass(frozen=True, slots=True)
class FullReport:
    """Everything a page shows."""

    report: Report
    standing: Standing
    figures: dict[str, object]
    overhead: list[dict[str, object]]
    spenders: list[dict[str, object]]
    costs_by_tier: dict[str | None, Costs]
    more: dict[tuple[str, ...], Report]
    freshness: Freshness
    made_up: MadeUp
    coverage: CoverageFigures
    forecasts: ForecastQuality


def full_report(
    engine: Engine, by: Sequence[str], window: Window, where: Filters, more: Sequence[tuple[str, ...]] = ()
) -> FullReport:
    """Read it all; the standing figures are those of the whole window, whatever the filters."""
    with reading(engine, window) as books:
        by_tier, by_role = sum_by(books, ["tier"], {}), sum_by(books, ["role"], {})
        report = by_tier if tuple(by) == ("tier",) and not where else sum_by(books, by, where)
        total = by_tier.totals()
        tier = DIMENSIONS["tier"]
        counts = {tier.describe(code, books.labels): by_bucket for code, by_bucket in books.costs().items()}
        together: dict[int, int] = {}
        for by_bucket in counts.values():
            for bucket, requests in by_bucket.items():
                together[bucket] = together.get(bucket, 0) + requests
        standing = Standing(
            total,
            {key[0]: sums for key, sums in by_tier.rows.items()},
            {key[0]: sums for key, sums in by_role.rows.items()},
            Costs(together, total.largest),
            _ecpm(books),
        )
        return FullReport(
            report,
            standing,
            values(standing),
            overhead(by_role, total),
            _spenders(books),
            {name: Costs(by_bucket, by_tier.rows[(name,)].largest) for name, by_bucket in counts.items()},
            {names: sum_by(books, names, where) for names in more},
            freshness(books),
            books.made_up,
            coverage(books),
            forecast_quality(books),
        )


def overhead(by_role: Report, total: Sums) -> list[dict[str, object]]:
    """Return what was paid for besides the answers, each on a line of its own."""
    return [
        {
            "role": key[0],
            "calls": sums.calls,
            "cost_usd": sums.figures()["cost_usd"],
            "share_of_cost": share(sums.cost_nanousd, total.cost_nanousd),
        }
        for key, sums in by_role.rows_in_order()
        if sums.calls or sums.cost_nanousd
    ]


def _spenders(books: BooksSnapshot) -> list[dict[str, object]]:
    """Return the keys that cost most."""
    by_key = sum_by(books, ["key"], {})
    names = {str(row.id): row for row in books.connection.execute(select(ApiKey.id, ApiKey.name, ApiKey.segment))}
    dearest = sorted(by_key.rows.items(), key=lambda row: -row[1].cost_nanousd)[:TOP_SPENDERS]
    spenders = []
    for (key,), sums in dearest:
        owner = names.get(key or "")
        figures = sums.figures()
        spenders.append(
            {
                "key": key,
                "name": owner.name if owner else None,
                "segment": owner.segment if owner else None,
                "requests": sums.requests,
                "cost_usd": figures["cost_usd"],
                "cost_per_query_usd": per_request(sums.cost_nanousd if sums.has_cost else None, sums.requests),
                "contribution_usd": figures["contribution_usd"],
            }
        )
    return spenders


def _ecpm(books: BooksSnapshot) -> int | None:
    query = select(RevenueVersion.body).order_by(RevenueVersion.version.desc()).limit(1)
    body: Any = books.connection.scalar(query)
    assumption = (body or {}).get("segments", {}).get(DEFAULT_SEGMENT, {})
    ecpm = assumption.get("ecpm_nanousd")
    return None if ecpm is None else int(ecpm)


def freshness(books: BooksSnapshot) -> Freshness:
    """Tell how late the books are, and which versions are in force."""
    connection = books.connection
    newest = connection.scalar(select(Request.id).order_by(Request.id.desc()).limit(1))
    newest_ms = int(newest[:12], 16) if newest else None
    rolled = min(books.dirty) * QUARTER_MS if books.dirty else newest_ms
    return Freshness(
        newest_ms,
        rolled,
        connection.scalar(select(func.max(PolicyVersion.version)).where(PolicyVersion.state == "active")),
        connection.scalar(select(func.max(RevenueVersion.version))),
        connection.scalar(select(func.max(PriceRow.created_at))),
        version("tierwise"),
    )
