"""Made-up requests, which are marked synthetic: whether figures count them, how to say so, and taking them out again.

While the books hold nothing else, made-up requests count: a demonstration has something to show. From the first real
request on they are left out of every figure, unless somebody asks for them.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, Engine, delete, insert, select, text

from router.database import ids
from router.database.closing_tables import LateLine, LineKind
from router.database.coverage_tables import CoverageRow, StoredVote
from router.database.engine import writing
from router.database.learning_tables import Duel, FeatureRow
from router.database.tables import (
    Adjustment,
    Call,
    Feedback,
    RawUsage,
    Request,
    RevenueEvent,
    Rollup,
    RollupMark,
    StoredResponseRow,
)
from router.ledger import rollups
from router.ledger.attribution import RevenueAttribution
from router.ledger.cells import QUARTER_MS, Grain
from router.ledger.revenue_events import day_of, recount_days

BATCH = 500  # requests that one transaction takes out
BY_REQUEST = (Call, RawUsage, Adjustment, Feedback, FeatureRow, Duel, CoverageRow, StoredVote)


@dataclass(frozen=True, slots=True)
class MadeUp:
    """How many of so many requests are made up, and whether figures count them."""

    made_up: int
    requests: int
    counted: bool

    def describe(self) -> str:
        """Say it in a sentence; nothing where no request is made up."""
        if not self.made_up:
            return ""
        if self.made_up == self.requests:
            which = f"All {self.requests:,} requests are" if self.requests > 1 else "The only request is"
            return f"{which} made up{self._consequence()}"
        return f"{self.made_up:,} of {self.requests:,} requests are made up{self._consequence()}"

    def _consequence(self) -> str:
        if not self.counted:
            return ", and left out of these figures."
        return ", and counted in these figures: this is a demonstration, not business."


def has_real(connection: Connection) -> bool:
    """Tell whether the books hold a request that is not made up; from rollups as far as they go."""
    real = select(Rollup.start).where(
        Rollup.grouping_id == 0, Rollup.grain == Grain.DAY, Rollup.made_up == 0, Rollup.requests > 0
    )
    if connection.execute(real.limit(1)).first() is not None:
        return True
    marked = rollups.dirty(connection, rollups.read_marks(connection), RevenueAttribution())
    dialect = connection.dialect.name
    query = text(
        f"SELECT 1 FROM requests WHERE {ids.between(dialect, 'id')} AND NOT synthetic LIMIT 1"  # noqa: S608 - our own
    )
    for start, end in rollups.runs(sorted(marked)):
        bounds = ids.bounds(dialect, ids.first_at(start * QUARTER_MS), ids.first_at(end * QUARTER_MS))
        if connection.execute(query, bounds).first() is not None:
            return True
    return False


def are_counted(connection: Connection, wanted: bool | None = None) -> bool:
    """Tell whether made-up requests count: as somebody wants it, else while there are no others."""
    return not has_real(connection) if wanted is None else wanted


def forget(engine: Engine, batch: int = BATCH) -> int:
    """Delete made-up requests and all that hangs on them, and made-up statements; returns how many requests went.

    In short transactions: what is gone is gone where it breaks off, and a second time goes on from there. Rollups
    follow by the marks that are left; nothing of real requests is touched. Raises SQLAlchemyError.
    """
    gone, after, days = 0, "", set[str]()
    while True:
        query = select(Request.id).where(Request.synthetic).order_by(Request.id).limit(batch)
        with writing(engine) as connection:
            found = connection.scalars(query.where(Request.id > after) if after else query).all()
            if found:
                days |= _forget_events(connection, RevenueEvent.request_id.in_(found))
                _forget_requests(connection, found)
        if not found:
            break
        gone, after = gone + len(found), found[-1]
    with writing(engine) as connection:
        days |= _forget_events(connection, RevenueEvent.synthetic.is_(True))
        recount_days(connection, sorted(days))
    return gone


def _forget_requests(connection: Connection, found: Sequence[str]) -> None:
    for table in BY_REQUEST:
        connection.execute(delete(table).where(table.request_id.in_(found)))
    posted = connection.scalars(select(LateLine.posted_at).where(LateLine.request_id.in_(found))).all()
    _mark_quarters(connection, posted)
    connection.execute(delete(LateLine).where(LateLine.request_id.in_(found)))
    responses = [f"resp_{id}" for id in found]
    connection.execute(delete(StoredResponseRow).where(StoredResponseRow.id.in_(responses)))
    connection.execute(delete(Request).where(Request.id.in_(found)))
    granules = sorted({id[:8].upper() for id in found})
    connection.execute(insert(RollupMark), [{"granule": granule} for granule in granules])


def _forget_events(connection: Connection, which: ColumnElement[bool]) -> set[str]:
    """Delete events, and mark the days of statements; returns the days that had them."""
    query = select(RevenueEvent.request_id, RevenueEvent.day, RevenueEvent.received_at).where(which)
    rows = connection.execute(query).all()
    late = (LateLine.kind == LineKind.EVENT, LateLine.number.in_(select(RevenueEvent.id).where(which)))
    _mark_quarters(connection, connection.scalars(select(LateLine.posted_at).where(*late)).all())
    connection.execute(delete(LateLine).where(*late))
    connection.execute(delete(RevenueEvent).where(which))
    if statements := sorted({day_of(row.day, row.received_at) for row in rows if row.request_id is None}):
        connection.execute(insert(RollupMark), [{"day": day} for day in statements])
    return {day_of(row.day, row.received_at) for row in rows}


def _mark_quarters(connection: Connection, moments: Sequence[int]) -> None:
    """Mark where late lines were posted."""
    if quarters := sorted({at_us // 1_000 // QUARTER_MS for at_us in moments}):
        connection.execute(insert(RollupMark), [{"quarter": quarter} for quarter in quarters])
