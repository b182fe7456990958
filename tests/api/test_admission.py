import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack, ExitStack

import pytest

from router.api.admission import AdmissionControl, Shares
from router.errors import RateLimited, Saturated
from router.types import Tier


async def hold(
    admission: AdmissionControl, until: asyncio.Event, key: int | None = None, segment: str = "default"
) -> None:
    async with admission.place(key, segment):
        await until.wait()


async def held(admission: AdmissionControl, until: asyncio.Event, keys: Sequence[int]) -> list[asyncio.Task[None]]:
    """Begin one request of each key, in order."""
    tasks = []
    for key in keys:
        tasks.append(asyncio.create_task(hold(admission, until, key)))
        await asyncio.sleep(0)
    return tasks


async def end(tasks: Sequence[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


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
    admission = AdmissionControl(2, 0, timeout_s=1, shares=Shares(key=2))
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(admission.place())
        assert dict(admission.headers())[b"x-ratelimit-remaining-requests"] == b"1"
        await stack.enter_async_context(admission.place())
        assert dict(admission.headers())[b"x-ratelimit-reset-requests"] != b"0s"


async def test_one_key_gets_no_more_than_its_part_and_the_others_the_rest() -> None:
    admission, until = AdmissionControl(8, 8, timeout_s=5), asyncio.Event()
    hung = await held(admission, until, [1] * 8)
    assert (admission.inside, admission.waiting) == (4, 4)
    others = await held(admission, until, [2, 3])
    assert (admission.inside, admission.waiting) == (6, 4)
    await end([*hung, *others])
    assert (admission.inside, admission.waiting) == (0, 0)


async def test_when_several_keys_hang_there_is_still_a_place_for_the_next() -> None:
    admission, until = AdmissionControl(64, 1_000, timeout_s=5), asyncio.Event()
    hung = await held(admission, until, [key for key in range(5) for _ in range(64)])
    assert admission.inside < 64
    await asyncio.wait_for(admission.enter(99), 5)
    admission.leave(99)
    await end(hung)
    assert (admission.inside, admission.waiting) == (0, 0)


async def test_one_segment_gets_no_more_than_its_part() -> None:
    admission, until = AdmissionControl(8, 8, timeout_s=5, shares=Shares(key=8)), asyncio.Event()
    async with admission.place(None, "plus"):
        pass
    tasks = [asyncio.create_task(hold(admission, until, None, "free")) for _ in range(8)]
    await asyncio.sleep(0)
    assert (admission.inside, admission.waiting) == (6, 2)
    tasks.append(asyncio.create_task(hold(admission, until, None, "plus")))  # of the same key, and it need not wait
    await asyncio.sleep(0)
    assert (admission.inside, admission.waiting) == (7, 2)
    await end(tasks)


async def test_a_configured_part_counts_instead() -> None:
    admission, until = AdmissionControl(8, 8, timeout_s=5, shares=Shares(key=1)), asyncio.Event()
    tasks = await held(admission, until, [1, 1, 2])
    assert (admission.inside, admission.waiting) == (2, 1)
    await end(tasks)


async def test_lines_take_turns_so_that_nobody_waits_behind_a_whole_queue_of_another() -> None:
    admission, first = AdmissionControl(2, 100, timeout_s=5, shares=Shares(2, 2)), asyncio.Event()
    order: list[int] = []

    async def ask(key: int) -> None:
        async with admission.place(key):
            order.append(key)

    holders = await held(admission, first, [9, 9])
    tasks = []
    for key in [1] * 20 + [2, 2]:
        tasks.append(asyncio.create_task(ask(key)))
        await asyncio.sleep(0)
    first.set()
    await asyncio.gather(*holders, *tasks)
    assert max(place for place, key in enumerate(order) if key == 2) <= 4


async def test_one_key_fills_half_of_the_queue_at_most() -> None:
    admission, until = AdmissionControl(1, 4, timeout_s=5), asyncio.Event()
    tasks = await held(admission, until, [1, 1, 1])
    with pytest.raises(RateLimited):
        await admission.enter(1)
    tasks += await held(admission, until, [2])
    assert admission.waiting == 3
    await end(tasks)


async def test_in_a_full_queue_the_longest_line_makes_room() -> None:
    admission, until = AdmissionControl(1, 4, timeout_s=5), asyncio.Event()
    first = await held(admission, until, [9])
    long = await held(admission, until, [1, 1, 2, 2])
    newcomer = await held(admission, until, [3])
    await asyncio.sleep(0)
    [refused] = [task for task in long if task.done()]
    assert refused is long[1]
    with pytest.raises(RateLimited):
        refused.result()
    assert not newcomer[0].done()
    await end([*first, *long, *newcomer])
    assert (admission.inside, admission.waiting) == (0, 0)


async def test_where_nothing_of_a_key_has_ended_for_long_its_next_are_refused_at_once() -> None:
    admission, until = AdmissionControl(4, 4, timeout_s=0), asyncio.Event()
    tasks = await held(admission, until, [1, 1])
    with pytest.raises(RateLimited, match="2 requests of this key"):
        await admission.enter(1)
    await end(tasks)


async def test_a_place_that_came_with_the_end_of_patience_is_given_back() -> None:
    admission, until = AdmissionControl(1, 1, timeout_s=5), asyncio.Event()
    [first, second] = await held(admission, until, [1, 2])
    first.cancel()
    await asyncio.wait([first])
    second.cancel()  # it has the place, and never came to know
    await asyncio.wait([second])
    assert (admission.inside, admission.waiting) == (0, 0)


async def test_a_model_gets_no_more_than_its_part() -> None:
    admission = AdmissionControl(4, 0, timeout_s=1, target_of=lambda model, tier: "one")
    with ExitStack() as stack:
        for model in ("a", "b", "c"):
            stack.enter_context(admission.target(model, Tier.FAST))
        with pytest.raises(Saturated):
            stack.enter_context(admission.target("d", Tier.FAST))
    with admission.target("d", Tier.FAST):
        pass


async def test_short_of_places_nothing_deep_should_begin() -> None:
    admission, until = AdmissionControl(4, 0, timeout_s=1), asyncio.Event()
    tasks = await held(admission, until, [1, 2, 3])
    assert not admission.is_short("auto", Tier.REASONING)
    tasks += await held(admission, until, [4])
    assert admission.is_short("auto", Tier.REASONING)
    await end(tasks)
