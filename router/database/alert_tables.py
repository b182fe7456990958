"""Tables of alerts: what was raised, once a period over all workers, and where it is to be delivered."""

from typing import Any

from sqlalchemy import JSON, BigInteger, ForeignKey, Index, Integer, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from router.database.tables import Base


class AlertRow(Base):
    """One alert: a rule, what it is about, and the period in which that is said once. Its id goes out with it."""

    __tablename__ = "alerts"
    __table_args__ = (UniqueConstraint("rule", "subject", "period"), Index("ix_alerts_raised_at", "raised_at"))

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    rule: Mapped[str] = mapped_column(String(32))
    subject: Mapped[str] = mapped_column(String(200))
    period: Mapped[str] = mapped_column(String(32))
    level: Mapped[str] = mapped_column(String(8))  # warning, bad
    title: Mapped[str] = mapped_column(Text)
    says: Mapped[str] = mapped_column(Text)
    figures: Mapped[dict[str, Any]] = mapped_column(JSON)
    raised_at: Mapped[int] = mapped_column(BigInteger)
    seen_at: Mapped[int] = mapped_column(BigInteger)  # when it was last found to hold
    ended_at: Mapped[int | None] = mapped_column(BigInteger)
    acknowledged_at: Mapped[int | None] = mapped_column(BigInteger)
    acknowledged_by: Mapped[str | None] = mapped_column(Text)


class AlertDelivery(Base):
    """One way out of an alert: whoever moves `due_at` on has it for so long, and another worker may try after."""

    __tablename__ = "alert_deliveries"

    alert_id: Mapped[str] = mapped_column(ForeignKey("alerts.id", ondelete="CASCADE"), primary_key=True)
    channel: Mapped[str] = mapped_column(String(16), primary_key=True)  # log, webhook, mail
    due_at: Mapped[int | None] = mapped_column(BigInteger, index=True)  # None: delivered, or given up
    attempts: Mapped[int] = mapped_column(Integer)
    delivered_at: Mapped[int | None] = mapped_column(BigInteger)
    last_error: Mapped[str | None] = mapped_column(Text)


class AlertTurn(Base):
    """When rules are looked at next; one worker of all moves it on, and looks."""

    __tablename__ = "alert_turns"

    name: Mapped[str] = mapped_column(String(16), primary_key=True)
    due_at: Mapped[int] = mapped_column(BigInteger)
