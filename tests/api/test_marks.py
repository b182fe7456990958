"""Whose a request is stands in the books as marks, whichever endpoint it came by; the name itself nowhere."""

from typing import Any

import pytest
from sqlalchemy import text

from router.clock import SystemClock
from router.ledger.marks import MarkBook
from tests.api.service import CHAT, HELLO, Service, a_chat

PERSON, TALK = "person-4711@example.org", "talk-4711"
NAMED: dict[str, Any] = {"user": PERSON, "metadata": {"conversation_id": TALK}}


async def marks_of(service: Service, request_id: str) -> tuple[int | None, int | None]:
    booked = await service.booked(request_id)
    with service.engine.connect() as connection:
        rows = connection.execute(text("SELECT hex(id) AS id, conversation_mark, user_mark FROM requests"))
        found = {row.id.lower(): (row.conversation_mark, row.user_mark) for row in rows}
    return found[booked["request_id"]]


def expected(service: Service) -> tuple[int | None, int | None]:
    book = MarkBook(service.engine, SystemClock().now_us)
    book.follow()
    with service.engine.connect() as connection:
        opened_at = connection.scalar(text("SELECT max(opened_at) FROM requests"))
    return book.marks_of(opened_at, None, TALK, PERSON, [])


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (CHAT, a_chat(**NAMED)),
        (CHAT, a_chat(**NAMED | {"user": "x", "safety_identifier": PERSON})),
        ("/v1/responses", {"model": "fast", "input": "Say hello", **NAMED}),
    ],
)
async def test_person_and_conversation_are_marks_in_the_books(
    service: Service, path: str, body: dict[str, Any]
) -> None:
    answer = await service.local.post(path, json=body)
    assert answer.status_code == 200
    assert await marks_of(service, answer.headers["x-request-id"]) == expected(service)


async def test_a_session_inside_a_user_id_is_the_conversation_and_not_the_person(service: Service) -> None:
    body = {"model": "fast", "max_tokens": 99, "messages": HELLO}
    found = []
    for session in ("0a1b2c3d-1111", "0a1b2c3d-2222"):
        named = {"metadata": {"user_id": f"user_abc_account__session_{session}"}}
        answer = await service.local.post("/v1/messages", json=body | named)
        found.append(await marks_of(service, answer.headers["x-request-id"]))
    [(one, person), (other, same)] = found
    assert one != other
    assert person == same is not None


async def test_who_names_nobody_is_marked_by_the_first_turn_alone(service: Service) -> None:
    answer = await service.local.post(CHAT, json=a_chat())
    conversation, user = await marks_of(service, answer.headers["x-request-id"])
    assert user is None
    assert conversation is not None


async def test_the_name_of_a_person_is_nowhere_in_the_database(fresh: Service) -> None:
    answer = await fresh.local.post(CHAT, json=a_chat(**NAMED))
    await fresh.booked(answer.headers["x-request-id"])
    written = b"".join(file.read_bytes() for file in fresh.settings.state_dir.rglob("*") if file.is_file())
    assert PERSON.encode() not in written
    assert TALK.encode() not in written
    assert None not in await marks_of(fresh, answer.headers["x-request-id"])
