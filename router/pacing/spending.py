"""What was settled in a stretch of time, and what the hours of a week cost: all that pacing follows. Reads only.

A request counts when it was settled, not when it came in: what is under way is no spending yet. Made-up requests count
while there are no others.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, func, select, text

from router.database import codes, ids
from router.database.tables import BudgetPeriod, LabelText, Rollup
from router.ledger.budgets import Budget, BudgetScope
from router.ledger.cells import QUARTERS_AN_HOUR, Grain
from router.ledger.made_up import are_counted
from router.types import HOUR_US, HOURS_A_WEEK, Tier

LOOKBACK_MS = 15 * 60_000  # what took longer to settle is not seen
WEEKS = 4
BY_SCOPE = {BudgetScope.TOTAL: 0, BudgetScope.TIER: 2, BudgetScope.SEGMENT: 5}  # groupings of rollups

REQUESTS = """
SELECT l.text, r.first_tier, COUNT(*), COALESCE(SUM(r.expected_revenue_nanousd), 0),
    SUM(CASE WHEN r.expected_revenue_nanousd IS NULL THEN 1 ELSE 0 END)
FROM requests r JOIN labels l ON l.id = r.segment_id
WHERE {between} AND r.recorded_at >= :since AND r.recorded_at < :until
    AND CAST(r.synthetic AS INTEGER) <= :most_made_up GROUP BY l.text, r.first_tier
"""
CALLS = """
SELECT l.text, r.first_tier, COUNT(*), COALESCE(SUM(c.cost_nanousd), 0),
    SUM(CASE WHEN c.cost_nanousd IS NULL THEN 1 ELSE 0 END)
FROM calls c JOIN requests r ON r.id = c.request_id JOIN labels l ON l.id = r.segment_id
WHERE {between} AND c.recorded_at >= :since AND c.recorded_at < :until
    AND CAST(r.synthetic AS INTEGER) <= :most_made_up GROUP BY l.text, r.first_tier
"""


@dataclass(frozen=True, slots=True)
class Settled:
    """Sums; of `unearning` requests it is not known what they earn, of `unpriced` calls not what they cost."""

    requests: int = 0
    expected_nanousd: int = 0
    unearning: int = 0
    calls: int = 0
    cost_nanousd: int = 0
    unpriced: int = 0

    def __add__(self, other: "Settled") -> "Settled":
        return Settled(
            self.requests + other.requests,
            self.expected_nanousd + other.expected_nanousd,
            self.unearning + other.unearning,
            self.calls + other.calls,
            self.cost_nanousd + other.cost_nanousd,
            self.unpriced + other.unpriced,
        )


Cell = tuple[str, Tier]  # the segment, and the tier chosen first


def sum_settled(connection: Connection, since_us: int, until_us: int) -> dict[Cell, Settled]:
    """Add up what was settled from an instant (inclusive) to another (exclusive)."""
    cells: dict[Cell, Settled] = {}
    for segment, tier, requests, expected, unearning in _rows(connection, REQUESTS, "r.id", since_us, until_us):
        cells[segment, tier] = Settled(int(requests), int(expected), int(unearning))
    for segment, tier, calls, cost, unpriced in _rows(connection, CALLS, "c.request_id", since_us, until_us):
        more = Settled(calls=int(calls), cost_nanousd=int(cost), unpriced=int(unpriced))
        cells[segment, tier] = cells.get((segment, tier), Settled()) + more
    return cells


def sum_under(budget: Budget, cells: Mapping[Cell, Settled]) -> Settled:
    """Add up what counts against a budget; nothing does against that of a key, which is not known here."""
    match budget.scope:
        case BudgetScope.TOTAL:
            return total(cells.values())
        case BudgetScope.SEGMENT:
            return total(cell for (segment, _), cell in cells.items() if segment == budget.subject)
        case BudgetScope.TIER:
            return total(cell for (_, tier), cell in cells.items() if tier == budget.subject)
        case BudgetScope.KEY:
            return Settled()


def total(cells: Iterable[Settled]) -> Settled:
    """Add cells up."""
    return sum(cells, Settled())


def remaining_nanousd(connection: Connection, budget: Budget, start_us: int) -> int:
    """Read what a budget still has in a period."""
    here = (BudgetPeriod.budget_id == budget.id, BudgetPeriod.start_us == start_us)
    return budget.limit_nanousd - int(connection.scalar(select(BudgetPeriod.settled_nanousd).where(*here)) or 0)


def hours_of_week(connection: Connection, now_us: int, scope: BudgetScope, subject: str) -> list[float]:
    """The mean cost of each hour of a week (of UTC, the first one is a Thursday's), 0 where nothing was seen."""
    this_hour = now_us // HOUR_US
    query = select(Rollup.start, func.sum(Rollup.cost_nanousd)).where(
        Rollup.grouping_id == BY_SCOPE[scope],
        Rollup.grain == Grain.HOUR,
        Rollup.start >= (this_hour - WEEKS * HOURS_A_WEEK) * QUARTERS_AN_HOUR,
        Rollup.start < this_hour * QUARTERS_AN_HOUR,
        Rollup.made_up <= int(are_counted(connection)),
    )
    match scope:
        case BudgetScope.SEGMENT:
            query = query.where(Rollup.key1.in_(select(LabelText.id).where(LabelText.text == subject)))
        case BudgetScope.TIER:
            query = query.where(Rollup.key1 == codes.TIERS[Tier(subject)])
        case _:
            pass
    sums, seen = [0.0] * HOURS_A_WEEK, [0] * HOURS_A_WEEK
    for start, cost in connection.execute(query.group_by(Rollup.start)):
        hour = int(start) // QUARTERS_AN_HOUR % HOURS_A_WEEK
        sums[hour] += float(cost)
        seen[hour] += 1
    return [cost / count if count else 0.0 for cost, count in zip(sums, seen, strict=True)]


def _rows(connection: Connection, query: str, column: str, since_us: int, until_us: int) -> Iterable[tuple[Any, ...]]:
    dialect = connection.dialect.name
    first, last = ids.first_at(since_us // 1_000 - LOOKBACK_MS), ids.first_at(until_us // 1_000 + 1)
    counted = int(are_counted(connection))
    wanted = {**ids.bounds(dialect, first, last), "since": since_us, "until": until_us, "most_made_up": counted}
    tiers = {code: tier for tier, code in codes.TIERS.items()}
    for segment, tier, *numbers in connection.execute(text(query.format(between=ids.between(dialect, column))), wanted):
        yield segment, tiers[tier], *numbers
