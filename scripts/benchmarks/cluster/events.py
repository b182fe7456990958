"""What goes wrong while clients ask: one thing after the other, and who of the clients may notice."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from signal import SIGHUP

import psutil  # type: ignore[import-untyped]

from scripts.benchmarks.cluster.parts import Redis
from scripts.benchmarks.cluster.replicas import Cluster
from scripts.benchmarks.faults.load import Load
from scripts.benchmarks.faults.outage import Server

CLIENTS, PAUSE_S = 12, 0.1
BEFORE_S, AWAY_S, AFTER_S = 1.5, 3.0, 2.0
HANDOVER_WITHIN_S = 90.0


@dataclass(frozen=True, slots=True)
class Event:
    """What clients saw of one thing that went wrong."""

    name: str
    sent: int
    failed: int
    excused: int  # of those: under way on a replica at the moment when that was killed
    examples: list[str]

    @property
    def holds(self) -> bool:
        """Only what was under way on a killed replica failed."""
        return self.sent > 0 and self.failed == self.excused


@dataclass
class Stage:
    """What the events are played on, and whole answers that clients got."""

    cluster: Cluster
    database: Server
    redis: Redis | None
    answered: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Kill:
    """When a replica was killed, and how many requests nginx had under way on it."""

    began: float
    ended: float
    under_way: int


Fault = Callable[[Stage], Awaitable[Kill | None]]


async def under_load(stage: Stage, name: str, fault: Fault) -> Event:
    """Have clients ask, let it happen, and look at who failed."""
    cluster = stage.cluster
    load = Load(cluster.nginx.url, CLIENTS, len(name), 0.0, cluster.headers, PAUSE_S)
    load.start()
    await asyncio.sleep(BEFORE_S)
    kill = await fault(stage)
    await asyncio.sleep(AFTER_S)
    seen = await load.stop()
    stage.answered += seen.answered
    excused = 0
    if kill is not None:
        excused = min(sum(began <= kill.ended and ended >= kill.began for began, ended in seen.unwell), kill.under_way)
    examples = [*seen.failed, *["cut off"] * seen.cut_off]
    return Event(name, seen.sent, len(seen.unwell), excused, examples[:3])


async def nothing(stage: Stage) -> None:
    """Let nothing go wrong."""
    await asyncio.sleep(AWAY_S)


async def kill(stage: Stage) -> Kill:
    """SIGKILL one replica, and start it again a while later, on its own state."""
    replica, nginx = stage.cluster.replicas[0], stage.cluster.nginx
    before = nginx.count_broken_off(replica.place.port)
    began = time.monotonic()
    await replica.kill()
    ended = time.monotonic()
    await asyncio.sleep(AWAY_S)
    broken_off = nginx.count_broken_off(replica.place.port) - before
    await replica.start()
    return Kill(began, ended, broken_off)


async def restart_database(stage: Stage) -> None:
    """Stop PostgreSQL, and start it again."""
    await asyncio.to_thread(stage.database.stop)
    await asyncio.sleep(AWAY_S)
    await asyncio.to_thread(stage.database.ensure_postgres_running)


async def restart_redis(stage: Stage) -> None:
    """Stop Redis, and start it again, empty."""
    assert stage.redis is not None
    await stage.redis.stop()
    await asyncio.sleep(AWAY_S)
    await stage.redis.start()


async def reload_settings(stage: Stage) -> None:
    """SIGHUP one replica after the other; each hands its listener to a worker that takes over."""
    for replica in stage.cluster.replicas:
        replica.signal(SIGHUP)
        await _wait_handed_over(replica.pid)


async def _wait_handed_over(pid: int) -> None:
    """Wait until a successor holds the state: it locks a spool of its own, and the old one has let go of its."""
    deadline = time.monotonic() + HANDOVER_WITHIN_S
    while time.monotonic() < deadline:
        successors = await asyncio.to_thread(_spools_open, [c.pid for c in psutil.Process(pid).children()])
        if successors and not await asyncio.to_thread(_spools_open, [pid]):
            return
        await asyncio.sleep(0.2)
    raise RuntimeError("no worker took over")


def _spools_open(pids: Sequence[int]) -> int:
    opened = [one.path for pid in pids for one in psutil.Process(pid).open_files()]
    return sum("/spool/" in path for path in opened)


async def replace_after_telling_nginx(stage: Stage) -> None:
    """SIGTERM one replica after the other once nginx sends it nothing new, and start it again: an upgrade."""
    for replica in stage.cluster.replicas:
        await stage.cluster.nginx.reload(down=replica.place.port)
        replica.terminate()
        await replica.wait_ended()
        await replica.start()
        await stage.cluster.nginx.reload()


async def replace(stage: Stage) -> None:
    """SIGTERM one replica after the other, and start it again, while nginx finds out by itself."""
    for replica in stage.cluster.replicas:
        replica.terminate()
        await replica.wait_ended()
        await replica.start()


async def reload_nginx(stage: Stage) -> None:
    """Have nginx read its configuration again, five times."""
    for _ in range(5):
        await stage.cluster.nginx.reload()


FAULTS: dict[str, Fault] = {
    "nothing": nothing,
    "one replica killed (SIGKILL) and started again": kill,
    "the database stopped and started again": restart_database,
    "Redis stopped and started again": restart_redis,
    "each replica reads its settings anew (SIGHUP)": reload_settings,
    "each replica stopped (SIGTERM) and started again, nginx told first": replace_after_telling_nginx,
    "the same, nginx not told": replace,
    "nginx reloaded five times": reload_nginx,
}
