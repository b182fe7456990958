"""Takes out of the books what tells of one user: a key's name and secret, stored responses, notes, evidence by request.

The lines stay, for money that was spent does not become unspent: they keep the key's number, which then means nobody.
"""

import secrets
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, Engine, delete, select, update
from sqlalchemy.orm import InstrumentedAttribute

from router.database.engine import exclusive
from router.database.learning_tables import FeatureRow
from router.database.tables import ApiKey, Base, Feedback, RawUsage, Request, StoredResponseRow


class UnknownUser(ValueError):
    """There is no key of this name."""


@dataclass(frozen=True, slots=True)
class Forgotten:
    """What went: the number of rows of each kind."""

    key_id: int
    stored_responses: int
    feedback_notes: int
    raw_usage: int
    feature_rows: int


def forget(engine: Engine, user: str, now_us: int) -> Forgotten:
    """Forget the user of a key, by its name; it opens nothing from now on. Raises UnknownUser."""
    with exclusive(engine) as connection:
        key_id = connection.scalar(select(ApiKey.id).where(ApiKey.name == user))
        if key_id is None:
            raise UnknownUser(f"there is no key named {user!r}; `tierwise keys list` has the names")
        renamed = {"name": f"forgotten-{key_id}", "hash": secrets.token_hex(32), "prefix": "", "revoked_at": now_us}
        connection.execute(update(ApiKey).where(ApiKey.id == key_id).values(renamed))
        noted = (Feedback.key_id == key_id) & Feedback.note.is_not(None)
        return Forgotten(
            int(key_id),
            _delete_rows(connection, StoredResponseRow, StoredResponseRow.key_id == key_id),
            connection.execute(update(Feedback).where(noted).values(note=None)).rowcount,
            _delete_rows(connection, RawUsage, _of_key(RawUsage.request_id, key_id)),
            _delete_rows(connection, FeatureRow, _of_key(FeatureRow.request_id, key_id)),
        )


def _of_key(request_id: InstrumentedAttribute[str], key_id: int) -> ColumnElement[bool]:
    return request_id.in_(select(Request.id).where(Request.key_id == key_id))


def _delete_rows(connection: Connection, table: type[Base], where: ColumnElement[bool]) -> int:
    return connection.execute(delete(table).where(where)).rowcount
