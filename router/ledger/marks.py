"""Marks: which conversation a request belongs to and whom it is for, as 64-bit numbers that name nobody.

A mark is a keyed hash (BLAKE2b, RFC 7693: what an HMAC is for, in a third of the time) of what the client sent, of one
API key; its key is the salt of the month (UTC), which all workers and replicas share. Within a month equal marks are
the same person or conversation; across months nothing compares. Whoever holds a salt can find the mark of a name; where
it was dropped, nobody can any more.
"""

import secrets
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Any, NamedTuple

from sqlalchemy import Connection, Engine, delete, select

from router.database.engine import writing
from router.database.tables import MarkSalt
from router.database.upsert import insert_or_nothing
from router.types import DAY_US

SALT_BYTES = 32
AHEAD_US = 3 * DAY_US  # a salt is made before its month begins, so that a database away at midnight changes nothing
FIRST_TURN_CHARACTERS = 2_000  # characters of a first turn that count
MONTHS_A_YEAR = 12

Salts = Mapping[int, bytes]
KEPT_SALTS = select(MarkSalt.month, MarkSalt.salt).order_by(MarkSalt.month)


class Marks(NamedTuple):
    """Whom one request is for; None where the client does not say, or where no salt is known yet."""

    conversation: int | None = None
    user: int | None = None


NO_MARKS = Marks()


def month_of(at_us: int) -> int:
    """The month of an instant (UTC), counted from the year 0: the number of its salt."""
    at = datetime.fromtimestamp(at_us // 1_000_000, UTC)
    return at.year * MONTHS_A_YEAR + at.month - 1


def month_named(name: str) -> int:
    """The number of a month written as 2026-11; raises ValueError."""
    at = datetime.strptime(name, "%Y-%m")
    return at.year * MONTHS_A_YEAR + at.month - 1


def user_mark(salt: bytes, key_id: int | None, user: str) -> int:
    """The mark of an end user of a key (None: of callers without one), by the id that the client sends."""
    return _mark(salt, "user", key_id, user)


def conversation_mark(
    salt: bytes, key_id: int | None, conversation: str | None, user: str | None, messages: Sequence[Mapping[str, Any]]
) -> int | None:
    """The mark of a conversation: as it is named, else by its first user turn and the user, None where both lack."""
    if conversation is not None:
        return _mark(salt, "conversation", key_id, conversation)
    first = first_turn(messages)
    return _mark(salt, "first turn", key_id, f"{user or ''}\0{first}") if first else None


def first_turn(messages: Sequence[Mapping[str, Any]]) -> str:
    """The beginning of what the first user turn says, without what is attached to it."""
    for message in messages:
        if message.get("role") == "user":
            content = message.get("content")
            if isinstance(content, str):
                return content[:FIRST_TURN_CHARACTERS]
            texts = (part.get("text") for part in content or () if isinstance(part, dict))
            return "\n".join(text[:FIRST_TURN_CHARACTERS] for text in texts if isinstance(text, str))[
                :FIRST_TURN_CHARACTERS
            ]
    return ""


def _mark(salt: bytes, kind: str, key_id: int | None, named: str) -> int:
    said = f"{kind}\0{key_id}\0{named}".encode("utf-8", "surrogatepass")
    return int.from_bytes(blake2b(said, key=salt, digest_size=8).digest(), signed=True)


class MarkBook:
    """Makes marks from salts in memory, which follow the database; while that is away the last known ones serve."""

    def __init__(self, engine: Engine, now_us: Callable[[], int]) -> None:
        self._engine = engine
        self._now_us = now_us
        self._salts: Salts = {}

    def follow(self) -> None:
        """Read the salts again, and make those of this month and of one about to begin; raises SQLAlchemyError."""
        now_us = self._now_us()
        needed = {month_of(now_us), month_of(now_us + AHEAD_US)}
        with self._engine.connect() as connection:
            found = read_salts(connection)
        if missing := needed - found.keys():
            with writing(self._engine) as connection:
                rows = [{"month": m, "salt": secrets.token_bytes(SALT_BYTES), "created_at": now_us} for m in missing]
                insert_or_nothing(connection, MarkSalt, rows)
                found = read_salts(connection)  # another worker's, where it was first
        self._salts = found

    def marks_of(
        self,
        at_us: int,
        key_id: int | None,
        conversation: str | None,
        user: str | None,
        messages: Sequence[Mapping[str, Any]],
    ) -> Marks:
        """Make the marks of a request that came in at an instant."""
        salt = self._salt_at(at_us)
        if salt is None:
            return NO_MARKS
        by_user = None if user is None else user_mark(salt, key_id, user)
        return Marks(conversation_mark(salt, key_id, conversation, user, messages), by_user)

    def user_mark(self, at_us: int, key_id: int | None, user: str) -> int | None:
        """Make the mark of an end user at an instant."""
        salt = self._salt_at(at_us)
        return None if salt is None else user_mark(salt, key_id, user)

    def _salt_at(self, at_us: int) -> bytes | None:
        """The salt of an instant's month, else the last one that is known: the database has been away for days."""
        salts = self._salts
        return salts.get(month_of(at_us)) or (salts[max(salts)] if salts else None)


def read_salts(connection: Connection) -> dict[int, bytes]:
    """Read the salts that are kept, by month."""
    rows = connection.execute(KEPT_SALTS)
    return {row.month: bytes(row.salt) for row in rows}


def drop_salts(connection: Connection, before_month: int) -> int:
    """Drop the salts of months before one; what was marked with them belongs to nobody from now on."""
    return connection.execute(delete(MarkSalt).where(MarkSalt.month < before_month)).rowcount
