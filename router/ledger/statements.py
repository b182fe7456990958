"""Statements of ad networks from CSV files: read strictly, booked once, all or nothing.

A line is a day, an amount in dollars, and, where the network tells them, a segment, a country and an id of its own.
What could be read in two ways is refused with its line and what to write instead, never guessed: whether 03/04 is in
March or in April, and whether 1,234 is a thousand or one and a quarter, is nothing to find out from the books later.
"""

import csv
import io
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date

from sqlalchemy import Connection, Engine, select

from router.database.engine import AuditHook, writing
from router.database.tables import RevenueEvent
from router.database.upsert import insert_or_nothing
from router.errors import InvalidRequest
from router.ledger.feedback import FACTS, ReportedRevenue
from router.ledger.revenue_events import add_to_days, day_of, require_bounded
from router.money import nano_from_usd
from router.types import SEGMENT_NAME

NAMES: Mapping[str, tuple[str, ...]] = {
    "day": ("day", "date"),
    "amount": ("amount_usd", "amount", "revenue_usd", "revenue", "earnings_usd", "earnings"),
    "segment": ("segment",),
    "country": ("country", "country_code"),
    "currency": ("currency", "currency_code"),
    "id": ("id", "line_id", "event_id"),
}
NEEDED = ("day", "amount")
DAY = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
AMOUNT = re.compile(r"-?\d{1,9}(\.\d{1,9})?", re.ASCII)
COUNTRY = re.compile(r"[A-Z]{2}", re.ASCII)
NAME = re.compile(r"[^\x00-\x1f#]{1,100}")
MOST_LINES = 100_000
MOST_SHOWN = 20
STATEMENT = "statement"


class WrongStatement(InvalidRequest):
    """A file, or lines of it, that cannot be booked; the message names the lines, and nothing was booked."""


@dataclass(frozen=True, slots=True)
class WrongLine:
    """A line that cannot be booked, by its number in the file, and why."""

    number: int
    why: str


@dataclass(frozen=True, slots=True)
class StatementFile:
    """What was read: the lines that can be booked with their numbers, those that cannot, and columns not looked at."""

    lines: Sequence[tuple[int, ReportedRevenue]]
    wrong: Sequence[WrongLine]
    unused: Sequence[str]


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import did: how many lines are new, how many were known, which were left out, and the sum of the new."""

    new: int
    known: int
    wrong: Sequence[WrongLine]
    unused: Sequence[str]
    amount_nanousd: int


def read(text: str, source: str, now_us: int, columns: Mapping[str, str] | None = None) -> StatementFile:
    """Read a CSV file with a header; `columns` names columns by what they hold. Raises WrongStatement."""
    if not NAME.fullmatch(source):
        raise WrongStatement("a source is a name of 1 to 100 characters, without #")
    rows = csv.reader(io.StringIO(text.removeprefix("\ufeff"), newline=""), strict=True)
    lines: list[tuple[int, ReportedRevenue]] = []
    wrong: list[WrongLine] = []
    try:
        header = [name.strip() for name in next(rows, [])]
        places = _places(header, columns or {})
        for row in rows:
            if not any(cell.strip() for cell in row):
                continue
            if len(lines) + len(wrong) >= MOST_LINES:
                raise WrongStatement(f"more than {MOST_LINES:,} lines; import them in parts")
            try:
                lines.append((rows.line_num, _line(row, len(header), places, source, now_us)))
            except (ValueError, InvalidRequest) as error:
                wrong.append(WrongLine(rows.line_num, str(error)))
    except csv.Error as error:
        raise WrongStatement(f"line {rows.line_num}: this is not CSV ({error})") from None
    unused = [name for place, name in enumerate(header) if place not in places.values()]
    return _without_doubles(StatementFile(lines, wrong, unused))


def book(engine: Engine, file: StatementFile, *, skip_wrong: bool = False, hook: AuditHook | None = None) -> Imported:
    """Book the lines that are new; raises WrongStatement, and books none, where one is wrong and none may be skipped.

    A line that is known with other facts is wrong: what was booked first stands until it is reversed.
    """
    new = amount = 0
    wrong = list(file.wrong)
    with writing(engine) as connection:
        taken: list[tuple[str, int]] = []
        for number, line in file.lines:
            if insert_or_nothing(connection, RevenueEvent, [asdict(line)]):
                new, amount = new + 1, amount + line.amount_nanousd
                taken.append((day_of(line.day, line.received_at), line.amount_nanousd))
            elif told := _differences(connection, line):
                wrong.append(WrongLine(number, f"{line.event_id!r} is booked with another {told}; reverse that first"))
        if wrong and not skip_wrong:
            raise WrongStatement(f"nothing was booked: {describe_wrong(wrong)}")
        add_to_days(connection, taken)
        if hook is not None and new:
            hook(connection, None, {"lines": new, "amount_nanousd": amount})
    return Imported(new, len(file.lines) + len(file.wrong) - new - len(wrong), wrong, file.unused, amount)


def describe_wrong(wrong: Sequence[WrongLine]) -> str:
    """Name the lines that are wrong, the first of them one by one."""
    told = "; ".join(f"line {one.number}: {one.why}" for one in sorted(wrong, key=lambda one: one.number)[:MOST_SHOWN])
    more = f"; and {len(wrong) - MOST_SHOWN} more" if len(wrong) > MOST_SHOWN else ""
    return told + more


def _places(header: Sequence[str], columns: Mapping[str, str]) -> dict[str, int]:
    """Find the column of everything that can be told; raises WrongStatement."""
    if unknown := sorted(columns.keys() - NAMES.keys()):
        raise WrongStatement(f"there is nothing called {', '.join(unknown)}; columns hold {', '.join(NAMES)}")
    lowered = [name.lower().replace(" ", "_") for name in header]
    places: dict[str, int] = {}
    for what, names in NAMES.items():
        if what in columns:
            found = [place for place, name in enumerate(header) if name == columns[what]]
        else:
            found = [place for place, name in enumerate(lowered) if name in names]
        if len(found) > 1:
            several = " and ".join(repr(header[place]) for place in found)
            raise WrongStatement(f"the columns {several} may both be the {what}; say which")
        if not found and (what in columns or what in NEEDED):
            wanted = repr(columns[what]) if what in columns else " or ".join(names)
            raise WrongStatement(f"there is no column {wanted}; the first line names {', '.join(header) or 'none'}")
        places |= {what: found[0]} if found else {}
    return places


def _line(row: Sequence[str], width: int, places: Mapping[str, int], source: str, now_us: int) -> ReportedRevenue:
    """Read one line; raises ValueError with what is wrong with it."""
    if len(row) != width:
        raise ValueError(f"{len(row)} cells under {width} columns")
    cells = {what: row[place].strip() for what, place in places.items()}
    day, segment, country = _day(cells["day"]), cells.get("segment") or None, cells.get("country") or None
    if segment is not None and not SEGMENT_NAME.fullmatch(segment):
        raise ValueError(f"segment {segment!r}: a segment is 1 to 64 of a-z 0-9 _ -")
    if country is not None and not COUNTRY.fullmatch(country):
        raise ValueError(f"country {country!r}: write two capitals such as DE")
    if cells.get("currency", "USD") != "USD":
        raise ValueError(
            f"currency {cells['currency']!r}: the books are in USD; convert it at a rate that you can name"
        )
    amount = _amount(cells["amount"])
    id = cells["id"] if "id" in cells else "/".join((day, segment or "*", country or "*"))
    if not NAME.fullmatch(id):
        raise ValueError(f"id {id!r}: write 1 to 100 characters, without #")
    require_bounded(source, id, amount)
    return ReportedRevenue(source, id, None, segment, country, day, STATEMENT, amount, now_us)


def _day(text: str) -> str:
    try:
        if DAY.fullmatch(text):
            return date.fromisoformat(text).isoformat()
    except ValueError:
        pass
    raise ValueError(f"day {text!r}: write it as 2026-10-31")


def _amount(text: str) -> int:
    if not AMOUNT.fullmatch(text):
        raise ValueError(f"amount {text!r}: write dollars as 1234.56, with a point and nothing between thousands")
    return nano_from_usd(text)


def _without_doubles(file: StatementFile) -> StatementFile:
    """Put aside what has the id of a line before it."""
    seen: dict[str, int] = {}
    lines, wrong = [], list(file.wrong)
    for number, line in file.lines:
        if (first := seen.setdefault(line.event_id, number)) != number:
            why = f"{line.event_id!r} is on line {first} too; give the lines a column id that tells them apart"
            wrong.append(WrongLine(number, why))
        else:
            lines.append((number, line))
    return StatementFile(lines, wrong, file.unused)


def _differences(connection: Connection, line: ReportedRevenue) -> str:
    """Name the facts in which a line differs from what is booked under its id; empty where in none."""
    table = RevenueEvent.__table__
    same = (table.c.source == line.source, table.c.event_id == line.event_id)
    known = connection.execute(select(table).where(*same)).mappings().one()
    differing: Iterable[str] = (fact for fact in FACTS if known[fact] != getattr(line, fact))
    return " and ".join(fact.removesuffix("_nanousd") for fact in differing)
