"""A start while the database is away serves from the last known state, says so, and books all once it is back."""

import asyncio
import stat
from pathlib import Path

import aiohttp
import pytest
from sqlalchemy import func, select

from router.database.last_known import FILE
from router.database.tables import Call, Request
from scripts.benchmarks.faults.outage import locked
from scripts.benchmarks.faults.served import Instance, Place
from tests.builders.databases import lay_out
from tests.waiting import soon


async def answers(place: Place, secret: str, model: str = "fast") -> tuple[int, str]:
    body = {"model": model, "messages": [{"role": "user", "content": "How do I descale a kettle?"}]}
    headers = {"authorization": f"Bearer {secret}"}
    url = f"{place.url}/v1/chat/completions"
    async with aiohttp.ClientSession() as session, session.post(url, json=body, headers=headers) as reply:
        return reply.status, await reply.text()


async def ledger_of(place: Place) -> dict[str, object]:
    async with aiohttp.ClientSession() as session, session.get(f"{place.url}/health/ready") as reply:
        return dict((await reply.json())["ledger"])


@pytest.fixture
def place(tmp_path: Path) -> Place:
    made = Place.make(tmp_path / "instance")
    lay_out(made.database_url)
    return made


async def test_a_start_without_the_database(place: Place) -> None:
    [secret] = (await asyncio.to_thread(place.make_keys, 1)).values()
    first = Instance(place)
    await first.start()
    known = place.directory / "state" / FILE
    await soon(lambda: known.exists() and "client-0" in known.read_text())
    await first.stop()
    assert stat.S_IMODE(known.stat().st_mode) == 0o600
    assert secret not in known.read_text()
    second = Instance(place)
    try:
        async with locked(place):
            await second.start()
            assert (await answers(place, secret))[0] == 200
            assert (await answers(place, "tw-unknown"))[0] == 401  # a locked database can still be read
            state = await ledger_of(place)
            assert state["database"] == "away"
            assert isinstance(state["started_without_since"], int)
            assert "STARTING WITHOUT THE DATABASE" in (place.directory / "serve.log").read_text()
        await soon(lambda: _is_back(place))
        assert await second.wait_shipped()
    finally:
        await second.stop()
    engine = place.engine()
    with engine.connect() as connection:
        requests = connection.scalar(select(func.count()).select_from(Request))
        priced = connection.scalar(select(func.count()).select_from(Call).where(Call.cost_nanousd.is_not(None)))
    engine.dispose()
    assert (requests, priced) == (1, 1)


async def _is_back(place: Place) -> bool:
    state = await ledger_of(place)
    return state["database"] == "ok" and state["started_without_since"] is None


async def test_a_first_start_without_the_database_ends_with_its_name(place: Place) -> None:
    async with locked(place):
        with pytest.raises(RuntimeError, match="cannot be written"):
            await Instance(place).start()
