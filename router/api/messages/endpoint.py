"""POST /v1/messages: the dialect of Anthropic's Messages API, streamed or whole. And how many tokens a request has."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from starlette.types import Receive, Scope, Send

from router.api.aliases import Aliases
from router.api.asgi import KEEP_ALIVE, answering, send_json
from router.api.auth import Authenticator, Caller
from router.api.body import BodyBudget, read_body_of
from router.api.chat.response import encode_body
from router.api.endpoint import Dialect, InferenceEndpoint
from router.api.messages.errors import error_body, refusal_of
from router.api.messages.output import MessageEvents, StreamedContent, event, stop_reason_of, whole_content
from router.api.messages.request import (
    PARAMETER_NAMES,
    MessagesRequest,
    effort_of,
    limits_of,
    params_of,
    parse_messages,
    session_of,
    user_of,
)
from router.errors import RouterError, UnknownModel
from router.exchange import Exchange
from router.keys import Scope as KeyScope
from router.providers.base import Delta
from router.providers.caches import BYTES_PER_TOKEN
from router.providers.counting import count_input_tokens, count_tokens
from router.request import InferenceRequest
from router.settings import ServerSettings
from router.tiers.base import Answer
from router.types import Usage

PING = event("ping")


class Messages(InferenceEndpoint):
    """The messages endpoint, as an ASGI application."""

    id_headers = (b"x-request-id", b"request-id")  # the second is where Anthropic's clients look

    def _dialect(self, request_id: str, created: int) -> Dialect:
        return MessageReply(request_id, self._server.strict, self._aliases)


class MessageReply:
    """One message on its way: the request as read, and the content so far."""

    parameter_names: Mapping[str, str] = PARAMETER_NAMES
    job = offer = None  # nothing of this dialect runs in the background

    def __init__(self, request_id: str, strict: bool, aliases: Aliases) -> None:
        self._request_id = request_id
        self._strict = strict
        self._aliases = aliases
        self._events = MessageEvents()
        self._content = StreamedContent(request_id, self._events.emit)
        self._is_announced = False
        self._finish_reason = "stop"
        self._stop_sequence: str | None = None
        self._input_bytes = 0
        self._request: MessagesRequest

    async def read(self, body: bytes, caller: Caller) -> InferenceRequest:
        """Check the body; raises RequestError."""
        self._request = request = parse_messages(body, strict=self._strict)
        self._input_bytes = len(body)
        visible, output = limits_of(request)
        return InferenceRequest(
            request_id=self._request_id,
            model=request.model,
            messages=request.messages,
            params=params_of(request),
            input_bytes=len(body),
            effort=effort_of(request, self._aliases.resolve(request.model)),
            max_visible_tokens=visible,
            max_output_tokens=output,
            streamed=bool(request.stream),
            key_id=caller.key_id,
            segment=caller.segment,
            country=caller.country,
            surface=caller.surface,
            conversation=caller.conversation_of(session_of(request)),
            user=user_of(request),
            allowed_tiers=caller.allowed_tiers,
        )

    async def whole(self, exchange: Exchange, answer: Answer) -> bytes:
        """Write a settled answer as one body."""
        [choice, *_] = answer.choices
        stop_sequence = self._client_stop_of(choice.stop_sequence)
        reason = stop_reason_of(
            choice.finish_reason,
            has_called=bool(choice.tool_calls),
            has_refused=bool(choice.refusal),
            stop_sequence=stop_sequence,
        )
        message = self._message(whole_content(choice, self._request_id), usage_body(exchange.calls.usage))
        message |= {"stop_reason": reason, "stop_sequence": stop_sequence if reason == "stop_sequence" else None}
        return encode_body(message | {"x_tierwise": self._explanation(exchange, answer)})

    def piece(self, delta: Delta) -> bytes:
        """Write one step as events; why it ends is kept for the end, after the settlement."""
        self._announce()
        if delta.index == 0:
            self._content.add(delta)
            self._finish_reason = delta.finish_reason or self._finish_reason
            self._stop_sequence = self._client_stop_of(delta.stop_sequence) or self._stop_sequence
        return self._events.take()

    async def end(self, exchange: Exchange, answer: Answer) -> bytes:
        """Write the ends of the blocks and of the message."""
        self._announce()
        content = self._content
        content.finish()
        reason = stop_reason_of(
            self._finish_reason,
            has_called=content.has_called,
            has_refused=content.has_refused,
            stop_sequence=self._stop_sequence,
        )
        ended = {"stop_reason": reason, "stop_sequence": self._stop_sequence if reason == "stop_sequence" else None}
        usage, explanation = usage_body(exchange.calls.usage), self._explanation(exchange, answer)
        self._events.emit("message_delta", delta=ended, usage=usage, x_tierwise=explanation)
        self._events.emit("message_stop")
        return self._events.take()

    def failure(self, error: RouterError) -> bytes:
        """Write an error as the last event."""
        return event(**_event_of(error, self._request_id))

    def refusal(self, error: RouterError) -> tuple[int, bytes]:
        """Write an error as a response."""
        return refusal_of(error, self._request_id)

    def keep_alive(self) -> bytes:
        """Write what tells that the answer is still on its way: a ping, once the message has begun."""
        return PING if self._is_announced else KEEP_ALIVE

    def _client_stop_of(self, stop_word: str | None) -> str | None:
        """What a provider calls a stop word, where it is one of the client's."""
        return stop_word if stop_word in (self._request.stop_sequences or ()) else None

    def _announce(self) -> None:
        if not self._is_announced:
            self._is_announced = True
            estimate = Usage(input_fresh=self._input_bytes // BYTES_PER_TOKEN)  # what it was comes at the end
            self._events.emit("message_start", message=self._message([], usage_body(estimate)))
            self._events.emit("ping")

    def _message(self, content: list[dict[str, Any]], usage: dict[str, Any]) -> dict[str, Any]:
        return {
            "id": f"msg_{self._request_id}",
            "type": "message",
            "role": "assistant",
            "model": self._request.model,
            "content": content,
            "stop_reason": None,
            "stop_sequence": None,
            "usage": usage,
        }

    def _explanation(self, exchange: Exchange, answer: Answer) -> dict[str, Any]:
        return exchange.explanation(answer, self._request.ignored, self._request.left_out)


class CountTokens:
    """Counts the input tokens of a Messages request, as an estimate; nothing is called and nothing is booked."""

    def __init__(
        self,
        authenticator: Authenticator,
        server: ServerSettings,
        aliases: Aliases,
        is_known: Callable[[str], bool],
        bodies: BodyBudget,
    ) -> None:
        self._bodies = bodies
        self._authenticator = authenticator
        self._server = server
        self._aliases = aliases
        self._is_known = is_known

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with answering(send, refusal_of) as headers:
            counted = await self._count(scope, receive)
            await send_json(send, 200, encode_body({"input_tokens": counted}), headers)

    async def _count(self, scope: Scope, receive: Receive) -> int:
        caller = await self._authenticator.admit(scope)
        caller.require(KeyScope.CHAT)
        with self._bodies.claim(caller.key_id) as claim:
            body = await read_body_of(self._server, scope, receive, claim)
            request = parse_messages(body, strict=self._server.strict, needs_limit=False)
            if not self._is_known(self._aliases.resolve(request.model)):
                raise UnknownModel(f"no model goes by the name {request.model[:256]!r}", param="model")
            return await asyncio.to_thread(_count_request, request)


def usage_body(usage: Usage) -> dict[str, Any]:
    """Write usage as Anthropic does: cached input beside fresh input, thinking inside output tokens."""
    return {
        "input_tokens": usage.input_fresh,
        "cache_creation_input_tokens": usage.input_cache_write,
        "cache_read_input_tokens": usage.input_cached,
        "output_tokens": usage.output_tokens,
        "output_tokens_details": {"thinking_tokens": usage.output_reasoning},
    }


def _count_request(request: MessagesRequest) -> int:
    tools = count_tokens(encode_body(request.tools).decode()) if request.tools else 0
    return count_input_tokens(request.messages) + tools


def _event_of(error: RouterError, request_id: str) -> dict[str, Any]:
    return {"kind": "error", **{key: value for key, value in error_body(error, request_id).items() if key != "type"}}
