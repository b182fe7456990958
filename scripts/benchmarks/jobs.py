"""What background jobs promise, measured: kills on both databases, the wait for "answer now", bills against quotes."""

import argparse
import asyncio
import os
import random
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import aiohttp
from sqlalchemy import select

from router.database.job_tables import JobRow
from router.database.tables import Call
from scripts.benchmarks.faults.__main__ import postgresql
from scripts.benchmarks.faults.jobs import MODELS, KilledJobs, kill_jobs, wait_booked, wait_ended
from scripts.benchmarks.faults.served import Instance, Place
from scripts.benchmarks.pages import circumstances, put

PAGE = "jobs.md"
NOW_BAR_S = 2.0
SLOW = "scripted/assistant-400ms-200gap-20c"
MIXED = """
[tiers.fast]
model = "scripted/assistant-5ms-30pct-fail-503"
[tiers.reasoning]
model = "scripted/assistant-think-5ms"
max_thinking_tokens = 2048
[tiers.parallel]
models = ["scripted/solver-60pct-5ms", "scripted/assistant-5ms-30pct-fail-midstream"]
max_samples = 8
"""
PRICE = """
[prices."{name}"]
input = {input}
output = {output}
"""
QUESTIONS = ("What is {n} + 9?", "Name a river.", "Write two sentences about number {n}.", "Is {n} even? Yes or no?")


class TooDear(RuntimeError):
    """What a job may cost does not cover one answer."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Print what was asked for, and put it into the page if asked to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=("kills", "now", "bills"), action="append", help="only this; repeat for more")
    parser.add_argument("--short", action="store_true", help="fewer jobs and kills")
    parser.add_argument("--write", action="store_true", help="put the figures into docs/measured/jobs.md")
    options = parser.parse_args(arguments)
    measures: dict[str, Callable[[Path, bool], str]] = {
        "kills": measure_kills,
        "now": measure_now,
        "bills": measure_bills,
    }
    for name in options.only or measures:
        with tempfile.TemporaryDirectory(prefix="tierwise-jobs-") as folder:
            load = os.getloadavg()[0]
            table = f"{measures[name](Path(folder), options.short)}\n\n{circumstances(load)}."
        print(table)
        if options.write:
            put(PAGE, f"made by scripts/bench_jobs: {name}", table)


def measure_kills(folder: Path, is_short: bool) -> str:
    """Kill the worker of a hundred jobs twenty times, on each database."""
    size = (6, 8, 2) if is_short else (100, 16, 20)
    found = {"SQLite": asyncio.run(_kill(folder / "sqlite", None, *size))}
    with postgresql(folder / "pg") as (url, _):
        found["PostgreSQL"] = asyncio.run(_kill(folder / "postgresql", url, *size))
    return tabulate(found)


def tabulate(found: Mapping[str, KilledJobs]) -> str:
    """Write what became of killed jobs, a column for each database."""
    rows = ["| | " + " | ".join(found) + " |", "| --- |" + " --- |" * len(found)]
    for label, read in ROWS.items():
        rows.append(f"| {label} | " + " | ".join(str(read(one)) for one in found.values()) + " |")
    return "\n".join(rows)


ROWS: dict[str, Callable[[KilledJobs], object]] = {
    "jobs, samples of each, kills": lambda one: f"{one.jobs}, {one.samples}, {one.kills}",
    "jobs completed": lambda one: one.ended["completed"],
    "stretches in which they were run": lambda one: one.stretches,
    "samples settled": lambda one: one.books.exact + one.books.estimated,
    "settled samples bought again": lambda one: one.bought_twice,
    "calls under way at a kill, booked as unknown with their hold": lambda one: one.unknown,
    "of these without their hold": lambda one: one.unknown_without_hold,
    "requests in the books": lambda one: one.requests,
    "calls served by the provider's tally, lines in the books": lambda one: f"{one.books.served}, {one.books.lines}",
    "exact lines that the tally does not know": lambda one: one.books.unmatched_exact,
    "exact lines in the books, and in the tally, in nano-dollars": lambda one: (
        f"{one.books.exact_nanousd}, {one.books.tally_nanousd}"
    ),
    "jobs that cost more than was held for them": lambda one: one.above_held,
    "laws of the ledger that are broken": lambda one: len(one.breaks),
    "all as promised": lambda one: "yes" if one.holds else "**no**",
    "seconds in all": lambda one: round(one.seconds),
}


async def _kill(directory: Path, url: str | None, jobs: int, samples: int, kills: int) -> KilledJobs:
    place = Place.make(directory, url, MODELS)
    place.engine().dispose()
    return await kill_jobs(place, jobs, samples, kills, tell=lambda line: print(line, flush=True))


def measure_now(folder: Path, is_short: bool) -> str:
    """Ask slow jobs for their answer now, once the first sample is there."""
    models = MODELS.replace("scripted/solver-0pct-600ms-10gap-10c", SLOW)
    place = Place.make(folder / "now", None, models)
    place.engine().dispose()
    waits = asyncio.run(_serve(place, lambda: _ask_now(place, 5 if is_short else 20)))
    waits.sort()
    middle = waits[len(waits) // 2]
    return (
        "| jobs | median wait for the answer | longest | bar |\n| --- | --- | --- | --- |\n"
        f"| {len(waits)} | {middle:.2f} s | {waits[-1]:.2f} s | {NOW_BAR_S:g} s |"
    )


async def _ask_now(place: Place, jobs: int) -> list[float]:
    waits = []
    async with aiohttp.ClientSession() as session:
        for number in range(jobs):
            job = await _post(session, place, {"model": "parallel", "input": f"Tell me of {number}."}, samples=32)
            address = f"{place.url}/v1/responses/{job['id']}"
            await _wait_for_a_sample(session, address)
            began = time.monotonic()
            answered = await _json(session.post(f"{address}/answer_now"))
            waits.append(time.monotonic() - began)
            if answered["status"] != "completed":
                raise RuntimeError(f"no answer: {answered}")
    return waits


async def _wait_for_a_sample(session: aiohttp.ClientSession, address: str) -> None:
    while True:
        job = await _json(session.get(address))
        if job["x_tierwise"]["progress"].get("done"):
            return
        await asyncio.sleep(0.05)


def measure_bills(folder: Path, is_short: bool) -> str:
    """Hold what a thousand jobs of all kinds cost against the most that their quotes named."""
    names = [line.split('"')[1] for line in MIXED.splitlines() if line.startswith("model =")]
    names += ["scripted/solver-60pct-5ms", "scripted/assistant-5ms-30pct-fail-midstream"]
    dice = random.Random(1)
    prices = "".join(PRICE.format(name=name, input=dice.randint(1, 9), output=dice.randint(1, 40)) for name in names)
    place = Place.make(folder / "bills", None, MIXED + prices + "[jobs]\nconcurrency = 16\nmax_waiting = 5000\n")
    place.engine().dispose()
    jobs = 50 if is_short else 1_000
    ended = asyncio.run(_serve(place, lambda: _spend(place, jobs, dice)))
    engine = place.engine()
    with engine.connect() as connection:
        rows = connection.execute(select(JobRow.id, JobRow.held_nanousd)).all()
        costs: dict[str, int] = {}
        for request_id, cost in connection.execute(select(Call.request_id, Call.cost_nanousd)):
            costs[f"resp_{request_id}"] = costs.get(f"resp_{request_id}", 0) + (cost or 0)
    engine.dispose()
    above = sum(costs.get(row.id, 0) > row.held_nanousd for row in rows)
    shares = sorted(costs.get(row.id, 0) / row.held_nanousd for row in rows)
    return (
        "| jobs | ended as | bill above the quote's maximum | bill as share of it: median, largest |\n"
        "| --- | --- | --- | --- |\n"
        f"| {len(rows)} | {', '.join(f'{count} {word}' for word, count in sorted(ended.items()))} | {above} | "
        f"{100 * shares[len(shares) // 2]:.2f} %, {100 * shares[-1]:.1f} % |"
    )


async def _spend(place: Place, jobs: int, dice: random.Random) -> dict[str, int]:
    async with aiohttp.ClientSession() as session:
        ids = []
        for number in range(jobs):
            body: dict[str, Any] = {
                "model": dice.choice(("parallel", "parallel", "auto", "reasoning", "fast")),
                "input": dice.choice(QUESTIONS).format(n=number),
                "max_output_tokens": dice.choice((64, 256, 1_024)),
            }
            cap = dice.choice((None, None, "0.02", "0.05"))
            samples = dice.randint(2, 6) if body["model"] in ("parallel", "auto") else None
            try:
                job = await _post(session, place, body, samples=samples, cap=cap)
            except TooDear:
                job = await _post(session, place, body, samples=samples)
            ids.append(job["id"])
    ended = await wait_ended(place, ids)
    engine = place.engine()
    await wait_booked(engine)
    engine.dispose()
    return dict(ended)


async def _post(
    session: aiohttp.ClientSession,
    place: Place,
    body: dict[str, Any],
    *,
    samples: int | None = None,
    cap: str | None = None,
) -> dict[str, Any]:
    wish = {} if samples is None else {"x_tierwise": {"samples": samples}}
    headers = {} if cap is None else {"x-tierwise-max-cost-usd": cap}
    asked = {**body, "background": True, "store": True, **wish}
    return await _json(session.post(f"{place.url}/v1/responses", json=asked, headers=headers))


async def _json(asking: Any) -> dict[str, Any]:
    async with asking as reply:
        found: dict[str, Any] = await reply.json()
        if reply.status == 429:
            raise TooDear(found)
        if reply.status not in (200, 202):
            raise RuntimeError(f"{reply.status}: {found}")
        return found


async def _serve(place: Place, work: Callable[[], Awaitable[Any]]) -> Any:
    instance = Instance(place)
    try:
        await instance.start()
        return await work()
    finally:
        await instance.stop()


if __name__ == "__main__":
    main()
