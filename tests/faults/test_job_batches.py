"""Waves of background jobs that are bought as batches, while their worker is killed, and while their time runs out."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp.test_utils import TestServer
from sqlalchemy import Engine, func, select

from router.database.job_tables import JobBatchRow, JobCallRow, JobRow
from router.database.tables import Call, Request
from router.ledger.verify import verify
from router.types import CallStatus, Precision
from scripts.benchmarks.faults.jobs import wait_booked, wait_ended
from scripts.benchmarks.faults.served import Instance, Place
from tests.providers.batch_house import INPUT_TOKENS, OUTPUT_TOKENS, BatchHouse

MODEL = "openai/double"
MODELS = """
[tiers.fast]
model = "{model}"
api_base = "{base}"
[tiers.reasoning]
model = "{model}"
api_base = "{base}"
[tiers.parallel]
models = ["{model}"]
api_base = "{base}"
batch_window = "24h"
escalate_to = ""
sample_timeout_s = 5
[prices."{model}"]
input = 1
output = 4
[prices."{model}".services.batch]
input = 0.5
output = 2
"""
QUESTION = "How many moons does the planet Zog have? Answer with a number."
IN_BATCH, BY_CALL = INPUT_TOKENS * 500 + OUTPUT_TOKENS * 2_000, INPUT_TOKENS * 1_000 + OUTPUT_TOKENS * 4_000
PATIENCE_S = 60.0


@asynccontextmanager
async def a_place(directory: Path, house: BatchHouse, url: str | None) -> AsyncIterator[tuple[Place, Engine]]:
    """An installation whose models are at a provider that sells batches."""
    async with TestServer(house.app()) as server:
        models = MODELS.format(model=MODEL, base=str(server.make_url("/v1")))
        place = Place.make(directory / "instance", url, models=models)
        engine = place.engine()
        yield place, engine
        engine.dispose()


@dataclass
class Lives:
    """The lives of one instance, one after the other."""

    place: Place
    instance: Instance

    async def kill(self) -> None:
        await self.instance.kill()
        self.instance = Instance(self.place)
        await self.instance.start()


@asynccontextmanager
async def served(directory: Path, house: BatchHouse, url: str | None = None) -> AsyncIterator[tuple[Lives, Engine]]:
    """An instance that is served, and its books."""
    async with a_place(directory, house, url) as (place, engine):
        lives = Lives(place, Instance(place))
        try:
            await lives.instance.start()
            yield lives, engine
        finally:
            await lives.instance.stop()


async def submit(place: Place, samples: int = 8, limit_s: int = 600) -> str:
    wanted = {"samples": samples, "completion_window": "2h", "time_limit_s": limit_s}
    body = {"model": "parallel", "input": QUESTION, "background": True, "store": True, "x_tierwise": wanted}
    async with aiohttp.ClientSession() as session, session.post(f"{place.url}/v1/responses", json=body) as reply:
        found = await reply.json()
        assert reply.status == 202, found
        assert float(found["x_tierwise"]["quote"]["largest_cost_usd"]) > 0
        return str(found["id"])


async def ask(place: Place, job_id: str, act: str = "") -> dict[str, Any]:
    url = f"{place.url}/v1/responses/{job_id}{act}"
    async with aiohttp.ClientSession() as session, session.request("POST" if act else "GET", url) as reply:
        found: dict[str, Any] = await reply.json()
        return found


async def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < deadline, "it did not come to pass"
        await asyncio.sleep(0.05)


async def check_books(place: Place, engine: Engine, house: BatchHouse, unknown: int = 0) -> Counter[CallStatus]:
    """Check that the books say what the provider served, at its rates, and nothing is left; returns the calls' ends."""
    await wait_booked(engine)
    with engine.connect() as connection:
        lines = connection.execute(select(Call.__table__)).all()
        jobs = connection.execute(select(JobRow.held_nanousd, JobRow.spent_nanousd)).all()
        assert connection.scalar(select(func.count()).select_from(Request)) == len(jobs)
        assert connection.scalar(select(func.count()).select_from(JobCallRow)) == 0
    exact = sum(line.cost_nanousd for line in lines if line.precision is not Precision.UNKNOWN)
    assert exact == house.served["batch"] * IN_BATCH + house.served["call"] * BY_CALL
    assert sum(line.precision is Precision.UNKNOWN for line in lines) == unknown
    assert all(job.spent_nanousd <= job.held_nanousd for job in jobs)
    assert sum(line.cost_nanousd for line in lines) == sum(job.spent_nanousd for job in jobs)
    assert not verify(engine, place.directory / "state").breaks
    return Counter(line.status for line in lines)


def is_forgotten(engine: Engine) -> bool:
    with engine.connect() as connection:
        return connection.scalar(select(func.count()).select_from(JobBatchRow)) == 0


async def test_a_worker_killed_between_the_creation_of_a_batch_and_its_note_finds_it_again(
    tmp_path: Path, empty_url: str
) -> None:
    house = BatchHouse(creation="hung")
    async with served(tmp_path, house, empty_url) as (lives, engine):
        place = lives.place
        job_id = await submit(place)
        await until(lambda: bool(house.batches))
        await lives.kill()
        assert await wait_ended(place, [job_id]) == Counter({"completed": 1})
        assert await check_books(place, engine, house) == Counter({CallStatus.OK: 8})
        await until(lambda: is_forgotten(engine))
    assert (house.creations, house.served["batch"], house.served["call"]) == (1, 8, 0)
    assert not house.files


async def test_a_worker_killed_while_a_batch_is_out_takes_what_comes_of_it(tmp_path: Path) -> None:
    house = BatchHouse(each_look=2, answers="other", failing=1)
    async with served(tmp_path, house) as (lives, engine):
        place = lives.place
        job_id = await submit(place, samples=16)
        await until(lambda: len(house.batches) == 2 and bool(house.batches[1].answered))
        shown = await ask(place, job_id)
        assert shown["x_tierwise"]["progress"]["batch"]["of"] == 8
        await lives.kill()
        assert await wait_ended(place, [job_id]) == Counter({"completed": 1})
        ends = await check_books(place, engine, house)
    assert ends == Counter({CallStatus.OK: 16, CallStatus.ERROR: 2})
    assert (house.creations, house.served["batch"], house.served["call"]) == (2, 14, 2)
    assert not house.files


async def test_what_a_batch_does_not_answer_in_time_is_asked_by_usual_calls(tmp_path: Path) -> None:
    house = BatchHouse(stops_after=3, answers="other")
    async with served(tmp_path, house) as (lives, engine):
        place = lives.place
        job_id = await submit(place, limit_s=24)
        assert await wait_ended(place, [job_id]) == Counter({"completed": 1})
        ends = await check_books(place, engine, house)
    assert house.batches[0].status == "cancelled"
    assert (ends[CallStatus.CANCELLED], ends[CallStatus.OK]) == (8 - house.served["batch"], 8)
    assert house.served["call"] == 8 - house.served["batch"] > 0


async def test_a_job_that_is_called_off_pays_what_its_batch_answered(tmp_path: Path) -> None:
    house = BatchHouse(stops_after=3, answers="other")
    async with served(tmp_path, house) as (lives, engine):
        place = lives.place
        job_id = await submit(place)
        await until(lambda: any(len(sold.answered) >= 2 for sold in house.batches))
        assert (await ask(place, job_id, "/cancel"))["status"] == "cancelled"
        ends = await check_books(place, engine, house)
        await until(lambda: is_forgotten(engine))
    assert house.batches[0].status == "cancelled"
    assert ends == Counter({CallStatus.OK: house.served["batch"], CallStatus.CANCELLED: 8 - house.served["batch"]})
    assert not house.files


async def test_an_answer_wanted_now_comes_while_a_batch_is_out(tmp_path: Path) -> None:
    house = BatchHouse(each_look=8, answers="other", validates_for=0)
    async with served(tmp_path, house) as (lives, engine):
        place = lives.place
        job_id = await submit(place, samples=16)
        await until(lambda: len(house.batches) == 1 and house.batches[0].status == "completed")
        house.stops_after = 1
        await until(lambda: len(house.batches) == 2)
        job = await ask(place, job_id, "/answer_now")
        assert job["status"] == "completed"
        assert job["x_tierwise"]["trace"]["verdict"] == "answered_now"
        ends = await check_books(place, engine, house)
    assert house.batches[1].status == "cancelled"
    assert ends[CallStatus.OK] == house.served["batch"] < 16
