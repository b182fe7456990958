"""A stop under load, a budget after failures, a short soak; `scripts/faults` and `scripts/soak` are the long forms."""

import asyncio
import signal
from pathlib import Path

import aiohttp
import pytest

from scripts.benchmarks.faults import soak, spending, stops
from scripts.benchmarks.faults.served import Instance
from tests.waiting import soon


@pytest.mark.parametrize("workers", [1, 2])
async def test_a_stop_loses_nobody(tmp_path: Path, workers: int) -> None:
    place = await asyncio.to_thread(stops.a_place, tmp_path / "instance", workers, 9.0)
    place.engine().dispose()
    found = await stops.stop_under_way(place, 16, 9.0)
    assert found.holds, found
    assert (found.whole + found.told, found.hung, found.unbooked) == (16, 0, 0)
    assert found.account is not None
    assert found.account.lines == found.account.served
    assert not found.account.lost_answers


@pytest.mark.parametrize("workers", [1, 2])
async def test_a_reload_refuses_nobody_and_reads_the_settings_again(tmp_path: Path, workers: int) -> None:
    place = await asyncio.to_thread(stops.a_place, tmp_path / "instance", workers, 2.0)
    instance, config = Instance(place), tmp_path / "instance" / "tierwise.toml"
    seen: list[int] = []
    await instance.start()

    async def models() -> str:
        async with aiohttp.ClientSession() as session, session.get(f"{place.url}/v1/models") as reply:
            seen.append(reply.status)
            return await reply.text()

    async def has_taken_over() -> bool:  # every worker: as many answers in a row as make it sure
        return all(["newcomer" in await models() for _ in range(4 * workers)])

    try:
        config.write_text(config.read_text() + '\n[models.newcomer]\nmodel = "scripted/echo"\n')
        instance.signal(signal.SIGHUP)
        await soon(has_taken_over)
        assert set(seen) == {200}
    finally:
        instance.terminate()
        assert await instance.wait_ended() in (0, -signal.SIGTERM)  # its own end, or that of a stop before the handover


async def test_a_budget_is_spent_by_what_the_provider_billed(tmp_path: Path) -> None:
    place = await asyncio.to_thread(spending.a_place, tmp_path / "instance")
    place.engine().dispose()
    found = await spending.spending(place, 20)
    assert found.holds, found
    assert 0 < found.spent_nanousd < spending.LIMIT // 1_000


async def test_a_short_soak_leaves_equal_books(tmp_path: Path) -> None:
    found = await soak.soak(tmp_path / "instance", 600, clients=12)
    assert found.is_equal, soak.describe(found)
    assert found.hung_up > 0
    assert found.more_handles <= 24, soak.describe(found)
