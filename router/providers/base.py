"""The protocol every provider speaks, and the typed shapes that cross it.

A provider turns a `ProviderRequest` into a `Completion` or a stream of `Delta`s. It knows nothing of tiers, policy,
money or HTTP clients. Cancelling the awaiting task must close the upstream connection at once.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any, Protocol

import msgspec

from router.types import Precision, Usage


@dataclass(frozen=True, slots=True)
class ModelTarget:
    """One configured model: who serves it and with which settings. `name` is the LiteLLM model string.

    `output_length` is the most tokens of one answer, thinking included; None where it is not known. Of the time-outs,
    `timeout_s` is that of the whole answer; the others are those of its phases. `batch_window` is the window in which
    its provider answers batches, in the provider's own word; None where it is to be sent none. `provider` is the part
    of the name before the first slash (openai, anthropic, gemini, ollama, embedded, scripted, ...), `model` the
    provider's own.
    """

    name: str
    api_base: str | None = None
    api_key: str | None = field(default=None, repr=False)
    effort: str | None = None
    max_thinking_tokens: int | None = None
    timeout_s: float = 600.0
    connect_timeout_s: float = 10.0
    first_byte_timeout_s: float = 120.0
    idle_timeout_s: float = 30.0
    ability: float | None = None
    capabilities: frozenset[str] | None = None
    context_length: int | None = None
    output_length: int | None = None
    batch_window: str | None = None
    provider: str = field(init=False, repr=False, compare=False)
    model: str = field(init=False, repr=False, compare=False)
    _hash: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Work out what every call asks for: the parts of the name, and the hash by which all tables find a target."""
        provider, _, model = self.name.partition("/")
        object.__setattr__(self, "provider", provider)
        object.__setattr__(self, "model", model)
        object.__setattr__(self, "_hash", hash((self.name, self.api_base, self.api_key, self.effort)))

    def __hash__(self) -> int:
        return self._hash


class ProviderRequest(msgspec.Struct, frozen=True):
    """One call: OpenAI-shaped messages and allow-listed parameters (never steering keys such as api_base).

    `params` holds OpenAI body keys other than model, messages, stream, stream_options and the limits.
    `max_visible_tokens` bounds the visible text only (the provider adds its thinking budget upstream),
    `max_output_tokens` bounds thinking and text together; None is no limit. `think` asks for thinking.
    """

    target: ModelTarget
    messages: list[dict[str, Any]]
    params: dict[str, Any]
    effort: str | None = None
    think: bool = False
    max_visible_tokens: int | None = None
    max_output_tokens: int | None = None


class Metered(msgspec.Struct, frozen=True):
    """Usage as normalised once, the precision it is known with, and the provider's own JSON beside it."""

    usage: Usage
    precision: Precision
    raw: dict[str, Any] | None = None


class Choice(msgspec.Struct):
    """One answer of a completion; `tool_calls` and `logprobs` in OpenAI's shape.

    `thinking_blocks` is signed thinking that its family wants back as it was (`router.providers.thinking_blocks`);
    the same thinking is in `reasoning` as text. `state` is what else a family wants back, by the key that it has on
    an assistant's message (`router.providers.state`).
    """

    index: int = 0
    content: str | None = None
    reasoning: str | None = None
    refusal: str | None = None
    tool_calls: list[dict[str, Any]] | None = None
    logprobs: dict[str, Any] | None = None
    finish_reason: str = "stop"
    thinking_blocks: list[dict[str, Any]] | None = None
    stop_sequence: str | None = None  # the client's word that ended it, where the provider says which
    state: dict[str, Any] | None = None


class Completion(msgspec.Struct):
    """A whole answer. `metered` is None when the provider reported no usage. `dropped` names the parameters
    that the model could not take and that do not change the answer's meaning."""

    choices: list[Choice]
    metered: Metered | None
    provider_model: str
    service_tier: str | None = None
    system_fingerprint: str | None = None
    dropped: list[str] = []


class Delta(msgspec.Struct):
    """One step of a streamed answer; every field may be empty. Usage may come with or without other content.

    `thinking_blocks` are pieces: a block's text beside `reasoning`, then its signature, which ends it.
    """

    index: int = 0
    content: str | None = None
    reasoning: str | None = None
    refusal: str | None = None
    tool_calls: list[dict[str, Any]] | None = None
    logprobs: dict[str, Any] | None = None
    finish_reason: str | None = None
    metered: Metered | None = None
    provider_model: str | None = None
    service_tier: str | None = None
    system_fingerprint: str | None = None
    dropped: list[str] | None = None
    thinking_blocks: list[dict[str, Any]] | None = None
    stop_sequence: str | None = None
    state: dict[str, Any] | None = None


class Provider(Protocol):
    """A family of models behind one way of calling them."""

    async def complete(self, request: ProviderRequest) -> Completion:
        """Return the whole answer; raises ProviderError."""
        ...

    def stream(self, request: ProviderRequest) -> AsyncIterator[Delta]:
        """Yield the answer as it comes, always asking upstream for usage; raises ProviderError.

        An async generator: closing it (aclose) or cancelling its task closes the upstream connection.
        """
        ...

    async def ping(self, target: ModelTarget) -> None:
        """Ask the provider whether it would answer, as cheaply as it allows; raises ProviderError."""
        ...

    async def close(self) -> None:
        """Release connections, threads and memory."""
        ...
