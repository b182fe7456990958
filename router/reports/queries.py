"""The standing question of the books: what did requests cost, and what did they earn, by any dimension.

Rows always add up to the totals. Cost belongs to the whole request, except by model, provider or role, where it sits
on the calls while requests and revenue sit on the answering call.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from sqlalchemy import Engine

from router.ledger.cells import ADDED_FACTS
from router.money import usd_text
from router.reports.dimensions import DIMENSIONS, TIMES, describe_value
from router.reports.reading import BooksSnapshot, reading
from router.reports.window import Window

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
    "made_up",
)
NO_REQUESTS = "no requests"
NO_PRICE = "no call has a price"
NO_REVENUE = "no request has an expected amount"
REQUESTS = ADDED_FACTS.index("requests")
Filters = Mapping[str, Collection[str]]


class Sums:
    """What is added up for one row: integers only, the dearest request, and how many of the requests are made up."""

    __slots__ = ("facts", "largest", "made_up")

    def __init__(self, facts: Sequence[int] = (0,) * len(ADDED_FACTS), largest: int = -1, made_up: int = 0) -> None:
        self.facts = list(facts)
        self.largest = largest
        self.made_up = made_up

    def __getattr__(self, name: str) -> int:
        if name not in ADDED_FACTS:
            raise AttributeError(name)
        return self.facts[ADDED_FACTS.index(name)]

    def add(self, facts: Sequence[int], largest: int, made_up: int = 0) -> None:
        """Add the facts of a cell."""
        self.facts = [one + other for one, other in zip(self.facts, facts, strict=True)]
        self.largest = max(self.largest, largest)
        self.made_up += made_up

    @property
    def has_cost(self) -> bool:
        """Something is known of the cost: no calls cost nothing, but calls without any price are unknown."""
        return self.priced > 0 or self.calls == 0

    @property
    def has_revenue(self) -> bool:
        """Something is known of what was expected."""
        return self.expected_known > 0 or self.requests == 0

    @property
    def has_bookings(self) -> bool:
        """Something was booked of it, whatever it comes to."""
        return self.booked_requests > 0 or self.booked_nanousd != 0

    @property
    def revenue_nanousd(self) -> int:
        """What was booked where something was, and what is expected of the rest."""
        return self.expected_nanousd - self.replaced_nanousd + self.booked_nanousd

    def figures(self) -> dict[str, object]:
        """Write the figures of a report; what is not known is None."""
        contribution = self.expected_nanousd - self.cost_nanousd if self.has_cost and self.has_revenue else None
        return {
            "requests": self.requests,
            "calls": self.calls,
            "cost_usd": usd_text(self.cost_nanousd) if self.has_cost else None,
            "expected_revenue_usd": usd_text(self.expected_nanousd) if self.has_revenue else None,
            "booked_revenue_usd": usd_text(self.booked_nanousd),
            "contribution_usd": None if contribution is None else usd_text(contribution),
            "deep_share": share(self.deep, self.requests),
            "unpriced": self.calls - self.priced,
            "estimated": self.estimated,
            "unknown": self.unknown,
            "made_up": self.made_up,
        }

    def unknown_because(self) -> dict[str, str]:
        """Say why figures of a row are not known, by their names."""
        reasons = {}
        if not self.has_cost:
            reasons["cost_usd"] = NO_PRICE
        if not self.has_revenue:
            reasons["expected_revenue_usd"] = NO_REVENUE
        if reasons:
            reasons["contribution_usd"] = " and ".join(reasons.values())
        if not self.requests:
            reasons["deep_share"] = NO_REQUESTS
        return reasons


def share(part: int, whole: int) -> str | None:
    """Write a share with six digits; None of nothing."""
    return str((Decimal(part) / whole).quantize(SHARE_DIGITS)) if whole else None


@dataclass(slots=True)
class Report:
    """The rows, keyed by the dimensions' values, and their total."""

    by: tuple[str, ...]
    rows: dict[tuple[str | None, ...], Sums] = field(default_factory=dict)

    def totals(self) -> Sums:
        """Add all rows up."""
        total = Sums()
        for sums in self.rows.values():
            total.add(sums.facts, sums.largest, sums.made_up)
        return total

    def project(self, by: Sequence[str]) -> "Report":
        """Add the rows up by some of the dimensions."""
        places = [self.by.index(name) for name in by]
        report = Report(tuple(by))
        for key, sums in self.rows.items():
            report.rows.setdefault(tuple(key[place] for place in places), Sums()).add(
                sums.facts, sums.largest, sums.made_up
            )
        return report

    def rows_in_order(self) -> list[tuple[tuple[str | None, ...], Sums]]:
        """Return the rows in the order of their keys, the unknown last."""
        return sorted(self.rows.items(), key=lambda row: [(value is None, _natural(value)) for value in row[0]])

    def lines(self) -> list[dict[str, object]]:
        """Write the rows in the order of their keys, the unknown last."""
        return [dict(zip(self.by, key, strict=True)) | sums.figures() for key, sums in self.rows_in_order()]

    def unknowns(self) -> list[str]:
        """Say why there are rows of which something is not known; what has no requests speaks for itself."""
        reasons = [sums.unknown_because() for sums in self.rows.values()]
        return sorted(
            {why for of_row in reasons for name, why in of_row.items() if name in ("cost_usd", "expected_revenue_usd")}
        )


def costs(engine: Engine, by: Sequence[str], window: Window, where: Filters | None = None) -> Report:
    """Add up cost and revenue by one or several dimensions, of the requests that pass the filters."""
    with reading(engine, window) as books:
        return sum_by(books, by, where or {})


def sum_by(books: BooksSnapshot, by: Sequence[str], where: Filters) -> Report:
    """Add up by dimensions within one snapshot."""
    used = [DIMENSIONS[name] for name in dict.fromkeys((*by, *where))]
    keys = [dimension.key for dimension in used if dimension.key is not None]
    times = [dimension.name for dimension in used if dimension.name in TIMES]
    report = Report(tuple(by))
    for cell in books.cells(keys, times):
        values = dict(zip(times, cell.label, strict=True))
        for dimension in used:
            if dimension.key is not None:
                values[dimension.name] = describe_value(dimension, cell.values[dimension.key], books.labels)
        if all(values[name] in wanted for name, wanted in where.items()):
            key = tuple(values[name] for name in by)
            made_up = cell.facts[REQUESTS] if cell.is_made_up else 0
            report.rows.setdefault(key, Sums()).add(cell.facts, cell.largest, made_up)
    return report


def _natural(value: str | None) -> tuple[int, int | str]:
    return (0, int(value)) if value is not None and value.lstrip("-").isdigit() else (1, value or "")
