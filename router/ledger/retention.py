"""What goes after its time: raw usage, feature rows, how votes ended, stored responses, replays, the salts of marks.

The books themselves stay.
"""

from sqlalchemy import Engine, delete, select
from sqlalchemy.orm import InstrumentedAttribute

from router.database import ids
from router.database.coverage_tables import CoverageDay, StoredVote
from router.database.engine import writing
from router.database.learning_tables import DuelDay, FeatureRow
from router.database.replay_tables import ReplayRow
from router.database.tables import RawUsage, StoredResponseRow
from router.ledger.marks import drop_salts, month_of
from router.types import DAY_US

RAW_USAGE_DAYS = 30
FEATURE_DAYS = 90
VOTE_DAYS = 400
MARK_MONTHS = 13
BATCH = 5_000


def purge(engine: Engine, now_us: int, feature_days: int = FEATURE_DAYS, mark_months: int = MARK_MONTHS) -> int:
    """Delete what is past its time, in short transactions; returns the number of rows."""
    gone = _purge_before(engine, RawUsage.request_id, now_us - RAW_USAGE_DAYS * DAY_US)
    gone += _purge_before(engine, FeatureRow.request_id, now_us - feature_days * DAY_US)
    gone += _purge_before(engine, StoredVote.request_id, now_us - VOTE_DAYS * DAY_US)
    with writing(engine) as connection:
        drop_salts(connection, month_of(now_us) - mark_months)
        connection.execute(delete(CoverageDay).where(CoverageDay.day < now_us // DAY_US - feature_days))
        connection.execute(delete(DuelDay).where(DuelDay.day < now_us // DAY_US - feature_days))
        gone += connection.execute(delete(ReplayRow).where(ReplayRow.expires_at < now_us)).rowcount
        return (
            gone + connection.execute(delete(StoredResponseRow).where(StoredResponseRow.expires_at < now_us)).rowcount
        )


def _purge_before(engine: Engine, id_: InstrumentedAttribute[str], at_us: int) -> int:
    """Delete the rows of requests before an instant, a batch at a time."""
    gone, bound = 0, ids.text_at(at_us // 1_000)
    while True:
        with writing(engine) as connection:
            last = connection.scalar(select(id_).where(id_ < bound).order_by(id_).offset(BATCH).limit(1))
            gone += connection.execute(delete(id_.class_).where(id_ < (last or bound))).rowcount
        if last is None:
            return gone
