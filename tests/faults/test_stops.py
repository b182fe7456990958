"""A stop under load, a budget after failures, a short soak; `scripts/faults` and `scripts/soak` are the long forms."""

import asyncio
import signal
from pathlib import Path

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families

from scripts.benchmarks.faults import soak, spending, stops
from scripts.benchmarks.faults.served import Instance, Place
from tests.builders.databases import lay_out
from tests.waiting import soon


@pytest.mark.parametrize("workers", [1, 2])
async def test_a_stop_loses_nobody(tmp_path: Path, workers: int) -> None:
    place = await asyncio.to_thread(stops.a_place, tmp_path / "instance", workers, 9.0)
    lay_out(place.database_url)
    found = await stops.stop_under_way(place, 16, 9.0)
    assert found.holds, found
    assert (found.whole + found.told, found.hung, found.unbooked) == (16, 0, 0)
    assert found.account is not None
    assert found.account.lines == found.account.served
    assert not found.account.lost_answers


@pytest.mark.parametrize("workers", [1, 2])
async def test_a_reload_refuses_nobody_reads_the_settings_again_and_goes_on_counting(
    tmp_path: Path, workers: int
) -> None:
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

    async def all_count(requests: int) -> bool:  # whichever worker is asked, each for a connection of its own
        return all([await _count(place) == requests for _ in range(4 * workers)])

    try:
        for _ in range(3 * workers):
            await _ask(place)
        await soon(lambda: all_count(3 * workers))
        config.write_text(config.read_text() + '\n[models.newcomer]\nmodel = "scripted/echo"\n')
        instance.signal(signal.SIGHUP)
        await soon(has_taken_over)
        assert set(seen) == {200}
        await _ask(place)
        await soon(lambda: all_count(3 * workers + 1))
    finally:
        instance.terminate()
        assert await instance.wait_ended() in (0, -signal.SIGTERM)  # its own end, or that of a stop before the handover


async def test_a_budget_is_spent_by_what_the_provider_billed(tmp_path: Path) -> None:
    place = await asyncio.to_thread(spending.a_place, tmp_path / "instance")
    lay_out(place.database_url)
    found = await spending.spending(place, 20)
    assert found.holds, found
    assert 0 < found.spent_nanousd < spending.LIMIT // 1_000


async def test_a_short_soak_leaves_equal_books(tmp_path: Path) -> None:
    found = await soak.soak(tmp_path / "instance", 400, clients=12)
    assert found.is_equal, soak.describe(found)
    assert found.hung_up > 0
    assert found.more_handles <= 24, soak.describe(found)


async def _ask(place: Place) -> None:
    body = {"model": "fast", "messages": [{"role": "user", "content": "Say hello"}]}
    async with aiohttp.ClientSession() as session, session.post(f"{place.url}/v1/chat/completions", json=body) as reply:
        assert reply.status == 200


async def _count(place: Place) -> float:
    """How many requests were settled, by the worker that happens to be asked."""
    async with aiohttp.ClientSession() as session, session.get(f"{place.url}/metrics") as reply:
        families = list(text_string_to_metric_families(await reply.text()))
    return sum(s.value for family in families for s in family.samples if s.name == "tierwise_requests_total")
