"""Closed months as reports show them: what stands, and what was posted for them in later months."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC

import numpy as np
from sqlalchemy import Engine

from router.database.engine import AuditHook
from router.ledger import closing, posted
from router.ledger.attribution import RevenueAttribution
from router.ledger.cells import MADE_UP
from router.ledger.closing import Month, MonthClosing, month_at_number
from router.ledger.lines import HOME
from router.reports.dimensions import DIMENSIONS, describe_value
from router.reports.queries import Filters, Sums, sum_by
from router.reports.reading import BooksSnapshot, reading
from router.reports.window import Window

KEPT = ("requests", "calls", "cost_nanousd", "expected_nanousd", "booked_nanousd", "replaced_nanousd")


@dataclass(frozen=True, slots=True)
class MonthStanding:
    """A closed month, what it shows now, and what was posted for it since; `stands` is None where nothing was kept."""

    closing: MonthClosing
    shown: Mapping[str, int]
    late: Sums

    @property
    def stands(self) -> bool | None:
        """Whether it shows what it was closed with."""
        return None if self.closing.figures is None else dict(self.closing.figures) == dict(self.shown)


def window_of(month: Month) -> Window:
    """The window of a month: real requests only."""
    return Window(month.start_us, month.end_us, UTC, with_made_up=False)


def figures_of(engine: Engine, month: Month) -> dict[str, int]:
    """Add up what is kept of a month when it is closed."""
    with reading(engine, window_of(month)) as books:
        total = sum_by(books, [], {}).totals()
    return {name: getattr(total, name) for name in KEPT}


def close(
    engine: Engine, name: str, author: str, note: str, now_us: int, hook: AuditHook | None = None
) -> MonthClosing:
    """Close a month and write down what it shows. Raises NotClosable."""
    month = closing.close(engine, name, author, note, now_us, hook)
    closing.keep_figures(engine, month, figures_of(engine, month))
    return closing.read_closings(engine)[0]


def standings(engine: Engine) -> list[MonthStanding]:
    """Look at every closed month, the newest first."""
    with reading(engine, Window(None, None, UTC)) as books:
        late = late_by_month(books)
    return [
        MonthStanding(one, figures_of(engine, one.month), late.get(one.month.name, Sums()))
        for one in closing.read_closings(engine)
    ]


def late_by_month(books: BooksSnapshot, where: Filters | None = None) -> dict[str, Sums]:
    """Add up what was posted within the window of a snapshot for closed months, by the month that it belongs to.

    `where` keeps requests by stored keys (`key`, `segment`, ...), as reports do. Made-up requests are left out.
    """
    used = [DIMENSIONS[name] for name in where or {}]
    keys = [dimension.key for dimension in used if dimension.key is not None]
    found: dict[str, Sums] = {}
    for page in posted.read_late(books.connection, books.start_ms, books.end_ms, RevenueAttribution()):
        made = page.cells((HOME, MADE_UP, *keys), np.zeros(len(page.ms), np.int64))
        for (_, home, made_up, *values), facts in zip(made.keys.tolist(), made.facts.tolist(), strict=True):
            told = {one.name: describe_value(one, value, books.labels) for one, value in zip(used, values, strict=True)}
            if not made_up and all(told[name] in wanted for name, wanted in (where or {}).items()):
                found.setdefault(month_at_number(home), Sums()).add(facts, -1)
    return found
