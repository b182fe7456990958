"""A call that is passed through: one model, no fallback, no second try, booked as any other."""

from collections.abc import AsyncGenerator
from contextlib import aclosing

from router.providers.base import Choice, Delta, ModelTarget, ProviderRequest
from router.providers.relay import BODY, RawBody, RelayedCompletion, RelayedDelta
from router.tiers.base import Answer, TierRequest
from router.tiers.calls import Calls
from router.tiers.chain import TargetChain
from router.types import CallKind, Tier


class RelayedAnswer(Answer):
    """What came back as it came; a stream's has nothing that was not streamed."""

    raw: RawBody = {}


class RelayTier:
    """Passes a body on to a model. Another model's answer would be no substitute: fallbacks stand aside."""

    def __init__(self, tier: Tier, target: ModelTarget) -> None:
        self._tier = tier
        self._target = target

    async def answer(self, query: TierRequest, calls: Calls) -> Answer:
        """Return what came back; raises ProviderError."""
        TargetChain((self._target,), calls.permits)  # raises BreakerOpen
        request = self._request(query)
        [call] = calls.dispatch([request], CallKind.ANSWER, self._tier, query.input_bound_tokens)
        completion = await calls.complete(call, request)
        assert isinstance(completion, RelayedCompletion)
        name = self._target.name
        return RelayedAnswer(completion.choices, self._tier, name, call.call_no, raw=completion.raw)

    async def stream(self, query: TierRequest, calls: Calls) -> AsyncGenerator[Delta | Answer]:
        """Yield the events as they come, then the Answer."""
        TargetChain((self._target,), calls.permits)  # raises BreakerOpen
        request = self._request(query)
        [call] = calls.dispatch([request], CallKind.ANSWER, self._tier, query.input_bound_tokens)
        async with aclosing(calls.stream(call, request)) as deltas:
            async for delta in deltas:
                assert isinstance(delta, RelayedDelta)
                yield delta
        yield Answer([Choice()], self._tier, self._target.name, call.call_no)

    def worst_case(self, query: TierRequest, calls: Calls) -> int:
        """Bound what it costs; 0 where there is no price."""
        return calls.worst_case(self._request(query), query.input_bound_tokens) or 0

    def within_cap(self, query: TierRequest, calls: Calls, cap_nanousd: int) -> TierRequest | None:
        """Return the query where even its worst case fits under the cap; what is passed on is not changed to fit."""
        return query if self.worst_case(query, calls) <= cap_nanousd else None

    def _request(self, query: TierRequest) -> ProviderRequest:
        """The body under the provider's name of the model; the messages are for the books to count."""
        body = {**query.params[BODY], "model": self._target.model}
        params = {**query.params, BODY: body}
        return ProviderRequest(self._target, query.messages, params, max_output_tokens=query.max_output_tokens)
