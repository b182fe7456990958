"""The table of idempotency keys: who answers the request of each, and the answer once it is there.

It holds text of conversations, for a day.
"""

from sqlalchemy import BigInteger, Index, Integer, LargeBinary, SmallInteger, Text
from sqlalchemy.orm import Mapped, mapped_column

from router.database.tables import Base, RequestId


class ReplayRow(Base):
    """One idempotency key of one caller, by a hash of both; without a status its request is under way."""

    __tablename__ = "replays"
    __table_args__ = (Index("ix_replays_key_id_size", "key_id", "size"),)

    name: Mapped[bytes] = mapped_column(LargeBinary(32), primary_key=True)
    key_id: Mapped[int | None] = mapped_column(Integer)
    fingerprint: Mapped[bytes] = mapped_column(LargeBinary(32))  # of what was asked
    request_id: Mapped[str] = mapped_column(RequestId, index=True)  # that answers, or did
    lease_until: Mapped[int] = mapped_column(BigInteger)  # past it, and without a status: the worker is gone
    expires_at: Mapped[int] = mapped_column(BigInteger, index=True)
    status: Mapped[int | None] = mapped_column(SmallInteger)
    head: Mapped[str | None] = mapped_column(Text)  # headers of the answer, as JSON
    body: Mapped[bytes | None] = mapped_column(LargeBinary)  # compressed; None where it was too large to keep
    size: Mapped[int] = mapped_column(Integer)  # of the body, in bytes
