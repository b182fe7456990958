"""Evidence of the parallel tier: how votes ended, which were sampled to the end, and what that may cost a day."""

from sqlalchemy import BigInteger, Boolean, Integer, SmallInteger
from sqlalchemy.orm import Mapped, mapped_column
from sqlalchemy.types import REAL

from router.database.tables import CLUSTERED, Base, RequestId


class CoverageRow(Base):
    """One query sampled to the end: counts only. Whether the selected answer was right, feedback says."""

    __tablename__ = "coverage"
    __table_args__ = CLUSTERED

    request_id: Mapped[str] = mapped_column(RequestId, primary_key=True)
    recorded_at: Mapped[int] = mapped_column(BigInteger)
    samples: Mapped[int] = mapped_column(SmallInteger)
    valid: Mapped[int] = mapped_column(SmallInteger)  # that could be read
    selected: Mapped[int] = mapped_column(SmallInteger)  # that say what was selected
    largest: Mapped[int] = mapped_column(SmallInteger)  # that say what most say
    used: Mapped[int] = mapped_column(SmallInteger)  # that had been taken when the tier stopped


class CoverageDay(Base):
    """What sampling to the end has taken of a day's (UTC) allowance, over all workers."""

    __tablename__ = "coverage_days"

    day: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)  # since the epoch
    taken_nanousd: Mapped[int] = mapped_column(BigInteger)


class StoredVote(Base):
    """How one vote ended: counts, who was sampled, what was promised. Whether the answer was right, feedback says."""

    __tablename__ = "votes"
    __table_args__ = CLUSTERED

    request_id: Mapped[str] = mapped_column(RequestId, primary_key=True)
    confidence: Mapped[float] = mapped_column(REAL)  # P(right) as the client was told
    p_sampled: Mapped[float] = mapped_column(REAL)
    p_strong: Mapped[float] = mapped_column(REAL)
    models_id: Mapped[int] = mapped_column(SmallInteger)
    answer_type_id: Mapped[int] = mapped_column(SmallInteger)
    stop_reason_id: Mapped[int] = mapped_column(SmallInteger)
    samples: Mapped[int] = mapped_column(SmallInteger)
    voters: Mapped[int] = mapped_column(SmallInteger)
    unreadable: Mapped[int] = mapped_column(SmallInteger)
    leader: Mapped[int] = mapped_column(SmallInteger)
    second: Mapped[int] = mapped_column(SmallInteger)
    judge_id: Mapped[int | None] = mapped_column(SmallInteger)
    is_escalated: Mapped[bool] = mapped_column(Boolean)
    agrees: Mapped[bool | None] = mapped_column(Boolean)  # the stronger answer with the leader
    judge_accepts: Mapped[bool | None] = mapped_column(Boolean)  # what the client got
