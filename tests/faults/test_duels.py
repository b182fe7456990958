"""A worker that is killed in the middle of a duel leaves a shadow call that is settled as unknown, and no verdict."""

import asyncio
from pathlib import Path

import aiohttp
from sqlalchemy import func, select

from router.database.learning_tables import Duel
from router.database.tables import Call
from router.ledger.entries import CallIntent
from router.types import CallKind, CallStatus
from scripts.benchmarks.faults.served import Instance, Place
from tests.builders.databases import lay_out
from tests.waiting import soon

QUESTION = {"model": "auto", "messages": [{"role": "user", "content": "What is 17 + 25?"}]}


def duelling(directory: Path) -> Place:
    """A place where every answer is duelled, by a rival that never answers."""
    place = Place.make(directory)
    config = directory / "tierwise.toml"
    text = config.read_text().replace('"scripted/assistant-think-20ms-2gap"', '"scripted/hang"')
    config.write_text(text + "[policy]\nshadow = 1.0\nexplore = 0.0\n")
    lay_out(place.database_url)
    return place


async def ask(place: Place) -> None:
    async with aiohttp.ClientSession() as session, session.post(f"{place.url}/v1/chat/completions", json=QUESTION) as r:
        assert r.status == 200, await r.text()


def is_rival_asked(place: Place) -> bool:
    return any(isinstance(entry, CallIntent) and entry.kind is CallKind.SHADOW for entry in place.spooled())


async def test_killed_in_a_duel(tmp_path: Path) -> None:
    place = await asyncio.to_thread(duelling, tmp_path / "instance")
    instance = Instance(place)
    await instance.start()
    await ask(place)
    await soon(lambda: asyncio.to_thread(is_rival_asked, place))
    await instance.kill()
    instance = Instance(place)
    await instance.start()
    await instance.wait_shipped()
    await instance.stop()
    engine = place.engine()
    with engine.connect() as connection:
        calls = [
            (row.kind, row.status) for row in connection.execute(select(Call.kind, Call.status).order_by(Call.call_no))
        ]
        verdicts = connection.scalar(select(func.count()).select_from(Duel))
    engine.dispose()
    assert calls == [(CallKind.ANSWER, CallStatus.OK), (CallKind.SHADOW, CallStatus.UNKNOWN)]
    assert verdicts == 0
