"""What every tier takes and gives: a `TierRequest` in, an `Answer` out, `Delta`s in between when streamed."""

from collections.abc import AsyncIterator, Mapping
from typing import Any, Protocol, runtime_checkable

import msgspec

from classifier.types import AnswerType, Estimate
from router.providers.base import Choice, Delta
from router.tiers.calls import Calls
from router.types import Tier


class TierRequest(msgspec.Struct, frozen=True):
    """A parsed, authenticated, decided request: all that a tier may know.

    `input_bound_tokens` is a true upper bound on the input tokens (the size of the body in bytes, plus images).
    `explicit` is True when the client named the tier. `pressure` (0 to 1) lowers what the parallel tier spends;
    `max_samples`, `confidence` and `confidence_by_type` are the policy's for it, where it has them. `cost_cap_nanousd`
    is what the whole request may cost, `conversation` how the client names it. With `keeps_cache` the prompt may come
    again, longer.
    """

    request_id: str
    messages: list[dict[str, Any]]
    params: dict[str, Any]
    estimate: Estimate
    input_bound_tokens: int
    n: int = 1
    effort: str | None = None
    max_visible_tokens: int | None = None
    max_output_tokens: int | None = None
    explicit: bool = False
    pressure: float = 0.0
    max_samples: int | None = None
    confidence: float | None = None
    confidence_by_type: Mapping[AnswerType, float] | None = None
    cost_cap_nanousd: int | None = None
    conversation: str | None = None
    keeps_cache: bool = True


class Answer(msgspec.Struct):
    """What a tier came to. `trace` is shown to the client as part of `x_tierwise` (samples, votes, stop reason).

    Ending a stream, `choices` carry no text that was streamed already.
    """

    choices: list[Choice]
    final_tier: Tier
    provider_model: str
    call_no: int
    fell_back: bool = False
    dropped: list[str] = []
    service_tier: str | None = None
    system_fingerprint: str | None = None
    confidence: float | None = None
    trace: dict[str, Any] | None = None


class TierRunner(Protocol):
    """One tier, ready to answer queries."""

    async def answer(self, query: TierRequest, calls: Calls) -> Answer:
        """Return the whole answer; raises ProviderError when no model of the tier could."""
        ...

    def stream(self, query: TierRequest, calls: Calls) -> AsyncIterator[Delta | Answer]:
        """Yield deltas (each choice's last one has a finish reason), then exactly one Answer."""
        ...


@runtime_checkable
class Bounded(Protocol):
    """A tier that can say what an answer costs at most, so that budgets can hold it."""

    def worst_case(self, query: TierRequest, calls: Calls) -> int:
        """Bound the cost in nano-dollars; 0 where there is no price."""
        ...

    def within_cap(self, query: TierRequest, calls: Calls, cap_nanousd: int) -> TierRequest | None:
        """Return the query as it can be answered for so much at most, None where it cannot."""
        ...


@runtime_checkable
class LimitedChoices(Protocol):
    """A tier whose choices are samples, of which there is a most."""

    def require_samples(self, query: TierRequest) -> None:
        """Refuse more choices than samples are allowed; raises InvalidRequest naming the setting."""
        ...
