"""Coverage beside selection: what more samples of the parallel tier could have found against what its vote chose.

Of queries that were sampled to the end and got feedback. Where the selected answer was wrong, nobody says which other
one was right: such a query counts as not covered, so pass@k is a lower bound, and the efficiency an upper one.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC
from math import comb
from typing import Any

from sqlalchemy import Engine, text

from router.database import ids
from router.database.codes import KINDS
from router.ledger.feedback import RIGHT_FROM, correctness
from router.reports.reading import BooksSnapshot, reading
from router.reports.window import Window
from router.types import DAY_US, CallKind

K = 4
RECENT_US = 30 * DAY_US
FIGURES_EVERY_US = 15_000_000
OBSERVED = """
SELECT COUNT(*), COALESCE(SUM(used), 0), COALESCE(SUM(samples), 0), COALESCE(SUM(samples - valid), 0)
FROM coverage WHERE {between}
"""
LABELLED = """
SELECT c.request_id, c.samples, c.selected, c.largest, c.used, f.rating, f.score
FROM coverage c JOIN feedback f ON f.request_id = c.request_id
WHERE {between} ORDER BY f.id
"""
COSTS = """
SELECT c.request_id, p.kind, COUNT(*) AS calls, COUNT(p.cost_nanousd) AS priced, SUM(p.cost_nanousd) AS cost
FROM coverage c JOIN calls p ON p.request_id = c.request_id
WHERE {between} GROUP BY c.request_id, p.kind
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


@dataclass(frozen=True, slots=True)
class RatedVote:
    """One query sampled to the end and rated: counts of its samples, and what they cost where all have a price.

    `sample_nanousd` is the mean of a sample, `paid_nanousd` what the client's answer cost without the samples beyond.
    """

    samples: int
    selected: int
    largest: int
    used: int
    is_right: bool
    sample_nanousd: float | None
    paid_nanousd: int | None


def coverage(books: BooksSnapshot) -> CoverageFigures:
    """Sum up what was observed within the window."""
    observed, used, samples, unreadable = (int(value) for value in _query(books, OBSERVED, "request_id").one())
    if not observed:
        return CoverageFigures(0, 0, None, None)
    latest = [rated for rated in _read_labelled(books).values() if rated[0].samples >= K]
    plain = CoverageFigures(observed, len(latest), used / observed, unreadable / samples)
    return _add_ratings(plain, latest) if latest else plain


def read_rated_votes(books: BooksSnapshot) -> list[RatedVote]:
    """Read the rated queries of the window one by one, with what they cost."""
    costs: dict[Any, list[Any]] = {}
    for row in _query(books, COSTS, "c.request_id"):
        costs.setdefault(row.request_id, []).append(row)
    return [
        RatedVote(row.samples, row.selected, row.largest, row.used, is_right, *_costs(costs.get(row.request_id, [])))
        for row, is_right in _read_labelled(books).values()
    ]


def _query(books: BooksSnapshot, statement: str, column: str) -> Any:
    dialect = books.connection.dialect.name
    bounds = ids.bounds(dialect, ids.first_at(books.start_ms), ids.first_at(books.end_ms))
    return books.connection.execute(text(statement.format(between=ids.between(dialect, column))), bounds)


def _read_labelled(books: BooksSnapshot) -> dict[Any, tuple[Any, bool]]:
    """Read the rows that have a label, and whether the last one says that the answer was right."""
    latest = {}
    for row in _query(books, LABELLED, "c.request_id"):
        correct = correctness(row.rating, row.score)
        if correct is not None:
            latest[row.request_id] = (row, correct >= RIGHT_FROM)
    return latest


def _costs(rows: Sequence[Any]) -> tuple[float | None, int | None]:
    """Tell what a sample cost on average, and all that was paid for the answer; None where a call has no price."""
    sampled = [row for row in rows if row.kind in (KINDS[CallKind.SAMPLE], KINDS[CallKind.SHADOW])]
    paid = [row for row in rows if row.kind != KINDS[CallKind.SHADOW]]
    each = sum(row.cost for row in sampled) / sum(row.calls for row in sampled) if _are_priced(sampled) else None
    return each, int(sum(row.cost for row in paid)) if _are_priced(paid) else None


def _are_priced(rows: Sequence[Any]) -> bool:
    return bool(rows) and all(row.priced == row.calls for row in rows)


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
