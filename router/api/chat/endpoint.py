"""POST /v1/chat/completions: the dialect of chat completions, streamed or whole."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from router.api.auth import Caller
from router.api.chat.request import ChatRequest, params_of, parse_chat
from router.api.chat.response import (
    SSE_DONE,
    WireChunk,
    WireChunkChoice,
    WireCompletion,
    WireDelta,
    encode_body,
    sse,
    usage_body,
    wire_choice,
    wire_delta,
    wire_logprobs,
)
from router.api.endpoint import Dialect, InferenceEndpoint, JobAsked, OpenAIReply
from router.api.responses.background import begin_reply
from router.api.responses.request import ResponsesRequest
from router.api.responses.response import response_to
from router.errors import InvalidRequest, RouterError
from router.exchange import Exchange
from router.jobs.job import JobWish
from router.providers.base import Delta
from router.request import InferenceRequest
from router.tiers.base import Answer

_NOTHING = WireDelta()


class Chat(InferenceEndpoint):
    """The chat completions endpoint, as an ASGI application."""

    def _dialect(self, request_id: str, created: int) -> Dialect:
        return ChatReply(request_id, created, self._server.strict, self._server.max_n)


class ChatReply(OpenAIReply):
    """One chat completion on its way: the request as read, and what the client has seen so far."""

    parameter_names: Mapping[str, str] = {}

    def __init__(self, request_id: str, created: int, strict: bool, max_n: int) -> None:
        self._request_id = request_id
        self._id = f"chatcmpl-{request_id}"
        self._created = created
        self._strict = strict
        self._max_n = max_n
        self._request: ChatRequest
        self._begun: set[int] = set()
        self._last: dict[int, WireChunk] = {}  # the end of each choice

    async def read(self, body: bytes, caller: Caller) -> InferenceRequest:
        """Check the body; raises RequestError."""
        self._request = parse_chat(body, strict=self._strict)
        if (n := self._request.n or 1) > self._max_n:
            raise InvalidRequest(
                f"n: {n} is more than the {self._max_n} of server.max_n", param="n", code="invalid_value"
            )
        if self._request.background:
            self.job = self._begin_job(is_offered=False)
        elif caller.allows_background and self._request.store and not self._request.stream:
            self.offer = partial(self._begin_job, is_offered=True)
        return request_of(self._request, caller, self._request_id, len(body))

    def _begin_job(self, *, is_offered: bool) -> JobAsked:
        """Begin the Response object that a background answer is read as."""
        asked = self._request
        shown = ResponsesRequest(
            model=asked.model,
            input="",
            max_output_tokens=asked.max_completion_tokens,
            temperature=asked.temperature,
            top_p=asked.top_p,
            top_logprobs=asked.top_logprobs,
            metadata=asked.metadata,
            user=asked.user,
            safety_identifier=asked.safety_identifier,
            prompt_cache_key=asked.prompt_cache_key,
            parallel_tool_calls=asked.parallel_tool_calls,
            store=True,
        )
        response = response_to(shown, f"resp_{self._request_id}", self._created)
        items = [{"role": m["role"], "content": m["content"]} for m in asked.messages if _is_plain(m)]
        reply = begin_reply(response, items, asked.ignored, asked.dropped)
        return JobAsked(asked.x_tierwise or JobWish(), reply, is_offered)

    async def whole(self, exchange: Exchange, answer: Answer) -> bytes:
        """Write a settled answer as one body."""
        legacy = self._request.functions is not None
        body = WireCompletion(
            id=self._id,
            created=self._created,
            model=self._request.model,
            choices=[wire_choice(choice, legacy_functions=legacy) for choice in answer.choices],
            usage=usage_body(exchange.calls.usage),
            x_tierwise=exchange.explanation(answer, self._request.ignored, self._request.dropped),
            service_tier=answer.service_tier,
            system_fingerprint=answer.system_fingerprint,
        )
        return encode_body(body)

    def piece(self, delta: Delta) -> bytes:
        """Write one step; finish reasons are kept for the end, after the settlement."""
        written = wire_delta(delta, legacy_functions=self._request.functions is not None)
        piece = b""
        if delta.index not in self._begun:
            self._begun.add(delta.index)
            piece = sse(self._chunk([WireChunkChoice(delta.index, WireDelta(role="assistant", content=""))], delta))
        if written != _NOTHING or delta.logprobs is not None:
            logprobs = wire_logprobs(delta.logprobs)
            piece += sse(self._chunk([WireChunkChoice(delta.index, written, logprobs)], delta))
        if delta.finish_reason is not None:
            legacy = self._request.functions is not None and delta.finish_reason == "tool_calls"
            reason = "function_call" if legacy else delta.finish_reason
            self._last[delta.index] = self._chunk([WireChunkChoice(delta.index, WireDelta(), None, reason)], delta)
        return piece

    async def end(self, exchange: Exchange, answer: Answer) -> bytes:
        """Write the finish reasons, the usage where it was asked for, and the end mark."""
        last = list(self._last.values())
        if self._wants_usage():
            last.append(self._chunk([], answer))
            last[-1].usage = usage_body(exchange.calls.usage)
        last[-1].x_tierwise = exchange.explanation(answer, self._request.ignored, self._request.dropped)
        return b"".join(map(sse, last)) + SSE_DONE

    def failure(self, error: RouterError) -> bytes:
        """Write an error as the last event."""
        return b"data: " + encode_body(error.body()) + b"\n\n"

    def _chunk(self, choices: list[WireChunkChoice], of: Delta | Answer) -> WireChunk:
        chunk = WireChunk(self._id, self._created, self._request.model, choices)
        chunk.service_tier, chunk.system_fingerprint = of.service_tier, of.system_fingerprint
        if self._wants_usage():
            chunk.usage = None
        return chunk

    def _wants_usage(self) -> bool:
        options = self._request.stream_options
        return options is not None and bool(options.include_usage)


def request_of(request: ChatRequest, caller: Caller, request_id: str, body_bytes: int) -> InferenceRequest:
    """Hand a checked request to the exchange."""
    return InferenceRequest(
        request_id=request_id,
        model=request.model,
        messages=request.messages,
        params=params_of(request),
        input_bytes=body_bytes,
        n=request.n or 1,
        effort=request.reasoning_effort or (request.reasoning.effort if request.reasoning else None),
        max_visible_tokens=request.max_tokens,
        max_output_tokens=request.max_completion_tokens,
        streamed=bool(request.stream),
        key_id=caller.key_id,
        segment=caller.segment,
        country=caller.country,
        surface=caller.surface,
        conversation=caller.conversation_of(request.metadata),
        user=request.safety_identifier or request.user or None,
        allowed_tiers=caller.allowed_tiers,
    )


def _is_plain(message: dict[str, Any]) -> bool:
    """Tell whether a later request can go on from a message: those with text, and no calls of tools."""
    return message.get("role") in ("system", "developer", "user") and isinstance(message.get("content"), str)
