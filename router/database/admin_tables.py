"""Tables of the admin plane: who is signed in, and the audit log. Tokens are stored as hashes only."""

from typing import Any

from sqlalchemy import JSON, BigInteger, Boolean, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from router.database.tables import SERIAL, Base


class AdminSession(Base):
    """One sign-in, shared by all workers; `mark` ties it to the secret that opened it."""

    __tablename__ = "admin_sessions"

    token_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    mark: Mapped[str] = mapped_column(String(64))
    role: Mapped[str] = mapped_column(String(16))  # viewer, admin
    actor: Mapped[str] = mapped_column(Text)
    address: Mapped[str] = mapped_column(Text)
    created_at: Mapped[int] = mapped_column(BigInteger)
    seen_at: Mapped[int] = mapped_column(BigInteger)
    ended_at: Mapped[int | None] = mapped_column(BigInteger)


class AuditEntry(Base):
    """One change, or one that was refused: by whom, from where, and what was so before and after it."""

    __tablename__ = "audit_entries"

    id: Mapped[int] = mapped_column(SERIAL, primary_key=True)
    at: Mapped[int] = mapped_column(BigInteger)
    actor: Mapped[str] = mapped_column(Text)
    role: Mapped[str] = mapped_column(String(16))  # viewer, admin, command, none
    address: Mapped[str] = mapped_column(Text)
    act: Mapped[str] = mapped_column(String(64))
    target: Mapped[str] = mapped_column(Text)
    note: Mapped[str] = mapped_column(Text)
    refused: Mapped[bool] = mapped_column(Boolean)
    before: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    after: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
