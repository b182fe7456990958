"""Which model is asked, which is passed over, and when one is asked again."""

from collections.abc import Callable

import pytest

from router.errors import BreakerOpen, Cause, ProviderError, ProviderRefused, ProviderTimeout, ProviderUnreachable
from router.health.breaker import PROBE_MS, RESORT_MS, STREAK, BreakerState
from router.health.targets import HealthBook
from router.providers.base import ProviderRequest
from router.tiers.base import Answer
from router.tiers.calls import Calls
from router.tiers.permits import Permits, TargetBook
from router.tiers.single import SingleTier
from router.types import CallStatus, Tier
from tests.ledger.builders import FakeClock
from tests.tiers.fakes import CHEAP, OTHER, FakeBooks, FakeProvider, Reply, a_query, some_calls

TIMED_OUT = ProviderTimeout("too late", cause=Cause.TIMEOUT_FIRST_BYTE)
REFUSED = ProviderUnreachable("refused")


class House:
    """A tier of two models, and what is known of them."""

    def __init__(self, cheap: Callable[[int], Reply], *, has_fallback: bool = True) -> None:
        self.clock = FakeClock()
        self.targets = TargetBook(HealthBook(self.clock))
        self.asked: list[str] = []
        self.tier = SingleTier(Tier.FAST, (CHEAP, OTHER) if has_fallback else (CHEAP,))
        self.books = FakeBooks()
        self._cheap = cheap
        self._times = 0

    async def ask(self, *, streamed: bool = False) -> Answer:
        def script(request: ProviderRequest, index: int) -> Reply:
            self.asked.append(request.target.name)
            self._times += request.target == CHEAP
            return self._cheap(self._times) if request.target == CHEAP else "well"

        calls = self.calls = self._calls(script)
        try:
            if not streamed:
                return await self.tier.answer(a_query(), calls)
            *_, last = [step async for step in self.tier.stream(a_query(), calls)]
            assert isinstance(last, Answer)
            return last
        finally:
            calls.flush()

    def _calls(self, script: Callable[[ProviderRequest, int], Reply]) -> Calls:
        calls = some_calls(FakeProvider(script), self.books)
        calls.permits = Permits(self.targets)
        return calls


async def ask_often(house: House, times: int) -> list[str]:
    """Who was asked, in so many requests."""
    house.asked.clear()
    for number in range(times):
        await house.ask(streamed=number % 2 == 0)
    return list(house.asked)


async def test_a_model_that_hangs_is_asked_a_few_times_and_then_passed_over() -> None:
    house = House(lambda number: TIMED_OUT)
    assert (await ask_often(house, 60)).count(CHEAP.name) == STREAK
    assert (await house.ask()).fell_back
    assert house.calls.permits.passed_over == {CHEAP.name}


async def test_what_is_wrong_with_requests_is_no_reason_to_pass_a_model_over() -> None:
    house = House(lambda number: ProviderRefused("no", provider_status=400))
    for _ in range(3 * STREAK):
        with pytest.raises(ProviderRefused):
            await house.ask()
    assert house.asked == [CHEAP.name] * 3 * STREAK


async def test_one_request_tries_it_and_its_answer_brings_it_back() -> None:
    house = House(lambda number: TIMED_OUT if number <= STREAK else "back")
    await ask_often(house, STREAK)
    house.clock.advance(PROBE_MS / 1_000)
    assert await ask_often(house, 3) == [CHEAP.name] * 3


async def test_a_trial_that_fails_falls_back_as_any_call_does() -> None:
    house = House(lambda number: TIMED_OUT)
    await ask_often(house, STREAK)
    house.clock.advance(PROBE_MS / 1_000)
    assert await ask_often(house, 3) == [CHEAP.name, OTHER.name, OTHER.name, OTHER.name]


async def test_alone_and_open_it_is_not_asked_and_the_client_hears_when_to_come_again() -> None:
    house = House(lambda number: TIMED_OUT, has_fallback=False)
    for _ in range(STREAK):
        with pytest.raises(ProviderTimeout):
            await house.ask()
    with pytest.raises(BreakerOpen) as caught:
        await house.ask(streamed=True)
    assert len(house.asked) == STREAK
    error = caught.value
    assert (error.status, error.cause, error.headers()) == (503, Cause.BREAKER_OPEN, {"retry-after": "5"})
    house.clock.advance(RESORT_MS / 1_000)
    with pytest.raises(ProviderTimeout):
        await house.ask()


async def test_a_refused_connection_is_tried_once_more() -> None:
    house = House(lambda number: REFUSED if number == 1 else "well")
    answer = await house.ask()
    assert (house.asked, answer.fell_back) == ([CHEAP.name] * 2, False)
    assert [result.status for result in house.books.results()] == [CallStatus.NOT_SENT, CallStatus.OK]


async def test_a_call_that_may_have_been_worked_on_is_not_repeated() -> None:
    house = House(lambda number: ProviderError("lost", cause=Cause.BROKEN_OFF))
    await house.ask()
    assert house.asked == [CHEAP.name, OTHER.name]


async def test_with_everything_failing_there_is_at_most_a_tenth_more_of_calls() -> None:
    house = House(lambda number: REFUSED, has_fallback=False)
    for _ in range(60):
        house.clock.advance(RESORT_MS / 1_000)
        with pytest.raises(ProviderError):
            await house.ask()
    assert len(house.asked) <= 66


async def test_who_hangs_up_in_a_trial_leaves_it_to_the_next() -> None:
    house = House(lambda number: TIMED_OUT)
    await ask_often(house, STREAK)
    house.clock.advance(PROBE_MS / 1_000)
    permits = Permits(house.targets)
    assert permits.admits(CHEAP)
    assert house.targets.of(CHEAP).breaker.read().state is BreakerState.HALF_OPEN
    permits.close()
    assert Permits(house.targets).admits(CHEAP)


async def test_a_call_that_a_model_does_not_know_says_nothing_of_its_others() -> None:
    targets = TargetBook(HealthBook(FakeClock()))
    unknown = ProviderError("no such call", provider_status=404, cause=Cause.NOT_FOUND)
    Permits(targets, is_relayed=True).note_failure(CHEAP, unknown)
    assert Permits(targets).admits(CHEAP)
    Permits(targets).note_failure(CHEAP, unknown)
    assert not Permits(targets).admits(CHEAP)


async def test_a_tier_of_which_no_model_may_be_asked_is_named() -> None:
    clock = FakeClock()
    targets = TargetBook(HealthBook(clock))
    shut = targets.shut_tiers({Tier.FAST: (CHEAP, OTHER), Tier.REASONING: (OTHER,), Tier.PARALLEL: (CHEAP,)})
    assert shut() == frozenset()
    targets.of(CHEAP).fail(Cause.CREDENTIALS, None, is_trial=False)
    assert shut() == {Tier.PARALLEL}
    targets.of(OTHER).fail(Cause.CREDENTIALS, None, is_trial=False)
    assert shut() == set(Tier)
    clock.advance(400)
    assert shut() == frozenset()
