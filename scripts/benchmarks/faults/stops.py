"""A stop in the middle of long streams: each ends whole or is told, nobody new hangs, and no row is lost."""

import asyncio
import json
import time
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path

import aiohttp
from sqlalchemy import select

from router.database.tables import Request
from router.types import Outcome
from scripts.benchmarks.faults.account import Account, account
from scripts.benchmarks.faults.served import MODELS, Instance, Place

CHUNKS = 30
PROBE_EVERY_S = 0.05
HUNG_AFTER_S = 30.0


@dataclass
class Stop:
    """What clients saw of a stop, and what the books say of it."""

    streams: int
    whole: int = 0
    told: int = 0  # ended by an event, or a response, that says so
    cut: list[str] = field(default_factory=list)  # ended without a word
    refused_after_s: float | None = None  # from the signal to the first connection that was refused
    hung: int = 0  # connections after the signal that were taken and never answered
    unbooked: int = 0
    cancelled: int = 0
    took_s: float = 0.0
    account: Account | None = None

    @property
    def holds(self) -> bool:
        """Whether the bar is met."""
        is_told = self.whole + self.told == self.streams and not self.cut
        return is_told and self.refused_after_s is not None and not self.hung and not self.unbooked


def a_place(directory: Path, workers: int, stream_s: float) -> Place:
    """Lay out an instance whose model `slow` takes so many seconds for an answer."""
    gap = f"{round(stream_s * 1000 / CHUNKS)}gap-{CHUNKS}c"
    models = f'workers = {workers}\n{MODELS}\n[models.slow]\nmodel = "scripted/assistant-20ms-{gap}"\n'
    return Place.make(directory, models=models)


async def stop_under_way(place: Place, streams: int, stream_s: float) -> Stop:
    """Start streams over the time that one takes, then SIGTERM; one in eight asks for a whole answer."""
    instance = Instance(place)
    found = Stop(streams)
    ids: list[str] = []
    await instance.start()
    try:
        gap_s = stream_s * 0.9 / streams
        begun = [asyncio.create_task(_stream(place, n, n * gap_s, found, ids)) for n in range(streams)]
        await asyncio.sleep(stream_s * 0.95)
        at = time.monotonic()
        instance.terminate()
        probing = asyncio.create_task(_probe(place, at, found))
        await instance.wait_ended()
        found.took_s = time.monotonic() - at
        await asyncio.gather(*begun)
        await probing
    finally:
        await instance.stop()
    engine = place.engine()
    found.account = account(engine, place.tally)
    with engine.connect() as connection:
        booked = {row.id: row.outcome for row in connection.execute(select(Request.id, Request.outcome))}
    engine.dispose()
    spooled = {entry.request_id for entry in place.spooled()}
    found.unbooked = len([id for id in ids if id not in booked and id not in spooled])
    found.cancelled = sum(outcome is Outcome.CANCELLED for outcome in booked.values())
    return found


async def _stream(place: Place, number: int, after_s: float, found: Stop, ids: list[str]) -> None:
    await asyncio.sleep(after_s)
    is_streamed = number % 8 != 7
    body = {"model": "slow", "messages": [{"role": "user", "content": f"Tell me of {number}."}], "stream": is_streamed}
    content = b""
    try:
        timeout = aiohttp.ClientTimeout(total=120)
        url = f"{place.url}/v1/chat/completions"
        async with aiohttp.ClientSession(timeout=timeout) as session, session.post(url, json=body) as reply:
            ids.append(reply.headers["x-request-id"])
            async for piece in reply.content.iter_any():
                content += piece
            status = reply.status
    except (aiohttp.ClientError, TimeoutError) as error:
        found.cut.append(f"{type(error).__name__}: {content[-100:]!r}")
        return
    if status == HTTPStatus.OK and (b"data: [DONE]" in content if is_streamed else b'"finish_reason"' in content):
        found.whole += 1
    elif b"shutting_down" in content:
        found.told += 1
    else:
        found.cut.append(f"{status}: {content[-200:]!r}")


async def _probe(place: Place, at: float, found: Stop) -> None:
    """Connect again and again until that is refused; whoever is let in must be answered."""
    while True:
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", place.port)
        except OSError:
            found.refused_after_s = time.monotonic() - at
            return
        writer.write(b"GET /health/ready HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
        try:
            async with asyncio.timeout(HUNG_AFTER_S):
                await reader.read()
        except TimeoutError:
            found.hung += 1
        except OSError:
            pass  # reset: refused, a little late
        writer.close()
        await asyncio.sleep(PROBE_EVERY_S)


def describe(found: Stop) -> str:
    """Write what was found for the table."""
    refused = "never" if found.refused_after_s is None else f"{found.refused_after_s:.2f} s"
    examples = f" {json.dumps(found.cut[:2])}" if found.cut else ""
    return (
        f"{found.streams} streams: {found.whole} whole, {found.told} told, {len(found.cut)} without a word{examples}"
        f"; new connections refused after {refused}, {found.hung} hung; "
        f"{found.unbooked} rows lost, {found.cancelled} booked as cancelled; ended after {found.took_s:.1f} s"
    )
