"""Reads from the books what the rules look at. Bounded: minutes of calls, a day of rollups, hours of past weeks."""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC
from typing import Any

from sqlalchemy import Engine, func, select

from router.database import ids
from router.database.labels import read_label_texts
from router.database.tables import Call, Rollup
from router.decision.policy import Policy
from router.errors import Cause
from router.ledger import budgets
from router.ledger.cells import QUARTERS_AN_HOUR, Grain
from router.ledger.made_up import are_counted
from router.notifications.rules import BudgetStanding, SegmentMargin, SpendingHour, TargetCalls
from router.reports.dimensions import time_label
from router.reports.queries import Sums, sum_by
from router.reports.reading import reading
from router.reports.window import Window
from router.types import DAY_US, FAILED_CALLS, HOUR_US, HOURS_A_WEEK, CallStatus

RECENT_US = 600_000_000
MOST_WEEKS = 8
ALL_SEGMENTS = "all segments"


def read_budgets(engine: Engine, now_us: int) -> list[BudgetStanding]:
    """Read how every budget stands."""
    standing = []
    for row in budgets.standing(engine, now_us):
        name = " ".join(str(part) for part in (row["scope"], row["subject"], row["period"]) if part)
        standing.append(BudgetStanding(name, row["start_us"], row["limit_nanousd"], row["settled_nanousd"]))
    return standing


def read_targets(engine: Engine, now_us: int) -> list[TargetCalls]:
    """Read the calls of the last minutes by model."""
    table = Call.__table__
    unpriced = (table.c.cost_nanousd.is_(None)) & (table.c.status != CallStatus.NOT_SENT)
    query = (
        select(table.c.provider_model_id, table.c.status, table.c.cause, table.c.http_status, unpriced, func.count())
        .where(table.c.request_id >= ids.text_at((now_us - RECENT_US) // 1_000))
        .group_by(table.c.provider_model_id, table.c.status, table.c.cause, table.c.http_status, unpriced)
    )
    by_model: dict[int, list[Any]] = {}
    with engine.connect() as connection:
        for row in connection.execute(query):
            by_model.setdefault(row[0], []).append(row)
        labels = read_label_texts(connection)
    return [_target(labels.get(model, "unknown"), rows) for model, rows in by_model.items()]


def _target(model: str, rows: Sequence[Any]) -> TargetCalls:
    calls = failed = unpriced = 0
    why: Counter[tuple[str, int | None]] = Counter()
    for _, status, cause, http_status, is_unpriced, count in rows:
        calls += count
        unpriced += count if is_unpriced else 0
        if status in FAILED_CALLS or cause is not None:
            failed += count
            why[str(cause or Cause.UNKNOWN), http_status] += count
    cause, http_status = why.most_common(1)[0][0] if why else (None, None)
    return TargetCalls(model, calls, failed, unpriced, cause, http_status)


def read_margins(engine: Engine, policy: Policy, now_us: int) -> list[SegmentMargin]:
    """Read what the requests of a day cost and are expected to earn, by segment and in all."""
    window = Window((now_us - DAY_US) // HOUR_US * HOUR_US, None, UTC)
    with reading(engine, window) as books:
        report = sum_by(books, ["segment"], {})
    margins = [
        _margin(name, sums, policy.for_segment(name).min_margin)
        for (name,), sums in report.rows.items()
        if name is not None
    ]
    return [one for one in [*margins, _margin(ALL_SEGMENTS, report.totals(), policy.min_margin)] if one is not None]


def _margin(segment: str, sums: Sums, target: float | None) -> SegmentMargin | None:
    if not sums.has_cost or not sums.has_revenue:
        return None
    return SegmentMargin(segment, sums.requests, sums.cost_nanousd, sums.expected_nanousd, target)


def read_hours(engine: Engine, now_us: int) -> list[SpendingHour]:
    """Read what the hour that ended last and the one under way cost, and the same hours of past weeks.

    An hour without a request cost nothing, from the first hour on that the books know.
    """
    this_hour = now_us // HOUR_US
    with reading(engine, Window((this_hour - 1) * HOUR_US, None, UTC)) as books:
        spent = {label: sums for (label,), sums in sum_by(books, ["hour"], {}).rows.items()}
    with engine.connect() as connection:
        counted = Rollup.made_up <= int(are_counted(connection))
        by_hour = Rollup.grouping_id == 0, Rollup.grain == Grain.HOUR, counted
        first = connection.scalar(select(func.min(Rollup.start)).where(*by_hour))
        if first is None:
            return []
        weeks_back = [week * HOURS_A_WEEK for week in range(1, MOST_WEEKS + 1)]
        wanted = [hour - back for hour in (this_hour - 1, this_hour) for back in weeks_back]
        starts = [hour * QUARTERS_AN_HOUR for hour in wanted]
        costs = select(Rollup.start, func.sum(Rollup.cost_nanousd)).where(*by_hour, Rollup.start.in_(starts))
        costs = costs.group_by(Rollup.start)
        known = {int(start): int(cost) for start, cost in connection.execute(costs)}
    costs_of = _two_hours(spent, this_hour)
    hours = []
    for hour in (this_hour - 1, this_hour):
        past = [
            known.get((hour - back) * QUARTERS_AN_HOUR, 0)
            for back in weeks_back
            if (hour - back) * QUARTERS_AN_HOUR >= first
        ]
        hours.append(SpendingHour(hour * HOUR_US, costs_of[hour], past, is_over=hour < this_hour))
    return hours


def _two_hours(spent: dict[str | None, Sums], this_hour: int) -> dict[int, int]:
    """Tell the costs of the last hour and of this one apart, by how reports write hours in UTC."""
    costs = {}
    for hour in (this_hour - 1, this_hour):
        label = time_label("hour", hour * QUARTERS_AN_HOUR, UTC)
        costs[hour] = spent[label].cost_nanousd if label in spent else 0
    return costs
