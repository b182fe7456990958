"""POST /v1/responses: the dialect of the Responses API, streamed or whole, or in the background.

Nothing is kept unless the client says `store: true`. Then a place for the response is made before anything is bought:
while the database is away such a request is refused and costs nothing.
"""

from collections.abc import Callable, Mapping
from copy import copy
from functools import partial
from typing import Any

from router.api.admission import AdmissionControl
from router.api.aliases import Aliases
from router.api.auth import Authenticator, Caller
from router.api.chat.response import encode_body
from router.api.endpoint import BackgroundDoor, Dialect, InferenceEndpoint, JobAsked, OpenAIReply
from router.api.idempotency import Idempotency
from router.api.responses.background import begin_reply
from router.api.responses.events import Events
from router.api.responses.items import input_items, messages_of
from router.api.responses.output import Output
from router.api.responses.request import PARAMETER_NAMES, ResponsesRequest, params_of, parse_responses, wish_of
from router.api.responses.response import DEFAULT_SERVICE, INCOMPLETE, ResponseBody, response_to, status_of, usage_body
from router.api.responses.store import ResponseStore
from router.errors import RouterError, Unavailable
from router.exchange import Dispatcher, Exchange
from router.providers.base import Delta
from router.request import InferenceRequest
from router.settings import ServerSettings
from router.tiers.base import Answer

NOT_STORED = "the database went away; this response cannot be read again"


class Responses(InferenceEndpoint):
    """The responses endpoint, as an ASGI application."""

    def __init__(
        self,
        dispatcher: Dispatcher,
        authenticator: Authenticator,
        admission: AdmissionControl,
        server: ServerSettings,
        store: ResponseStore,
        now_us: Callable[[], int],
        aliases: Aliases,
        idempotency: Idempotency | None = None,
        background: BackgroundDoor | None = None,
    ) -> None:
        super().__init__(dispatcher, authenticator, admission, server, aliases, idempotency, background)
        self._store = store
        self._now_us = now_us

    def _dialect(self, request_id: str, created: int) -> Dialect:
        return ResponseReply(request_id, created, self._server.strict, self._store, self._now_us)


class ResponseReply(OpenAIReply):
    """One response on its way: the request as read, and the output so far."""

    parameter_names: Mapping[str, str] = PARAMETER_NAMES

    def __init__(
        self, request_id: str, created: int, strict: bool, store: ResponseStore, now_us: Callable[[], int]
    ) -> None:
        self._request_id = request_id
        self._created = created
        self._strict = strict
        self._store = store
        self._now_us = now_us
        self._events = Events()
        self._output = Output(request_id, self._events.emit)
        self._finish_reason = "stop"
        self._is_announced = False
        self._key_id: int | None = None
        self._items: list[Any] = []
        self._request: ResponsesRequest
        self._response: ResponseBody

    async def read(self, body: bytes, caller: Caller) -> InferenceRequest:
        """Check the body and find what it refers to; raises RequestError or Unavailable."""
        self._request = request = parse_responses(body, strict=self._strict)
        self._response = response_to(request, f"resp_{self._request_id}", self._created)
        self._key_id = caller.key_id
        given = input_items(request.input)
        if (
            request.store and not request.background
        ):  # before anything is read that is large: nothing is waited for between that and its claim
            await self._store.reserve(self._response.id, caller.key_id, len(body))
        self._items = await self._store.resolve_references(given, caller.key_id, len(body))
        messages = messages_of(self._items, dropped=request.dropped)
        if request.previous_response_id is not None:
            size = len(encode_body(self._items))
            earlier = await self._store.conversation(request.previous_response_id, caller.key_id, size)
            messages = [*messages_of(earlier, dropped=request.dropped), *messages]
        if request.instructions is not None:
            messages.insert(0, {"role": "system", "content": request.instructions})
        if request.background:
            self.job = self._begin_job(is_offered=False)
        elif caller.allows_background and request.store and not request.stream:
            self.offer = partial(self._begin_job, is_offered=True)
        was_completed = request.previous_response_id is not None or self._items is not given
        return InferenceRequest(
            request_id=self._request_id,
            model=request.model,
            messages=messages,
            params=params_of(request),
            input_bytes=len(body) + (len(encode_body(messages)) if was_completed else 0),
            effort=request.reasoning.effort if request.reasoning else None,
            max_output_tokens=request.max_output_tokens,
            streamed=bool(request.stream),
            key_id=caller.key_id,
            segment=caller.segment,
            country=caller.country,
            surface=caller.surface,
            conversation=caller.conversation_of(request.metadata),
            user=request.safety_identifier or request.user or None,
            allowed_tiers=caller.allowed_tiers,
        )

    def _begin_job(self, *, is_offered: bool) -> JobAsked:
        """Begin the Response object of a background answer."""
        asked = self._request
        reply = begin_reply(copy(self._response), self._items, asked.ignored, asked.dropped)
        return JobAsked(wish_of(asked), reply, is_offered)

    async def whole(self, exchange: Exchange, answer: Answer) -> bytes:
        """Write a settled answer as one body."""
        [choice, *_] = answer.choices
        self._output = Output(self._request_id)
        self._output.add_whole(choice)
        await self._complete(exchange, answer, choice.finish_reason)
        return encode_body(self._response)

    def piece(self, delta: Delta) -> bytes:
        """Write one step as events; what ends an item is kept for the end, after the settlement."""
        self._announce()
        if delta.index == 0:
            self._output.add(delta)
            self._finish_reason = delta.finish_reason or self._finish_reason
        return self._events.take()

    async def end(self, exchange: Exchange, answer: Answer) -> bytes:
        """Write the ends of the items and of the response."""
        self._announce()
        await self._complete(exchange, answer, self._finish_reason)
        self._events.emit(f"response.{self._response.status}", response=self._response)
        return self._events.take()

    def failure(self, error: RouterError) -> bytes:
        """Write an error and the response as far as it came."""
        self._announce()
        response = self._response
        self._output.finish("incomplete")
        response.status, response.output, response.store = "failed", self._output.items, False
        code = "rate_limit_exceeded" if error.status == 429 else "server_error"
        response.error = {"code": code, "message": error.message}
        self._events.emit("error", code=error.code, message=error.message, param=error.param)
        self._events.emit("response.failed", response=response)
        return self._events.take()

    def _announce(self) -> None:
        if not self._is_announced:
            self._is_announced = True
            self._events.emit("response.created", response=self._response)
            self._events.emit("response.in_progress", response=self._response)

    async def _complete(self, exchange: Exchange, answer: Answer, finish_reason: str) -> None:
        """Fill in what is known at the end, and keep the response where that was asked for."""
        response, status = self._response, status_of(finish_reason)
        self._output.finish(status)
        response.status, response.output = status, self._output.items
        if status == "completed":
            response.completed_at = self._now_us() // 1_000_000
        else:
            response.incomplete_details = {"reason": INCOMPLETE[finish_reason]}
        response.service_tier = answer.service_tier or DEFAULT_SERVICE
        response.usage = usage_body(exchange.calls.usage)
        response.x_tierwise = exchange.explanation(answer, self._request.ignored, self._request.dropped)
        if response.store:
            await self._keep(response, response.x_tierwise)

    async def _keep(self, response: ResponseBody, explanation: dict[str, Any]) -> None:
        """Store the response; an answer that is paid for goes out even if that fails now, and says so."""
        try:
            await self._store.keep(response.id, self._key_id, response, self._items)
        except Unavailable:
            response.store = False
            explanation["not_stored"] = NOT_STORED
