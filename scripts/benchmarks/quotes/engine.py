"""Scripted jobs through a served instance: what its engine adds to a job's time is in the intervals too."""

import asyncio
import tempfile
from pathlib import Path
from random import Random

import httpx

from router.database.engine import open_engine
from router.jobs.calibration import JobCalibration, PastJob, Spread, Stretch80
from router.jobs.store import JobStore
from router.tiers.vote.rates import wilson
from scripts.showcase.serving import CONFIG, Instance, serve

ASKED_AT_ONCE, LOOK_EVERY_S, PATIENCE_S = 6, 0.5, 240.0
SETTINGS = CONFIG.replace("scripted/solver", "scripted/solver-60ms-4gap-70pct").replace(
    "scripted/thinker", "scripted/solver-90ms-6gap-90pct"
)
FINAL = ("completed", "failed", "incomplete", "cancelled")


def run_jobs(jobs: int, seed: int) -> list[PastJob]:
    """Run so many jobs, and return what they were told and came to, in random order."""
    with tempfile.TemporaryDirectory() as directory:
        with serve(Path(directory), SETTINGS) as instance:
            asyncio.run(_ask(instance, jobs, Random(seed)))
        engine = open_engine(f"sqlite:///{directory}/tierwise.db")
        past = list(JobStore(engine).list_past(jobs))
        engine.dispose()
    Random(seed).shuffle(past)
    return past


def judge(past: list[PastJob]) -> list[list[str]]:
    """Learn from one half and judge the other; rows of a table."""
    half = len(past) // 2
    learnt = JobCalibration.of(past[:half])
    rows = []
    for name, calibration in (("stretched by past jobs", learnt), ("before any job has ended", JobCalibration())):
        costs = [_holds(job.told_cost, calibration.cost.get(job.kind), job.cost_nanousd or 0) for job in past[half:]]
        times = [_holds(job.told_seconds, calibration.seconds.get(job.kind), job.seconds) for job in past[half:]]
        shares = [wilson(sum(held), len(held)) for held in (costs, times)]
        rows.append([name, str(len(costs)), *(f"{one.value:.1%} ({one.low:.1%} to {one.high:.1%})" for one in shares)])
    return rows


def _holds(told: Spread | None, stretch: Stretch80 | None, actual: float) -> bool:
    if told is None:
        return False
    interval = told if stretch is None else stretch.stretch(told)
    return interval.low <= actual <= interval.high


async def _ask(instance: Instance, jobs: int, random: Random) -> None:
    places = asyncio.Semaphore(ASKED_AT_ONCE)
    headers = {"authorization": f"Bearer {instance.key}"}
    async with httpx.AsyncClient(base_url=instance.v1, headers=headers, timeout=60.0) as client:

        async def one(number: int) -> None:
            async with places:
                text = f"{'A shop sells things. ' * random.randint(0, 20)}What is {number} + {random.randint(1, 99)}?"
                body = {"model": "parallel", "input": text, "background": True, "store": True}
                begun = (await client.post("/responses", json=body)).raise_for_status().json()
                async with asyncio.timeout(PATIENCE_S):
                    while begun["status"] not in FINAL:
                        await asyncio.sleep(LOOK_EVERY_S)
                        begun = (await client.get(f"/responses/{begun['id']}")).raise_for_status().json()

        await asyncio.gather(*(one(number) for number in range(jobs)))
