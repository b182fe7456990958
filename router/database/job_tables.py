"""Background jobs: what was asked and what came of it, the calls of those under way, and the workers that run them.

Texts of the caller (request, answer, trace, instructions) stand here as encoded JSON, until the job expires or its
caller deletes it or is forgotten.
"""

from typing import Any

from sqlalchemy import JSON, BigInteger, Index, Integer, LargeBinary, SmallInteger, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from router.database.tables import CLUSTERED, Base


class JobRow(Base):
    """One job. `claim` counts the stretches in which workers ran it; only the last of them may book calls."""

    __tablename__ = "jobs"
    __table_args__ = (Index(None, "status", "created_at"), Index(None, "expires_at"))

    id: Mapped[str] = mapped_column(String(37), primary_key=True)  # resp_ and the request id
    created_at: Mapped[int] = mapped_column(BigInteger)
    started_at: Mapped[int | None] = mapped_column(BigInteger)
    finished_at: Mapped[int | None] = mapped_column(BigInteger)
    booked_at: Mapped[int | None] = mapped_column(BigInteger)  # its request arrived in the books
    dispatched_at: Mapped[int | None] = mapped_column(BigInteger)  # handed to the engine
    cancelled_at: Mapped[int | None] = mapped_column(BigInteger)
    answer_asked_at: Mapped[int | None] = mapped_column(BigInteger)  # "answer now"
    deleted_at: Mapped[int | None] = mapped_column(BigInteger)
    expires_at: Mapped[int] = mapped_column(BigInteger)
    user_mark: Mapped[int | None] = mapped_column(BigInteger)
    held_nanousd: Mapped[int | None] = mapped_column(BigInteger)  # the most it may cost; NULL: no price bounds it
    spent_nanousd: Mapped[int] = mapped_column(BigInteger, default=0)  # calls whose cost is not known at their bound
    key_id: Mapped[int | None] = mapped_column(Integer, index=True)
    time_limit_s: Mapped[int] = mapped_column(Integer)
    claim: Mapped[int] = mapped_column(Integer, default=0)
    next_call: Mapped[int] = mapped_column(Integer, default=0)  # numbers of calls are never used again
    version: Mapped[int] = mapped_column(Integer)  # of the workflow that it runs by
    priority: Mapped[int] = mapped_column(Integer)
    status: Mapped[int] = mapped_column(SmallInteger)
    segment: Mapped[str] = mapped_column(Text)
    queue: Mapped[str] = mapped_column(String(64))
    worker: Mapped[str | None] = mapped_column(String(64))
    quote: Mapped[dict[str, Any]] = mapped_column(JSON)
    progress: Mapped[dict[str, Any]] = mapped_column(JSON)
    recipe: Mapped[dict[str, Any]] = mapped_column(JSON)
    callback: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    error: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    request: Mapped[str | None] = mapped_column(Text)  # what it needs to run, and the response as it was begun
    answer: Mapped[str | None] = mapped_column(Text)
    trace: Mapped[str | None] = mapped_column(Text)
    instructions: Mapped[str | None] = mapped_column(Text)


class JobCallRow(Base):
    """A call of a job that is not closed yet, as its entries: it comes into the books together with its request."""

    __tablename__ = "job_calls"
    __table_args__ = CLUSTERED

    job_id: Mapped[str] = mapped_column(String(37), primary_key=True)
    call_no: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    entries: Mapped[bytes] = mapped_column(LargeBinary)


class JobBatchRow(Base):
    """A batch of samples that a job buys: written before its provider hears of it, gone once its job is booked.

    Its calls have no other intent than the one here, so that whoever goes on with the job, or with the books after its
    end, can settle them.
    """

    __tablename__ = "job_batches"
    __table_args__ = (Index(None, "look_at"),)

    job_id: Mapped[str] = mapped_column(String(37), primary_key=True)
    name: Mapped[str] = mapped_column(String(16), primary_key=True)  # its first sample's
    created_at: Mapped[int] = mapped_column(BigInteger)
    look_at: Mapped[int] = mapped_column(BigInteger)  # when it is looked after next, where its job does not do so
    settled_at: Mapped[int | None] = mapped_column(BigInteger)
    unwanted_at: Mapped[int | None] = mapped_column(BigInteger)  # its job goes on without it
    looks: Mapped[int] = mapped_column(Integer, default=0)
    model: Mapped[str] = mapped_column(Text)
    file_id: Mapped[str | None] = mapped_column(Text)  # the provider's names of the file and of the batch
    batch_id: Mapped[str | None] = mapped_column(Text)
    calls: Mapped[str] = mapped_column(Text)
    answers: Mapped[str | None] = mapped_column(Text)  # the only texts


class JobWorkerRow(Base):
    """A worker that runs jobs, and when it was last seen: who is not seen any more is taken over from."""

    __tablename__ = "job_workers"

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    seen_at: Mapped[int] = mapped_column(BigInteger)
    version: Mapped[int] = mapped_column(Integer)
