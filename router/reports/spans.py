"""Pure: which rollup rows and which lines make up a stretch of time.

Every offset from UTC is a whole number of quarters of an hour, so days of any zone are made of quarters; where there
are whole UTC hours and days among them, those are taken. What is marked, or cut by the window, is read from lines.
"""

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from router.ledger.cells import QUARTER_MS, Grain, Piece, pieces


@dataclass(frozen=True, slots=True)
class Stretch:
    """Milliseconds `start` to `end` (exclusive) under one label."""

    label: int
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class SpanPlan:
    """What to read: rollup rows by label, and lines."""

    rolled: Sequence[tuple[int, Piece]]
    unrolled: Sequence[Stretch]


def plan(stretches: Iterable[Stretch], dirty: set[int], finest: Grain = Grain.QUARTER) -> SpanPlan:
    """Cover each stretch once, from rollups wherever they can be used; stretches are in the order of time.

    `finest` is the shortest grain for which there are rows.
    """
    rolled: list[tuple[int, Piece]] = []
    unrolled: list[Stretch] = []

    def from_lines(label: int, start: int, end: int) -> None:
        if start >= end:
            return
        if unrolled and unrolled[-1].end == start and unrolled[-1].label == label:
            unrolled[-1] = Stretch(label, unrolled[-1].start, end)
        else:
            unrolled.append(Stretch(label, start, end))

    unit = finest.quarters
    unit_ms = unit * QUARTER_MS
    ordered = sorted({quarter - quarter % unit for quarter in dirty})
    for stretch in stretches:
        first, last = -(-stretch.start // unit_ms) * unit, stretch.end // unit_ms * unit
        if first >= last:
            from_lines(stretch.label, stretch.start, stretch.end)
            continue
        from_lines(stretch.label, stretch.start, first * QUARTER_MS)
        at = first
        for quarter in ordered[bisect_left(ordered, first) : bisect_left(ordered, last)]:
            rolled += [(stretch.label, piece) for piece in pieces(at, quarter)]
            from_lines(stretch.label, quarter * QUARTER_MS, (quarter + unit) * QUARTER_MS)
            at = quarter + unit
        rolled += [(stretch.label, piece) for piece in pieces(at, last)]
        from_lines(stretch.label, last * QUARTER_MS, stretch.end)
    return SpanPlan(rolled, unrolled)
