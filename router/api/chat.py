"""POST /v1/chat/completions: from ASGI to the exchange and back, streamed or whole.

Raw ASGI, because whoever awaits the first token must also notice that the client went away. Failures before the
first byte are HTTP errors, with `stream: true` too; after it, a final `data: {"error": ...}`.
"""

import asyncio
from contextlib import aclosing

from starlette.types import Receive, Scope, Send

from router.api.auth import Caller, Doorkeeper
from router.api.body import ClientGone, read_body
from router.api.completions import (
    SSE_DONE,
    WireChunk,
    WireChunkChoice,
    WireCompletion,
    WireDelta,
    encoded,
    sse,
    usage_body,
    wire_choice,
    wire_delta,
)
from router.api.gate import Gate
from router.api.replies import STREAM_HEADERS, RawHeaders, Watch, raw_headers, send_error, send_json
from router.api.wire import ChatRequest, params_of, parse_chat
from router.clock import SystemClock, request_id
from router.errors import ProviderError, RouterError
from router.exchange import Ask, Desk, Exchange
from router.keys import Scope as KeyScope
from router.providers.base import Delta
from router.settings import ServerSettings
from router.tiers.base import Answer
from router.types import Outcome, Tier


class Chat:
    """The chat completions endpoint, as an ASGI application."""

    def __init__(self, desk: Desk, doorkeeper: Doorkeeper, gate: Gate, server: ServerSettings) -> None:
        self._desk = desk
        self._doorkeeper = doorkeeper
        self._gate = gate
        self._server = server
        self._clock = SystemClock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        now_us = self._clock.now_us()
        reply = Reply(request_id(now_us), now_us // 1_000_000, send)
        try:
            caller = await self._doorkeeper.admit(scope)
            caller.require(KeyScope.CHAT)
            server = self._server
            body = await read_body(scope, receive, max_bytes=server.max_body_bytes, timeout_s=server.read_timeout_s)
            arrived_ms = self._clock.ticks_ms()
            request = parse_chat(body, strict=server.strict)
            watch = Watch(receive)
            try:
                async with self._gate.place():
                    exchange = self._desk.open(ask_of(request, caller, reply.request_id, len(body)))
                    reply.begin(exchange, request, self._clock.ticks_ms() - arrived_ms)
                    await reply.answer(exchange)
            except asyncio.CancelledError:
                if not watch.is_gone:
                    raise
            finally:
                watch.stop()
        except ClientGone:
            return
        except RouterError as error:
            await reply.fail(error)


class Reply:
    """What goes back for one request: headers, then a body or a stream."""

    def __init__(self, request_id: str, created: int, send: Send) -> None:
        self.request_id = request_id
        self._created = created
        self._send = send
        self._headers: RawHeaders = [(b"x-request-id", request_id.encode())]
        self._exchange: Exchange | None = None
        self._request: ChatRequest
        self._has_started = False

    def begin(self, exchange: Exchange, request: ChatRequest, overhead_ms: float) -> None:
        """Take note of the decision: it goes out in the headers, of errors too."""
        self._exchange = exchange
        self._request = request
        self._headers += raw_headers(exchange.decision_headers())
        self._headers.append((b"x-tierwise-overhead-ms", b"%.2f" % overhead_ms))

    async def answer(self, exchange: Exchange) -> None:
        """Answer the request and settle it before the last byte; a cancelled answer settles as cancelled."""
        try:
            if self._request.stream:
                await self._stream(exchange)
            else:
                await self._whole(exchange)
        except RouterError:
            exchange.settle(Outcome.ERROR)
            raise
        finally:
            exchange.settle(Outcome.CANCELLED)

    async def fail(self, error: RouterError) -> None:
        """Send an error: as a response while there is none, as a last event in a stream."""
        if self._has_started:
            await self._send_piece(b"data: " + encoded(error.body()) + b"\n\n", more=False)
            return
        was_dispatched = isinstance(error, ProviderError) and error.dispatched
        if was_dispatched and self._exchange and self._exchange.decision.tier is not Tier.FAST:
            self._headers.append((b"x-should-retry", b"false"))  # a second try would buy the deep answer twice
        await send_error(self._send, error, self._headers)

    async def _whole(self, exchange: Exchange) -> None:
        answer = await exchange.answer()
        exchange.calls.mark_first_byte()
        exchange.settle(Outcome.OK, answer)
        legacy = self._request.functions is not None
        body = WireCompletion(
            id=f"chatcmpl-{self.request_id}",
            created=self._created,
            model=self._request.model,
            choices=[wire_choice(choice, legacy_functions=legacy) for choice in answer.choices],
            usage=usage_body(exchange.calls.usage),
            x_tierwise=exchange.explanation(answer, self._request.ignored),
            service_tier=answer.service_tier,
            system_fingerprint=answer.system_fingerprint,
        )
        await send_json(self._send, 200, encoded(body), self._headers)

    async def _stream(self, exchange: Exchange) -> None:
        last: list[WireChunk] = []
        begun: set[int] = set()
        async with aclosing(exchange.stream()) as steps:
            async for step in steps:
                if not self._has_started:
                    exchange.calls.mark_first_byte()
                    await self._start_stream()
                if isinstance(step, Answer):
                    exchange.settle(Outcome.OK, step)
                    await self._end_stream(exchange, step, last)
                    return
                await self._send_delta(step, begun, last)

    async def _start_stream(self) -> None:
        self._has_started = True
        await self._send({"type": "http.response.start", "status": 200, "headers": [*STREAM_HEADERS, *self._headers]})

    async def _send_delta(self, delta: Delta, begun: set[int], last: list[WireChunk]) -> None:
        """Send one step; finish reasons are kept for the end, after the settlement."""
        written = wire_delta(delta, legacy_functions=self._request.functions is not None)
        piece = b""
        if delta.index not in begun:
            begun.add(delta.index)
            piece = sse(self._chunk([WireChunkChoice(delta.index, WireDelta(role="assistant", content=""))], delta))
        if written != _NOTHING or delta.logprobs is not None:
            piece += sse(self._chunk([WireChunkChoice(delta.index, written, delta.logprobs)], delta))
        if delta.finish_reason is not None:
            legacy = self._request.functions is not None and delta.finish_reason == "tool_calls"
            reason = "function_call" if legacy else delta.finish_reason
            last.append(self._chunk([WireChunkChoice(delta.index, WireDelta(), None, reason)], delta))
        if piece:
            await self._send_piece(piece, more=True)

    async def _end_stream(self, exchange: Exchange, answer: Answer, last: list[WireChunk]) -> None:
        if self._wants_usage():
            last.append(self._chunk([], answer))
            last[-1].usage = usage_body(exchange.calls.usage)
        last[-1].x_tierwise = exchange.explanation(answer, self._request.ignored)
        await self._send_piece(b"".join(map(sse, last)) + SSE_DONE, more=False)

    def _chunk(self, choices: list[WireChunkChoice], of: Delta | Answer) -> WireChunk:
        chunk = WireChunk(f"chatcmpl-{self.request_id}", self._created, self._request.model, choices)
        chunk.service_tier, chunk.system_fingerprint = of.service_tier, of.system_fingerprint
        if self._wants_usage():
            chunk.usage = None
        return chunk

    def _wants_usage(self) -> bool:
        options = self._request.stream_options
        return options is not None and bool(options.include_usage)

    async def _send_piece(self, piece: bytes, *, more: bool) -> None:
        await self._send({"type": "http.response.body", "body": piece, "more_body": more})


_NOTHING = WireDelta()


def ask_of(request: ChatRequest, caller: Caller, request_id: str, body_bytes: int) -> Ask:
    """Hand a checked request to the exchange."""
    return Ask(
        request_id=request_id,
        model=request.model,
        messages=request.messages,
        params=params_of(request),
        input_bytes=body_bytes,
        n=request.n or 1,
        effort=request.reasoning_effort,
        max_visible_tokens=request.max_tokens,
        max_output_tokens=request.max_completion_tokens,
        streamed=bool(request.stream),
        key_id=caller.key_id,
        segment=caller.segment,
        country=caller.country,
        allowed_tiers=caller.allowed_tiers,
    )
