"""What the endpoints have in common that pass a body through to an explicit model."""

from collections.abc import Mapping
from typing import Any

from router.api.auth import Caller
from router.api.chat.response import encode_body
from router.api.endpoint import OpenAIReply
from router.errors import RouterError
from router.exchange import Exchange
from router.providers.base import Delta
from router.providers.relay import with_model_name
from router.request import InferenceRequest
from router.tiers.base import Answer
from router.tiers.relay import RelayedAnswer
from router.types import RelayedCall


class RelayReply(OpenAIReply):
    """An answer that goes on as it came, under the name that the client knows the model by."""

    parameter_names: Mapping[str, str] = {}

    def __init__(self, request_id: str, strict: bool) -> None:
        self.strict = strict
        self.model = ""
        self.ignored: list[str] = []
        self._request_id = request_id

    def request_of(
        self,
        call: RelayedCall,
        model: str,
        text: str,
        params: dict[str, Any],
        body_bytes: int,
        caller: Caller,
        *,
        most_output: int,
        streamed: bool = False,
        user: str | None = None,
    ) -> InferenceRequest:
        """Hand a checked body to the exchange; `most_output` bounds the tokens of each of `n` answers."""
        self.model = model
        return InferenceRequest(
            request_id=self._request_id,
            model=model,
            messages=[{"role": "user", "content": text}],
            params=params,
            input_bytes=body_bytes,
            max_output_tokens=most_output,
            streamed=streamed,
            key_id=caller.key_id,
            segment=caller.segment,
            country=caller.country,
            surface=caller.surface,
            conversation=caller.conversation,
            user=user or None,
            allowed_tiers=caller.allowed_tiers,
            relay=call,
        )

    async def whole(self, exchange: Exchange, answer: Answer) -> bytes:
        """Write a settled answer as it came, and who it came from."""
        assert isinstance(answer, RelayedAnswer)
        explanation = {
            "request_id": self._request_id,
            "provider_model": answer.provider_model,
            "cost_nanousd": exchange.calls.cost_nanousd,
            "ignored": self.ignored,
        }
        return with_model_name(answer.raw, self.model, x_tierwise=explanation)

    def piece(self, delta: Delta) -> bytes:
        """Write nothing: what is not streamed has no steps."""
        return b""

    async def end(self, exchange: Exchange, answer: Answer) -> bytes:
        """Write nothing."""
        return b""

    def failure(self, error: RouterError) -> bytes:
        """Write an error as the last event."""
        return b"data: " + encode_body(error.body()) + b"\n\n"
