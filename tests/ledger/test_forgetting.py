"""Forgetting a user takes what identifies one and leaves the money."""

from typing import Any

import pytest
from sqlalchemy import Engine, insert, select

from router import keys
from router.database.engine import writing
from router.database.job_tables import JobRow
from router.database.tables import ApiKey, Feedback, RawUsage, Request, StoredResponseRow
from router.keys import Scope
from router.ledger.folding import RequestRecord
from router.ledger.forgetting import UnknownUser, forget
from router.ledger.store import Store
from router.types import Tier
from tests.ledger.builders import NOON, a_closing, a_result, an_id, an_intent, an_opening


def booked(engine: Engine, key_id: int) -> str:
    """A request of a key with raw usage, a note and a stored response."""
    id = an_id()
    record = RequestRecord(id)
    result = a_result(id, raw_usage={"prompt_tokens": 1})
    for entry in (an_opening(id, key_id=key_id), an_intent(id), result, a_closing(id)):
        record.add(entry)
    Store(engine).record([record], NOON)
    with writing(engine) as connection:
        connection.execute(
            insert(Feedback).values(request_id=id, key_id=key_id, rating=1, note="mine", created_at=NOON)
        )
        stored = {"id": f"resp_{id}", "key_id": key_id, "created_at": NOON, "expires_at": NOON, "body": b"text"}
        connection.execute(insert(StoredResponseRow).values(stored))
        connection.execute(insert(JobRow).values(a_job(id, key_id)))
    return id


def a_job(id: str, key_id: int | None) -> dict[str, Any]:
    """A job that is under way, as its row."""
    empty: dict[str, Any] = {"quote": {}, "progress": {}, "recipe": {}}
    numbers = {"time_limit_s": 60, "version": 1, "priority": 1, "status": 2, "created_at": 1, "expires_at": 9}
    texts = {"segment": "free", "queue": "default", "request": "mine", "trace": "mine"}
    return {"id": f"resp_{id}", "key_id": key_id, **empty, **numbers, **texts}


def test_what_identifies_a_user_goes_and_the_lines_stay(engine: Engine) -> None:
    secret, _ = (
        keys.create(engine, name, segment="free", scopes=[Scope.CHAT], allowed_tiers=list(Tier), now_us=1)
        for name in ("alice", "bob")
    )
    with engine.connect() as connection:
        ids = {row.name: row.id for row in connection.execute(select(ApiKey.name, ApiKey.id))}
    mine, other = booked(engine, ids["alice"]), booked(engine, ids["bob"])
    gone = forget(engine, "alice", 7)
    assert (gone.stored_responses, gone.feedback_notes, gone.raw_usage, gone.jobs) == (1, 1, 1, 1)
    with engine.connect() as connection:
        names = [tuple(row) for row in connection.execute(select(ApiKey.name, ApiKey.revoked_at).order_by(ApiKey.id))]
        assert names == [(f"forgotten-{ids['alice']}", 7), ("bob", None)]
        assert set(connection.scalars(select(Request.id))) == {mine, other}
        assert list(connection.scalars(select(RawUsage.request_id))) == [other]
        notes = {row.request_id: row.note for row in connection.execute(select(Feedback.request_id, Feedback.note))}
        assert notes == {mine: None, other: "mine"}
        texts = {row.id: (row.request, row.trace) for row in connection.execute(select(JobRow.__table__))}
        assert texts == {f"resp_{mine}": (None, None), f"resp_{other}": ("mine", "mine")}
        assert connection.scalar(select(ApiKey.id).where(ApiKey.hash == keys.hash_of(secret))) is None


def test_nobody_of_that_name_is_said(engine: Engine) -> None:
    with pytest.raises(UnknownUser, match="no key named"):
        forget(engine, "nobody", 1)
