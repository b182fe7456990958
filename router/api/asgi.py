"""Sending: JSON bodies, errors and event streams over raw ASGI, and noticing a client that went away."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager

import msgspec
from starlette.types import Receive, Send

from router.api.body import ClientGone
from router.clock import SystemClock, request_id
from router.errors import RouterError

JSON_TYPE = (b"content-type", b"application/json")
STREAM_HEADERS = (
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),
)
KEEP_ALIVE = b": keep-alive\n\n"  # a comment: no client takes it for output
RawHeaders = list[tuple[bytes, bytes]]
Refusal = Callable[[RouterError, str], tuple[int, bytes]]  # an error and the request's id: the status and the body


def raw_headers(headers: Mapping[str, str]) -> RawHeaders:
    """Encode header names and values for ASGI."""
    return [(name.encode("latin-1"), value.encode("latin-1", "replace")) for name, value in headers.items()]


async def send_json(send: Send, status: int, body: bytes, headers: RawHeaders) -> None:
    """Send a whole JSON response."""
    sized = [JSON_TYPE, (b"content-length", str(len(body)).encode()), *headers]
    await send({"type": "http.response.start", "status": status, "headers": sized})
    await send({"type": "http.response.body", "body": body})


def openai_error(error: RouterError) -> tuple[int, bytes]:
    """The status and the body of an error as OpenAI shapes it."""
    return error.status, msgspec.json.encode(error.body())


@asynccontextmanager
async def answering(send: Send, refusal: Refusal | None = None) -> AsyncIterator[RawHeaders]:
    """Give a short request its id, and turn errors of our tree into responses, in OpenAI's form or another."""
    id_ = request_id(SystemClock().now_us())
    headers: RawHeaders = [(b"x-request-id", id_.encode())]
    try:
        yield headers
    except ClientGone:
        return
    except RouterError as error:
        status, body = openai_error(error) if refusal is None else refusal(error, id_)
        await send_json(send, status, body, [*headers, *raw_headers(error.headers())])


class DisconnectWatcher:
    """Cancels the task that answers when the client goes away, from before the first byte to the last.

    ASGI tells of a disconnect only to who asks `receive`; somebody must ask while the first token is awaited.
    """

    def __init__(self, receive: Receive) -> None:
        self.is_gone = False
        self._receive = receive
        self._answering = asyncio.current_task()
        self._task = asyncio.get_running_loop().create_task(self._wait())

    async def _wait(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self.is_gone = True
        if self._answering is not None:
            self._answering.cancel("client gone")

    def stop(self) -> None:
        """Stop watching; the request is answered."""
        self._task.cancel()
        del self._task, self._answering  # a cancelled task keeps its frames, and they keep this
