"""How long a call may take in each phase, and what the books say of one that took too long."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import suppress
from dataclasses import replace

import pytest
from msgspec.structs import replace as replaced

from classifier.types import Forecast
from router.errors import Cause, ProviderError, ProviderTimeout
from router.ledger.entries import CallResult
from router.providers.base import Completion, Delta, ModelTarget, ProviderRequest
from router.providers.collecting import collect
from router.tiers.deadlines import likely_tokens, within
from router.types import CallKind, CallStatus, Precision, Tier
from tests.tiers.fakes import CHEAP, FakeBooks, FakeProvider, metered, saying, some_calls

SOON, LONG = 0.05, 60.0
PATIENT = replace(CHEAP, first_byte_timeout_s=LONG, idle_timeout_s=LONG, timeout_s=LONG)
END = Delta(finish_reason="stop", metered=metered())


class Scripted(FakeProvider):
    """Yields deltas, and sleeps where there is a number."""

    def __init__(self, *steps: Delta | float) -> None:
        super().__init__(saying("-"))
        self.steps = steps
        self.is_cut = False

    async def stream(self, request: ProviderRequest) -> AsyncGenerator[Delta]:
        try:
            for step in self.steps:
                if isinstance(step, float):
                    await asyncio.sleep(step)
                else:
                    yield step
        except asyncio.CancelledError:
            self.is_cut = True
            raise

    async def complete(self, request: ProviderRequest) -> Completion:
        return await collect(self.stream(request), request.target.name)


async def asked(
    target: ModelTarget, *steps: Delta | float, streamed: bool = True
) -> tuple[Sequence[Delta], CallResult, ProviderError | None]:
    """What came, what the books say, and the failure."""
    provider, books, came, failure = Scripted(*steps), FakeBooks(), [], None
    calls = some_calls(provider, books)
    request = ProviderRequest(target, [{"role": "user", "content": "Hello?"}], {}, max_output_tokens=1_000)
    [call] = calls.dispatch([request], CallKind.ANSWER, Tier.FAST)
    try:
        if streamed:
            async for delta in calls.stream(call, request):
                came.append(delta)
        else:
            await calls.complete(call, request)
    except ProviderError as error:
        failure = error
        assert provider.is_cut
    calls.flush()
    [result] = books.results()
    return came, result, failure


def drip(delta: Delta) -> list[Delta | float]:
    return [step for _ in range(1_000) for step in (delta, 0.01)]


@pytest.mark.parametrize("nothing", [(LONG,), drip(Delta()), drip(Delta(content=""))])
async def test_what_never_begins_ends_with_the_first_byte(nothing: Sequence[Delta | float]) -> None:
    _, result, failure = await asked(replace(PATIENT, first_byte_timeout_s=SOON), *nothing)
    assert isinstance(failure, ProviderTimeout)
    assert (result.status, result.cause) == (CallStatus.ERROR, Cause.TIMEOUT_FIRST_BYTE)
    assert result.precision is Precision.ESTIMATED


@pytest.mark.parametrize("nothing", [(LONG,), drip(Delta())])
async def test_what_begins_and_stops_ends_with_the_pause(nothing: Sequence[Delta | float]) -> None:
    target = replace(PATIENT, idle_timeout_s=SOON)
    came, result, failure = await asked(target, Delta(content="Once"), *nothing)
    assert came[0].content == "Once"
    assert failure is not None
    assert (result.cause, result.precision) == (Cause.TIMEOUT_IDLE, Precision.ESTIMATED)


async def test_pieces_that_keep_coming_may_take_longer_than_any_pause() -> None:
    target = replace(PATIENT, first_byte_timeout_s=5.0, idle_timeout_s=5.0)
    steps = [step for _ in range(20) for step in (Delta(content="a"), 0.01)]
    came, result, _ = await asked(target, *steps, END)
    assert (len(came), result.status) == (21, CallStatus.OK)


async def test_what_drips_for_ever_ends_in_all() -> None:
    target = replace(PATIENT, timeout_s=0.1)
    _, result, failure = await asked(target, *drip(Delta(content="a")))
    assert failure is not None
    assert result.cause is Cause.TIMEOUT_TOTAL


async def test_a_model_that_says_that_it_thinks_may_pause_for_longer() -> None:
    target = replace(PATIENT, idle_timeout_s=SOON)
    came, result, _ = await asked(target, Delta(reasoning="Hm"), 0.3, Delta(content="Yes"), END)
    assert (len(came), result.status) == (3, CallStatus.OK)


async def test_who_thinks_no_more_has_the_shorter_pause_again() -> None:
    target = replace(PATIENT, idle_timeout_s=SOON)
    _, result, _ = await asked(target, Delta(reasoning="Hm"), Delta(content="Yes"), LONG)
    assert result.cause is Cause.TIMEOUT_IDLE


async def test_a_stream_that_stays_open_after_its_end_is_a_whole_answer() -> None:
    target = replace(PATIENT, idle_timeout_s=SOON)
    came, result, failure = await asked(target, Delta(content="Yes"), END, LONG)
    assert (len(came), failure, result.status, result.precision) == (2, None, CallStatus.OK, Precision.EXACT)


async def test_a_whole_answer_that_does_not_come_ends_too() -> None:
    target = replace(PATIENT, timeout_s=SOON)
    _, result, failure = await asked(target, LONG, streamed=False)
    assert failure is not None
    assert (result.cause, result.precision) == (Cause.TIMEOUT_TOTAL, Precision.ESTIMATED)


async def test_time_that_the_client_takes_is_not_the_models() -> None:
    target, provider = replace(PATIENT, idle_timeout_s=SOON), Scripted(Delta(content="a"), Delta(content="b"), END)
    calls = some_calls(provider)
    request = ProviderRequest(target, [{"role": "user", "content": "Hello?"}], {})
    [call] = calls.dispatch([request], CallKind.ANSWER, Tier.FAST)
    came = []
    async for delta in calls.stream(call, request):
        came.append(delta)
        await asyncio.sleep(3 * SOON)
    assert (len(came), call.status) == (3, CallStatus.OK)


async def test_a_client_that_hangs_up_is_no_time_out() -> None:
    provider = Scripted(Delta(content="a"), LONG)
    calls = some_calls(provider)
    request = ProviderRequest(PATIENT, [{"role": "user", "content": "Hello?"}], {})
    [call] = calls.dispatch([request], CallKind.ANSWER, Tier.FAST)
    began = asyncio.Event()

    async def read() -> None:
        async for _ in calls.stream(call, request):
            began.set()

    reading = asyncio.create_task(read())
    await began.wait()
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    assert (call.status, call.cause) == (CallStatus.CANCELLED, None)


async def test_a_provider_that_goes_on_after_its_time_is_read_no_further() -> None:
    class Stubborn(FakeProvider):
        async def stream(self, request: ProviderRequest) -> AsyncGenerator[Delta]:
            yield Delta(content="Once")
            with suppress(asyncio.CancelledError):
                await asyncio.sleep(LONG)
            yield Delta(content="more")

    calls = some_calls(Stubborn(saying("-")))
    request = ProviderRequest(replace(PATIENT, idle_timeout_s=SOON), [{"role": "user", "content": "Hello?"}], {})
    [call] = calls.dispatch([request], CallKind.ANSWER, Tier.FAST)
    stream = calls.stream(call, request)
    assert (await anext(stream)).content == "Once"
    with pytest.raises(ProviderTimeout):
        await anext(stream)
    assert (call.status, call.cause) == (CallStatus.ERROR, Cause.TIMEOUT_IDLE)


async def test_time_outs_of_the_provider_itself_are_its_own() -> None:
    async def answer() -> Completion:
        raise TimeoutError

    with pytest.raises(TimeoutError):
        await within(PATIENT, 5.0, answer())


def test_an_answer_is_likely_to_have_what_its_client_allows_or_some_times_its_upper_forecast() -> None:
    target, forecast = replace(CHEAP, max_thinking_tokens=5_000), Forecast(10, 100, 400)
    asked = ProviderRequest(target, [], {}, think=True)
    assert likely_tokens(asked, 100_000, forecast) == 3 * 400 + 5_000
    assert likely_tokens(replaced(asked, max_visible_tokens=50), 100_000, forecast) == 5_050
    assert likely_tokens(replaced(asked, max_output_tokens=50), 100_000, forecast) == 50
    assert likely_tokens(replaced(asked, think=False), 100_000, forecast) == 1_200
    assert likely_tokens(asked, 50, forecast) == likely_tokens(asked, 50, None) == 50
