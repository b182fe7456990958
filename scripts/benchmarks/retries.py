"""What an `Idempotency-Key` costs a request: time and CPU beside the same request without one, alternating."""

import argparse
import asyncio
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

import aiohttp
import psutil  # type: ignore[import-untyped]
from sqlalchemy import func, select

from router.database.replay_tables import ReplayRow
from scripts.benchmarks.faults.retries import a_place
from scripts.benchmarks.faults.served import Instance, Place
from scripts.benchmarks.pages import MEASURED, circumstances

PAGE = MEASURED / "retries.md"
INTRODUCTION = """<!-- made by scripts/bench_retries --write -->
# What an idempotency key costs

The same requests are sent without an [`Idempotency-Key`](../how-to/retries.md), with one, and then again, in rounds,
one at a time, to an instance on SQLite whose model answers at once. CPU is that of the whole process until its books
are shipped, threads included. A request without the header pays for one look-up among its headers.

"""
TEXT = "Tell me of the river and of the bridge over it, and of those who built it. " * 12
HEADS = ("", "no key", "a new key", "replayed")
WAYS = ("without", "with", "again")
ROUNDS = 4


async def measure(place: Place, requests: int) -> tuple[dict[str, list[float]], dict[str, list[float]], list[int]]:
    """Return by way the milliseconds of each request and the CPU of one in each round; and the mean bytes kept."""
    instance = Instance(place)
    took: dict[str, list[float]] = {way: [] for way in WAYS}
    used: dict[str, list[float]] = {way: [] for way in WAYS}
    await instance.start()
    process = psutil.Process(instance.pid)
    try:
        async with aiohttp.ClientSession() as session:
            for number in range(-20, 0):
                await _post(session, place, number, f"key-{number}", False)
            for start in range(0, requests, requests // ROUNDS):
                numbers = range(start, start + requests // ROUNDS)
                for way in WAYS:
                    await instance.wait_shipped()
                    cpu = sum(process.cpu_times()[:2])
                    for number in numbers:
                        at = time.perf_counter()
                        await _post(session, place, number, "" if way == "without" else f"key-{number}", False)
                        took[way].append((time.perf_counter() - at) * 1_000)
                    await instance.wait_shipped()
                    used[way].append((sum(process.cpu_times()[:2]) - cpu) * 1_000 / len(numbers))
            whole = _kept_bytes(place)
            for number in range(requests, requests + 20):
                await _post(session, place, number, f"key-{number}", True)
    finally:
        await instance.stop()
    return took, used, [whole, _kept_bytes(place, newest=20)]


async def _post(session: aiohttp.ClientSession, place: Place, number: int, key: str, stream: bool) -> None:
    body = {"model": "quick", "messages": [{"role": "user", "content": f"{number}. {TEXT}"}], "stream": stream}
    headers = {"Idempotency-Key": key} if key else {}
    async with session.post(f"{place.url}/v1/chat/completions", json=body, headers=headers) as reply:
        await reply.read()
        reply.raise_for_status()


def _kept_bytes(place: Place, newest: int | None = None) -> int:
    """The mean size of what is kept of an answer."""
    newest_first = select(ReplayRow.size).order_by(ReplayRow.request_id.desc()).limit(newest).subquery()
    engine = place.engine()
    with engine.connect() as connection:
        mean = connection.scalar(select(func.avg(newest_first.c.size)))
    engine.dispose()
    return round(mean or 0)


def table(took: dict[str, list[float]], used: dict[str, list[float]], sizes: list[int]) -> str:
    """Write the figures as a table."""
    rows = [
        ("ms, median", *(f"{statistics.median(took[way]):.2f}" for way in WAYS)),
        ("ms, 95th percentile", *(f"{statistics.quantiles(took[way], n=20)[-1]:.2f}" for way in WAYS)),
        ("CPU ms, best of rounds", *(f"{min(used[way]):.2f}" for way in WAYS)),
    ]
    lines = ["| " + " | ".join(row) + " |" for row in (HEADS, ("---",) * 4, *rows)]
    kept = f"Kept of an answer of about 200 words: {sizes[0]:,} bytes whole, {sizes[1]:,} bytes streamed."
    return "\n".join([*lines, "", kept])


def main() -> None:
    """Measure, print, and write the page where that is asked for."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--requests", type=int, default=300)
    arguments.add_argument("--write", action="store_true", help="write docs/measured/retries.md")
    given = arguments.parse_args()
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(prefix="tierwise-retries") as folder:
        place = a_place(Path(folder), workers=1, models='[models.quick]\nmodel = "scripted/echo"\n')
        place.engine().dispose()
        text = table(*asyncio.run(measure(place, given.requests)))
    text += f"\n\n{given.requests} requests each way, {circumstances(load)}."
    sys.stdout.write(text + "\n")
    if given.write:
        PAGE.write_text(f"{INTRODUCTION}{text}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
