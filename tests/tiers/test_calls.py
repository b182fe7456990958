"""What the books say of a call, however it ends."""

import asyncio

import pytest

from router.errors import Cause, ProviderError, ProviderOverloaded, ProviderTimeout, ProviderUnreachable
from router.ledger.entries import CallResult
from router.providers.base import Delta, Metered, ProviderRequest
from router.tiers.calls import Calls
from router.types import CallKind, CallStatus, Precision, Tier, Usage
from tests.tiers.fakes import CHEAP, BreakOff, FakeBooks, FakeProvider, Hang, Reply, metered, saying, some_calls
from tests.waiting import soon

REQUEST = ProviderRequest(CHEAP, [{"role": "user", "content": "Hello?"}], {}, max_output_tokens=1_000)
TEXT = "one two three four five six seven eight nine ten " * 10
ZEROS = Metered(Usage(), Precision.EXACT)
INTERIM = metered(1)


def an_error(status: int | None, cause: Cause = Cause.UNKNOWN) -> ProviderError:
    return ProviderError("it failed", provider_status=status, cause=cause)


async def booked(reply: Reply, *, streamed: bool) -> CallResult:
    """The result in the books of a call that is answered so."""
    books = FakeBooks()
    calls = some_calls(FakeProvider(saying(reply)), books)
    [call] = calls.dispatch([REQUEST], CallKind.ANSWER, Tier.FAST)
    try:
        if streamed:
            async for _ in calls.stream(call, REQUEST):
                pass
        else:
            await calls.complete(call, REQUEST)
    except ProviderError:
        pass
    calls.flush()
    [result] = books.results()
    return result


either_way = pytest.mark.parametrize("streamed", [True, False])


@either_way
@pytest.mark.parametrize("status", [400, 401, 404, 429, 500, 502, 503, 529, 200])
async def test_what_a_provider_says_has_failed_costs_nothing(status: int, streamed: bool) -> None:
    result = await booked(an_error(status), streamed=streamed)
    assert (result.status, result.precision, result.cost_nanousd) == (CallStatus.ERROR, Precision.EXACT, 0)


@either_way
async def test_a_refused_request_costs_nothing_whatever_went_wrong_with_it(streamed: bool) -> None:
    result = await booked(an_error(400, Cause.NONSENSE), streamed=streamed)
    assert (result.precision, result.cost_nanousd) == (Precision.EXACT, 0)


@either_way
@pytest.mark.parametrize(
    ("reply", "cause", "http_status"),
    [
        (an_error(402, Cause.NO_CREDIT), Cause.NO_CREDIT, 402),
        (an_error(200, Cause.RATE_LIMITED), Cause.RATE_LIMITED, 200),
        (an_error(None, Cause.BROKEN_OFF), Cause.BROKEN_OFF, None),
        (ProviderUnreachable("away"), Cause.UNREACHABLE, None),
        ("Hello.", None, None),
    ],
)
async def test_why_it_failed_and_with_which_status_is_in_the_books(
    reply: Reply, cause: Cause | None, http_status: int | None, streamed: bool
) -> None:
    result = await booked(reply, streamed=streamed)
    assert (result.cause, result.http_status) == (cause, http_status)


@either_way
async def test_no_room_costs_nothing(streamed: bool) -> None:
    result = await booked(ProviderOverloaded("busy", provider_status=529), streamed=streamed)
    assert (result.precision, result.cost_nanousd) == (Precision.EXACT, 0)


@either_way
@pytest.mark.parametrize(
    "error",
    [
        an_error(408),
        an_error(504),
        an_error(524),
        an_error(499),
        an_error(None),
        an_error(200, Cause.BROKEN_OFF),
        ProviderTimeout("late"),
    ],
    ids=lambda error: f"{error.provider_status} {error.cause}",
)
async def test_what_may_have_been_worked_on_is_estimated_and_not_its_upper_bound(
    error: ProviderError, streamed: bool
) -> None:
    result = await booked(error, streamed=streamed)
    assert (result.status, result.precision) == (CallStatus.ERROR, Precision.ESTIMATED)
    assert result.usage is not None
    assert result.usage.input_fresh > 5
    assert result.cost_nanousd is not None
    assert 0 < result.cost_nanousd < 100_000


@either_way
async def test_what_never_left_costs_nothing(streamed: bool) -> None:
    result = await booked(ProviderUnreachable("nobody there"), streamed=streamed)
    assert (result.status, result.precision, result.cost_nanousd) == (CallStatus.NOT_SENT, Precision.EXACT, 0)


async def test_an_error_after_text_costs_the_text() -> None:
    result = await booked([Delta(content=TEXT), Delta(finish_reason="stop", metered=ZEROS)], streamed=True)
    assert result.usage is not None
    assert result.precision is Precision.ESTIMATED
    assert result.usage.output_visible > 90


async def test_an_error_in_the_stream_after_text_is_no_refusal() -> None:
    class Failing(FakeProvider):
        async def stream(self, request: ProviderRequest):  # type: ignore[no-untyped-def]
            yield Delta(content=TEXT)
            raise an_error(429, Cause.RATE_LIMITED)

    books = FakeBooks()
    calls = some_calls(Failing(saying("")), books)
    [call] = calls.dispatch([REQUEST], CallKind.ANSWER, Tier.FAST)
    with pytest.raises(ProviderError):
        [delta async for delta in calls.stream(call, REQUEST)]
    calls.flush()
    [result] = books.results()
    assert result.usage is not None
    assert (result.status, result.precision) == (CallStatus.ERROR, Precision.ESTIMATED)
    assert result.usage.output_visible > 90


@either_way
async def test_usage_that_contradicts_the_text_is_not_booked_as_exact(streamed: bool) -> None:
    result = await booked([Delta(content=TEXT), Delta(finish_reason="stop", metered=ZEROS)], streamed=streamed)
    assert result.precision is Precision.ESTIMATED
    assert result.cost_nanousd


async def test_zeros_after_a_count_change_nothing() -> None:
    told = Metered(Usage(input_fresh=50, output_visible=120), Precision.EXACT)
    deltas = [Delta(content=TEXT), Delta(finish_reason="stop", metered=told), Delta(metered=ZEROS)]
    result = await booked(deltas, streamed=True)
    assert (result.usage, result.precision) == (told.usage, Precision.EXACT)


async def test_an_answer_without_a_choice_is_an_error_in_the_books() -> None:
    result = await booked([], streamed=False)
    assert result.status is CallStatus.ERROR


@pytest.mark.parametrize("first", ["", TEXT])
async def test_a_call_that_is_cancelled_is_estimated(first: str) -> None:
    books = FakeBooks()
    provider = FakeProvider(saying(Hang(first)))
    calls = some_calls(provider, books)
    [call] = calls.dispatch([REQUEST], CallKind.ANSWER, Tier.FAST)

    async def run(calls: Calls) -> None:
        async for _ in calls.stream(call, REQUEST):
            pass

    task = asyncio.ensure_future(run(calls))
    await soon(lambda: provider.requests)
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    calls.flush()
    [result] = books.results()
    assert (result.status, result.precision) == (CallStatus.CANCELLED, Precision.ESTIMATED)
    assert result.usage is not None
    assert (result.usage.output_visible > 90) == bool(first)


@pytest.mark.parametrize(
    ("deltas", "precision", "least", "most"),
    [
        ([Delta(metered=INTERIM)], Precision.ESTIMATED, 500, 1_000),  # it thought in hiding
        ([Delta(metered=INTERIM), Delta(content=TEXT)], Precision.ESTIMATED, 90, 200),
        ([Delta(content=TEXT, metered=metered(120))], Precision.ESTIMATED, 120, 120),
        ([Delta(content=TEXT), Delta(finish_reason="stop", metered=metered(120))], Precision.EXACT, 120, 120),
    ],
)
@pytest.mark.parametrize("ending", [asyncio.CancelledError(), an_error(None, Cause.BROKEN_OFF), ValueError()])
async def test_usage_from_before_the_end_is_an_estimate_where_the_call_was_cut_off(
    deltas: list[Delta], precision: Precision, least: int, most: int, ending: BaseException
) -> None:
    books = FakeBooks()

    class Slow(FakeProvider):
        async def stream(self, request: ProviderRequest):  # type: ignore[no-untyped-def]
            for delta in deltas:
                yield delta
            call.began_ms -= 8_000  # so long it went on
            raise ending

    calls = some_calls(Slow(saying("")), books)
    [call] = calls.dispatch([REQUEST], CallKind.ANSWER, Tier.FAST)
    with pytest.raises(type(ending)):
        [delta async for delta in calls.stream(call, REQUEST)]
    calls.flush()
    [result] = books.results()
    assert result.usage is not None
    assert (result.precision, result.usage.input_tokens) == (precision, 5)
    assert least <= result.usage.output_tokens <= most


async def test_a_stream_that_breaks_off_costs_what_came() -> None:
    result = await booked(BreakOff(TEXT), streamed=True)
    assert result.usage is not None
    assert result.usage.output_visible > 90
