"""The fast and the reasoning tier: one model answers, the fallbacks of the tier stand in when it cannot.

A fallback is tried only while the client has seen nothing of the answer. What was streamed is never taken back.
"""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Any

import msgspec

from router.errors import ProviderError
from router.providers.base import Choice, Delta, ModelTarget, ProviderRequest
from router.providers.caches import (
    BYTES_PER_TOKEN,
    CACHE_KEY,
    LONG_BYTES,
    cache_key,
    cache_of,
    has_cache_marks,
    mark_last,
    pays,
)
from router.providers.collecting import says_something
from router.providers.state import CACHE_CONTROL
from router.tiers.base import Answer, TierRequest
from router.tiers.calls import Calls
from router.tiers.caps import LEAST_ANSWER_TOKENS, LEAST_THOUGHT_TOKENS, fit_output
from router.tiers.chain import TargetChain
from router.types import CallKind, Tier

_ANSWER = CallKind.ANSWER


class SingleTier:
    """Answers with the first of `targets` that can."""

    def __init__(self, tier: Tier, targets: Sequence[ModelTarget]) -> None:
        if not targets:
            raise ValueError(f"tiers.{tier}: needs a model")
        self.tier = tier
        self._thinks = tier is Tier.REASONING
        self.targets = tuple(targets)

    async def answer(self, query: TierRequest, calls: Calls) -> Answer:
        """Return the whole answer; raises the last model's ProviderError when none could."""
        chain = TargetChain(self.targets, calls.permits)
        while True:
            try:
                return await self._complete(query, calls, chain.current, fell_back=chain.fell_back)
            except ProviderError as error:
                chain.go_on_after(error)

    async def stream(self, query: TierRequest, calls: Calls) -> AsyncGenerator[Delta | Answer]:
        """Yield the deltas of the first model that begins to answer, then the Answer."""
        chain, has_begun = TargetChain(self.targets, calls.permits), False
        while True:
            try:
                async with aclosing(self._stream(query, calls, chain.current, fell_back=chain.fell_back)) as steps:
                    async for step in steps:
                        has_begun = has_begun or isinstance(step, Answer) or says_something(step)
                        yield step
                return
            except ProviderError as error:
                if has_begun:
                    raise
                chain.go_on_after(error)

    def within_cap(self, query: TierRequest, calls: Calls, cap_nanousd: int) -> TierRequest | None:
        """Lower the output limit to what so much covers; None where that is too little for an answer."""
        least = LEAST_THOUGHT_TOKENS if self._thinks else LEAST_ANSWER_TOKENS
        return fit_output(query, lambda asked: self.worst_case(asked, calls), cap_nanousd, least)

    def worst_case(self, query: TierRequest, calls: Calls) -> int:
        """Bound what an answer of the first model costs; 0 where it has no price."""
        return calls.worst_case(self.request_to(query, self.targets[0], query.n), query.input_bound_tokens) or 0

    async def _complete(self, query: TierRequest, calls: Calls, target: ModelTarget, *, fell_back: bool) -> Answer:
        """Ask for n choices, and again where the model gives fewer (many ignore `n`)."""
        choices: list[Choice] = []
        answer: Answer | None = None
        while len(choices) < query.n:
            request = self.request_to(query, target, query.n - len(choices))
            [call] = calls.dispatch([request], _ANSWER, self.tier, query.input_bound_tokens)
            completion = await calls.complete(call, request)
            for choice in completion.choices[: query.n - len(choices)]:
                place = len(choices)
                choices.append(choice if choice.index == place else msgspec.structs.replace(choice, index=place))
            if answer is None:
                answer = Answer(
                    choices=choices,
                    final_tier=self.tier,
                    provider_model=completion.provider_model,
                    call_no=call.call_no,
                    fell_back=fell_back,
                    dropped=completion.dropped,
                    service_tier=completion.service_tier,
                    system_fingerprint=completion.system_fingerprint,
                )
        assert answer is not None
        return answer

    async def _stream(
        self, query: TierRequest, calls: Calls, target: ModelTarget, *, fell_back: bool
    ) -> AsyncGenerator[Delta | Answer]:
        finished: dict[int, Choice] = {}
        answer = Answer([], self.tier, target.name, call_no=len(calls.made), fell_back=fell_back)
        while len(finished) < query.n:
            before = len(finished)
            request = self.request_to(query, target, query.n - before)
            [call] = calls.dispatch([request], _ANSWER, self.tier, query.input_bound_tokens)
            async with aclosing(calls.stream(call, request)) as deltas:
                async for delta in deltas:
                    shifted = msgspec.structs.replace(delta, index=delta.index + before) if before else delta
                    if shifted.provider_model or shifted.service_tier or shifted.system_fingerprint or shifted.dropped:
                        _note(answer, shifted)
                    if shifted.finish_reason:
                        finished[shifted.index] = Choice(index=shifted.index, finish_reason=shifted.finish_reason)
                    yield shifted
            if len(finished) == before:
                raise ProviderError(f"{target.name} broke off its answer")
        answer.choices = [finished[index] for index in sorted(finished)]
        yield answer

    def request_to(self, query: TierRequest, target: ModelTarget, n: int) -> ProviderRequest:
        """Return what a model is asked for so many choices."""
        params = query.params.copy()
        params.pop("n", None)
        if n > 1:
            params["n"] = n
        messages = query.messages
        if query.keeps_cache and query.input_bound_tokens >= LONG_BYTES:
            messages = self._keep_cached(query, target, params)
        return ProviderRequest(
            target,
            messages,
            params,
            effort=query.effort or target.effort,
            think=self._thinks,
            max_visible_tokens=query.max_visible_tokens,
            max_output_tokens=query.max_output_tokens,
        )

    def _keep_cached(self, query: TierRequest, target: ModelTarget, params: dict[str, Any]) -> list[dict[str, Any]]:
        """Set the key of a conversation and a mark where its provider wants them and the client set none.

        A mark costs what writing costs: it is set only where the prompt is likely to come again.
        """
        cache = cache_of(target)
        if cache is None or query.input_bound_tokens < cache.least_tokens * BYTES_PER_TOKEN:
            return query.messages
        if cache.takes_key:
            params.setdefault(CACHE_KEY, cache_key(query.conversation, query.messages))
        if not cache.needs_marks or has_cache_marks(query.messages):
            return query.messages
        wants = pays(query.messages, params) or CACHE_CONTROL in params
        return mark_last(query.messages) if wants else query.messages


def _note(answer: Answer, delta: Delta) -> None:
    answer.provider_model = delta.provider_model or answer.provider_model
    answer.service_tier = delta.service_tier or answer.service_tier
    answer.system_fingerprint = delta.system_fingerprint or answer.system_fingerprint
    if delta.dropped:
        answer.dropped = delta.dropped
