"""What the front does when something goes wrong that nobody foresaw."""

import asyncio
import json
from typing import Any

import pytest
from sqlalchemy import create_engine

from router.api.auth import Doorkeeper
from router.api.chat import Chat
from router.api.gate import Gate
from router.keys import KeyRing
from router.ledger.entries import Closing
from router.providers.base import Delta
from router.settings import ServerSettings
from tests.api.service import a_chat
from tests.desks import a_desk
from tests.tiers.fakes import FakeBooks, FakeProvider, Reply, saying


async def answered(reply: Reply, books: FakeBooks, *, stream: bool) -> list[Any]:
    """Send one request to the endpoint alone; returns what it sent before the bug came through."""
    engine = create_engine("sqlite://")
    desk = a_desk(FakeProvider(saying(reply)), books)
    endpoint = Chat(desk, Doorkeeper(KeyRing(engine), "auto"), Gate(1, 0, 1.0), ServerSettings())
    incoming = [{"type": "http.request", "body": json.dumps(a_chat(stream=stream)).encode()}]
    sent: list[Any] = []

    async def receive() -> Any:
        return incoming.pop() if incoming else await asyncio.Event().wait()

    async def send(message: Any) -> None:
        sent.append(message)

    headers = [(b"host", b"localhost"), (b"content-type", b"application/json")]
    scope = {"type": "http", "headers": headers, "client": ("127.0.0.1", 1)}
    with pytest.raises(ZeroDivisionError):
        await endpoint(scope, receive, send)
    return sent


def outcomes(books: FakeBooks) -> list[str]:
    return [entry.outcome for entry in books.entries if isinstance(entry, Closing)]


@pytest.mark.parametrize("stream", [False, True])
async def test_a_bug_before_the_first_byte_is_an_http_error_without_its_text(stream: bool) -> None:
    books = FakeBooks()
    start, body = await answered(ZeroDivisionError("secret detail"), books, stream=stream)
    assert start["status"] == 500
    assert json.loads(body["body"])["error"]["code"] == "internal_error"
    assert b"secret detail" not in body["body"]
    assert dict(start["headers"])[b"x-tierwise-tier"] == b"fast"


async def test_a_bug_is_settled_as_an_error() -> None:
    books = FakeBooks()
    await answered(ZeroDivisionError(), books, stream=False)
    assert outcomes(books) == ["error"]


class Breaking(list[Delta]):
    """Deltas that end in a bug."""

    def __iter__(self) -> Any:
        yield Delta(content="Well, ")
        raise ZeroDivisionError("secret detail")


async def test_a_bug_after_the_first_byte_is_a_last_event() -> None:
    books = FakeBooks()
    sent = await answered(Breaking(), books, stream=True)
    assert (sent[0]["status"], sent[-1]["more_body"]) == (200, False)
    assert json.loads(sent[-1]["body"].removeprefix(b"data: "))["error"]["code"] == "internal_error"
    assert outcomes(books) == ["error"]
