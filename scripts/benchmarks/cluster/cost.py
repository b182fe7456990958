"""What requests cost in CPU, memory, rows and bytes, with one replica and with several on one PostgreSQL."""

import asyncio
import os
import time
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import psutil  # type: ignore[import-untyped]
from sqlalchemy import Engine, text

from scripts.benchmarks.cluster.parts import Server
from scripts.benchmarks.cluster.replicas import Cluster, running
from scripts.benchmarks.faults import outage
from scripts.benchmarks.faults.served import free_port
from scripts.benchmarks.overhead.load import QUESTION, UVICORN
from scripts.benchmarks.overhead.servers import MODELS, PRICES

AT_ONCE = 16
WARM_UP = 100
IDLE_S = 10.0
ROLLED_UP_S = 3.0  # until what was shipped is in the rollups
SETTINGS = """auth = "required"
[alerts]
enabled = false
"""
# Sizes with indexes; a partitioned table's are those of its partitions.
SIZES = text(
    "SELECT sum(pg_total_relation_size(c.oid))::bigint AS bytes FROM pg_class c JOIN pg_namespace n"
    " ON n.oid = c.relnamespace WHERE n.nspname = 'public' AND c.relkind IN ('r', 'm')"
)
ROWS = {table: text(f"SELECT count(*) FROM {table}") for table in ("requests", "calls")}  # noqa: S608 - fixed names


@dataclass(frozen=True, slots=True)
class Cost:
    """What so many requests cost; CPU in seconds, beyond what everything takes while nobody asks."""

    replicas: int
    requests: int
    seconds: float
    replicas_cpu_s: float
    database_cpu_s: float
    nginx_cpu_s: float
    idle_replica: float  # share of a core that a replica takes while nobody asks
    idle_database: float  # and the database, for each replica
    memory_bytes: int  # of the largest replica
    rows: int  # requests and calls
    stored_bytes: int

    def per_thousand(self, amount: float) -> float:
        """What a thousand requests take of it."""
        return amount / self.requests * 1000


async def measure(directory: Path, database_url: str, database: outage.Server, count: int, requests: int) -> Cost:
    """Serve so many requests through nginx by so many replicas, and read from the kernel and the database."""
    provider = Server(free_port())
    await provider.run(*UVICORN, str(provider.port), "scripts.benchmarks.overhead.upstream:app")
    models = MODELS.format(base=f"http://127.0.0.1:{provider.port}/v1") + PRICES
    try:
        async with running(directory, database_url, count, SETTINGS, models) as cluster:
            engine = cluster.engine()
            await _ask(cluster, WARM_UP * count)
            await cluster.wait_shipped()
            await asyncio.sleep(ROLLED_UP_S)
            idle = await _rates(cluster, database)
            before, held, began = _cpu(cluster, database), _held(engine), time.monotonic()
            await _ask(cluster, requests)
            took = time.monotonic() - began
            await cluster.wait_shipped()
            await asyncio.sleep(ROLLED_UP_S)
            whole = time.monotonic() - began
            after = _cpu(cluster, database)
            spent = [end - begin - rate * whole for begin, end, rate in zip(before, after, idle, strict=True)]
            rows, stored = (after - earlier for after, earlier in zip(_held(engine), held, strict=True))
            memory = max(_tree_rss(replica.pid) for replica in cluster.replicas)
            engine.dispose()
    finally:
        await provider.stop()
    alone = (idle[0] / count, idle[1] / count)
    return Cost(count, requests, took, spent[0], spent[1], spent[2], *alone, memory, rows, stored)


async def _rates(cluster: Cluster, database: outage.Server) -> list[float]:
    """Shares of a core that replicas, database and nginx take while nobody asks."""
    before, began = _cpu(cluster, database), time.monotonic()
    await asyncio.sleep(IDLE_S)
    took = time.monotonic() - began
    return [(end - begin) / took for begin, end in zip(before, _cpu(cluster, database), strict=True)]


async def _ask(cluster: Cluster, requests: int) -> None:
    numbers = iter(range(requests))

    async def client(session: aiohttp.ClientSession) -> None:
        for number in numbers:
            body = {"model": "auto", "messages": [{"role": "user", "content": f"{QUESTION} ({number})"}]}
            async with session.post(f"{cluster.nginx.url}/v1/chat/completions", json=body) as reply:
                assert reply.status == 200, await reply.text()
                await reply.read()

    async with aiohttp.ClientSession(headers=cluster.headers) as session:
        await asyncio.gather(*(client(session) for _ in range(AT_ONCE)))


def _cpu(cluster: Cluster, database: outage.Server) -> tuple[float, float, float]:
    """CPU seconds so far of all replicas, of the database and of nginx."""
    pid = database.get_pid()
    assert pid is not None
    return sum(_tree_cpu(replica.pid) for replica in cluster.replicas), _tree_cpu(pid), _tree_cpu(cluster.nginx.pid)


def _tree_cpu(pid: int) -> float:
    """CPU seconds of a process, of those that it started, and of those of them that have ended."""
    total = 0.0
    for process in (psutil.Process(pid), *psutil.Process(pid).children(recursive=True)):
        times = process.cpu_times()
        total += times.user + times.system + times.children_user + times.children_system
    return total


def _tree_rss(pid: int) -> int:
    return sum(p.memory_info().rss for p in (psutil.Process(pid), *psutil.Process(pid).children(recursive=True)))


def _held(engine: Engine) -> tuple[int, int]:
    """Rows of requests and calls, and bytes of everything."""
    with engine.connect() as connection:
        return sum(int(connection.scalar(query) or 0) for query in ROWS.values()), int(connection.scalar(SIZES) or 0)


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0))
