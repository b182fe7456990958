"""Coverage beside selection: what more samples of the parallel tier could have found against what its vote chose.

Of queries that were sampled to the end and got feedback. Where the selected answer was wrong, nobody says which other
one was right: such a query counts as not covered, so pass@k is a lower bound, and the efficiency an upper one.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC
from math import comb
from typing import Any

from sqlalchemy import Engine, text

from router.database import ids
from router.ledger.feedback import RIGHT_FROM, correctness
from router.reports.reading import BooksSnapshot, reading
from router.reports.window import Window
from router.types import DAY_US

K = 4
RECENT_US = 30 * DAY_US
FIGURES_EVERY_US = 15_000_000
OBSERVED = """
SELECT COUNT(*), COALESCE(SUM(used), 0), COALESCE(SUM(samples), 0), COALESCE(SUM(samples - valid), 0)
FROM coverage WHERE {between}
"""
LABELLED = """
SELECT c.request_id, c.samples, c.selected, c.largest, f.rating, f.score
FROM coverage c JOIN feedback f ON f.request_id = c.request_id
WHERE {between} ORDER BY f.id
"""


@dataclass(frozen=True, slots=True)
class CoverageFigures:
    """Shares of labelled queries; None where there are none to tell from."""

    observed: int
    labelled: int
    samples_used: float | None
    unreadable: float | None
    accuracy_at_1: float | None = None
    majority_at_k: float | None = None
    selected_at_k: float | None = None
    pass_at_k: float | None = None
    efficiency: float | None = None
    k: int = K


def coverage(books: BooksSnapshot) -> CoverageFigures:
    """Sum up what was observed within the window."""
    dialect = books.connection.dialect.name
    bounds = ids.bounds(dialect, ids.first_at(books.start_ms), ids.first_at(books.end_ms))

    def query(statement: str, column: str) -> Any:
        filled = statement.format(between=ids.between(dialect, column))
        return books.connection.execute(text(filled), bounds)

    observed, used, samples, unreadable = (int(value) for value in query(OBSERVED, "request_id").one())
    if not observed:
        return CoverageFigures(0, 0, None, None)
    latest = {}
    for row in query(LABELLED, "c.request_id"):
        correct = correctness(row.rating, row.score)
        if row.samples >= K and correct is not None:
            latest[row.request_id] = (row, correct >= RIGHT_FROM)
    plain = CoverageFigures(observed, len(latest), used / observed, unreadable / samples)
    return _add_ratings(plain, list(latest.values())) if latest else plain


def _add_ratings(plain: CoverageFigures, labelled: list[tuple[Any, bool]]) -> CoverageFigures:
    """Add the shares of votes of which it is known whether what they selected was right."""
    at_1 = majority = chosen = covered = 0.0
    for row, is_right in labelled:
        if not is_right:
            continue  # nothing is known of what would have been right
        others = row.samples - row.selected
        at_1 += row.selected / row.samples
        chosen += 1
        majority += row.selected == row.largest
        covered += 1.0 if others < K else 1 - comb(others, K) / comb(row.samples, K)
    count = len(labelled)
    at_1, majority, chosen, covered = (total / count for total in (at_1, majority, chosen, covered))
    # The vote may have seen more than k samples; it cannot have chosen what was not covered.
    covered = max(covered, chosen)
    return CoverageFigures(
        plain.observed,
        plain.labelled,
        plain.samples_used,
        plain.unreadable,
        at_1,
        majority,
        chosen,
        covered,
        (chosen - at_1) / (covered - at_1) if covered - at_1 > 1e-9 else None,
    )


class RecentCoverage:
    """The figures of the last thirty days, over all workers, read anew every fifteen seconds."""

    def __init__(self, engine: Engine, now_us: Callable[[], int]) -> None:
        self.figures = CoverageFigures(0, 0, None, None)
        self._engine = engine
        self._now_us = now_us
        self._looked_us = 0

    def follow(self) -> None:
        """Read them when it is time. Raises SQLAlchemyError."""
        now_us = self._now_us()
        if now_us - self._looked_us >= FIGURES_EVERY_US:
            self._looked_us = now_us
            with reading(self._engine, Window(now_us - RECENT_US, None, UTC)) as books:
                self.figures = coverage(books)
