"""Responses that clients asked to keep: reserved before anything is bought, kept until they expire.

Blocking; call it off the event loop. Only the key that stored a response finds it; to any other it is not there.
"""

from sqlalchemy import ColumnElement, Engine, and_, delete, func, insert, select

from router.database.engine import writing
from router.database.tables import StoredResponseRow
from router.types import DAY_US

RESERVED = b""
RESERVATION_US = DAY_US  # longer than any answer takes


class StoredResponses:
    """The table of stored responses."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def reserve(self, response_id: str, key_id: int | None, now_us: int) -> None:
        """Make sure that a response can be stored later; nobody can read a reservation. Raises SQLAlchemyError."""
        self._write(response_id, key_id, now_us, now_us + RESERVATION_US, RESERVED)

    def keep(self, response_id: str, key_id: int | None, now_us: int, expires_us: int, body: bytes) -> None:
        """Store a response in the place of its reservation. Raises SQLAlchemyError."""
        self._write(response_id, key_id, now_us, expires_us, body)

    def find(self, response_id: str, key_id: int | None, now_us: int) -> bytes | None:
        """Return what the same key stored, unless it has expired."""
        query = select(StoredResponseRow.body).where(_readable(response_id, key_id, now_us))
        with self._engine.connect() as connection:
            return connection.execute(query).scalar_one_or_none()

    def count_bytes(self, key_id: int | None, now_us: int) -> int:
        """Count the bytes that a key has stored. Raises SQLAlchemyError."""
        of_key = and_(StoredResponseRow.key_id == key_id, StoredResponseRow.expires_at > now_us)
        query = select(func.coalesce(func.sum(func.length(StoredResponseRow.body)), 0)).where(of_key)
        with self._engine.connect() as connection:
            return int(connection.execute(query).scalar_one())

    def delete(self, response_id: str, key_id: int | None, now_us: int) -> bool:
        """Delete what the same key stored; tells whether it was there."""
        with writing(self._engine) as connection:
            result = connection.execute(delete(StoredResponseRow).where(_readable(response_id, key_id, now_us)))
            return result.rowcount > 0

    def _write(self, response_id: str, key_id: int | None, now_us: int, expires_us: int, body: bytes) -> None:
        row = {"id": response_id, "key_id": key_id, "created_at": now_us, "expires_at": expires_us, "body": body}
        with writing(self._engine) as connection:
            connection.execute(delete(StoredResponseRow).where(StoredResponseRow.id == response_id))
            connection.execute(insert(StoredResponseRow), row)


def _readable(response_id: str, key_id: int | None, now_us: int) -> ColumnElement[bool]:
    return and_(
        StoredResponseRow.id == response_id,
        StoredResponseRow.key_id == key_id,
        StoredResponseRow.expires_at > now_us,
        StoredResponseRow.body != RESERVED,
    )
