"""Alerts under SIGKILL: eight workers look at the same books and deliver, and are killed and started again.

Of each alert that is wanted there has to be one row, and at its receiver at least one delivery, all of them under the
one id. Run by itself the module is one of the workers.
"""

import asyncio
import base64
import json
import random
import signal
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from aiohttp import web
from sqlalchemy import Engine, func, insert, select
from sqlalchemy.exc import SQLAlchemyError

from router.clock import SystemClock, request_id
from router.database.alert_tables import AlertDelivery, AlertRow
from router.database.engine import open_engine, writing
from router.database.tables import Rollup
from router.decision.policy import Policy
from router.errors import Cause
from router.ledger import budgets
from router.ledger.budgets import BudgetScope, Period
from router.ledger.cells import ADDED_FACTS, LARGEST, QUARTERS_AN_HOUR, UNKNOWN, Grain
from router.ledger.entries import CallIntent, CallResult, Closing, Entry, Opening
from router.ledger.shipping import Shipper, ShippingState
from router.ledger.spool import Spool
from router.notifications.deliveries import deliver_due
from router.notifications.monitor import AlertMonitor
from router.notifications.rules import FEWEST_REQUESTS, AlertRule, DriftReading, OpenBreaker
from router.notifications.webhooks import WebhookChannel
from router.policies.versions import in_force
from router.settings import AlertSettings
from router.types import HOUR_US, HOURS_A_WEEK, CallKind, CallStatus, Outcome, Precision, Reason, Tier, Usage
from scripts.benchmarks.faults.served import Place

SECRET = "whsec_" + base64.b64encode(bytes(32)).decode()
LEASE_US = 1_500_000  # a worker that is killed with a delivery holds it for so long
ANSWER_AFTER_S = 0.2
BREAKERS, ONE_EVERY_S = 60, 0.25  # that open one after the other, so that there is always something to tell
DOLLAR = 1_000_000_000
SETTLED_WITHIN_S = 90.0
WANTED = tuple(rule for rule in AlertRule if rule is not AlertRule.TEST)


@dataclass(frozen=True, slots=True)
class AlertsFound:
    """What was raised and what arrived, after all the kills."""

    kills: int
    breakers: int  # that opened
    raised: int
    rules: int  # different ones among what was raised
    delivered: int  # alerts of which at least one delivery arrived
    received: int  # deliveries, doubles included
    doubled: int  # alerts that were raised twice, or arrived under two ids
    unsettled: int  # deliveries that still wait

    @property
    def holds(self) -> bool:
        """Every rule raised, each alert once, and each delivered under its one id."""
        all_there = self.rules == len(WANTED) and self.raised == self.delivered >= self.breakers
        return all_there and not self.doubled and not self.unsettled


@dataclass(slots=True)
class Inbox:
    """The receiver: what came, by what it is about, under which ids."""

    ids: dict[tuple[str, str, str], set[str]] = field(default_factory=dict)
    received: int = 0

    async def take(self, request: web.Request) -> web.Response:
        """Take a delivery, slowly enough for kills to come between, and now and then in vain."""
        told = json.loads(await request.read())["data"]
        self.received += 1
        self.ids.setdefault((told["rule"], told["subject"], told["period"]), set()).add(request.headers["webhook-id"])
        await asyncio.sleep(ANSWER_AFTER_S)
        return web.Response(status=503 if self.received % 7 == 0 else 204)


async def kill_alerts(
    place: Place, kills: int, workers: int = 8, breakers: int = BREAKERS, seed: int = 1
) -> AlertsFound:
    """Let workers look and deliver, kill one after the other at random, and count when all is quiet."""
    engine = place.engine()
    fill_books(engine, place.directory / "alerts-spool")
    dice = random.Random(seed)
    async with receiving(place.port) as inbox:
        await _work_and_kill(place, kills, workers, breakers, dice, engine)
    found = count_alerts(engine, inbox, kills, breakers)
    engine.dispose()
    return found


@asynccontextmanager
async def receiving(port: int) -> AsyncIterator[Inbox]:
    """Receive deliveries on a port."""
    inbox, application = Inbox(), web.Application()
    application.router.add_post("/", inbox.take)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        yield inbox
    finally:
        await runner.cleanup()


async def _work_and_kill(
    place: Place, kills: int, workers: int, breakers: int, dice: random.Random, engine: Engine
) -> None:
    command = [sys.executable, "-m", __name__, place.database_url, f"{place.url}/", str(breakers), str(time.time())]
    alive = [await asyncio.create_subprocess_exec(*command) for _ in range(workers)]
    try:
        for _ in range(kills):
            await asyncio.sleep(dice.uniform(0.05, 0.6))
            number = dice.randrange(workers)
            alive[number].send_signal(signal.SIGKILL)
            await alive[number].wait()
            alive[number] = await asyncio.create_subprocess_exec(*command)
        await asyncio.to_thread(_wait_quiet, engine, breakers)
    finally:
        for process in alive:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()


def _wait_quiet(engine: Engine, breakers: int) -> None:
    """Wait until nothing is left to do, or for as long as it may take."""
    deadline = time.monotonic() + SETTLED_WITHIN_S
    while time.monotonic() < deadline and not _is_quiet(engine, breakers):
        time.sleep(0.2)


def _is_quiet(engine: Engine, breakers: int) -> bool:
    """Tell whether every rule was raised and nothing waits to be delivered."""
    with engine.connect() as connection:
        rules = set(connection.scalars(select(AlertRow.rule)))
        waiting = connection.scalar(select(AlertDelivery.alert_id).where(AlertDelivery.due_at.is_not(None)).limit(1))
        opened = connection.scalar(select(func.count()).where(AlertRow.rule == AlertRule.BREAKER)) or 0
    return rules >= {str(rule) for rule in WANTED} and opened >= breakers and waiting is None


def count_alerts(engine: Engine, inbox: Inbox, kills: int = 0, breakers: int = 0) -> AlertsFound:
    """Hold what was raised against what arrived."""
    with engine.connect() as connection:
        rows = connection.execute(select(AlertRow.id, AlertRow.rule, AlertRow.subject, AlertRow.period)).all()
        waiting = connection.execute(select(AlertDelivery.alert_id).where(AlertDelivery.due_at.is_not(None))).all()
    about = [(row.rule, row.subject, row.period) for row in rows]
    raised = {row.id: key for row, key in zip(rows, about, strict=True)}
    ids = {key: {id for id, about_it in raised.items() if about_it == key} for key in about}
    strange = [key for key, arrived in inbox.ids.items() if len(arrived) > 1 or not arrived <= ids.get(key, set())]
    return AlertsFound(
        kills,
        breakers,
        len(rows),
        len({rule for rule, _, _ in about}),
        sum(key in inbox.ids for key in about),
        inbox.received,
        len(about) - len(set(about)) + len(strange),
        len(waiting),
    )


def fill_books(engine: Engine, spool_directory: Path) -> None:
    """Write books in which something is wrong by every rule that looks at them."""
    now_us = SystemClock().now_us()
    spool = Spool.open(spool_directory)
    for number in range(FEWEST_REQUESTS):
        spool.write(_request(now_us, fails=number % 2 == 0))
    Shipper(spool, engine).turn()
    spool.close()
    budgets.put(engine, BudgetScope.TOTAL, "", Period.DAY, DOLLAR, "benchmark", "", now_us)
    nothing = dict.fromkeys((*ADDED_FACTS, LARGEST), 0)
    row = {
        "grouping_id": 0,
        "grain": Grain.HOUR,
        "key1": UNKNOWN,
        "key2": UNKNOWN,
        "made_up": 0,
        **nothing,
        "cost_nanousd": DOLLAR,
    }
    past = [now_us // HOUR_US - week * HOURS_A_WEEK + hour for week in range(1, 7) for hour in (-1, 0)]
    with writing(engine) as connection:
        connection.execute(insert(Rollup), [{**row, "start": hour * QUARTERS_AN_HOUR} for hour in past])


def _request(now_us: int, *, fails: bool) -> Sequence[Entry]:
    """One request that cost half a dollar, or failed without a price."""
    id = request_id(now_us)
    status, cause = (CallStatus.ERROR, Cause.OVERLOADED) if fails else (CallStatus.OK, None)
    opening = Opening(
        *(id, now_us, None, "default", "ZZ", "auto", Tier.FAST, Reason.BELOW_THRESHOLD, 0.1, 0.8, 0.9, 1.0, 1),
        *("benchmark", "open", "en", 1, False, True, 1, 1_000_000),
    )
    cost = None if fails else DOLLAR // 2
    return [
        opening,
        CallIntent(id, 0, CallKind.ANSWER, Tier.FAST, "scripted/dear", None, None, now_us),
        CallResult(id, 0, status, Precision.EXACT, Usage(100), None, cost, 10, 20, None, None, cause, None),
        Closing(id, now_us, Tier.FAST, Outcome.ERROR if fails else Outcome.OK, None if fails else 0, 10, 20),
    ]


def work(database_url: str, webhook_url: str, breakers: int, since: float) -> None:
    """Be a worker until killed: look all the time, and deliver."""

    def open_breakers() -> list[OpenBreaker]:
        count = min(breakers, int((time.time() - since) / ONE_EVERY_S))
        return [
            OpenBreaker(f"scripted/model-{number}", round(since * 1e6), Cause.OVERLOADED) for number in range(count)
        ]

    clock, engine = SystemClock(), open_engine(database_url)
    channels = {"webhook": WebhookChannel(webhook_url, SECRET, lambda: clock.now_us() // 1_000_000)}
    policy: Policy = replace(in_force(engine), min_margin=0.9)
    monitor = AlertMonitor(
        engine,
        AlertSettings(every_s=1.0),
        channels,
        clock,
        lambda: policy,
        lambda: ShippingState(lag_seconds=600.0, lag_entries=3),
        lambda: [DriftReading("scores", 0.9, 0.25, is_alarming=True)],
        open_breakers,
    )
    while True:
        with suppress(SQLAlchemyError):  # SQLite has one writer at a time
            monitor.look(clock.now_us())
            deliver_due(engine, channels, clock, lease_us=LEASE_US)
        time.sleep(0.05)


if __name__ == "__main__":
    work(sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4]))
