"""The table of the page /chat: whose browser may ask. Tokens are stored as hashes only, and no text at all."""

from sqlalchemy import BigInteger, String
from sqlalchemy.orm import Mapped, mapped_column

from router.database.tables import Base


class ChatSession(Base):
    """One browser at /chat; `key_hash` is that of the key it was opened with, None where none was needed."""

    __tablename__ = "chat_sessions"

    token_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    key_hash: Mapped[str | None] = mapped_column(String(64))
    expires_at: Mapped[int] = mapped_column(BigInteger)
