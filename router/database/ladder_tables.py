"""The ladders that were climbed: their figures, without a question or an answer."""

from typing import Any

from sqlalchemy import JSON, BigInteger, Integer, String
from sqlalchemy.orm import Mapped, mapped_column

from router.database.tables import Base


class LadderRow(Base):
    """One ladder as JSON: for each rung its shares with intervals, cost and seconds."""

    __tablename__ = "ladders"

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    made_at: Mapped[int] = mapped_column(BigInteger)
    source: Mapped[str] = mapped_column(String(16))  # questions, traffic
    body: Mapped[dict[str, Any]] = mapped_column(JSON)
