"""The fault table: events under load, then the books against the provider's tally, budgets and alerts."""

import asyncio
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import aiohttp
from sqlalchemy import Engine, func, select

from router.database.tables import ApiKey, BudgetPeriod, Call, Request
from router.ledger import budgets
from router.ledger.budgets import BudgetScope, Period
from router.ledger.verify import verify
from router.types import CallStatus
from scripts.benchmarks.cluster.events import FAULTS, Event, Fault, Stage, under_load
from scripts.benchmarks.cluster.parts import Redis
from scripts.benchmarks.cluster.replicas import DRAIN_PAUSE_S, SETTINGS, Cluster, make_key, running
from scripts.benchmarks.faults.account import Account, account
from scripts.benchmarks.faults.alerts import SECRET, AlertsFound, count_alerts, receiving
from scripts.benchmarks.faults.outage import Server
from scripts.benchmarks.faults.served import free_port

ALERTS_S = 6.0  # until alerts that are due are delivered
LARGE_NANOUSD = 1_000_000_000_000
SMALL_NANOUSD = 5_000_000
USED_UP_AFTER_S = 8.0  # of nothing but refusals: what another replica cannot use has come back by then
AT_ONCE = 8


@dataclass(frozen=True, slots=True)
class Spent:
    """A hard budget, beside the lines that count against it."""

    limit_nanousd: int
    settled_nanousd: int
    leased_nanousd: int
    lines_nanousd: int

    @property
    def holds(self) -> bool:
        """Never overspent, and equal to what the lines say to the nano-dollar."""
        is_exact = self.settled_nanousd == self.lines_nanousd and not self.leased_nanousd
        return is_exact and 0 < self.settled_nanousd <= self.limit_nanousd


@dataclass(frozen=True, slots=True)
class Table:
    """Everything that was found."""

    events: list[Event]
    account: Account
    breaks: Mapping[str, int]  # of the books against their own rules
    is_shipped: bool
    large: Spent
    small: Spent
    alerts: AlertsFound


async def play(
    directory: Path,
    database_url: str,
    database: Server,
    *,
    count: int,
    faults: Mapping[str, Fault],
    small_nanousd: int = SMALL_NANOUSD,
) -> Table:
    """Start everything, let one thing after the other go wrong, and count when all has stopped."""
    inbox_port, redis = free_port(), Redis(free_port()) if faults.keys() == FAULTS.keys() else None
    limits = "memory" if redis is None else redis.url
    settings = SETTINGS.format(pause_s=DRAIN_PAUSE_S if redis else 0, limits=limits, inbox=inbox_port, secret=SECRET)
    if redis is not None:
        await redis.start()
    try:
        async with receiving(inbox_port) as inbox:
            async with running(directory, database_url, count, settings) as cluster:
                stage = Stage(cluster, database, redis)
                engine = cluster.engine()
                large = _limit(engine, BudgetScope.TOTAL, "", LARGE_NANOUSD)
                events = [await under_load(stage, name, fault) for name, fault in faults.items()]
                small, subject = await _use_up(cluster, engine, small_nanousd)
                is_shipped = await cluster.wait_shipped()
                await asyncio.sleep(ALERTS_S)
            found = Table(
                events,
                account(engine, directory / "tally.jsonl", stage.answered),
                _breaks(engine, cluster),
                is_shipped,
                _spent(engine, large, LARGE_NANOUSD, None),
                _spent(engine, small, small_nanousd, subject),
                count_alerts(engine, inbox),
            )
            engine.dispose()
            return found
    finally:
        if redis is not None:
            await redis.stop()


async def _use_up(cluster: Cluster, engine: Engine, limit_nanousd: int) -> tuple[int, int]:
    """Spend a small budget of a key through all replicas until they refuse; returns budget and key."""
    secret = make_key(engine, "small")
    with engine.connect() as connection:
        key_id = connection.scalars(select(ApiKey.id).where(ApiKey.name == "small")).one()
    budget = _limit(engine, BudgetScope.KEY, str(key_id), limit_nanousd)
    await asyncio.sleep(3)  # replicas learn of both within two seconds
    served_at = time.monotonic()
    headers = {"authorization": f"Bearer {secret}"}
    body = {"model": "fast", "messages": [{"role": "user", "content": "How do I descale a kettle?"}], "max_tokens": 200}

    async def ask(session: aiohttp.ClientSession) -> None:
        nonlocal served_at
        async with session.post(f"{cluster.nginx.url}/v1/chat/completions", json=body) as reply:
            said = await reply.text()
            if reply.status != 429:
                assert reply.status == 200, said
                served_at = time.monotonic()
                return
        await asyncio.sleep(0.2)

    async with aiohttp.ClientSession(headers=headers) as session:
        while time.monotonic() < served_at + USED_UP_AFTER_S:
            await asyncio.gather(*(ask(session) for _ in range(AT_ONCE)))
    return budget, key_id


def _limit(engine: Engine, scope: BudgetScope, subject: str, nanousd: int) -> int:
    return budgets.put(engine, scope, subject, Period.MONTH, nanousd, "cluster", "", time.time_ns() // 1000)


def _breaks(engine: Engine, cluster: Cluster) -> dict[str, int]:
    """What of the books breaks their own rules, in any replica's state."""
    found: Counter[str] = Counter()
    for place in cluster.places:
        found |= verify(engine, place.directory / "state").breaks
    return dict(found)


def _spent(engine: Engine, budget: int, limit_nanousd: int, key_id: int | None) -> Spent:
    """Hold a budget against the lines of everybody, or of one key."""
    lines = select(func.sum(Call.cost_nanousd)).where(Call.status != CallStatus.NOT_SENT)
    if key_id is not None:
        lines = lines.join(Request, Request.id == Call.request_id).where(Request.key_id == key_id)
    booked = select(func.sum(BudgetPeriod.settled_nanousd), func.sum(BudgetPeriod.leased_nanousd))
    with engine.connect() as connection:
        settled, leased = connection.execute(booked.where(BudgetPeriod.budget_id == budget)).one()
        total = connection.scalar(lines)
    return Spent(limit_nanousd, int(settled or 0), int(leased or 0), int(total or 0))
