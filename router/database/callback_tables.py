"""Callbacks of background jobs that are to be delivered: which job, by which way, and how often it was tried.

Where they go, and what they say, stands with the job alone: who forgets that leaves nothing here.
"""

from sqlalchemy import BigInteger, Integer, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from router.database.tables import Base


class JobCallbackRow(Base):
    """One way out of a job's end: whoever moves `due_at` on has it for so long, and another worker may try after."""

    __tablename__ = "job_callbacks"

    job_id: Mapped[str] = mapped_column(String(37), primary_key=True)
    way: Mapped[str] = mapped_column(String(16), primary_key=True)  # webhook, mail
    created_at: Mapped[int] = mapped_column(BigInteger, index=True)
    due_at: Mapped[int | None] = mapped_column(BigInteger, index=True)  # None: delivered, or given up
    attempts: Mapped[int] = mapped_column(Integer)
    delivered_at: Mapped[int | None] = mapped_column(BigInteger)
    last_error: Mapped[str | None] = mapped_column(Text)
