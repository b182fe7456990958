"""What a conversation costs, and a person: by marks, so that nobody is named. From single requests, not from rollups.

The newest requests of the window that have a mark, at most so many: of older ones the beginning would be missing.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from sqlalchemy import Connection, func, select, true

from router.database import ids
from router.database.tables import Call, Request
from router.money import usd_text
from router.reports.reading import BooksSnapshot
from router.types import CallKind

MOST_READ = 200_000


@dataclass(frozen=True, slots=True)
class GroupCosts:
    """What each of `groups` conversations or persons cost, in dollars; without any, amounts are None.

    `requests` are those looked at; a group with a request of unknown cost has none and counts as `unpriced`.
    """

    groups: int
    requests: int
    unpriced: int = 0
    requests_per_group: float | None = None
    mean_usd: str | None = None
    median_usd: str | None = None
    p95_usd: str | None = None


@dataclass(frozen=True, slots=True)
class People:
    """Conversations, and persons where clients say which."""

    conversations: GroupCosts
    persons: GroupCosts


def people(books: BooksSnapshot) -> People:
    """Sum up what conversations and persons cost within the window; persons are told apart within a month."""
    return People(_group(books, Request.conversation_mark), _group(books, Request.user_mark))


def _group(books: BooksSnapshot, mark: Any) -> GroupCosts:
    low, high = ids.text_at(books.start_ms), ids.text_at(books.end_ms)
    rows = _read(books.connection, mark, low, high, with_made_up=books.counts_made_up)
    if not rows:
        return GroupCosts(0, 0)
    costs: dict[int, int | None] = {}
    for of, cost in rows:
        before = costs.get(of, 0)
        costs[of] = None if cost is None or before is None else before + int(cost)
    known = np.array([cost for cost in costs.values() if cost is not None], np.float64)
    plain = GroupCosts(len(costs), len(rows), len(costs) - len(known), round(len(rows) / len(costs), 3))
    if not len(known):
        return plain
    middle, high = np.percentile(known, [50, 95])
    mean, median, p95 = (usd_text(round(float(value))) for value in (known.mean(), middle, high))
    return replace(plain, mean_usd=mean, median_usd=median, p95_usd=p95)


def _read(
    connection: Connection, mark: Any, low: str, high: str, *, with_made_up: bool
) -> list[tuple[int, int | None]]:
    """Read mark and cost (None where a call has no price) of the newest requests with a mark."""
    counted = true() if with_made_up else Request.synthetic.is_(False)
    newest = (
        select(Request.id, mark.label("mark"))
        .where(Request.id >= low, Request.id < high, mark.is_not(None), counted)
        .order_by(Request.id.desc())
        .limit(MOST_READ)
        .subquery()
    )
    query = (
        select(
            newest.c.mark,
            func.sum(Call.cost_nanousd),
            func.count() - func.count(Call.cost_nanousd),
        )
        .join(Call, Call.request_id == newest.c.id)
        .where(Call.kind != CallKind.SHADOW)
        .group_by(newest.c.id, newest.c.mark)
    )
    return [(row[0], None if row[2] else row[1]) for row in connection.execute(query)]
