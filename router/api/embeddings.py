"""POST /v1/embeddings: texts go on to an explicit model, its vectors come back, and the books have a line."""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from router.api.auth import Caller
from router.api.chat.request import LOGGED_TEXT, convert, find_unknown_keys, parse_object, require_keys
from router.api.endpoint import Dialect, InferenceEndpoint
from router.api.relay import RelayReply
from router.errors import InvalidRequest
from router.providers.relay import BODY
from router.request import InferenceRequest
from router.types import RelayedCall

MOST_INPUTS = 10_000


class EmbeddingsRequest(msgspec.Struct, omit_defaults=True):
    """The body: what is passed on. Null is as good as absent."""

    model: Annotated[str, Meta(min_length=1, max_length=256)]
    input: str | list[Any]
    dimensions: Annotated[int, Meta(ge=1, le=100_000)] | None = None
    encoding_format: Literal["float", "base64"] | None = None
    user: LOGGED_TEXT | None = None
    input_type: LOGGED_TEXT | None = None
    truncate: LOGGED_TEXT | None = None


KNOWN = frozenset(EmbeddingsRequest.__struct_fields__)


class Embeddings(InferenceEndpoint):
    """The embeddings endpoint, as an ASGI application."""

    def _dialect(self, request_id: str, created: int) -> Dialect:
        return EmbeddingsReply(request_id, self._server.strict)


class EmbeddingsReply(RelayReply):
    """Vectors on their way."""

    async def read(self, body: bytes, caller: Caller) -> InferenceRequest:
        """Check the body; raises RequestError."""
        decoded = parse_object(body)
        self.ignored = find_unknown_keys(decoded, KNOWN, strict=self.strict)
        require_keys(decoded, ("model", "input"))
        request = convert({name: value for name, value in decoded.items() if name in KNOWN}, EmbeddingsRequest)
        text = text_of(request.input, "input")
        passed = {BODY: msgspec.to_builtins(request)}
        # Nothing is generated: what it costs is the input.
        call, user = RelayedCall.EMBEDDINGS, request.user
        return self.request_of(call, request.model, text, passed, len(body), caller, most_output=0, user=user)


def text_of(given: str | list[Any], param: str) -> str:
    """Return what is passed on as one text, for the books to count; raises InvalidRequest for what is none."""
    if isinstance(given, str):
        return given
    if not given or len(given) > MOST_INPUTS:
        raise InvalidRequest(f"{param} has 1 to {MOST_INPUTS} members", param=param, code="invalid_value")
    if all(isinstance(one, str) for one in given):
        return "\n".join(given)
    lists = [given] if all(type(one) is int for one in given) else given
    if all(isinstance(one, list) and one and all(type(token) is int for token in one) for one in lists):
        return " ".join(str(token) for one in lists for token in one)
    raise InvalidRequest(f"{param} is a text, tokens, or a list of either", param=param, code="invalid_type")
