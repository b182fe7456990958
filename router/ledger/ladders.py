"""Keeps the figures of the newest ladders, for pages of every worker and replica."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Engine, delete, insert, select

from router.database.engine import writing
from router.database.ladder_tables import LadderRow

MOST_KEPT = 50


def keep(engine: Engine, body: Mapping[str, Any], source: str, made_at_us: int) -> None:
    """Write a ladder's figures; only the newest stay. Raises SQLAlchemyError."""
    oldest = select(LadderRow.id).order_by(LadderRow.id.desc()).offset(MOST_KEPT - 1).limit(1)
    with writing(engine) as connection:
        connection.execute(insert(LadderRow).values(made_at=made_at_us, source=source, body=dict(body)))
        if (last := connection.scalar(oldest)) is not None:
            connection.execute(delete(LadderRow).where(LadderRow.id < last))


def newest(engine: Engine, source: str) -> dict[str, Any] | None:
    """Read the newest ladder of a source; None where there is none. Raises SQLAlchemyError."""
    query = select(LadderRow.body).where(LadderRow.source == source).order_by(LadderRow.id.desc()).limit(1)
    with engine.connect() as connection:
        return connection.scalar(query)
