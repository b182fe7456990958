import asyncio
from contextlib import AsyncExitStack

import pytest

from router.api.admission import AdmissionControl
from router.errors import RateLimited


async def hold(admission: AdmissionControl, until: asyncio.Event) -> None:
    async with admission.place():
        await until.wait()


async def test_a_free_place_is_taken_at_once() -> None:
    admission = AdmissionControl(1, 0, timeout_s=1)
    async with admission.place():
        assert (admission.inside, admission.waiting) == (1, 0)
    assert admission.inside == 0


async def test_who_finds_place_and_queue_taken_is_turned_away() -> None:
    admission = AdmissionControl(1, 0, timeout_s=1)
    async with admission.place():
        with pytest.raises(RateLimited, match="too many requests are waiting"):
            await admission.place().__aenter__()


async def test_who_waits_gets_the_place_that_becomes_free() -> None:
    admission, leave = AdmissionControl(1, 1, timeout_s=5), asyncio.Event()
    first = asyncio.create_task(hold(admission, leave))
    await asyncio.sleep(0)
    second = asyncio.create_task(hold(admission, leave))
    await asyncio.sleep(0)
    assert (admission.inside, admission.waiting) == (1, 1)
    leave.set()
    await asyncio.gather(first, second)
    assert (admission.inside, admission.waiting) == (0, 0)


async def test_who_waits_too_long_is_told_when_to_come_back() -> None:
    admission = AdmissionControl(1, 1, timeout_s=0)
    async with admission.place():
        with pytest.raises(RateLimited) as caught:
            await admission.place().__aenter__()
    assert int(caught.value.headers()["retry-after"]) > 0
    assert admission.waiting == 0


async def test_who_gives_up_waiting_leaves_the_queue() -> None:
    admission = AdmissionControl(1, 1, timeout_s=5)
    async with admission.place():
        waiting = asyncio.create_task(hold(admission, asyncio.Event()))
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.wait([waiting])
        assert admission.waiting == 0


async def test_a_place_is_given_back_when_the_answer_fails() -> None:
    admission = AdmissionControl(1, 0, timeout_s=1)
    with pytest.raises(ValueError, match="broken"):
        async with admission.place():
            raise ValueError("broken")
    assert admission.inside == 0


async def test_the_headers_tell_how_many_places_are_left() -> None:
    admission = AdmissionControl(2, 0, timeout_s=1)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(admission.place())
        assert dict(admission.headers())[b"x-ratelimit-remaining-requests"] == b"1"
        await stack.enter_async_context(admission.place())
        assert dict(admission.headers())[b"x-ratelimit-reset-requests"] != b"0s"
