"""Windows count, and begin anew; without Redis a worker counts by itself."""

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from fakeredis import TcpFakeServer

from router.limits.windows import SWEEP_EVERY, WINDOW_S, MemoryWindows, RedisWindows, open_windows
from tests.waiting import PATIENCE_S, soon


class Hand:
    def __init__(self) -> None:
        self.at_s = 1_000.0

    def __call__(self) -> float:
        return self.at_s


async def test_a_window_lasts_a_minute_from_what_is_counted_first() -> None:
    clock = Hand()
    windows = MemoryWindows(clock)
    assert await windows.add("a", 2) == (2, WINDOW_S)
    clock.at_s += 45
    assert await windows.add("a", 3) == (5, 15)
    assert await windows.add("b", 1) == (1, WINDOW_S)
    clock.at_s += 15
    assert await windows.add("a", 1) == (1, WINDOW_S)


async def test_what_is_taken_back_is_never_owed() -> None:
    windows = MemoryWindows(Hand())
    windows.note("a", -5)
    assert (await windows.add("a", 1)).counted == 1


def test_windows_that_are_over_do_not_pile_up() -> None:
    clock = Hand()
    windows = MemoryWindows(clock)
    for number in range(SWEEP_EVERY * 3):
        windows.note(f"user {number}", 1)
        clock.at_s += 1
    assert len(windows._windows) <= SWEEP_EVERY + WINDOW_S


class FakeRedis:
    """A storage as `limits` has it, which may be away."""

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}
        self.is_away = False
        self.asked = 0

    async def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        self.asked += 1
        if self.is_away:
            raise ConnectionError("refused")
        self.counts[key] = self.counts.get(key, 0) + amount
        return self.counts[key]

    async def get_expiry(self, key: str) -> float:
        return 0.0


def a_redis(storage: Any) -> RedisWindows:
    return RedisWindows("redis://nowhere", lambda url: storage)


async def test_workers_count_together_in_redis() -> None:
    storage = FakeRedis()
    one, two = a_redis(storage), a_redis(storage)
    assert [(await windows.add("a", 1)).counted for windows in (one, two, one)] == [1, 2, 3]
    one.note("a", 10)
    await soon(lambda: storage.counts["a"] == 13)


async def test_without_redis_a_worker_counts_by_itself_and_leaves_it_alone(caplog: pytest.LogCaptureFixture) -> None:
    storage = FakeRedis()
    storage.is_away = True
    windows = a_redis(storage)
    assert [(await windows.add("a", 1)).counted for _ in range(3)] == [1, 2, 3]
    assert storage.asked == 1
    assert "Redis is away: ConnectionError" in caplog.text
    storage.is_away, windows._rests_until_s = False, 0.0
    assert (await windows.add("a", 1)).counted == 1
    assert "Redis again" in caplog.text


async def test_a_silent_redis_keeps_nobody_waiting_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    class Silent(FakeRedis):
        async def incr(self, key: str, expiry: int, amount: int = 1) -> int:
            await asyncio.Event().wait()
            return 0

    monkeypatch.setattr("router.limits.windows.REDIS_WAIT_S", 0.01)
    assert (await a_redis(Silent()).add("a", 1)).counted == 1


def test_the_setting_says_where_it_is_counted() -> None:
    assert isinstance(open_windows("memory"), MemoryWindows)
    assert isinstance(open_windows("redis://127.0.0.1:6379/0"), RedisWindows)


@pytest.fixture
def redis_url() -> Iterator[str]:
    server = TcpFakeServer(("127.0.0.1", 0), server_type="redis")
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"redis://127.0.0.1:{server.server_address[1]}/0"
    server.shutdown()
    server.server_close()
    thread.join()


async def test_redis_counts_for_all_in_one_window(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("router.limits.windows.REDIS_WAIT_S", PATIENCE_S)
    one, two = RedisWindows(redis_url), RedisWindows(redis_url)
    counted = [await windows.add("key 1:requests", 2) for windows in (one, two, one)]
    assert [state.counted for state in counted] == [2, 4, 6]
    assert all(WINDOW_S - 30 < state.ends_in_s <= WINDOW_S for state in counted)
    two.note("key 1:requests", -1)

    async def is_taken_back() -> bool:
        return (await one.add("key 1:requests", 0)).counted == 5

    await soon(is_taken_back)
    await asyncio.gather(one.close(), two.close())
