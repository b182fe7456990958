"""Sending: JSON bodies, errors and event streams over raw ASGI, and noticing a client that went away."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager

import msgspec
from starlette.types import Receive, Send

from router.api.body import ClientGone
from router.api.presence import Presence
from router.clock import SystemClock, request_id
from router.errors import Cause, ProviderTimeout, RouterError

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
    sized = [JSON_TYPE, (b"content-length", b"%d" % len(body)), *headers]
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
    """Cancels the task that answers when the client goes away, from before the first byte to the last, or too late.

    ASGI tells of a disconnect only to who asks `receive`; somebody must ask while the first token is awaited, unless
    the server tells by itself of the `client`.
    `before_late` is called when the deadline has come, before anything is cancelled. Where it `goes_on`, the answer is
    finished without the client.
    """

    def __init__(self, receive: Receive, deadline_s: float | None = None, client: Presence | None = None) -> None:
        self.is_gone = False
        self.is_late = False
        self.goes_on = False
        self.before_late: Callable[[], None] = _do_nothing
        self._deadline_s = deadline_s
        self._answering = asyncio.current_task()
        self._task: asyncio.Task[None] | None = None
        loop = asyncio.get_running_loop()
        self._client = client
        if client is None:
            self._task = loop.create_task(self._wait(receive))
        else:
            client.watch(self._leave)
        self._timer = None if deadline_s is None else loop.call_later(deadline_s, self._expire)

    async def _wait(self, receive: Receive) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        self._leave()

    def _leave(self) -> None:
        if self.goes_on:
            return
        self.is_gone = True
        if self._answering is not None:
            self._answering.cancel("client gone")

    def _expire(self) -> None:
        if self.is_gone:
            return
        self.is_late = True
        self.before_late()
        if self._answering is not None:
            self._answering.cancel("deadline")

    def __enter__(self) -> None:
        """Turn what the deadline cancels within into the error that says so."""

    def __exit__(self, kind: type[BaseException] | None, *raised: object) -> None:
        if kind is not None and issubclass(kind, asyncio.CancelledError):
            self.raise_if_late()

    def raise_if_late(self) -> None:
        """Raise ProviderTimeout where the deadline has come; the cancellation is over with that."""
        if not self.is_late:
            return
        self.is_late = False
        if self._answering is not None:
            self._answering.uncancel()
        message = f"the request took longer than {self._deadline_s:g} s (server.request_timeout_s)"
        raise ProviderTimeout(message, code="request_timeout", cause=Cause.TIMEOUT_TOTAL) from None

    def stop(self) -> None:
        """Stop watching; the request is answered."""
        if self._client is not None:
            self._client.stop()
        if self._task is not None:
            self._task.cancel()
        if self._timer is not None:
            self._timer.cancel()
        del self._task, self._answering, self._timer  # a cancelled task keeps its frames, and they keep this


def _do_nothing() -> None:
    """Nothing is called yet that could be cut off."""
