"""The way back for one request: its headers, then a body, an error or a stream, over raw ASGI."""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from time import monotonic
from typing import Protocol

from starlette.types import Message, Send

from router.api.admission import AdmissionControl
from router.api.asgi import STREAM_HEADERS, RawHeaders, raw_headers, send_json
from router.api.keep_alive import SENDING
from router.clock import SystemClock
from router.errors import RouterError
from router.exchange import Exchange
from router.limits.gate import Permit
from router.request import InferenceRequest
from router.telemetry.request_log import RequestLine

ID_HEADERS = (b"x-request-id",)  # the headers that carry our id


class Recorder(Protocol):
    """Who is shown everything that goes out."""

    async def note(self, message: Message) -> None:
        """Take note of a message before it goes out."""
        ...

    def close(self) -> None:
        """End, however the request ended."""
        ...


class ResponseWriter:
    """The way back for one request: its headers, then a body, an error or a stream.

    `spoke_at` is when the last piece went out, in seconds of the monotonic clock.
    """

    def __init__(
        self,
        send: Send,
        request_id: str,
        admission: AdmissionControl,
        clock: SystemClock,
        id_headers: tuple[bytes, ...] = ID_HEADERS,
    ) -> None:
        self.request_id = request_id
        self.has_started = False
        self.permit: Permit | None = None  # of what is limited
        self.is_whole = False  # a whole answer is on its way: nothing else can be said any more
        self.status: int | None = None  # of the response, once its head went out
        self.failed_with: str | None = None  # our code of the error that went out
        self.request: InferenceRequest | None = None  # for the log, as far as the request came
        self.exchange: Exchange | None = None
        self.recorder: Recorder | None = None
        self.is_accepted = False  # as a job, which goes on by itself
        self.replay_of: str | None = None  # the request whose answer went out again
        self.spoke_at = SENDING
        self.beat: asyncio.Task[None] | None = None
        self._send = send
        self._admission = admission
        self._clock = clock
        self._began_ms = clock.ticks_ms()
        self._ids: RawHeaders = [(name, request_id.encode()) for name in id_headers]
        self._headers: RawHeaders = []
        self._decision: Callable[[], Mapping[str, str]] = dict

    def note(self, headers: RawHeaders) -> None:
        """Add headers: they go out whatever comes, with errors too."""
        self._headers += headers

    def note_decision(self, headers: Callable[[], Mapping[str, str]]) -> None:
        """Send the decision's headers too, as they are when the response begins."""
        self._decision = headers

    def record(self, recorder: Recorder) -> None:
        """Show a recorder everything that goes out from now on; a client that left is no reason to stop."""
        send = self._send

        async def send_noted(message: Message) -> None:
            await recorder.note(message)
            with suppress(OSError):
                await send(message)

        self.recorder, self._send = recorder, send_noted

    async def replay(self, request_id: str, status: int, head: RawHeaders, body: bytes) -> None:
        """Send an answer of an earlier request, as it went out then."""
        self.replay_of, self.status = request_id, status
        headers = [*head, *self._headers, (b"idempotent-replayed", b"true")]
        await self._send({"type": "http.response.start", "status": status, "headers": headers})
        await self._send({"type": "http.response.body", "body": body})

    async def body(self, body: bytes, status: int = 200) -> None:
        """Send a whole answer."""
        self.is_whole = True
        self.status = status
        await send_json(self._send, status, body, self._head())

    async def error(self, error: RouterError, status: int, body: bytes) -> None:
        """Send an error as a response."""
        self.status = status
        await send_json(self._send, status, body, [*self._head(), *raw_headers(error.headers())])

    async def is_under_way(self) -> bool:
        """Tell whether the head of a stream is out, after a sign of life that is on its way."""
        if self.beat is not None:
            await self.beat
        return self.has_started

    async def start_stream(self) -> None:
        """Send the head of a stream."""
        self.has_started = True
        self.status = 200
        await self._send({"type": "http.response.start", "status": 200, "headers": [*STREAM_HEADERS, *self._head()]})

    async def piece(self, piece: bytes, *, more: bool) -> None:
        """Send a piece of a stream, after a sign of life that is on its way."""
        if self.beat is not None:
            await self.beat
        self.spoke_at = SENDING
        await self._send({"type": "http.response.body", "body": piece, "more_body": more})
        self.spoke_at = monotonic()

    async def say_alive(self, piece: bytes) -> None:
        """Send a sign of life, and the head of the stream before the first."""
        self.spoke_at = SENDING
        if not self.has_started:
            await self.start_stream()
        await self._send({"type": "http.response.body", "body": piece, "more_body": True})
        self.spoke_at = monotonic()

    def log_line(self, at_us: int, path: str) -> RequestLine:
        """Write the request's line for the log; it holds on to no text."""
        took_ms = round(self._clock.ticks_ms() - self._began_ms)
        line = RequestLine(at_us, self.request_id, path, self.status, took_ms, self.failed_with)
        line.replay_of = self.replay_of
        if (request := self.request) is not None:
            line.key_id, line.segment, line.streamed = request.key_id, request.segment, request.streamed
        if (exchange := self.exchange) is not None:
            decision = exchange.decision
            line.tier, line.final_tier, line.reason = decision.tier, exchange.final_tier, exchange.reason
            line.outcome, line.calls = exchange.outcome, exchange.calls.made
            line.first_byte_ms = exchange.calls.first_byte_ms
        return line

    def _head(self) -> RawHeaders:
        took_ms = self._clock.ticks_ms() - self._began_ms
        decision = raw_headers(self._decision())
        rates = self._admission.headers() if self.permit is None else self._rates(self.permit)
        return [*self._ids, *self._headers, *decision, *rates, (b"openai-processing-ms", b"%d" % took_ms)]

    def _rates(self, permit: Permit) -> RawHeaders:
        """What is limited, a minute; requests are those at once where they are not."""
        at_once = [] if "requests" in permit.rates else self._admission.headers()
        return [*at_once, *raw_headers(permit.headers())]
