"""POST /v1/completions: OpenAI's older API. A prompt goes on to an explicit model, streamed or whole."""

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from router.api.auth import Caller
from router.api.chat.request import (
    LOGGED_TEXT,
    Limit,
    Penalty,
    StreamOptions,
    Unit,
    convert,
    find_unknown_keys,
    parse_object,
    require_keys,
)
from router.api.chat.response import SSE_DONE
from router.api.embeddings import text_of
from router.api.endpoint import Dialect, InferenceEndpoint
from router.api.relay import RelayReply
from router.exchange import Exchange
from router.providers.base import Delta
from router.providers.relay import BODY, RelayedDelta, with_model_name
from router.request import InferenceRequest
from router.tiers.base import Answer
from router.types import RelayedCall

DEFAULT_LIMIT_TOKENS = 16  # OpenAI's own, where none is given


class CompletionRequest(msgspec.Struct, omit_defaults=True):
    """The body: what is passed on. Null is as good as absent."""

    model: Annotated[str, Meta(min_length=1, max_length=256)]
    prompt: str | list[Any]
    suffix: str | None = None
    max_tokens: Limit | None = None
    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    top_p: Unit | None = None
    n: Annotated[int, Meta(ge=1, le=128)] | None = None
    best_of: Annotated[int, Meta(ge=1, le=128)] | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    logprobs: Annotated[int, Meta(ge=0, le=20)] | None = None
    echo: bool | None = None
    stop: str | list[str] | None = None
    presence_penalty: Penalty | None = None
    frequency_penalty: Penalty | None = None
    logit_bias: dict[str, float] | None = None
    seed: Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)] | None = None
    user: LOGGED_TEXT | None = None


KNOWN = frozenset(CompletionRequest.__struct_fields__)


class Completions(InferenceEndpoint):
    """The endpoint of completions, as an ASGI application."""

    def _dialect(self, request_id: str, created: int) -> Dialect:
        return CompletionReply(request_id, self._server.strict)


class CompletionReply(RelayReply):
    """One completion on its way. Usage is always asked for, and shown to who asked for it."""

    wants_usage = False

    async def read(self, body: bytes, caller: Caller) -> InferenceRequest:
        """Check the body; raises RequestError."""
        decoded = parse_object(body)
        self.ignored = find_unknown_keys(decoded, KNOWN, strict=self.strict)
        require_keys(decoded, ("model", "prompt"))
        request = convert({name: value for name, value in decoded.items() if name in KNOWN}, CompletionRequest)
        self.wants_usage = request.stream_options is not None and bool(request.stream_options.include_usage)
        text = text_of(request.prompt, "prompt")
        passed = msgspec.to_builtins(request)
        if request.stream:
            passed["stream_options"] = {"include_usage": True}
        is_one = isinstance(request.prompt, str) or type(request.prompt[0]) is int  # a text, or its tokens
        answers = (1 if is_one else len(request.prompt)) * max(request.n or 1, request.best_of or 1)
        return self.request_of(
            RelayedCall.COMPLETIONS,
            request.model,
            text,
            {BODY: passed, "n": answers},
            len(body),
            caller,
            most_output=request.max_tokens or DEFAULT_LIMIT_TOKENS,
            streamed=bool(request.stream),
            user=request.user,
        )

    def piece(self, delta: Delta) -> bytes:
        """Write one event as it came; the one that has the usage alone only for who asked for it."""
        assert isinstance(delta, RelayedDelta)
        if delta.raw is None or (bytes(delta.raw.get("choices", b"")) == b"[]" and not self.wants_usage):
            return b""
        return b"data: " + with_model_name(delta.raw, self.model).replace(b"\n", b" ") + b"\n\n"

    async def end(self, exchange: Exchange, answer: Answer) -> bytes:
        """Write the end mark."""
        return SSE_DONE
