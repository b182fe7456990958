"""Reads the facts of a window: from rollups as far as they are up to date, from the lines elsewhere, in one snapshot.

Nothing is counted twice or missed: what arrived since the last refresh is marked in the transaction that wrote it.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC
from functools import cached_property
from itertools import pairwise

import numpy as np
from sqlalchemy import Connection, Engine, TextClause, select, text

from router.database import ids
from router.database.labels import read_label_texts
from router.database.tables import Rollup
from router.ledger import lines, posted, rollups
from router.ledger.attribution import RevenueAttribution
from router.ledger.cells import (
    ADDED_FACTS,
    BY_HOUR,
    GROUPINGS,
    LARGEST,
    MADE_UP,
    QUARTER_MS,
    QUARTERS_A_DAY,
    Grain,
    Piece,
    grouping_for,
)
from router.ledger.made_up import MadeUp, are_counted
from router.reports.dimensions import time_label
from router.reports.spans import SpanPlan, Stretch, plan
from router.reports.window import Window

SPANS_AT_ONCE = 2_000
PLANNING = ("enable_hashjoin", "enable_mergejoin", "jit")  # off on PostgreSQL: spans are many, rows of a span few
SUMS = ", ".join(f"SUM(r.{fact})" for fact in ADDED_FACTS)
OF_SPAN = (
    "rollups r WHERE r.grouping_id = :grouping AND r.grain = s.grain "
    "AND r.start >= s.first_start AND r.start < s.end_start AND r.made_up <= :most_made_up"
)
# PostgreSQL is made to look each span up in the index: left to itself it compares every row with every span.
JOINED = {
    "sqlite": f"CROSS JOIN {OF_SPAN}",
    "postgresql": f"CROSS JOIN LATERAL (SELECT * FROM {OF_SPAN} OFFSET 0) r",  # noqa: S608 - names of our own
}
ROLLED = f"""
WITH spans (label, grain, first_start, end_start) AS (VALUES {{spans}})
SELECT s.label, r.key1, r.key2, r.made_up, {SUMS}, MAX(r.{LARGEST}) FROM spans s {{joined}}
GROUP BY s.label, r.key1, r.key2, r.made_up
"""  # noqa: S608 - names and numbers of our own
COUNTED = """
SELECT CAST(synthetic AS INTEGER), COUNT(*) FROM requests WHERE {between} GROUP BY synthetic
"""
ROLLED_COSTS = """
WITH spans (grain, first_start, end_start) AS (VALUES {spans})
SELECT r.tier, r.bucket, SUM(r.requests) FROM spans s CROSS JOIN rollup_costs r
WHERE r.grain = s.grain AND r.start >= s.first_start AND r.start < s.end_start AND r.made_up <= :most_made_up
GROUP BY r.tier, r.bucket
"""


@dataclass(frozen=True, slots=True)
class Cell:
    """The facts of one combination of values in one stretch of time."""

    label: tuple[str | None, ...]
    values: Mapping[str, int]
    facts: Sequence[int]
    largest: int
    is_made_up: bool


class BooksSnapshot:
    """One snapshot of the books."""

    def __init__(self, connection: Connection, window: Window) -> None:
        self.connection = connection
        self.window = window
        self._attribution = RevenueAttribution()

    @cached_property
    def labels(self) -> dict[int, str]:
        """The texts of labels."""
        return read_label_texts(self.connection)

    @cached_property
    def counts_made_up(self) -> bool:
        """Whether figures count made-up requests."""
        return are_counted(self.connection, self.window.with_made_up)

    @cached_property
    def made_up(self) -> MadeUp:
        """How many requests of the window are made up, whether they count or not."""
        _, stretches = self._stretches(())
        chosen = plan(stretches, self.dirty)
        counts = [0, 0]
        for place in range(0, len(chosen.rolled), SPANS_AT_ONCE):
            spans = ", ".join(_span(label, piece) for label, piece in chosen.rolled[place : place + SPANS_AT_ONCE])
            for row in self.connection.execute(*self._rollup_query(spans, 0, most_made_up=1)):
                counts[row[3]] += int(row[4 + ADDED_FACTS.index("requests")])
        dialect = self.connection.dialect.name
        for group in _adjoining(chosen.unrolled):
            bounds = ids.bounds(dialect, ids.first_at(group[0].start), ids.first_at(group[-1].end))
            query = text(COUNTED.format(between=ids.between(dialect, "id")))
            for mark, requests in self.connection.execute(query, bounds):
                counts[mark] += int(requests)
        return MadeUp(counts[1], sum(counts), self.counts_made_up)

    @cached_property
    def dirty(self) -> set[int]:
        """The quarters that are read from lines."""
        return rollups.dirty(self.connection, rollups.read_marks(self.connection), self._attribution)

    @cached_property
    def days(self) -> list[int]:
        """The UTC days within the window on which there is anything, as numbers since 1970."""
        query = select(Rollup.start).where(Rollup.grouping_id == 0, Rollup.grain == Grain.DAY)
        days = {start // QUARTERS_A_DAY for start in self.connection.scalars(query)}
        days |= {quarter // QUARTERS_A_DAY for quarter in self.dirty}
        length = QUARTERS_A_DAY * QUARTER_MS
        return sorted(day for day in days if day * length < self.end_ms and self.start_ms < (day + 1) * length)

    @property
    def start_ms(self) -> int:
        """The first millisecond of the window."""
        since = self.window.since_us
        return 0 if since is None else min(max(-(-since // 1_000), 0), ids.END_OF_TIME_MS)

    @property
    def end_ms(self) -> int:
        """The first millisecond after the window."""
        until = self.window.until_us
        return ids.END_OF_TIME_MS if until is None else min(max(-(-until // 1_000), 0), ids.END_OF_TIME_MS)

    def cells(self, keys: Sequence[str], times: Sequence[str] = ()) -> Iterator[Cell]:
        """Add facts up by keys, and by `day` and `hour`; a combination may come more than once."""
        names, stretches = self._stretches(times)
        code = grouping_for(keys)
        finest = Grain.HOUR if code in BY_HOUR else Grain.QUARTER
        chosen = SpanPlan([], stretches) if code is None else plan(stretches, self.dirty, finest)
        grouping = tuple(dict.fromkeys(keys)) if code is None else GROUPINGS[code]
        for place in range(0, len(chosen.rolled), SPANS_AT_ONCE):
            spans = ", ".join(_span(label, piece) for label, piece in chosen.rolled[place : place + SPANS_AT_ONCE])
            for row in self.connection.execute(*self._rollup_query(spans, code, int(self.counts_made_up))):
                values = dict(zip(grouping, row[1:3], strict=False))
                yield Cell(names[row[0]], values, [int(fact) for fact in row[4:-1]], int(row[-1]), bool(row[3]))
        for page, labels in self._pages(chosen.unrolled):
            made = page.cells((*grouping, MADE_UP), labels)
            for key, facts, largest in zip(made.keys.tolist(), made.facts.tolist(), made.largest.tolist(), strict=True):
                if not key[-1] or self.counts_made_up:
                    values = dict(zip(grouping, key[1:-1], strict=True))
                    yield Cell(names[key[0]], values, facts, largest, bool(key[-1]))

    def costs(self) -> dict[int, dict[int, int]]:
        """Count requests by tier and bucket of cost."""
        _, stretches = self._stretches(())
        chosen = plan(stretches, self.dirty)
        costs: dict[int, dict[int, int]] = {}

        def add(tier: int, bucket: int, requests: int) -> None:
            of_tier = costs.setdefault(tier, {})
            of_tier[bucket] = of_tier.get(bucket, 0) + requests

        for place in range(0, len(chosen.rolled), SPANS_AT_ONCE):
            part = chosen.rolled[place : place + SPANS_AT_ONCE]
            spans = ", ".join(f"({int(p.grain)}, {p.start}, {p.end})" for _, p in part)
            most = {"most_made_up": int(self.counts_made_up)}
            for tier, bucket, requests in self.connection.execute(text(ROLLED_COSTS.format(spans=spans)), most):
                add(tier, bucket, int(requests))
        for page, labels in self._pages(chosen.unrolled):
            for _, tier, bucket, mark, requests in page.histogram(labels).tolist():
                if not mark or self.counts_made_up:
                    add(tier, bucket, requests)
        return costs

    def _rollup_query(
        self, spans: str, code: int | None, most_made_up: int
    ) -> tuple[TextClause, dict[str, int | None]]:
        """Return the statement that adds rollups up by spans, and what it is given."""
        query = text(ROLLED.format(spans=spans, joined=JOINED[self.connection.dialect.name]))
        return query, {"grouping": code, "most_made_up": most_made_up}

    def _stretches(self, times: Sequence[str]) -> tuple[list[tuple[str | None, ...]], list[Stretch]]:
        """Cut the window into stretches by label; without a time there is one for each run of days."""
        names: dict[tuple[str | None, ...], int] = {}
        stretches: list[Stretch] = []
        for first, last in rollups.runs(self.days):
            cuts = self._cuts(times, first * QUARTERS_A_DAY, last * QUARTERS_A_DAY)
            for (name, start), (_, end) in pairwise(cuts):
                label = names.setdefault(name, len(names))
                begin, stop = max(start * QUARTER_MS, self.start_ms), min(end * QUARTER_MS, self.end_ms)
                if begin < stop:
                    stretches.append(Stretch(label, begin, stop))
        return list(names), stretches

    def _cuts(self, times: Sequence[str], first: int, last: int) -> list[tuple[tuple[str | None, ...], int]]:
        """Tell where a new label begins between two quarters, and the end."""
        zone = self.window.zone
        step = 1 if zone is not UTC else Grain.HOUR.quarters if "hour" in times else Grain.DAY.quarters
        cuts: list[tuple[tuple[str | None, ...], int]] = []
        for quarter in range(first, last, step) if times else (first,):
            name = tuple(time_label(time, quarter, zone) for time in times)
            if not cuts or cuts[-1][0] != name:
                cuts.append((name, quarter))
        return [*cuts, ((), last)]

    def _pages(self, unrolled: Sequence[Stretch]) -> Iterator[tuple[lines.Lines, lines.Ints]]:
        """Read lines, adjoining stretches together, with the label of each unit."""
        for group in _adjoining(unrolled):
            starts = [stretch.start for stretch in group]
            labels = np.array([stretch.label for stretch in group], np.int64)
            for page in posted.read(self.connection, group[0].start, group[-1].end, self._attribution):
                yield page, labels[np.searchsorted(starts, page.ms, side="right") - 1]


@contextmanager
def reading(engine: Engine, window: Window) -> Iterator[BooksSnapshot]:
    """Open one snapshot of the books: everything that is read agrees."""
    level = "REPEATABLE READ" if engine.dialect.name == "postgresql" else None
    connected = engine.connect()
    with connected.execution_options(isolation_level=level) if level else connected as connection, connection.begin():
        if level:
            for setting in PLANNING:
                connection.execute(text(f"SET LOCAL {setting} = off"))
        yield BooksSnapshot(connection, window)


def _span(label: int, piece: Piece) -> str:
    return f"({label}, {int(piece.grain)}, {piece.start}, {piece.end})"


def _adjoining(stretches: Sequence[Stretch]) -> Iterator[list[Stretch]]:
    group: list[Stretch] = []
    for stretch in stretches:
        if group and group[-1].end != stretch.start:
            yield group
            group = []
        group.append(stretch)
    if group:
        yield group
