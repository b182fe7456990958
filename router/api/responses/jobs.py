"""Background jobs over HTTP: accepting them, showing and streaming them, and what may be asked of one that works."""

import asyncio
from collections.abc import Awaitable, Callable

import msgspec
from starlette.types import Receive, Scope, Send

from router.api.asgi import KEEP_ALIVE, STREAM_HEADERS, RawHeaders, answering, send_json
from router.api.auth import Authenticator
from router.api.body import BodyBudget, read_body_of
from router.api.chat.request import convert, parse_object
from router.api.chat.response import encode_body
from router.api.endpoint import JobAsked
from router.api.quotes import tier_body
from router.api.responses.background import JobView, events_of, response_of
from router.api.writer import ResponseWriter
from router.decision.quotes import Quoter
from router.errors import InvalidRequest, NotFound
from router.exchange import Dispatcher
from router.jobs.job import Job
from router.jobs.jobs import Jobs
from router.keys import Scope as KeyScope
from router.ledger.persons import PersonLimit
from router.request import InferenceRequest
from router.settings import ServerSettings

LOOK_EVERY_S = 0.25
JOB_ACTS = ("cancel", "answer_now", "instructions")


class InstructionsBody(msgspec.Struct):
    """What a caller adds to a job that works."""

    instructions: str


class Background:
    """Accepts and shows jobs for the endpoints that answer."""

    def __init__(
        self, jobs: Jobs, dispatcher: Dispatcher, quoter: Quoter, keep_alive_s: float, background_after_s: float
    ) -> None:
        self.jobs = jobs
        self._dispatcher = dispatcher
        self._quoter = quoter
        self._keep_alive_s = keep_alive_s
        self._background_after_s = background_after_s

    async def answer(self, request: InferenceRequest, asked: JobAsked, writer: ResponseWriter) -> None:
        """Accept a request and say so, or stream what comes of it; raises RequestError or Unavailable."""
        view = await self._accept(request, asked)
        writer.is_accepted = True
        if not request.streamed:
            await writer.body(encode_body(response_of(view)), 202)
            return
        await writer.start_stream()

        async def piece(body: bytes, more: bool) -> None:
            await writer.piece(body, more=more)

        await self.stream(view, -1, piece)

    def takes_long(self, request: InferenceRequest) -> bool:
        """Tell whether an answer is expected to take so long that nobody should wait for it; raises RequestError."""
        quote = self._quoter.quote(request)
        row = next(tier for tier in quote.tiers if tier.tier is quote.routed.decision.tier)
        return row.seconds.median > self._background_after_s

    async def _accept(self, request: InferenceRequest, asked: JobAsked) -> JobView:
        plan = self._dispatcher.plan(request, as_decided=asked.is_offered)
        row = next(tier for tier in self._quoter.quote(request).tiers if tier.tier is plan.decision.tier)
        told, cap = tier_body(row, None), request.max_cost_nanousd
        limit = PersonLimit(request.user_deep_per_day, request.user_nanousd_per_day)
        allowance = limit if request.user is not None and limit != PersonLimit() else None
        job = await self.jobs.submit(plan, asked.reply, told, asked.wish, cap_nanousd=cap, allowance=allowance)
        return await self._view(job)

    async def act(self, act: str, job_id: str, key_id: int | None, body: bytes) -> JobView:
        """Do what was asked of a job; raises RequestError or Unavailable."""
        match act:
            case "cancel":
                job = await self.jobs.cancel(job_id, key_id)
            case "answer_now":
                job = await self.jobs.answer_now(job_id, key_id)
            case _:
                said = convert(parse_object(body), InstructionsBody).instructions
                job = await self.jobs.instruct(job_id, key_id, said)
        return await self._view(job)

    async def find(self, job_id: str, key_id: int | None) -> JobView:
        """Return a job of this key; raises NotFound or Unavailable."""
        return await self._view(await self.jobs.find(job_id, key_id))

    async def stream(self, view: JobView, after: int, send: Callable[[bytes, bool], Awaitable[None]]) -> None:
        """Send the events of a job after a number, as they come, until it ends.

        `send` takes a piece and whether more follows.
        """
        key_id, silent_s = view.job.key_id, 0.0
        while True:
            events = events_of(view)
            fresh, is_over = events[after + 1 :], view.job.status.is_final
            if fresh or is_over:
                await send(b"".join(fresh), not is_over)
                after, silent_s = len(events) - 1, 0.0
            if is_over:
                return
            await asyncio.sleep(LOOK_EVERY_S)
            silent_s += LOOK_EVERY_S
            if self._keep_alive_s and silent_s >= self._keep_alive_s:
                await send(KEEP_ALIVE, True)
                silent_s = 0.0
            view = await self.find(view.job.id, key_id)

    async def _view(self, job: Job) -> JobView:
        return JobView(job, await self.jobs.position(job))


class JobEndpoint:
    """POST to a job: does what the last word of the address says, and returns the response as it is then."""

    def __init__(
        self,
        background: Background | None,
        act: str,
        authenticator: Authenticator,
        server: ServerSettings,
        bodies: BodyBudget,
    ) -> None:
        self._background = background
        self._act = act
        self._authenticator = authenticator
        self._server = server
        self._bodies = bodies

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with answering(send) as headers:
            caller = await self._authenticator.admit(scope)
            caller.require(KeyScope.CHAT)
            response_id = scope["path_params"]["response_id"]
            if self._background is None:
                raise NotFound(f"no background response has the id {response_id[:128]!r}", param="response_id")
            with self._bodies.claim(caller.key_id) as claim:
                body = await read_body_of(self._server, scope, receive, claim)
                view = await self._background.act(self._act, response_id, caller.key_id, body)
            await send_json(send, 200, encode_body(response_of(view)), headers)


async def send_events(background: Background, view: JobView, after: int, send: Send, headers: RawHeaders) -> None:
    """Answer with the events of a job after a number."""
    await send({"type": "http.response.start", "status": 200, "headers": [*STREAM_HEADERS, *headers]})

    async def piece(body: bytes, more: bool) -> None:
        await send({"type": "http.response.body", "body": body, "more_body": more})

    await background.stream(view, after, piece)


def read_number(text: str | None) -> int:
    """Read `starting_after`; everything where it is not given. Raises InvalidRequest."""
    if text is None:
        return -1
    if not text.isdecimal() or len(text) > 9:
        message = f"starting_after: {text[:64]!r} is no sequence number"
        raise InvalidRequest(message, param="starting_after", code="invalid_value")
    return int(text)
