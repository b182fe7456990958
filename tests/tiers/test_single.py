"""One model answers; fallbacks stand in before the first word and never after."""

import pytest

from router.errors import ProviderError, ProviderOverloaded, ProviderRefused
from router.providers.base import Delta
from router.tiers.base import Answer
from router.tiers.single import SingleTier
from router.types import Tier
from tests.tiers.fakes import CHEAP, OTHER, FakeProvider, Reply, a_query, metered, saying, some_calls

TIER = SingleTier(Tier.REASONING, [CHEAP, OTHER])


def first_fails(error: Reply) -> FakeProvider:
    return FakeProvider(lambda request, _: error if request.target == CHEAP else "fine")


async def streamed(tier: SingleTier, provider: FakeProvider, n: int = 1) -> tuple[list[Delta], Answer]:
    steps = [step async for step in tier.stream(a_query(n=n), some_calls(provider))]
    assert isinstance(steps[-1], Answer)
    return [s for s in steps if isinstance(s, Delta)], steps[-1]


async def test_a_retryable_failure_goes_to_the_next_model_as_a_new_call() -> None:
    calls = some_calls(first_fails(ProviderOverloaded("busy")))
    answer = await TIER.answer(a_query(), calls)
    assert answer.choices[0].content == "fine"
    assert answer.fell_back
    assert [c.call_no for c in calls.made] == [0, 1]


async def test_too_long_a_context_goes_to_the_next_model_and_other_refusals_do_not() -> None:
    too_long = ProviderRefused("too long", provider_status=400, code="context_length_exceeded")
    assert (await TIER.answer(a_query(), some_calls(first_fails(too_long)))).fell_back
    with pytest.raises(ProviderRefused):
        await TIER.answer(a_query(), some_calls(first_fails(ProviderRefused("no", provider_status=400))))


async def test_a_stream_falls_back_before_the_first_word_only() -> None:
    _, answer = await streamed(TIER, first_fails(ProviderOverloaded("busy")))
    assert answer.fell_back
    broken = FakeProvider(saying([Delta(content="Once"), Delta(content=" upon")]))
    with pytest.raises(ProviderError):
        await streamed(TIER, broken)
    assert len(broken.requests) == 1


async def test_models_that_ignore_n_are_asked_again() -> None:
    provider = FakeProvider(saying("one", "two", "three"))
    answer = await TIER.answer(a_query(n=3), some_calls(provider))
    assert [(c.index, c.content) for c in answer.choices] == [(0, "one"), (1, "two"), (2, "three")]
    deltas, _ = await streamed(TIER, FakeProvider(saying("one", "two")), n=2)
    assert [(d.index, d.content) for d in deltas if d.content] == [(0, "one"), (1, "two")]


async def test_models_that_take_n_are_asked_once() -> None:
    both = [Delta(index=i, content=str(i), finish_reason="stop", metered=metered()) for i in range(2)]
    provider = FakeProvider(saying(both))
    answer = await TIER.answer(a_query(n=2), some_calls(provider))
    assert [c.content for c in answer.choices] == ["0", "1"]
    assert [r.params.get("n") for r in provider.requests] == [2]


async def test_the_reasoning_tier_asks_for_thinking() -> None:
    provider = FakeProvider(saying("x"))
    await TIER.answer(a_query(effort="high"), some_calls(provider))
    assert provider.requests[0].think
    assert provider.requests[0].effort == "high"
