"""Tables of pacing and tuning: the multiplier, step by step, and what versions of the policy were predicted to do."""

from typing import Any

from sqlalchemy import JSON, BigInteger, Boolean, Double, ForeignKey, Integer, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from router.database.tables import SERIAL, Base


class PaceStep(Base):
    """One step of a segment's multiplier (`price`): a row for each interval in which anybody looked; NULL: unknown."""

    __tablename__ = "pace_steps"
    __table_args__ = (UniqueConstraint("segment", "interval"),)

    id: Mapped[int] = mapped_column(SERIAL, primary_key=True)
    segment: Mapped[str] = mapped_column(Text)
    interval: Mapped[int] = mapped_column(BigInteger, index=True)  # since 1970
    until: Mapped[int] = mapped_column(BigInteger)  # what was settled before this counted
    policy_version: Mapped[int] = mapped_column(Integer)
    is_dry: Mapped[bool] = mapped_column(Boolean)
    is_frozen: Mapped[bool] = mapped_column(Boolean)
    price: Mapped[float] = mapped_column(Double)
    error: Mapped[float] = mapped_column(Double)
    target: Mapped[str] = mapped_column(Text)  # which one was the strictest
    spent_nanousd: Mapped[int | None] = mapped_column(BigInteger)
    due_nanousd: Mapped[int | None] = mapped_column(BigInteger)
    overspent_nanousd: Mapped[int] = mapped_column(BigInteger)  # against the margin, not yet made good
    requests: Mapped[int] = mapped_column(BigInteger)


class Prediction(Base):
    """What a version was predicted to do, by a back-test or by solving; the newest of a version counts."""

    __tablename__ = "predictions"

    id: Mapped[int] = mapped_column(SERIAL, primary_key=True)
    version: Mapped[int] = mapped_column(ForeignKey("policy_versions.version"), index=True)
    segment: Mapped[str | None] = mapped_column(Text)
    made_by: Mapped[str] = mapped_column(String(16))  # backtest, solve
    created_at: Mapped[int] = mapped_column(BigInteger)
    since: Mapped[int | None] = mapped_column(BigInteger)
    until: Mapped[int | None] = mapped_column(BigInteger)
    requests: Mapped[int] = mapped_column(BigInteger)
    figures: Mapped[dict[str, Any]] = mapped_column(JSON)
