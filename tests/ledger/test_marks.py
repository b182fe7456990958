"""Marks name nobody, are shared by all workers, and belong to nobody once their salt is gone."""

import threading
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine, insert, select
from sqlalchemy.exc import SQLAlchemyError

from router import keys
from router.database.engine import writing
from router.database.tables import ApiKey, MarkSalt, OldKeySecret, PersonDay, RawUsage, Request
from router.keys import Scope
from router.ledger import retention
from router.ledger.folding import RequestRecord
from router.ledger.forgetting import UnknownUser, forget, forget_months
from router.ledger.marks import NO_MARKS, MarkBook, Marks, conversation_mark, first_turn, month_named, month_of
from router.ledger.store import Store
from router.types import DAY_US, Tier
from tests.ledger.builders import NOON, FakeClock, a_closing, a_result, an_id, an_intent, an_opening

HELLO = [{"role": "system", "content": "Be kind"}, {"role": "user", "content": "Hello"}]
LAST_MOMENT = int(datetime(2027, 1, 31, 23, 59, 59, tzinfo=UTC).timestamp()) * 1_000_000
SALT = b"s" * 32


def a_book(engine: Engine, now_us: int = NOON) -> MarkBook:
    book = MarkBook(engine, lambda: now_us)
    book.follow()
    return book


def marks(book: MarkBook, at_us: int = NOON, key_id: int | None = 1, **changes: Any) -> Marks:
    asked: dict[str, Any] = {"conversation": "c1", "user": "u1", "messages": HELLO}
    return book.marks_of(at_us, key_id, **(asked | changes))


def test_all_workers_make_the_same_marks_though_they_start_together(engine: Engine) -> None:
    books = [MarkBook(engine, lambda: NOON) for _ in range(6)]
    threads = [threading.Thread(target=book.follow) for book in books]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({marks(book) for book in books}) == 1
    assert marks(books[0]) != NO_MARKS


def test_a_mark_is_of_one_key_one_kind_and_one_name(engine: Engine) -> None:
    book = a_book(engine)
    base = marks(book)
    assert marks(book, key_id=2).user != base.user
    assert marks(book, key_id=None).conversation != base.conversation
    assert marks(book, user="u2") == Marks(base.conversation, marks(book, user="u2").user)
    assert marks(book, user="c1").user != base.conversation
    assert marks(book, user=None).user is None


def test_who_names_no_conversation_is_known_by_the_first_turn_and_the_user(engine: Engine) -> None:
    book = a_book(engine)
    unnamed = marks(book, conversation=None).conversation
    longer = [*HELLO, {"role": "assistant", "content": "Hi"}, {"role": "user", "content": "And now?"}]
    assert marks(book, conversation=None, messages=longer).conversation == unnamed
    assert marks(book, conversation=None, user="u2").conversation != unnamed
    assert marks(book, conversation=None, messages=[]).conversation is None
    assert unnamed != marks(book).conversation


def test_a_first_turn_in_parts_is_read_without_its_pictures() -> None:
    picture = {"type": "image_url", "image_url": {"url": "data:" + "x" * 10_000}}
    assert first_turn([{"role": "user", "content": [picture, {"type": "text", "text": "Hi"}]}]) == "Hi"
    assert first_turn([{"role": "user", "content": None}]) == ""


@given(st.text(), st.text(), st.none() | st.integers(0, 9))
def test_a_mark_fits_a_big_integer_whatever_is_named(conversation: str, user: str, key_id: int | None) -> None:
    mark = conversation_mark(SALT, key_id, conversation, user, [])
    assert mark is not None
    assert -(2**63) <= mark < 2**63


def test_a_month_has_a_salt_of_its_own_which_is_there_before_it_begins(engine: Engine) -> None:
    book = a_book(engine, LAST_MOMENT)
    before, after = marks(book, LAST_MOMENT), marks(book, LAST_MOMENT + 2_000_000)
    assert month_of(LAST_MOMENT + 2_000_000) == month_of(LAST_MOMENT) + 1 == month_named("2027-02")
    assert before.user != after.user
    assert marks(a_book(engine, LAST_MOMENT + 2_000_000), LAST_MOMENT + 2_000_000) == after


def test_a_day_is_of_one_salt() -> None:
    days = range(NOON // DAY_US, NOON // DAY_US + 400)
    assert all(month_of(day * DAY_US) == month_of((day + 1) * DAY_US - 1) for day in days)


def test_while_the_database_is_away_the_last_known_salt_serves(sqlite_engine: Engine) -> None:
    book = a_book(sqlite_engine)
    known = marks(book)
    with sqlite_engine.begin() as connection:
        connection.exec_driver_sql("DROP TABLE mark_salts")
    with pytest.raises(SQLAlchemyError):
        book.follow()
    assert marks(book) == known
    assert marks(book, NOON + 400 * DAY_US).user is not None
    assert marks(MarkBook(sqlite_engine, lambda: NOON)) == NO_MARKS


def test_a_dropped_salt_comes_back_as_another(engine: Engine) -> None:
    book = a_book(engine)
    before = marks(book)
    forget_months(engine, month_of(NOON) + 1)
    book.follow()
    assert marks(book).user != before.user


def test_salts_go_when_their_time_is_over(engine: Engine) -> None:
    clock = FakeClock()
    book = MarkBook(engine, clock.now_us)
    for _ in range(15):
        book.follow()
        clock.advance(31 * 86_400)
    clock.advance(-31 * 86_400)
    retention.purge(engine, clock.now, mark_months=13)
    with engine.connect() as connection:
        months = list(connection.scalars(select(MarkSalt.month).order_by(MarkSalt.month)))
    assert months[0] == month_of(clock.now) - 13


def booked(engine: Engine, of: Marks, key_id: int | None) -> str:
    id = an_id()
    record = RequestRecord(id)
    opening = an_opening(id, key_id=key_id, conversation_mark=of.conversation, user_mark=of.user)
    for entry in (opening, an_intent(id), a_result(id, raw_usage={"prompt_tokens": 1}), a_closing(id)):
        record.add(entry)
    Store(engine).record([record], NOON)
    return id


def marked(engine: Engine) -> dict[str, tuple[int | None, int | None]]:
    with engine.connect() as connection:
        rows = connection.execute(select(Request.id, Request.conversation_mark, Request.user_mark))
        return {row.id: (row.conversation_mark, row.user_mark) for row in rows}


def test_an_end_user_is_forgotten_under_every_key_and_nobody_else(engine: Engine) -> None:
    book = a_book(engine)
    mine, elsewhere = booked(engine, marks(book), 1), booked(engine, marks(book, key_id=None), None)
    other = booked(engine, marks(book, user="u2"), 1)
    with writing(engine) as connection:
        connection.execute(insert(ApiKey).values(_a_key(1)))
    gone = forget(engine, "u1", NOON)
    assert (gone.key_id, gone.requests, gone.raw_usage) == (None, 2, 2)
    left = marked(engine)
    assert left[mine] == left[elsewhere] == (None, None)
    assert None not in left[other]
    with engine.connect() as connection:
        assert list(connection.scalars(select(RawUsage.request_id))) == [other]
    with pytest.raises(UnknownUser, match="no request of such"):
        forget(engine, "u1", NOON)


def test_an_end_user_of_one_key_may_be_called_as_another_key(engine: Engine) -> None:
    for name in ("app", "u1"):
        keys.create(engine, name, segment="free", scopes=[Scope.CHAT], allowed_tiers=list(Tier), now_us=1)
    book = a_book(engine)
    booked(engine, marks(book, key_id=1), 1)
    assert forget(engine, "u1", NOON, of_key="app").key_id is None
    assert [row["revoked_at"] for row in keys.list_keys(engine)] == [None, None]
    with pytest.raises(UnknownUser, match="no key named 'nobody'"):
        forget(engine, "u1", NOON, of_key="nobody")


def test_a_forgotten_key_takes_the_marks_of_its_requests_along(engine: Engine) -> None:
    keys.create(engine, "app", segment="free", scopes=[Scope.CHAT], allowed_tiers=list(Tier), now_us=1)
    id = booked(engine, marks(a_book(engine), key_id=1), 1)
    assert forget(engine, "app", NOON).requests == 1
    assert marked(engine) == {id: (None, None)}


def _a_key(id: int) -> dict[str, Any]:
    made = {"name": f"key-{id}", "hash": f"{id:064}", "prefix": "tw-", "segment": "free", "created_at": 1}
    return {"id": id, "scopes": [], "allowed_tiers": [], **made}


def test_what_a_forgotten_person_had_taken_of_allowances_goes_too(engine: Engine) -> None:
    mark, other = marks(a_book(engine), key_id=None).user, marks(a_book(engine), key_id=None, user="u2").user
    booked(engine, Marks(None, mark), None)
    with writing(engine) as connection:
        for one in (mark, other):
            taken = {"day": NOON // DAY_US, "user_mark": one, "deep": 1, "taken_nanousd": 5}
            connection.execute(insert(PersonDay).values(taken))
    forget(engine, "u1", NOON)
    with engine.connect() as connection:
        assert list(connection.scalars(select(PersonDay.user_mark))) == [other]


async def test_no_secret_of_a_forgotten_key_opens_anything(sqlite_engine: Engine) -> None:
    old = keys.create(sqlite_engine, "app", segment="free", scopes=[Scope.CHAT], allowed_tiers=list(Tier), now_us=1)
    new = keys.rotate(sqlite_engine, "app", overlap_us=DAY_US, now_us=NOON)
    forget(sqlite_engine, "app", NOON)
    ring = keys.KeyRing(sqlite_engine, now_us=lambda: NOON)
    assert [await ring.find(old), await ring.find(new)] == [None, None]
    with sqlite_engine.connect() as connection:
        assert connection.execute(select(OldKeySecret.__table__)).all() == []
