"""What the answering endpoints share: admission, the body, a place, the decision, one settlement, the errors.

Raw ASGI, because whoever awaits the first token must also notice that the client went away. Failures before the
first byte are HTTP errors, with `stream: true` too; after it, the last piece of the stream. How a request is read and
an answer is written is the business of a `Dialect`.
"""

import asyncio
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, aclosing
from typing import NamedTuple, Protocol

import msgspec
from starlette.types import Receive, Scope, Send

from router.api.admission import AdmissionControl
from router.api.aliases import Aliases
from router.api.asgi import KEEP_ALIVE, DisconnectWatcher, RawHeaders, openai_error
from router.api.auth import Authenticator, Caller
from router.api.body import BodyClaim, ClientGone, read_body_of
from router.api.idempotency import Idempotency
from router.api.keep_alive import KeepAlive
from router.api.presence import Presence, presence_of
from router.api.shutdown import Shutdown
from router.api.writer import ID_HEADERS, ResponseWriter
from router.clock import SystemClock, request_id
from router.decision.engine import AUTO
from router.errors import InvalidRequest, ProviderError, QuotaExhausted, RateLimited, RouterError, Unavailable
from router.exchange import Dispatcher, Exchange
from router.jobs.job import JobWish
from router.keys import KeyLimits
from router.keys import Scope as KeyScope
from router.limits.gate import names_of, require_bounds
from router.providers.base import Delta
from router.providers.caches import BYTES_PER_TOKEN
from router.request import InferenceRequest
from router.settings import ServerSettings
from router.tiers.base import Answer
from router.types import FAST, Outcome, Usage

OK, CANCELLED = Outcome.OK, Outcome.CANCELLED
CHAT_SCOPE = KeyScope.CHAT
CLIENT_ID = b"x-client-request-id"
NO_USAGE = Usage()
STOPPED = "the server is stopping and this took too long; send it again"
NO_JOBS = (
    "background: true is not offered by this server: jobs.enabled is false, or the extra jobs is not installed;"
    " leave it out and the answer comes at once"
)
INTERNAL = "an internal error; the server's log tells more"
_SENDABLE = re.compile(rb"[\x21-\x7e]{1,512}")


class Dialect(Protocol):
    """How one endpoint reads a request and writes its answer; made anew for each request."""

    @property
    def parameter_names(self) -> Mapping[str, str]:
        """What this endpoint calls the parameters that errors from further in name as chat completions do."""
        ...

    @property
    def job(self) -> "JobAsked | None":
        """What was asked for in the background, once it is read; None where the client waits for the answer."""
        ...

    @property
    def offer(self) -> "Callable[[], JobAsked] | None":
        """Begin the job that the request may become, where its caller allows that and has its answer stored."""
        ...

    async def read(self, body: bytes, caller: Caller) -> InferenceRequest:
        """Check the body; raises RequestError."""
        ...

    async def whole(self, exchange: Exchange, answer: Answer) -> bytes:
        """Write a settled answer as one body."""
        ...

    def piece(self, delta: Delta) -> bytes:
        """Write one step of a stream; empty where nothing is to be sent yet."""
        ...

    async def end(self, exchange: Exchange, answer: Answer) -> bytes:
        """Write the end of a settled stream."""
        ...

    def failure(self, error: RouterError) -> bytes:
        """Write the end of a stream that failed."""
        ...

    def refusal(self, error: RouterError) -> tuple[int, bytes]:
        """Write an error as a response: its status and its body."""
        ...

    def keep_alive(self) -> bytes:
        """Write what tells that a silent answer is still on its way, and is no output."""
        ...


class JobAsked(NamedTuple):
    """A background job as an endpoint read it: what the caller wishes of it, and the reply as it begins."""

    wish: JobWish
    reply: bytes
    is_offered: bool = False  # by us, to a caller who allows it; else the caller asked for it


class BackgroundDoor(Protocol):
    """Takes requests whose answers nobody waits for."""

    async def answer(self, request: InferenceRequest, asked: JobAsked, writer: ResponseWriter) -> None:
        """Accept a request and say so; raises RequestError or Unavailable."""
        ...

    def takes_long(self, request: InferenceRequest) -> bool:
        """Tell whether an answer is expected to take so long that nobody should wait for it; raises RequestError."""
        ...


class OpenAIReply:
    """What the dialects of OpenAI's APIs have in common."""

    job: JobAsked | None = None
    offer: Callable[[], JobAsked] | None = None

    def refusal(self, error: RouterError) -> tuple[int, bytes]:
        """Write an error as a response."""
        return openai_error(error)

    def keep_alive(self) -> bytes:
        """Write what tells that a silent answer is still on its way: a comment."""
        return KEEP_ALIVE


class InferenceEndpoint(ABC):
    """An endpoint that answers queries, as an ASGI application."""

    id_headers: tuple[bytes, ...] = ID_HEADERS

    def __init__(
        self,
        dispatcher: Dispatcher,
        authenticator: Authenticator,
        admission: AdmissionControl,
        server: ServerSettings,
        aliases: Aliases,
        idempotency: Idempotency | None = None,
        background: BackgroundDoor | None = None,
    ) -> None:
        self._idempotency = idempotency
        self._background = background
        self._dispatcher = dispatcher
        self._authenticator = authenticator
        self._admission = admission
        self._server = server
        self._aliases = aliases
        self._keep_alive = KeepAlive(server.keep_alive_s)
        self._clock = SystemClock()

    @abstractmethod
    def _dialect(self, request_id: str, created: int) -> Dialect:
        """Return what reads one request and writes its answer; `created` in seconds since 1970."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        now_us = self._clock.now_us()
        writer = ResponseWriter(send, request_id(now_us), self._admission, self._clock, self.id_headers)
        writer.note(_client_id(scope))
        dialect = self._dialect(writer.request_id, now_us // 1_000_000)
        spans = self._dispatcher.spans
        span = spans.begin(scope["path"], scope["headers"], now_us) if spans is not None else None
        try:
            await self._serve(scope, receive, writer, dialect)
        except ClientGone:
            self._dispatcher.count_unopened()
        except RouterError as error:
            await _fail(error, writer, dialect)
        except asyncio.CancelledError:
            if not Shutdown.has_cut(scope) or writer.is_whole:
                raise
            if (task := asyncio.current_task()) is not None:
                task.uncancel()
            await _fail(Unavailable(STOPPED, code="shutting_down"), writer, dialect)
        except Exception:  # a bug: the client is told that there was one, the server's log what it was
            await _fail(RouterError(INTERNAL, code="internal_error"), writer, dialect)
            raise
        finally:
            if writer.recorder is not None:
                writer.recorder.close()
            if (log := self._dispatcher.request_log) is not None:
                log.note(writer.log_line(now_us, scope["path"]))
            if span is not None:
                reported = writer.exchange.reported if writer.exchange is not None else None
                span.end(writer.log_line(now_us, scope["path"]), reported)

    async def _serve(self, scope: Scope, receive: Receive, writer: ResponseWriter, dialect: Dialect) -> None:
        caller = await self._authenticator.admit(scope)
        caller.require(CHAT_SCOPE)
        with self._admission.bodies.claim(caller.key_id) as claim:
            body = await read_body_of(self._server, scope, receive, claim)
            once = self._idempotency if caller.idempotency_key is not None else None
            if once is None or await once.begin(scope, caller, body, writer):
                await self._serve_caller(receive, presence_of(scope), writer, dialect, caller, body, claim)

    async def _serve_caller(
        self,
        receive: Receive,
        client: Presence | None,
        writer: ResponseWriter,
        dialect: Dialect,
        caller: Caller,
        body: bytes,
        claim: BodyClaim,
    ) -> None:
        arrived_ms = self._clock.ticks_ms()
        request = await dialect.read(body, caller)
        claim.grow(max(request.input_bytes, len(body)))  # with what is stored of it
        if self._aliases and (model := self._aliases.resolve(request.model)) != request.model:
            request = msgspec.structs.replace(request, model=model)
        if caller.max_cost_nanousd is not None or caller.allowed_models is not None:
            bounds = {"max_cost_nanousd": caller.max_cost_nanousd, "allowed_models": caller.allowed_models}
            request = msgspec.structs.replace(request, **bounds)
        if (limits := caller.limits) is not None and limits.has_allowance:
            deep, nanousd = limits.user_deep_per_day, limits.user_nanousd_per_day
            request = msgspec.structs.replace(request, user_deep_per_day=deep, user_nanousd_per_day=nanousd)
        permit = None
        if limits is not None:
            request = _within_bounds(limits, request)
            permit = writer.permit = self._admission.gate.permit()
        writer.request = request
        disconnect = DisconnectWatcher(receive, self._server.request_timeout_s, client)
        exchange = None
        try:
            if permit is not None and limits is not None:
                await permit.enter(self._names(request), limits, request.input_bytes // BYTES_PER_TOKEN)
            disconnect.goes_on = writer.recorder is not None and (dialect.job or dialect.offer) is not None
            if dialect.job is not None:
                await self._accept(request, dialect.job, writer)
                return
            if dialect.offer is not None and await self._offer(request, dialect.offer, writer):
                return
            async with self._admission.place(caller.key_id, request.segment):
                exchange = writer.exchange = await self._dispatcher.open(request)
                writer.note_decision(exchange.decision_headers)
                writer.note([(b"x-tierwise-overhead-ms", b"%.2f" % (self._clock.ticks_ms() - arrived_ms))])
                disconnect.before_late = exchange.calls.cut_as_late
                disconnect.goes_on = writer.recorder is not None
                target = self._admission.target(request.model, exchange.decision.tier)
                await _answer(exchange, request, writer, dialect, self._keep_alive, target, disconnect)
            exchange.follow_up()
        except asyncio.CancelledError:
            disconnect.raise_if_late()
            if not disconnect.is_gone:
                raise
            if exchange is None:
                raise ClientGone from None
        finally:
            disconnect.stop()
            if permit is not None:
                used = exchange.calls.usage if exchange is not None else NO_USAGE
                permit.close(used.input_tokens + used.output_tokens)

    async def _accept(self, request: InferenceRequest, asked: JobAsked, writer: ResponseWriter) -> None:
        """Answer with a job."""
        if self._background is None:
            raise InvalidRequest(NO_JOBS, param="background", code="unsupported_parameter")
        await self._background.answer(request, asked, writer)

    async def _offer(self, request: InferenceRequest, offer: Callable[[], JobAsked], writer: ResponseWriter) -> bool:
        """Answer with a job where `auto` is expected to take long; False where the caller may as well wait.

        What keeps the job from being accepted keeps nobody from waiting.
        """
        if self._background is None or request.model != AUTO or not self._background.takes_long(request):
            return False
        try:
            await self._background.answer(request, offer(), writer)
        except (QuotaExhausted, RateLimited, Unavailable):
            if writer.is_whole:
                raise
            return False
        return True

    def _names(self, request: InferenceRequest) -> tuple[str, str | None]:
        """What a request's key and end user are counted by."""
        user = request.user
        return names_of(request.key_id, None if user is None else self._dispatcher.user_mark(request.key_id, user))


def _within_bounds(limits: KeyLimits, request: InferenceRequest) -> InferenceRequest:
    """Bound the tokens of a request that names no bound; raises InvalidRequest for more than the key may ask for."""
    n = request.n if request.relay is None else request.params.get("n", 1)
    require_bounds(limits, n=n, max_visible=request.max_visible_tokens, max_output=request.max_output_tokens)
    if limits.max_tokens is None or request.max_visible_tokens is not None or request.max_output_tokens is not None:
        return request
    return msgspec.structs.replace(request, max_visible_tokens=limits.max_tokens)


async def _fail(error: RouterError, writer: ResponseWriter, dialect: Dialect) -> None:
    """Send an error: as a response while there is none, as the last piece of a stream."""
    error.param = dialect.parameter_names.get(error.param or "", error.param)
    writer.failed_with = error.code or error.type
    if writer.is_whole:
        return
    if await writer.is_under_way():
        await writer.piece(dialect.failure(error), more=False)
    else:
        await writer.error(error, *dialect.refusal(error))


async def _answer(
    exchange: Exchange,
    request: InferenceRequest,
    writer: ResponseWriter,
    dialect: Dialect,
    keep_alive: KeepAlive,
    target: AbstractContextManager[None],
    disconnect: DisconnectWatcher,
) -> None:
    """Answer a request and settle it before the last byte; a cancelled answer settles as cancelled."""
    try:
        with target, disconnect:
            if request.streamed:
                keep_alive.add(writer, dialect.keep_alive)
                await _stream(exchange, writer, dialect)
            else:
                answer = await exchange.answer()
                exchange.calls.mark_first_byte()
                exchange.settle(OK, answer)
                await writer.body(await dialect.whole(exchange, answer))
    except RouterError as error:
        exchange.settle(Outcome.ERROR)
        if isinstance(error, ProviderError) and error.dispatched and exchange.decision.tier is not FAST:
            writer.note([(b"x-should-retry", b"false")])  # a second try would buy the deep answer twice
        raise
    except Exception:  # a fault of our own: booked as what it is, answered by the server as an internal error
        exchange.settle(Outcome.ERROR)
        raise
    finally:
        keep_alive.discard(writer)
        exchange.settle(CANCELLED)  # where nothing has settled it before


async def _stream(exchange: Exchange, writer: ResponseWriter, dialect: Dialect) -> None:
    has_begun = False
    async with aclosing(exchange.stream()) as steps:
        async for step in steps:
            if not has_begun:
                has_begun = True
                exchange.calls.mark_first_byte()
                if not await writer.is_under_way():
                    await writer.start_stream()
            if isinstance(step, Answer):
                exchange.settle(Outcome.OK, step)
                await writer.piece(await dialect.end(exchange, step), more=False)
                return
            if piece := dialect.piece(step):
                await writer.piece(piece, more=True)


def _client_id(scope: Scope) -> RawHeaders:
    """The client's own request id, given back as it came; it never takes the place of ours."""
    return [(CLIENT_ID, value) for name, value in scope["headers"] if name == CLIENT_ID and _SENDABLE.fullmatch(value)]
