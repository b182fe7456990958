"""Servers that hang, drip, or say nothing but comments: every phase ends in its own cause, and what the books say."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest
from aiohttp import web

from router.errors import Cause, ProviderError, ProviderUnreachable
from router.ledger.entries import CallResult
from router.providers.base import ModelTarget, ProviderRequest
from router.providers.openai.client import OpenAICompatible
from router.types import CallKind, CallStatus, Precision, Tier
from tests.providers.upstream import Answer, an_upstream, hangs, says, streams
from tests.tiers.fakes import FakeBooks, FakeProvider, saying, some_calls

SOON, LONG = 0.3, 60.0
CHUNK = {"choices": [{"index": 0, "delta": {"content": "Once"}}]}
ROLE = {"choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}}]}
PIECE = b'data: {"choices":[{"index":0,"delta":{"content":"a"}}]}\n\n'


def drips(piece: bytes, first: bytes = b"", content_type: str = "text/event-stream") -> Answer:
    """Send a piece again and again."""

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"content-type": content_type})
        await response.prepare(request)
        if first:
            await response.write(first)
        while True:
            await response.write(piece)
            await asyncio.sleep(0.02)

    return answer


@pytest.fixture
async def client() -> AsyncGenerator[OpenAICompatible]:
    made = OpenAICompatible(trust_env=False)
    yield made
    await made.close()


Asks = Callable[..., Awaitable[CallResult]]


@pytest.fixture
def ask(client: OpenAICompatible) -> Asks:
    async def result_of(answer: Answer, *, streamed: bool = True, **phases: Any) -> CallResult:
        books = FakeBooks()
        calls = some_calls(FakeProvider(saying("-")), books)
        calls._provider_of = lambda target: client
        async with an_upstream(answer) as upstream:
            target = ModelTarget("openai/m", api_base=upstream.base, timeout_s=LONG, first_byte_timeout_s=LONG)
            target = replace(target, **dict[str, Any]({"idle_timeout_s": LONG} | phases))
            request = ProviderRequest(target, [{"role": "user", "content": "Hello?"}], {}, max_output_tokens=1_000)
            [call] = calls.dispatch([request], CallKind.ANSWER, Tier.FAST)
            try:
                if streamed:
                    async for _ in calls.stream(call, request):
                        pass
                else:
                    await calls.complete(call, request)
            except ProviderError:
                pass
            if call.status is not CallStatus.OK:
                await asyncio.wait_for(upstream.hung_up.wait(), LONG)
        calls.flush()
        return books.results()[0]

    return result_of


@pytest.mark.parametrize(
    "answer",
    [hangs(), drips(b": keep-alive\n\n"), drips(b"event: ping\n\n"), drips(b'data: {"choices":[]}\n\n'), hangs(ROLE)],
    ids=["silence", "comments", "pings", "empty", "role"],
)
async def test_nothing_but_signs_of_life_is_no_answer(ask: Asks, answer: Answer) -> None:
    result = await ask(answer, first_byte_timeout_s=SOON)
    assert (result.status, result.cause) == (CallStatus.ERROR, Cause.TIMEOUT_FIRST_BYTE)
    assert result.precision is Precision.ESTIMATED


@pytest.mark.parametrize(
    "answer", [hangs(CHUNK), drips(b": keep-alive\n\n", PIECE), drips(b"d", PIECE)], ids=["silence", "comments", "slow"]
)
async def test_a_stream_that_stops_ends_with_the_pause(ask: Asks, answer: Answer) -> None:
    result = await ask(answer, idle_timeout_s=SOON)
    assert (result.cause, result.precision) == (Cause.TIMEOUT_IDLE, Precision.ESTIMATED)


async def test_a_stream_that_drips_for_ever_ends_in_all(ask: Asks) -> None:
    result = await ask(drips(PIECE), timeout_s=SOON)
    assert result.cause is Cause.TIMEOUT_TOTAL


@pytest.mark.parametrize("answer", [hangs(), drips(b" ", content_type="application/json")], ids=["silence", "blanks"])
async def test_a_whole_answer_that_does_not_come_ends_too(ask: Asks, answer: Answer) -> None:
    result = await ask(answer, streamed=False, timeout_s=SOON)
    assert (result.cause, result.precision) == (Cause.TIMEOUT_TOTAL, Precision.ESTIMATED)


async def test_an_answer_in_time_is_one(ask: Asks) -> None:
    end = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
    assert (await ask(streams(CHUNK, end), first_byte_timeout_s=LONG)).status is CallStatus.OK
    whole = {"choices": [{"message": {"content": "Once"}, "finish_reason": "stop"}]}
    assert (await ask(says(whole), streamed=False)).status is CallStatus.OK


async def test_a_connection_that_is_not_taken_costs_nothing(client: OpenAICompatible) -> None:
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        address = listener.getsockname()
        for _ in range(4):  # nobody accepts them: there is no place left for another one
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(address)
        target = ModelTarget("openai/m", api_base=f"http://127.0.0.1:{address[1]}/v1", connect_timeout_s=SOON)
        with pytest.raises(ProviderUnreachable) as caught:
            await client.complete(ProviderRequest(target, [{"role": "user", "content": "Hello?"}], {}))
    assert (caught.value.cause, caught.value.dispatched) == (Cause.TIMEOUT_CONNECT, False)
