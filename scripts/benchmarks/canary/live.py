"""Canaries on a served instance: the real command, scripted providers, real clocks, a real database.

Each scenario starts a canary that sends its conversations to a tier which fails, costs too much or is disliked, and
measures how long after the evidence was in the books the canary was rolled back. In between the database may be away,
and the worker may be killed and started again.
"""

import asyncio
import contextlib
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import aiohttp
from sqlalchemy import Engine

from router import settings
from router.canary.monitor import verdict_of
from router.canary.verdicts import GuardStatus
from router.database.engine import open_engine
from router.policies import canary_lifecycle, lifecycle
from router.policies.canary_lifecycle import CanaryState
from router.policies.lifecycle import Actor
from router.policies.versions import PolicyBook
from scripts.benchmarks.faults.outage import locked
from scripts.benchmarks.faults.served import Instance, Place

MODELS = """
[tiers.fast]
model = "scripted/assistant"
[tiers.reasoning]
model = "{reasoning}"
max_thinking_tokens = 512
[tiers.parallel]
models = ["scripted/solver"]
[policy]
parallel_threshold = 1.5
reasoning_threshold = 1.5
max_deep_share = 1.0
explore = 0.0
shadow = 0.0
[prices."scripted/assistant"]
input = 0.1
output = 0.4
[prices."{reasoning}"]
input = {price}
output = {price}
"""
ALL_DEEP = {"reasoning_threshold": -1.0}
SHARE = 0.3
PROMISED_S = 30.0
LONGEST_S = 150.0
THUMBS_AFTER_S = 3.0


@dataclass(frozen=True, slots=True)
class Scenario:
    """What is wrong with the canary, and what else happens meanwhile."""

    name: str
    reasoning: str = "scripted/assistant-deep"
    price_usd: float = 0.1
    is_disliked: bool = False
    outage_s: float = 0.0
    is_killed: bool = False
    is_harmless: bool = False
    clients: int = 4
    pause_s: float = 0.05


SCENARIOS = (
    Scenario("the deep tier fails", reasoning="scripted/fail-500"),
    Scenario("the deep tier costs more", price_usd=40.0),
    Scenario("thumbs down, seconds later", is_disliked=True),
    Scenario("costs more, the database is away", price_usd=40.0, outage_s=15.0, pause_s=0.4),
    Scenario("costs more, the worker is killed and starts again", price_usd=40.0, is_killed=True, pause_s=0.4),
    Scenario("nothing is wrong, for 20 s", is_harmless=True),
)


@dataclass(frozen=True, slots=True)
class Lived:
    """What became of a canary. `late_s`: from the evidence to the end, None where one of them never came."""

    state: CanaryState
    verdict: str
    requests: int
    late_s: float | None


async def live(directory: Path, scenario: Scenario, longest_s: float = LONGEST_S) -> Lived:
    """Serve, start a canary, ask until it has ended or time is up."""
    models = MODELS.format(reasoning=scenario.reasoning, price=scenario.price_usd)
    place = Place.make(directory, models=models)
    instance = Instance(place)
    await instance.start()
    engine = open_engine(place.database_url)
    try:
        version = await asyncio.to_thread(_start, engine, directory)
        async with _asking(place, scenario, version) as asked:
            mishap = asyncio.create_task(_mishap(place, instance, scenario))
            evident_at = await _until_ended(engine, longest_s, mishap)
            await mishap
        last = canary_lifecycle.history(engine)[0]
        ended_s = last.ended_at_us / 1e6 if last.ended_at_us and evident_at else None
        late_s = max(ended_s - evident_at, 0.0) if ended_s and evident_at else None
        return Lived(last.state, last.verdict or "", asked[0], late_s)
    finally:
        await instance.stop()
        engine.dispose()


def _start(engine: Engine, directory: Path) -> int:
    """Propose a version that thinks about everything, and try it; returns its number."""
    wiring = settings.load(directory / "tierwise.toml").tiers
    actor = Actor("bench", "all conversations to the deep tier", time.time_ns() // 1_000)
    version = lifecycle.propose(engine, dict(ALL_DEEP), wiring, actor)
    return canary_lifecycle.start(engine, version, SHARE, wiring, actor).version


async def _until_ended(engine: Engine, longest_s: float, mishap: "asyncio.Task[None]") -> float | None:
    """Wait until the canary is no longer open; returns when the books first had evidence against it (Unix time).

    An outage of the database counts as over before the evidence can be acted on.
    """
    deadline, evident_at = time.monotonic() + longest_s, None
    while time.monotonic() < deadline:
        book = await asyncio.to_thread(PolicyBook, engine)
        if book.canary is None or book.trial is None:
            return evident_at or time.time()
        if evident_at is None or not mishap.done():
            now_us = time.time_ns() // 1_000
            verdict = await asyncio.to_thread(verdict_of, engine, book.canary, book.trial, book.active, now_us)
            evident_at = time.time() if verdict.standing is GuardStatus.BREACHED else None
        await asyncio.sleep(0.25)
    return evident_at


async def _mishap(place: Place, instance: Instance, scenario: Scenario) -> None:
    """Take the database away for a while, or the worker."""
    await asyncio.sleep(1.5)
    if scenario.outage_s:
        async with locked(place):
            await asyncio.sleep(scenario.outage_s)
    if scenario.is_killed:
        await instance.kill()
        await instance.start()


@contextlib.asynccontextmanager
async def _asking(place: Place, scenario: Scenario, version: int) -> AsyncIterator[list[int]]:
    """Keep clients asking, each question a conversation of its own; yields how many were answered so far."""
    asked, numbers = [0], count()
    later: set[asyncio.Task[None]] = set()

    async def client(session: aiohttp.ClientSession) -> None:
        while True:
            body = {
                "model": "auto",
                "messages": [{"role": "user", "content": f"What is so good about {next(numbers)}?"}],
            }
            with contextlib.suppress(aiohttp.ClientError, TimeoutError):
                async with session.post(f"{place.url}/v1/chat/completions", json=body) as reply:
                    await reply.read()
                    asked[0] += 1
                    if scenario.is_disliked and reply.headers.get("x-tierwise-policy") == str(version):
                        later.add(asyncio.create_task(dislike(session, reply.headers["x-request-id"])))
            await asyncio.sleep(scenario.pause_s)

    async def dislike(session: aiohttp.ClientSession, request_id: str) -> None:
        await asyncio.sleep(THUMBS_AFTER_S)
        with contextlib.suppress(aiohttp.ClientError, TimeoutError):
            await session.post(f"{place.url}/v1/feedback", json={"request_id": request_id, "rating": -1})

    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30)) as session:
        tasks = [asyncio.create_task(client(session)) for _ in range(scenario.clients)]
        try:
            yield asked
        finally:
            for task in (*tasks, *later):
                task.cancel()
            await asyncio.gather(*tasks, *later, return_exceptions=True)


def main() -> int:
    """Live through every scenario; tells by its exit whether all ended as promised."""
    is_well = True
    sys.stdout.write("| canary | ended | seconds after the evidence | requests | verdict |\n")
    sys.stdout.write("| --- | --- | --- | --- | --- |\n")
    for scenario in SCENARIOS:
        with tempfile.TemporaryDirectory(prefix="tierwise-canary") as directory:
            longest_s = 20.0 if scenario.is_harmless else LONGEST_S
            lived = asyncio.run(live(Path(directory) / "served", scenario, longest_s))
        late = "-" if lived.late_s is None else f"{lived.late_s:.1f}"
        line = f"| {scenario.name} | {lived.state.value} | {late} | {lived.requests:,} | {lived.verdict or '-'} |"
        sys.stdout.write(line + "\n")
        sys.stdout.flush()
        was_seen = lived.state is CanaryState.ROLLED_BACK and lived.late_s is not None and lived.late_s <= PROMISED_S
        is_well = is_well and (lived.state is CanaryState.RUNNING if scenario.is_harmless else was_seen)
    return 0 if is_well else 1
