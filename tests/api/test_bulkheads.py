"""Places that run short, end to end: deep answers stop first, and a model that hangs takes no more than its part."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tests.api.service import CHAT, Connection, Service, a_chat, serving, settings_of


@asynccontextmanager
async def hanging(tmp_path: Path, count: int, **server: Any) -> AsyncIterator[Service]:
    """A service in which so many requests hang."""
    async with serving(settings_of(tmp_path, server=server)) as running:
        connections = [Connection(running, a_chat("hang")) for _ in range(count)]
        await running.until(lambda: _places(running, count))
        yield running
        await asyncio.gather(*(connection.leave() for connection in connections))


async def _places(service: Service, count: int) -> bool:
    places = (await service.local.get("/health/ready")).json()["places"]
    return bool(places["taken"] >= count)


async def test_while_places_run_short_auto_is_served_fast_and_nothing_deep_begins(tmp_path: Path) -> None:
    async with hanging(tmp_path, 6, max_concurrent_requests=8, max_concurrent_per_key=8) as service:
        deep = a_chat("auto", reasoning_effort="high")
        response = await service.local.post(CHAT, json=deep)
        assert response.status_code == 200
        assert (response.headers["x-tierwise-tier"], response.headers["x-tierwise-reason"]) == ("fast", "capability")
        refused = await service.local.post(CHAT, json=a_chat("reasoning"))
        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "overloaded")
        assert int(refused.headers["retry-after"]) > 0
        assert (await service.local.post(CHAT, json=a_chat("fast"))).status_code == 200


async def test_a_model_that_hangs_takes_no_more_than_its_part(tmp_path: Path) -> None:
    async with hanging(tmp_path, 2, max_concurrent_per_target=2) as service:
        refused = await service.local.post(CHAT, json=a_chat("hang"))
        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "overloaded")
        assert (await service.booked(refused.headers["x-request-id"]))["outcome"] == "error"
        assert await service.calls(refused.headers["x-request-id"]) == []
        assert (await service.local.post(CHAT, json=a_chat("fast"))).status_code == 200


async def test_a_key_that_holds_its_part_waits_until_one_of_its_own_has_ended(tmp_path: Path) -> None:
    async with serving(settings_of(tmp_path, server={"max_concurrent_per_key": 1})) as service:
        first = Connection(service, a_chat("hang"))
        await service.until(lambda: _places(service, 1))
        second = asyncio.create_task(service.local.post(CHAT, json=a_chat()))
        await service.until(lambda: _waiting(service))
        await first.leave()
        assert (await second).status_code == 200


async def _waiting(service: Service) -> bool:
    return bool((await service.local.get("/health/ready")).json()["places"]["waiting"])
