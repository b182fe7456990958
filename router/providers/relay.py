"""Calls that are passed through to a provider as they are: embeddings, and completions of old.

The body goes out under the provider's own name of the model, and what comes back goes on but for that name. What is
read of it is the usage, and the texts, so that the books can count where a provider does not.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing
from typing import Any, Protocol, runtime_checkable

import msgspec

from router.errors import Cause, ProviderError, ProviderRefused
from router.providers.base import Choice, Completion, Delta, ModelTarget, Provider, ProviderRequest
from router.providers.refusals import error_for, failure_in
from router.providers.usage import normalise
from router.types import UNREADABLE, RelayedCall

BODY = "body"  # the key of a request's parameters that holds the body
Body = dict[str, Any]
RawBody = dict[str, msgspec.Raw]
_encode = msgspec.json.Encoder().encode
_decode_raw = msgspec.json.Decoder(RawBody).decode


class RelayedCompletion(Completion):
    """A whole answer as it came, beside what the books read of it."""

    raw: RawBody = {}


class RelayedDelta(Delta):
    """One event of a stream as it came; None where it is only for the books."""

    raw: RawBody | None = None


@runtime_checkable
class Relays(Protocol):
    """A provider that passes calls through."""

    async def relay(self, target: ModelTarget, call: str, body: Body) -> bytes:
        """Make a call and return the whole answer; raises ProviderError."""
        ...

    def relay_events(self, target: ModelTarget, call: str, body: Body) -> AsyncIterator[bytes]:
        """Make a call and yield the payloads of its events up to `[DONE]`; raises ProviderError."""
        ...


class RelayProvider:
    """One kind of call to whoever serves a model, in the form of any provider."""

    def __init__(self, inner: Provider, call: RelayedCall) -> None:
        self._inner = inner
        self._call = call

    async def complete(self, request: ProviderRequest) -> RelayedCompletion:
        """Return the whole answer; raises ProviderError."""
        name = request.target.name
        content = await self._relays(request.target).relay(request.target, self._call, request.params[BODY])
        raw, needed = _decode(content, name), "data" if self._call is RelayedCall.EMBEDDINGS else "choices"
        if not _part(raw, needed, list):
            _raise_failure_in(content, request.target)
            raise ProviderError(f"{name} returned no answer", provider_status=200, cause=Cause.NONSENSE)
        texts, usage = [], _part(raw, "usage", dict)
        if self._call is RelayedCall.COMPLETIONS:
            texts = _texts_of(raw)
        elif usage:
            usage = {"completion_tokens": 0, **usage}  # there are none, and nobody says so
        choices = [Choice(index, text) for index, text in enumerate(texts)] or [Choice()]
        return RelayedCompletion(choices, normalise(usage), name, raw=raw)

    async def stream(self, request: ProviderRequest) -> AsyncGenerator[Delta]:
        """Yield the events as they come; raises ProviderError, also when the stream breaks off."""
        name, has_ended = request.target.name, False
        events = self._relays(request.target).relay_events(request.target, self._call, request.params[BODY])
        assert isinstance(events, AsyncGenerator)
        async with aclosing(events):
            async for event in events:
                raw = _decode(event, name)
                if not _part(raw, "choices", list):
                    _raise_failure_in(event, request.target)
                has_ended = has_ended or any(choice.get("finish_reason") for choice in _choices_of(raw))
                metered = normalise(_part(raw, "usage", dict))
                yield RelayedDelta(content="".join(_texts_of(raw)) or None, metered=metered, raw=raw)
        if not has_ended:
            raise ProviderError(f"{name} broke off its answer", provider_status=200, cause=Cause.BROKEN_OFF)

    async def ping(self, target: ModelTarget) -> None:
        """Ask whoever serves the model; raises ProviderError."""
        await self._inner.ping(target)

    async def close(self) -> None:
        """Nothing of its own is open."""

    def _relays(self, target: ModelTarget) -> Relays:
        if not isinstance(self._inner, Relays):
            message = f"{target.name} takes no {self._call}"
            raise ProviderRefused(message, dispatched=False, param="model", code="unsupported_value")
        return self._inner


def with_model_name(raw: Mapping[str, msgspec.Raw], model: str, **more: object) -> bytes:
    """Write a body as it came, under the name that the client knows the model by."""
    return _encode({**raw, "model": model, **more})


def _decode(content: bytes, name: str) -> RawBody:
    try:
        return _decode_raw(content)
    except UNREADABLE as error:
        raise ProviderError(f"{name} sent no valid answer", provider_status=200, cause=Cause.NONSENSE) from error


def _raise_failure_in(content: bytes, target: ModelTarget) -> None:
    """Raise what a successful status brought in place of an answer, in the provider's words; nothing where none."""
    if failure := failure_in(content):
        raise error_for(target.name, 200, failure, secret=target.api_key)


def _part(raw: RawBody, key: str, kind: type) -> Any:
    """One member of a body; None where it is absent or of another kind."""
    if key not in raw:
        return None
    try:
        value = msgspec.json.decode(raw[key])
    except UNREADABLE:
        return None
    return value if isinstance(value, kind) else None


def _choices_of(raw: RawBody) -> list[dict[str, Any]]:
    return [choice for choice in _part(raw, "choices", list) or () if isinstance(choice, dict)]


def _texts_of(raw: RawBody) -> list[str]:
    return [text for choice in _choices_of(raw) if isinstance(text := choice.get("text"), str)]
