"""Reads who may spend and who does: keys, segments, and budgets with how fast they burn down."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Engine, select

from router import keys
from router.database.tables import ApiKey
from router.ledger import budgets
from router.ledger.budgets import Budget, BudgetScope, Period
from router.money import NANO_PER_USD
from router.reports.queries import Sums, sum_by
from router.reports.reading import reading
from router.reports.window import Window
from router.types import DAY_US, HOUR_US

MOST_CURVES = 12
DIMENSION = {BudgetScope.KEY: "key", BudgetScope.SEGMENT: "segment", BudgetScope.TIER: "first_tier"}


@dataclass(frozen=True, slots=True)
class Spending:
    """Keys with what they cost in the last week, segments likewise, and how each budget stands."""

    keys: Sequence[dict[str, Any]]
    segments: Sequence[tuple[str, Mapping[str, object]]]
    budgets: Sequence[dict[str, Any]]


def read(engine: Engine, configured: Sequence[str], week: Window, now_us: int) -> Spending:
    """Read keys, segments and budgets, each with what it costs."""
    with reading(engine, week) as books:
        by_key, by_segment = sum_by(books, ["key"], {}), sum_by(books, ["segment"], {})
    made = keys.list_keys(engine)
    spent = {key[0]: sums for key, sums in by_key.rows.items()}
    rows = [{**row, "week": spent.get(str(row["id"]), Sums()).figures()} for row in made]
    known = {key[0] or "unknown": sums for key, sums in by_segment.rows.items()}
    names = sorted({*known, *configured, *(str(row["segment"]) for row in made if row["revoked_at"] is None)})
    segments = [(name, known.get(name, Sums()).figures()) for name in names]
    return Spending(rows, segments, [_standing(row, now_us) for row in budgets.standing(engine, now_us)])


def _standing(row: dict[str, Any], now_us: int) -> dict[str, Any]:
    limit, period = row["limit_nanousd"], Period(row["period"])
    spent = row["settled_nanousd"]
    begin, end = row["start_us"], period.end_us(row["start_us"])
    gone = (now_us - begin) / (end - begin)
    used = spent / limit if limit else 1.0
    ahead = gone > 0 and used > gone
    runs_out = begin + round((now_us - begin) * limit / spent) if spent and ahead and limit else None
    return {
        **row,
        "used": used,
        "gone": gone,
        "end_us": end,
        "left_nanousd": limit - spent,
        "runs_out_us": runs_out if runs_out is not None and runs_out < end else None,
        "is_spent": spent >= limit,
    }


def burn_down(engine: Engine, now_us: int) -> list[dict[str, object]]:
    """What is left of each budget through its period, from the books' rollups, in dollars."""
    with engine.connect() as connection:
        limits = budgets.in_force(connection)[:MOST_CURVES]
        names = {str(row.id): row.name for row in connection.execute(select(ApiKey.id, ApiKey.name))}
    return [_curve(engine, budget, names, now_us) for budget in limits]


def _curve(engine: Engine, budget: Budget, names: Mapping[str, str], now_us: int) -> dict[str, object]:
    start_us = budget.period.start_us(now_us)
    step = "day" if budget.period is Period.MONTH else "hour"
    dimension = DIMENSION.get(budget.scope)
    where = {} if dimension is None else {dimension: {budget.subject}}
    with reading(engine, Window(start_us, None, UTC)) as books:
        steps = sum_by(books, [step], where).rows_in_order()
    left, points = budget.limit_nanousd, [(start_us, budget.limit_nanousd)]
    for (label,), sums in steps:
        if label is None:
            continue
        left -= sums.cost_nanousd
        points.append((min(_end_of(step, label), now_us), left))
    if points[-1][0] < now_us:
        points.append((now_us, left))
    subject = names.get(budget.subject, budget.subject) if budget.scope is BudgetScope.KEY else budget.subject
    return {
        "name": f"{budget.scope} {subject}".strip() + f", each {budget.period}",
        "limit_usd": budget.limit_nanousd / NANO_PER_USD,
        "start_ms": start_us // 1_000,
        "end_ms": budget.period.end_us(start_us) // 1_000,
        "at_ms": [at // 1_000 for at, _ in points],
        "left_usd": [amount / NANO_PER_USD for _, amount in points],
    }


def _end_of(step: str, label: str) -> int:
    begin = datetime.fromisoformat(label)
    begin = begin if begin.tzinfo else begin.replace(tzinfo=UTC)
    return round(begin.timestamp()) * 1_000_000 + (DAY_US if step == "day" else HOUR_US)
