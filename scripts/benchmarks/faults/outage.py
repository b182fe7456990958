"""The database is away for a while, under load: no chat fails, no row is lost or doubled."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Protocol

from router.database.engine import sqlite_path
from scripts.benchmarks.faults.account import Account, account
from scripts.benchmarks.faults.load import Load
from scripts.benchmarks.faults.served import Instance, Place


@dataclass(frozen=True, slots=True)
class Outage:
    """What clients and books saw of it."""

    seconds: float
    sent: int
    answered: int
    failed: int
    drained: bool
    account: Account
    examples: list[str]


@asynccontextmanager
async def locked(place: Place) -> AsyncIterator[None]:
    """Hold SQLite's write lock."""
    path = sqlite_path(place.database_url)
    assert path is not None
    connection = sqlite3.connect(path, isolation_level=None, timeout=30)
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        connection.execute("ROLLBACK")
        connection.close()


class Server(Protocol):
    """A PostgreSQL server that can be stopped and started."""

    def stop(self) -> None: ...
    def get_pid(self) -> int | None: ...
    def ensure_postgres_running(self) -> None: ...


@asynccontextmanager
async def stopped(server: Server) -> AsyncIterator[None]:
    """Stop a PostgreSQL server, and start it again."""
    await asyncio.to_thread(server.stop)
    try:
        yield
    finally:
        await asyncio.to_thread(server.ensure_postgres_running)


async def outage(place: Place, seconds: float, away: AbstractAsyncContextManager[None]) -> Outage:
    """Put load on an instance, take its database away in the middle, and count afterwards."""
    instance = Instance(place)
    try:
        await instance.start()
        load = Load(place.url, clients=8, seed=7, hang_up_share=0.0)
        load.start()
        await asyncio.sleep(2)
        async with away:
            await asyncio.sleep(seconds)
        await asyncio.sleep(2)
        seen = await load.stop()
        drained = await instance.wait_shipped()
    finally:
        await instance.stop()
    engine = place.engine()
    found = account(engine, place.tally, seen.answered)
    engine.dispose()
    failures = [*seen.failed, *["cut off"] * seen.cut_off]
    return Outage(seconds, seen.sent, len(seen.answered), len(failures), drained, found, failures[:3])
