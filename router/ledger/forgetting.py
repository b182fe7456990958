"""Takes out of the books what tells of one user: the name and secret of a key, or the marks of an end user.

With them goes what hangs on their requests: stored responses, replays, notes, evidence by request. The lines stay, for
money that was spent does not become unspent: they keep the key's number, which then means nobody. What still waits in
the spool of a worker is not reached: forget again once it is shipped.
"""

import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TypeVar

from sqlalchemy import ColumnElement, Connection, Engine, delete, select, update

from router.database.engine import exclusive, writing
from router.database.job_tables import JobRow
from router.database.learning_tables import FeatureRow
from router.database.replay_tables import ReplayRow
from router.database.tables import ApiKey, Base, Feedback, OldKeySecret, PersonDay, RawUsage, Request, StoredResponseRow
from router.ledger import job_calls
from router.ledger.marks import drop_salts, read_salts, user_mark

VALUES_AT_ONCE = 500  # values in one statement
Value = TypeVar("Value")


class UnknownUser(ValueError):
    """There is no key of this name, and no request of such an end user."""


@dataclass(frozen=True, slots=True)
class Forgotten:
    """What went: the number of rows of each kind; `key_id` is the key that opens nothing from now on."""

    key_id: int | None
    requests: int  # that belong to nobody from now on
    stored_responses: int
    replays: int  # answers kept for an idempotency key
    jobs: int  # background jobs, whose texts are gone; those under way are called off
    feedback_notes: int
    raw_usage: int
    feature_rows: int


def forget(engine: Engine, user: str, now_us: int, *, of_key: str | None = None) -> Forgotten:
    """Forget the key of this name, which opens nothing from now on, and the end user whom clients call so.

    With `of_key` only the end user of that key is meant. Raises UnknownUser.
    """
    with exclusive(engine) as connection:
        keys = {row.name: int(row.id) for row in connection.execute(select(ApiKey.name, ApiKey.id))}
        if of_key is not None and of_key not in keys:
            raise UnknownUser(f"there is no key named {of_key!r}; `tierwise keys list` has the names")
        key_id = keys.get(user) if of_key is None else None
        found = _requests_of(connection, user, [*keys.values(), None] if of_key is None else [keys[of_key]])
        if key_id is None and not found:
            raise UnknownUser(f"there is no key named {user!r}, and no request of such an end user")
        counts = [_forget_requests(connection, ids, now_us) for ids in _chunks(found)]
        if key_id is not None:
            counts.append(_forget_key(connection, key_id, now_us))
        return Forgotten(key_id, *(sum(column) for column in zip(*counts, strict=True)))


def forget_months(engine: Engine, before_month: int) -> int:
    """Drop the salts of months before one: nobody can tell any more whose marks were made with them."""
    with writing(engine) as connection:
        return drop_salts(connection, before_month)


def _requests_of(connection: Connection, user: str, owners: Sequence[int | None]) -> list[str]:
    """Find the requests of an end user under these keys, by the marks of every month whose salt is kept.

    What the marks had taken of allowances goes.
    """
    marks = {user_mark(salt, owner, user) for salt in read_salts(connection).values() for owner in owners}
    found: list[str] = []
    for chunk in _chunks(sorted(marks)):
        connection.execute(delete(PersonDay).where(PersonDay.user_mark.in_(chunk)))
        found += connection.scalars(select(Request.id).where(Request.user_mark.in_(chunk)))
        waiting = select(JobRow.id).where(JobRow.user_mark.in_(chunk), JobRow.booked_at.is_(None))
        found += [job_id.removeprefix(job_calls.ID_PREFIX) for job_id in connection.scalars(waiting)]
    return found


def _forget_requests(connection: Connection, ids: Sequence[str], now_us: int) -> tuple[int, ...]:
    unmarked = update(Request).where(Request.id.in_(ids)).values(conversation_mark=None, user_mark=None)
    noted = (Feedback.request_id.in_(ids)) & Feedback.note.is_not(None)
    return (
        connection.execute(unmarked).rowcount,
        _delete_rows(connection, StoredResponseRow, StoredResponseRow.id.in_([f"resp_{id}" for id in ids])),
        _delete_rows(connection, ReplayRow, ReplayRow.request_id.in_(ids)),
        job_calls.forget(connection, JobRow.id.in_([f"{job_calls.ID_PREFIX}{id}" for id in ids]), now_us),
        connection.execute(update(Feedback).where(noted).values(note=None)).rowcount,
        _delete_rows(connection, RawUsage, RawUsage.request_id.in_(ids)),
        _delete_rows(connection, FeatureRow, FeatureRow.request_id.in_(ids)),
    )


def _forget_key(connection: Connection, key_id: int, now_us: int) -> tuple[int, ...]:
    renamed = {"name": f"forgotten-{key_id}", "hash": secrets.token_hex(32), "prefix": "", "revoked_at": now_us}
    connection.execute(update(ApiKey).where(ApiKey.id == key_id).values(renamed))
    connection.execute(delete(OldKeySecret).where(OldKeySecret.key_id == key_id))
    unmarked = update(Request).where(Request.key_id == key_id).values(conversation_mark=None, user_mark=None)
    noted = (Feedback.key_id == key_id) & Feedback.note.is_not(None)
    of_key = select(Request.id).where(Request.key_id == key_id)
    return (
        connection.execute(unmarked).rowcount,
        _delete_rows(connection, StoredResponseRow, StoredResponseRow.key_id == key_id),
        _delete_rows(connection, ReplayRow, ReplayRow.key_id == key_id),
        job_calls.forget(connection, JobRow.key_id == key_id, now_us),
        connection.execute(update(Feedback).where(noted).values(note=None)).rowcount,
        _delete_rows(connection, RawUsage, RawUsage.request_id.in_(of_key)),
        _delete_rows(connection, FeatureRow, FeatureRow.request_id.in_(of_key)),
    )


def _delete_rows(connection: Connection, table: type[Base], where: ColumnElement[bool]) -> int:
    return connection.execute(delete(table).where(where)).rowcount


def _chunks(values: Sequence[Value]) -> Iterator[list[Value]]:
    rest = iter(values)
    while chunk := list(islice(rest, VALUES_AT_ONCE)):
        yield chunk
