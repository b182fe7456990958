"""Rollups: refreshed from the marks that triggers leave wherever lines arrived.

An hour is rolled up when a quarter of it has been over for a while, again whenever lines arrive late, and always
wholly: repeating it changes nothing. What is marked is read from the lines instead, so reports are exact at any time.
One process at a time does this; the others find nothing to do.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from sqlalchemy import Connection, Engine, bindparam, delete, func, insert, or_, select, text

from router.database import ids
from router.database.engine import writing
from router.database.tables import Rollup, RollupCosts, RollupMark
from router.database.upsert import insert_integers
from router.ledger import lines, posted
from router.ledger.attribution import RevenueAttribution, midnight_ms
from router.ledger.cells import (
    ADDED_FACTS,
    BY_HOUR,
    BY_QUARTER,
    GROUPINGS,
    LARGEST,
    MADE_UP,
    QUARTER_MS,
    QUARTERS_A_DAY,
    QUARTERS_AN_HOUR,
    UNKNOWN,
    Grain,
)
from router.types import DAY_MS

GRANULE_MS = 65_536
LOOKBACK_MS = 60_000  # a quarter that ended just now still gets its stragglers
MOST_MARKS = 3_000
MOST_QUARTERS = 24  # rolled up in one transaction
ROLLUP_LOCK = 0x7165_7278  # PostgreSQL advisory lock of whoever rolls up
LAST_QUARTER = ids.END_OF_TIME_MS // QUARTER_MS

COLUMNS = ("grouping_id", "grain", "start", "key1", "key2", MADE_UP, *ADDED_FACTS, LARGEST)
COST_COLUMNS = ("grain", "start", "tier", "bucket", MADE_UP, "requests")
SUMS = ", ".join(f"SUM({fact})" for fact in ADDED_FACTS)
COARSER = f"""
INSERT INTO rollups ({", ".join(COLUMNS)})
SELECT grouping_id, :grain, start - start % :length, key1, key2, {MADE_UP}, {SUMS}, MAX({LARGEST}) FROM rollups
WHERE grouping_id IN ({{codes}}) AND grain = :finer AND start >= :start AND start < :end
GROUP BY grouping_id, start - start % :length, key1, key2, {MADE_UP}
"""  # noqa: S608 - names of our own
COARSER_COSTS = """
INSERT INTO rollup_costs (grain, start, tier, bucket, made_up, requests)
SELECT :grain, start - start % :length, tier, bucket, made_up, SUM(requests) FROM rollup_costs
WHERE grain = :finer AND start >= :start AND start < :end GROUP BY start - start % :length, tier, bucket, made_up
"""
EVERY_MARK = select(RollupMark.id, RollupMark.granule, RollupMark.day, RollupMark.quarter)
OLD_MARKS = (
    EVERY_MARK.where(or_(RollupMark.granule.is_(None), func.upper(RollupMark.granule) <= bindparam("granule")))
    .order_by(RollupMark.granule.asc().nulls_first())
    .limit(bindparam("most"))
)


@dataclass(frozen=True, slots=True)
class Mark:
    """A place where lines arrived: the quarters that it touches, clear of days that statements are spread over."""

    id: int
    quarters: range


def refresh(engine: Engine, now_us: int, most: int = MOST_QUARTERS) -> int:
    """Roll up what is due, at most so many quarters; returns how many. Raises SQLAlchemyError and changes nothing."""
    ended = (now_us // 1_000 - LOOKBACK_MS) // QUARTER_MS
    with engine.connect() as connection:  # nearly always there is nothing to do, and no writer has to wait for that
        if not read_marks(connection, before_ms=ended * QUARTER_MS, most=1):
            return 0
    with writing(engine) as connection:
        if not _is_alone(connection):
            return 0
        marks = read_marks(connection, before_ms=ended * QUARTER_MS)
        attribution = RevenueAttribution()
        due = _due(dirty(connection, marks, attribution), ended, _statement_days(connection, attribution))[:most]
        chosen = [quarter for quarter in due if quarter // QUARTERS_A_DAY == due[0] // QUARTERS_A_DAY]
        done: set[int] = set()
        for first, last in runs(sorted({quarter // QUARTERS_AN_HOUR for quarter in chosen})):
            start, end = first * QUARTERS_AN_HOUR, last * QUARTERS_AN_HOUR
            _roll_up(connection, start, end, attribution)
            _add_up(connection, Grain.HOUR, Grain.QUARTER, BY_QUARTER, start, end)
            done.update(range(start, end))
        for day in {quarter // QUARTERS_A_DAY for quarter in chosen}:
            start = day * QUARTERS_A_DAY
            _clear_rows(connection, Grain.DAY, start, start + QUARTERS_A_DAY)
            _add_up(connection, Grain.DAY, Grain.HOUR, GROUPINGS, start, start + QUARTERS_A_DAY)
        _clear_marks(connection, marks, done, attribution)
        return len(chosen)


def catch_up(engine: Engine, now_us: int) -> int:
    """Roll up everything that is due; returns the number of quarters."""
    total = 0
    while done := refresh(engine, now_us, QUARTERS_A_DAY):
        total += done
    return total


def refresher(
    engine: Engine, now_us: Callable[[], int], leads: Callable[[], bool] = lambda: True
) -> Callable[[], None]:
    """Return what the shipping thread calls now and then; whoever does not lead rolls nothing up."""

    def follow() -> None:
        if leads():
            refresh(engine, now_us())

    return follow


def read_marks(connection: Connection, before_ms: int | None = None, most: int = MOST_MARKS) -> list[Mark]:
    """Read the marks: all, or the oldest before an instant, as many as one refresh can use."""
    if before_ms is None:
        rows = connection.execute(EVERY_MARK)
    else:
        granule = f"{max(before_ms, 0) // GRANULE_MS:08X}"
        rows = connection.execute(OLD_MARKS, {"granule": granule, "most": most})
    return [Mark(id, _quarters_of_mark(granule, day, quarter)) for id, granule, day, quarter in rows]


def dirty(connection: Connection, marks: Iterable[Mark], attribution: RevenueAttribution) -> set[int]:
    """Name the quarters that rollups do not hold rightly: what is marked, and whole days with statements to spread."""
    quarters = {quarter for mark in marks for quarter in mark.quarters}
    for day in {quarter // QUARTERS_A_DAY for quarter in quarters} & _statement_days(connection, attribution):
        quarters.update(range(day * QUARTERS_A_DAY, (day + 1) * QUARTERS_A_DAY))
    return quarters


def _statement_days(connection: Connection, attribution: RevenueAttribution) -> set[int]:
    return {day_ms // DAY_MS for day_ms in attribution.days(connection)}


def _due(quarters: Iterable[int], ended: int, statement_days: set[int]) -> list[int]:
    """Return the quarters that are over; on days over which a statement is spread, only when the day is over."""
    last_day = ended // QUARTERS_A_DAY
    return sorted(
        quarter
        for quarter in quarters
        if quarter < ended and (quarter // QUARTERS_A_DAY < last_day or quarter // QUARTERS_A_DAY not in statement_days)
    )


def runs(quarters: Sequence[int]) -> list[tuple[int, int]]:
    """Join sorted quarters to stretches from a start (inclusive) to an end (exclusive)."""
    stretches: list[tuple[int, int]] = []
    for quarter in quarters:
        if stretches and stretches[-1][1] == quarter:
            stretches[-1] = (stretches[-1][0], quarter + 1)
        else:
            stretches.append((quarter, quarter + 1))
    return stretches


def _quarters_of_mark(granule: str | None, day: str | None, quarter: int | None) -> range:
    if quarter is not None:
        return range(quarter, quarter + 1)
    if day is not None:
        first = midnight_ms(day) // QUARTER_MS
        return range(first, first + QUARTERS_A_DAY)
    first_ms = int(granule or "0", 16) * GRANULE_MS
    return range(first_ms // QUARTER_MS, min((first_ms + GRANULE_MS - 1) // QUARTER_MS, LAST_QUARTER) + 1)


def _is_alone(connection: Connection) -> bool:
    if connection.dialect.name != "postgresql":
        return True  # the transaction excludes all other writers
    return bool(connection.scalar(text("SELECT pg_try_advisory_xact_lock(:lock)"), {"lock": ROLLUP_LOCK}))


def _roll_up(connection: Connection, start: int, end: int, attribution: RevenueAttribution) -> None:
    """Make the rows of whole hours from their lines: by quarter, and by hour what is kept by the hour only."""
    _clear_rows(connection, Grain.QUARTER, start, end)
    _clear_rows(connection, Grain.HOUR, start, end)
    pages = list(posted.read(connection, start * QUARTER_MS, min(end * QUARTER_MS, ids.END_OF_TIME_MS), attribution))
    for grain, grouping_ids in ((Grain.QUARTER, BY_QUARTER), (Grain.HOUR, BY_HOUR)):
        for code in grouping_ids:
            made = [page.cells((*GROUPINGS[code], MADE_UP), _starts(page.ms, grain)) for page in pages]
            insert_integers(connection, "rollups", COLUMNS, _merge_cells(code, grain, made))
    costs = lines.merge_histograms([page.histogram(_starts(page.ms, Grain.QUARTER)) for page in pages])
    rows = [[int(Grain.QUARTER), *row] for row in costs.tolist()]
    insert_integers(connection, "rollup_costs", COST_COLUMNS, rows)


def _starts(ms: lines.Ints, grain: Grain) -> lines.Ints:
    quarters = ms // QUARTER_MS
    return quarters - quarters % grain.quarters


def _merge_cells(code: int, grain: Grain, made: Sequence[lines.CellSums]) -> list[list[int]]:
    """Put the cells of several pages together as rows."""
    if not made:
        return []
    columns = list(np.vstack([cells.keys for cells in made]).T)
    facts, largest = np.vstack([cells.facts for cells in made]), np.concatenate([cells.largest for cells in made])
    cells = lines.sum_by_columns(columns, facts, largest) if len(made) > 1 else made[0]
    count = len(cells.keys)
    filler = np.full((count, 2 - len(GROUPINGS[code])), UNKNOWN, np.int64)
    keys, made_up = cells.keys[:, :-1], cells.keys[:, -1]
    head = np.column_stack((np.full(count, code), np.full(count, int(grain)), keys, filler, made_up))
    rows: list[list[int]] = np.hstack((head, cells.facts, cells.largest[:, None])).tolist()
    return rows


def _clear_rows(connection: Connection, grain: Grain, start: int, end: int) -> None:
    connection.execute(
        delete(Rollup).where(
            Rollup.grouping_id.in_(GROUPINGS), Rollup.grain == grain, Rollup.start >= start, Rollup.start < end
        )
    )
    connection.execute(
        delete(RollupCosts).where(RollupCosts.grain == grain, RollupCosts.start >= start, RollupCosts.start < end)
    )


def _add_up(
    connection: Connection, grain: Grain, finer: Grain, grouping_ids: Iterable[int], start: int, end: int
) -> None:
    """Make the rows of a grain from those of a finer one."""
    stretch = {"grain": int(grain), "finer": int(finer), "length": grain.quarters, "start": start, "end": end}
    connection.execute(text(COARSER.format(codes=", ".join(str(code) for code in grouping_ids))), stretch)
    connection.execute(text(COARSER_COSTS), stretch)


def _clear_marks(
    connection: Connection, marks: Sequence[Mark], done: set[int], attribution: RevenueAttribution
) -> None:
    """Take away the marks of what is done; of one that touches more, the rest stays marked."""
    touched = [mark for mark in marks if not done.isdisjoint(mark.quarters)]
    for place in range(0, len(touched), 500):
        connection.execute(delete(RollupMark).where(RollupMark.id.in_([m.id for m in touched[place : place + 500]])))
    own = {quarter for mark in touched for quarter in mark.quarters}
    # What changed where a statement is spread over the day changes all of the day.
    days = {quarter // QUARTERS_A_DAY for quarter in own & done} & _statement_days(connection, attribution)
    own.update(day * QUARTERS_A_DAY + place for day in days for place in range(QUARTERS_A_DAY))
    if rest := own - done:
        known = {quarter for mark in marks if len(mark.quarters) == 1 for quarter in mark.quarters}
        if new := sorted(rest - known):
            connection.execute(insert(RollupMark), [{"quarter": quarter} for quarter in new])
