"""Background jobs under SIGKILL: all of them end, no settled sample is bought again, and the books equal the tally."""

import asyncio
import json
import random
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import aiohttp
from sqlalchemy import Engine, func, select

from router.database.job_tables import JobCallRow, JobRow
from router.database.tables import Call, Request
from router.ledger.job_calls import ID_PREFIX
from router.ledger.verify import verify
from router.types import CallKind, CallStatus
from scripts.benchmarks.faults.account import Account, account
from scripts.benchmarks.faults.served import Instance, Place

MODEL = "scripted/solver-0pct-600ms-10gap-10c"  # always wrong, so that no vote ends before its last sample
MODELS = f"""
[tiers.fast]
model = "{MODEL}"
[tiers.reasoning]
model = "{MODEL}"
[tiers.parallel]
models = ["{MODEL}"]
escalate_to = ""
[prices."{MODEL}"]
input = 1
output = 4
[jobs]
concurrency = 4
"""
FINAL = ("completed", "failed", "cancelled", "incomplete")
PATIENCE_S = 600.0


@dataclass(frozen=True, slots=True)
class KilledJobs:
    """What became of the jobs, and what the books say of them."""

    jobs: int
    samples: int
    kills: int
    ended: Counter[str]
    bought_twice: int  # samples that are paid for beyond those that the traces of the jobs have
    unknown: int  # calls that were under way at a kill
    unknown_without_hold: int
    requests: int  # that the books count; one for each job
    waiting: int  # calls that never came into the books
    above_held: int  # jobs that spent more than was held for them
    breaks: dict[str, int]
    books: Account
    stretches: int
    seconds: float

    @property
    def holds(self) -> bool:
        """Whether everything is as promised."""
        wrong = self.bought_twice + self.unknown_without_hold + self.waiting + self.above_held
        all_ended = self.ended == Counter({"completed": self.jobs})
        return all_ended and not wrong and not self.breaks and self.requests == self.jobs and self.books.holds


async def kill_jobs(
    place: Place,
    jobs: int,
    samples: int,
    kills: int,
    seed: int = 1,
    pause_s: tuple[float, float] = (0.1, 2.0),
    tell: Callable[[str], None] = lambda line: None,
) -> KilledJobs:
    """Submit jobs, kill their worker so many times at random while they run, and wait for all of them."""
    dice, began = random.Random(seed), time.monotonic()
    instance = Instance(place)
    try:
        await instance.start()
        ids = await _submit(place, jobs, samples)
        engine = place.engine()
        for number in range(kills):
            if not await _wait_calling(engine):
                kills = number
                break
            await asyncio.sleep(dice.uniform(*pause_s))
            await instance.kill()
            instance = Instance(place)
            await instance.start()
            tell(f"kill {number + 1} of {kills}: {dict(await _states(place, ids))}")
        ended = await wait_ended(place, ids)
        await wait_booked(engine)
        await instance.wait_shipped()
        found = _look(place, engine, jobs, samples, kills, ended, time.monotonic() - began)
        engine.dispose()
        return found
    finally:
        await instance.stop()


async def _submit(place: Place, jobs: int, samples: int) -> Sequence[str]:
    async with aiohttp.ClientSession() as session:
        return [(await _post(session, place, number, samples))["id"] for number in range(jobs)]


async def _post(session: aiohttp.ClientSession, place: Place, number: int, samples: int) -> dict[str, Any]:
    body = {
        "model": "parallel",
        "input": f"What is {number} + 9?",
        "max_output_tokens": 100,
        "background": True,
        "store": True,
        "x_tierwise": {"samples": samples},
    }
    async with session.post(f"{place.url}/v1/responses", json=body) as reply:
        found: dict[str, Any] = await reply.json()
        if reply.status != 202:
            raise RuntimeError(f"not accepted: {found}")
        return found


async def _states(place: Place, ids: Sequence[str]) -> Counter[str]:
    async with aiohttp.ClientSession() as session:
        states: Counter[str] = Counter()
        for response_id in ids:
            async with session.get(f"{place.url}/v1/responses/{response_id}") as reply:
                states[(await reply.json())["status"]] += 1
        return states


async def wait_ended(place: Place, ids: Sequence[str]) -> Counter[str]:
    """Wait until jobs have ended; returns how."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        states = await _states(place, ids)
        if sum(states[word] for word in FINAL) == len(ids) or time.monotonic() > deadline:
            return states
        await asyncio.sleep(0.5)


async def _wait_calling(engine: Engine) -> bool:
    """Wait until a call is made for a job; False where all jobs have ended."""
    before = -1
    while True:
        with engine.connect() as connection:
            unfinished = JobRow.finished_at.is_(None)
            made, left = connection.execute(select(func.sum(JobRow.next_call), func.count().filter(unfinished))).one()
        if not left or (before >= 0 and made > before):
            return bool(left)
        before = before if before >= 0 else made
        await asyncio.sleep(0.05)


async def wait_booked(engine: Engine) -> None:
    """Wait until the request of every job is in the books."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        with engine.connect() as connection:
            if connection.scalar(select(JobRow.id).where(JobRow.booked_at.is_(None)).limit(1)) is None:
                break
        await asyncio.sleep(0.2)


def _look(
    place: Place, engine: Engine, jobs: int, samples: int, kills: int, ended: Counter[str], seconds: float
) -> KilledJobs:
    with engine.connect() as connection:
        lines = connection.execute(select(Call.__table__)).all()
        rows = connection.execute(select(JobRow.claim, JobRow.held_nanousd, JobRow.spent_nanousd)).all()
        traces = connection.execute(select(JobRow.id, JobRow.trace)).all()
        requests = len(connection.execute(select(Request.id)).all())
        waiting = len(connection.execute(select(JobCallRow.call_no)).all())
    settled = Counter(
        line.request_id for line in lines if line.kind is CallKind.SAMPLE and line.status is CallStatus.OK
    )
    unknown = [line for line in lines if line.status is CallStatus.UNKNOWN]
    costs: Counter[str] = Counter()
    for line in lines:
        costs[line.request_id] += line.cost_nanousd
    largest = max((row.held_nanousd for row in rows), default=0)
    return KilledJobs(
        jobs=jobs,
        samples=samples,
        kills=kills,
        ended=ended,
        bought_twice=sum(settled[id_.removeprefix(ID_PREFIX)] - _count_tried(trace) for id_, trace in traces),
        unknown=len(unknown),
        unknown_without_hold=sum(line.cost_nanousd != line.hold_nanousd for line in unknown),
        requests=requests,
        waiting=waiting,
        above_held=sum(row.spent_nanousd > row.held_nanousd for row in rows)
        + sum(cost > largest for cost in costs.values()),
        breaks=dict(verify(engine, place.directory / "state").breaks),
        books=account(engine, place.tally),
        stretches=sum(row.claim for row in rows),
        seconds=seconds,
    )


def _count_tried(trace: str | None) -> int:
    """Count the samples that a job knows of."""
    actions = json.loads(trace or '{"actions": []}')["actions"]
    return sum(action["stage"] == "sample" and action["status"] == CallStatus.OK for action in actions)
