"""Tables for people: one number of decimals per column, thousands apart, unknown as a dash with its reason."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum
from typing import assert_never

from router.reports.formatting import format_count, format_money, format_percent, money_digits

DASH = "–"


class ColumnKind(Enum):
    """What the cells of a column are: words, figures that are written already, counts, dollars, dollars per so many
    requests, or shares of 1.
    """

    WORDS = "words"
    FIGURE = "figure"
    COUNT = "count"
    MONEY = "money"
    RATE = "rate"
    SHARE = "share"


@dataclass(frozen=True, slots=True)
class Unknown:
    """In the place of a value: it is not known, and why."""

    reason: str


Value = str | int | Decimal | Unknown


@dataclass(frozen=True, slots=True)
class TableCell:
    """What is read in one place; with a `reason` it is the dash, and somebody who hears the page hears the reason."""

    text: str
    kind: ColumnKind
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Table:
    """A table as it is shown. `notes` are whole sentences; `total` is empty where there is none."""

    title: str
    notes: Sequence[str]
    columns: Sequence[tuple[str, ColumnKind]]
    rows: Sequence[Sequence[TableCell]]
    total: Sequence[TableCell] = ()


def lay_out(
    title: str,
    columns: Sequence[tuple[str, ColumnKind]],
    rows: Sequence[Sequence[Value]],
    total: Sequence[Value] = (),
    notes: Sequence[str] = (),
) -> Table:
    """Write the values of a table; reasons for dashes become notes.

    Columns of one kind have the same decimals: those that the largest total needs, or without one the largest value.
    """
    lines = [*rows, total] if total else rows
    digits = {kind: _digits(kind, columns, [total] if total else rows) for kind in (ColumnKind.MONEY, ColumnKind.RATE)}
    cells = [
        [_cell(kind, value, digits.get(kind, 0)) for (_, kind), value in zip(columns, line, strict=True)]
        for line in lines
    ]
    reasons = dict.fromkeys(cell.reason for line in cells for cell in line if cell.reason)
    dashes = [f"{DASH} is unknown: {'; '.join(reasons)}."] if reasons else []
    return Table(title, [*notes, *dashes], columns, cells[: len(rows)], cells[-1] if total else ())


def _digits(kind: ColumnKind, columns: Sequence[tuple[str, ColumnKind]], lines: Sequence[Sequence[Value]]) -> int:
    places = [place for place, (_, of) in enumerate(columns) if of is kind]
    return money_digits(value for line in lines for place in places if isinstance(value := line[place], Decimal))


def _cell(kind: ColumnKind, value: Value, digits: int) -> TableCell:
    if isinstance(value, Unknown):
        return TableCell(DASH, kind, value.reason)
    match kind:
        case ColumnKind.WORDS | ColumnKind.FIGURE:
            return TableCell(str(value), kind)
        case ColumnKind.COUNT:
            return TableCell(format_count(value) if value != "" else "", kind)
        case ColumnKind.MONEY | ColumnKind.RATE:
            return TableCell(format_money(Decimal(value), digits), kind)
        case ColumnKind.SHARE:
            return TableCell(format_percent(Decimal(value)), kind)
    assert_never(kind)
