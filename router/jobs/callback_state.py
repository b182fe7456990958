"""How far the callbacks of a job are, as operators see them: delivered, due again, or given up."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Engine, select

from router.database.callback_tables import JobCallbackRow
from router.notifications.deliveries import GIVEN_UP_AFTER_US


def list_callbacks(engine: Engine, job_id: str, now_us: int) -> Sequence[dict[str, Any]]:
    """List them by way, times in us; `next_try_at` is None where nobody tries again. Raises SQLAlchemyError."""
    query = select(JobCallbackRow.__table__).where(JobCallbackRow.job_id == job_id).order_by(JobCallbackRow.way)
    with engine.connect() as connection:
        rows = connection.execute(query).all()
    found = []
    for row in rows:
        is_over = row.due_at is None or row.created_at <= now_us - GIVEN_UP_AFTER_US
        state = "delivered" if row.delivered_at is not None else "given up" if is_over else "due"
        found.append(
            {
                "way": row.way,
                "state": state,
                "attempts": row.attempts,
                "delivered_at": row.delivered_at,
                "next_try_at": row.due_at if state == "due" else None,
                "last_error": row.last_error,
            }
        )
    return found
