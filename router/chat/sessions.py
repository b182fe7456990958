"""The sessions of browsers at /chat, in the database and so the same in all workers. Only hashes of tokens are stored.

A session refers to the key it was opened with by the key's hash: it can do what the key can, as long as the key is
valid, and the key itself is kept nowhere.
"""

import secrets
from collections.abc import Callable
from typing import NamedTuple

from sqlalchemy import Engine, delete, insert, select

from router.database.chat_tables import ChatSession
from router.database.engine import writing
from router.keys import hash_of

LONGEST_TOKEN = 64


class OpenSession(NamedTuple):
    """A session that has not ended; `key_hash` is None where no key was needed to open it."""

    key_hash: str | None


class ChatSessions:
    """The table of sessions; every method blocks and raises SQLAlchemyError."""

    def __init__(self, engine: Engine, hours: int, now_us: Callable[[], int]) -> None:
        self._engine = engine
        self._now_us = now_us
        self.seconds = hours * 3_600

    def open(self, key_hash: str | None) -> str:
        """Begin a session and return its token, which nobody has seen before; forget those that have expired."""
        token, now_us = secrets.token_urlsafe(32), self._now_us()
        row = {
            "token_hash": hash_of(token),
            "key_hash": key_hash,
            "expires_at": now_us + self.seconds * 1_000_000,
        }
        with writing(self._engine) as connection:
            connection.execute(delete(ChatSession).where(ChatSession.expires_at <= now_us))
            connection.execute(insert(ChatSession).values(**row))
        return token

    def find(self, token: str) -> OpenSession | None:
        """Return the session of a token; None for one that has ended, or was never given out."""
        if not 0 < len(token) <= LONGEST_TOKEN or not token.isascii():
            return None
        query = select(ChatSession.key_hash).where(
            ChatSession.token_hash == hash_of(token), ChatSession.expires_at > self._now_us()
        )
        with self._engine.connect() as connection:
            row = connection.execute(query).one_or_none()
        return None if row is None else OpenSession(row.key_hash)

    def end(self, token: str) -> None:
        """End a session now, in all workers."""
        with writing(self._engine) as connection:
            connection.execute(delete(ChatSession).where(ChatSession.token_hash == hash_of(token)))
