"""A cap on one request holds by upper bounds: outputs are shortened, samples left out, never a bill above it."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.errors import QuotaExhausted
from router.tiers.caps import LEAST_THOUGHT_TOKENS, fit_output
from router.tiers.parallel.tier import ParallelOptions, ParallelTier
from router.tiers.single import SingleTier
from router.types import Tier
from tests.tiers.fakes import CHEAP, STRONG, UNPRICED, FakeProvider, a_query, saying, some_calls

INPUT_NANOUSD = 100_000  # of a query of the fakes in the strong model: 100 tokens at $1 a million
TOKEN_NANOUSD = 60_000


def bounded(tier: SingleTier, cap: int, **changes: object) -> int | None:
    """The output limit under a cap; None where there is no answer for so little."""
    query = tier.within_cap(a_query(**changes), some_calls(FakeProvider(saying("x"))), cap)  # type: ignore[arg-type]
    return None if query is None else query.max_output_tokens


@given(st.integers(0, 10**9), st.integers(1, 10**6), st.integers(0, 10**12))
def test_what_fits_is_as_long_as_the_cap_allows_and_never_dearer(base: int, price: int, cap: int) -> None:
    query = a_query(max_output_tokens=10**6)

    def worst(asked: object) -> int:
        return base + price * (asked.max_output_tokens or 0)  # type: ignore[attr-defined]

    fitted = fit_output(query, worst, cap, 16)
    if fitted is None:
        assert base + price * 16 > cap - price * 16
    else:
        assert worst(fitted) <= cap
        assert fitted == query or worst(fitted) > cap - price * (2 + (fitted.max_output_tokens or 0) / 500)


def test_a_single_tier_answers_as_long_as_the_cap_pays_for() -> None:
    tier = SingleTier(Tier.FAST, [STRONG])
    assert bounded(tier, INPUT_NANOUSD + 500 * TOKEN_NANOUSD) == 500
    assert bounded(tier, INPUT_NANOUSD + 5_000 * TOKEN_NANOUSD) == 1_000
    assert bounded(tier, INPUT_NANOUSD + 15 * TOKEN_NANOUSD) is None


def test_reasoning_needs_room_to_think() -> None:
    tier, room = SingleTier(Tier.REASONING, [STRONG]), {"max_output_tokens": 5_000}
    assert bounded(tier, INPUT_NANOUSD + LEAST_THOUGHT_TOKENS * TOKEN_NANOUSD, **room) == LEAST_THOUGHT_TOKENS
    assert bounded(tier, INPUT_NANOUSD + (LEAST_THOUGHT_TOKENS - 1) * TOKEN_NANOUSD, **room) is None


def test_a_model_without_a_price_is_not_held() -> None:
    assert bounded(SingleTier(Tier.FAST, [UNPRICED]), 1) == 1_000


@pytest.mark.parametrize("cap", [6_000_000, 8_000_000, 12_000_000, 80_000_000])
async def test_samples_and_escalation_together_never_cost_more_than_the_cap(cap: int) -> None:
    provider = FakeProvider(lambda request, index: f"Answer: {index}")
    tier = ParallelTier(ParallelOptions((CHEAP,), escalation=SingleTier(Tier.REASONING, [STRONG])))
    calls = some_calls(provider)
    query = tier.within_cap(a_query(max_output_tokens=3_000), calls, cap)
    assert query is not None
    await tier.answer(query, calls)
    assert sum(c.intent.hold_nanousd or 0 for c in calls.made) <= cap or all(
        (c.cost_nanousd or 0) <= (c.intent.hold_nanousd or 0) for c in calls.made
    )
    assert (calls.cost_nanousd or 0) <= cap
    assert tier.worst_case(query, calls) <= cap
    limits = [request.max_output_tokens or 0 for request in provider.requests if request.target == CHEAP]
    assert max(limits) <= 3_000
    assert len(limits) >= 4


async def test_a_cap_that_covers_no_vote_is_told_before_anything_is_sent() -> None:
    tier = ParallelTier(ParallelOptions((CHEAP,)))
    calls = some_calls(FakeProvider(saying("Answer: 1")))
    assert tier.within_cap(a_query(), calls, 100_000) is None
    with pytest.raises(QuotaExhausted):
        await tier.answer(msgspec.structs.replace(a_query(), cost_cap_nanousd=1), calls)


async def test_the_escalation_is_left_out_where_the_cap_does_not_pay_for_it() -> None:
    provider = FakeProvider(lambda request, index: f"Answer: {index % 3}")
    tier = ParallelTier(ParallelOptions((CHEAP,), escalation=SingleTier(Tier.REASONING, [STRONG])))
    calls = some_calls(provider)
    query = tier.within_cap(a_query(), calls, 12_000_000)
    assert query is not None
    answer = await tier.answer(query, calls)
    assert answer.final_tier is Tier.PARALLEL
    assert STRONG not in [request.target for request in provider.requests]
