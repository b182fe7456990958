"""Closed months, and the lines that arrived for them afterwards."""

from enum import IntEnum
from typing import Any

from sqlalchemy import JSON, BigInteger, Index, Integer, SmallInteger, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from router.database.tables import BIG_SERIAL, Base, RequestId


class LineKind(IntEnum):
    """Which table a late line is in; stored, never renumbered."""

    REQUEST = 1
    CALL = 2
    ADJUSTMENT = 3
    EVENT = 4


class ClosedMonth(Base):
    """A calendar month (UTC) whose figures stand: who closed it, when, why, and what its figures were."""

    __tablename__ = "closed_months"

    month: Mapped[str] = mapped_column(String(7), primary_key=True)
    end_us: Mapped[int] = mapped_column(BigInteger)  # the first instant, day and id after it
    end_day: Mapped[str] = mapped_column(String(10))
    end_id: Mapped[str] = mapped_column(RequestId)
    closed_at: Mapped[int] = mapped_column(BigInteger)
    author: Mapped[str] = mapped_column(Text)
    note: Mapped[str] = mapped_column(Text)
    figures: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))  # once they were added up


class LateLine(Base):
    """A line of a closed month that arrived after it was closed: it counts at `posted_at`, in an open month.

    Triggers write it in the transaction of the line. `number` is the call's, or the id of the adjustment or event.
    """

    __tablename__ = "late_lines"
    __table_args__ = (Index(None, "kind", "request_id"),)

    id: Mapped[int] = mapped_column(BIG_SERIAL, primary_key=True)
    kind: Mapped[int] = mapped_column(SmallInteger)
    request_id: Mapped[str | None] = mapped_column(RequestId)
    number: Mapped[int | None] = mapped_column(Integer)
    posted_at: Mapped[int] = mapped_column(BigInteger, index=True)
