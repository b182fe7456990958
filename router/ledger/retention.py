"""What goes after its time: raw usage after 30 days, stored responses when they expire. The books themselves stay."""

from sqlalchemy import Engine, delete, select

from router.ledger.database import writing
from router.ledger.tables import RawUsage, StoredResponse

RAW_USAGE_DAYS = 30
BATCH = 5_000
DAY_US = 86_400_000_000


def first_id_at(at_us: int) -> str:
    """The smallest request id of an instant: ids are UUIDv7, so time ranges are id ranges."""
    return f"{max(at_us, 0) // 1000:012x}".ljust(32, "0")


def purge(engine: Engine, now_us: int) -> int:
    """Delete what is past its time, in short transactions; returns the number of rows."""
    bound = first_id_at(now_us - RAW_USAGE_DAYS * DAY_US)
    gone = 0
    while True:
        with writing(engine) as connection:
            last = connection.scalar(
                select(RawUsage.request_id)
                .where(RawUsage.request_id < bound)
                .order_by(RawUsage.request_id)
                .offset(BATCH)
                .limit(1)
            )
            found = connection.execute(delete(RawUsage).where(RawUsage.request_id < (last or bound))).rowcount
            gone += found
            if last is None:
                break
    with writing(engine) as connection:
        return gone + connection.execute(delete(StoredResponse).where(StoredResponse.expires_at < now_us)).rowcount
