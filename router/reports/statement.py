"""The statement of a month for one customer: some keys, or a segment. Exact, and the sum of all is the ledger.

Amounts are those that count in the month (UTC): of the requests that came in then, and what was posted then for months
that were closed already, by month. Made-up requests are no part of it.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version

from sqlalchemy import Engine, select

from router.database.labels import read_label_texts
from router.database.tables import ApiKey
from router.errors import NotFound
from router.ledger import closing
from router.ledger.closing import Month, MonthClosing
from router.money import usd_text
from router.reports.months import late_by_month, window_of
from router.reports.queries import Sums, sum_by
from router.reports.reading import reading
from router.reports.rendering import render
from router.reports.stamp import Stamp


@dataclass(frozen=True, slots=True)
class Customer:
    """Whose statement it is: requests whose `dimension` (key or segment) has one of these values."""

    name: str
    dimension: str
    values: frozenset[str]


@dataclass(frozen=True, slots=True)
class CustomerStatement:
    """A month of a customer: what came in, by tier and model; what was posted for earlier months; the sum of both."""

    customer: Customer
    month: Month
    closing: MonthClosing | None
    stamp: Stamp
    came_in: Sums
    by_tier: Mapping[str, Sums]
    by_model: Mapping[str, Sums]
    late: Mapping[str, Sums]
    total: Sums


def customer_of_keys(engine: Engine, names: Collection[str], title: str = "") -> Customer:
    """Find a customer by the names of its keys; raises NotFound."""
    with engine.connect() as connection:
        rows = connection.execute(select(ApiKey.name, ApiKey.id).where(ApiKey.name.in_(names)))
        found = {row.name: str(row.id) for row in rows}
    if missing := sorted(set(names) - found.keys()):
        raise NotFound(f"there is no key named {', '.join(map(repr, missing))}; `tierwise keys list` has the names")
    return Customer(title or ", ".join(sorted(names)), "key", frozenset(found.values()))


def customer_of_segment(engine: Engine, segment: str, title: str = "") -> Customer:
    """Return a segment as a customer; raises NotFound where it never had a request."""
    with engine.connect() as connection:
        if segment not in read_label_texts(connection).values():
            raise NotFound(f"there was never a request of a segment {segment!r}")
    return Customer(title or f"segment {segment}", "segment", frozenset({segment}))


def read_statement(engine: Engine, customer: Customer, month_name: str) -> CustomerStatement:
    """Add up a customer's month. Raises NotClosable for what is no month."""
    month = closing.month_named(month_name)
    where = {customer.dimension: customer.values}
    with reading(engine, window_of(month)) as books:
        by_tier = sum_by(books, ["tier"], where)
        by_model = sum_by(books, ["model"], where)
        late = late_by_month(books, where)
    total, came_in = by_tier.totals(), by_tier.totals()
    for sums in late.values():
        came_in.add([-fact for fact in sums.facts], -1)
    known = {one.month.name: one for one in closing.read_closings(engine)}
    return CustomerStatement(
        customer,
        month,
        known.get(month.name),
        Stamp.of(engine, window_of(month)),
        came_in,
        {key[0] or "unknown": sums for key, sums in by_tier.rows_in_order()},
        {key[0] or "no model": sums for key, sums in by_model.rows_in_order()},
        dict(sorted(late.items())),
        total,
    )


def statement_fields(statement: CustomerStatement) -> dict[str, object]:
    """Everything as JSON has it."""
    return {
        "customer": statement.customer.name,
        "month": statement.month.name,
        **statement.stamp.fields(),
        "closed_at": None if statement.closing is None else _moment(statement.closing.closed_at),
        "closed_by": None if statement.closing is None else statement.closing.author,
        "came_in": amounts(statement.came_in),
        "late": {month: amounts(sums) for month, sums in statement.late.items()},
        "total": amounts(statement.total),
        "by_tier": {name: amounts(sums) for name, sums in statement.by_tier.items()},
        "by_model": {name: amounts(sums) for name, sums in statement.by_model.items()},
    }


def amounts(sums: Sums) -> dict[str, object]:
    """Write what a line of a statement has, exactly."""
    return {
        "requests": sums.requests,
        "calls": sums.calls,
        "cost_usd": usd_text(sums.cost_nanousd),
        "expected_revenue_usd": usd_text(sums.expected_nanousd),
        "booked_revenue_usd": usd_text(sums.booked_nanousd),
        "unpriced": sums.calls - sums.priced,
    }


def statement_page(statement: CustomerStatement) -> str:
    """Write it as one HTML file that prints to a page or two."""
    return render(
        "statement.html",
        statement=statement_fields(statement),
        stamp=statement.stamp.describe(),
        software=version("tierwise"),
    )


def _moment(at_us: int) -> str:
    return datetime.fromtimestamp(at_us // 1_000_000, UTC).strftime("%Y-%m-%d %H:%M UTC")
