"""Clients that take more than their part: requests that hang, answers that nobody reads, bodies that never end."""

import asyncio
import contextlib
import json
import socket
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from statistics import quantiles
from typing import Any

import aiohttp
from sqlalchemy import select

from router.database.tables import Request
from router.types import Outcome
from scripts.benchmarks.faults.served import Instance, Place

CROWDED = """
send_timeout_s = {send_timeout_s}
request_timeout_s = 600
[tiers.fast]
model = "scripted/assistant-10ms-2gap"
[tiers.reasoning]
model = "scripted/assistant-think-20ms-2gap"
max_thinking_tokens = 2048
[tiers.parallel]
models = ["scripted/solver-70pct-15ms-3gap"]
max_samples = 8
[models.hang]
model = "scripted/hang"
first_byte_timeout_s = 600
[models.echo]
model = "scripted/echo"
"""
QUESTION = [{"role": "user", "content": "How do I descale a kettle?"}]
LONG = [{"role": "user", "content": "word " * 400}]
ECHOES = 64  # of a chunk for each word: more together than the buffers on their way take
SMALL_BUFFER = 4_096
BODY_BYTES = 19_000_000
ALMOST = 0.99


@dataclass(frozen=True, slots=True)
class Hung:
    """What one key felt of another's hung requests."""

    hung: int
    refused: int  # of the hung ones, by the end
    alone_p99_ms: float
    beside_p99_ms: float
    failed: int

    @property
    def ratio(self) -> float:
        """How many times as long the slowest hundredth waited."""
        return self.beside_p99_ms / self.alone_p99_ms


@dataclass(frozen=True, slots=True)
class Unread:
    """When the places of clients that read nothing were free again."""

    clients: int
    held: int  # places, at most
    freed_s: float | None  # after the last was seen to begin; None: never
    cancelled: int
    booked: int


@dataclass(frozen=True, slots=True)
class Unfinished:
    """What bodies that never end cost, and whether others were served meanwhile."""

    bodies: int
    growth_bytes: int
    refused: int
    served: int
    asked: int


def crowded(send_timeout_s: float = 30.0) -> str:
    """Write the models, and the deadline for sending, of an instance that is to be crowded."""
    return CROWDED.format(send_timeout_s=send_timeout_s)


async def hang(place: Place, requests: int, asked: int) -> Hung:
    """Measure one key alone, then beside so many hung requests of another."""
    [crowding, other] = place.make_keys(2).values()
    instance = Instance(place)
    async with serving(instance), _session(crowding) as crowd, _session(other) as session:
        await _ask_often(session, place, asked // 2)  # warm
        alone, failed = await _ask_often(session, place, asked)
        tasks = [asyncio.create_task(_ask(crowd, place, "hang")) for _ in range(requests)]
        await _until(place, lambda places: places["taken"] + places["waiting"] >= requests // 2, within_s=20)
        beside, failed_beside = await _ask_often(session, place, asked)
        refused = sum(task.done() for task in tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return Hung(requests, refused, _p99(alone), _p99(beside), failed + failed_beside)


async def read_nothing(place: Place, clients: int, *, within_s: float) -> Unread:
    """Ask for streams and read nothing of them; `within_s` is how long their places may be waited for."""
    secrets = list(place.make_keys(clients).values())
    instance = Instance(place)
    async with serving(instance):
        answer = {"model": "echo", "messages": LONG, "stream": True, "n": ECHOES}
        sockets = [await _post(place, secret, answer) for secret in secrets]
        began, held, taken = time.monotonic(), 0, 0

        def all_free(places: dict[str, Any]) -> bool:
            nonlocal began, held, taken
            if places["taken"] > taken:
                began = time.monotonic()
            taken = places["taken"]
            held = max(held, taken)
            return held > 0 and taken == 0 and not places["waiting"]

        places = await _until(place, all_free, within_s=within_s)
        freed_s = time.monotonic() - began if all_free(places) else None
        await instance.wait_shipped()
        for one in sockets:
            one.close()
    engine = place.engine()
    with engine.connect() as connection:
        outcomes = list(connection.scalars(select(Request.outcome)))
    engine.dispose()
    return Unread(clients, held, freed_s, sum(one is Outcome.CANCELLED for one in outcomes), len(outcomes))


async def leave_unfinished(place: Place, bodies: int, keys: int) -> Unfinished:
    """Begin bodies of 19 MB, each of one of so many keys, and finish none; measure the server's memory."""
    secrets = list(place.make_keys(keys + 1).values())
    instance = Instance(place)
    async with serving(instance), _session(secrets[-1]) as other:
        await _ask_often(other, place, 50)  # warm
        before = instance.memory_bytes()
        writers = await asyncio.gather(*(_begin_body(place, secrets[n % keys]) for n in range(bodies)))
        most, served, asked = 0, 0, 20
        for _ in range(asked):
            most = max(most, instance.memory_bytes())
            served += await _ask(other, place, "fast") == 200
        refused = sum([await _is_answered(reader) for reader, _ in writers])
        for _, writer in writers:
            writer.transport.abort()
    return Unfinished(bodies, max(most - before, 0), refused, served, asked)


@contextlib.asynccontextmanager
async def serving(instance: Instance) -> AsyncIterator[Instance]:
    """Run an instance for a while."""
    try:
        await instance.start()
        yield instance
    finally:
        await instance.stop()


def _session(secret: str) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        headers={"authorization": f"Bearer {secret}"},
        connector=aiohttp.TCPConnector(limit=0),
        timeout=aiohttp.ClientTimeout(total=300),
    )


async def _ask(session: aiohttp.ClientSession, place: Place, model: str) -> int:
    body = {"model": model, "messages": QUESTION}
    async with session.post(f"{place.url}/v1/chat/completions", json=body) as reply:
        await reply.read()
        return reply.status


async def _ask_often(session: aiohttp.ClientSession, place: Place, times: int) -> tuple[list[float], int]:
    """Ask one after the other; returns the milliseconds of each, and how many failed."""
    took, failed = [], 0
    for _ in range(times):
        began = time.perf_counter()
        failed += await _ask(session, place, "fast") != 200
        took.append((time.perf_counter() - began) * 1_000)
    return took, failed


def _p99(took_ms: list[float]) -> float:
    return quantiles(took_ms, n=100)[-1]


async def _until(place: Place, holds: Callable[[dict[str, Any]], bool], *, within_s: float) -> dict[str, Any]:
    """Ask readiness until its places are so, or for so long; returns what it said last."""
    deadline = time.monotonic() + within_s
    async with aiohttp.ClientSession() as session:
        while True:
            async with session.get(f"{place.url}/health/ready") as reply:
                places: dict[str, Any] = (await reply.json())["places"]
            if holds(places) or time.monotonic() > deadline:
                return places
            await asyncio.sleep(0.05)


async def _post(place: Place, secret: str, body: dict[str, Any]) -> socket.socket:
    """Send a request and read nothing of its answer."""
    content = json.dumps(body).encode()
    one = socket.socket()
    one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL_BUFFER)
    one.setblocking(False)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(one, ("127.0.0.1", place.port))
    await loop.sock_sendall(one, _head(place, secret, len(content)) + content)
    return one


async def _begin_body(place: Place, secret: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Send nearly all of a large body."""
    reader, writer = await asyncio.open_connection("127.0.0.1", place.port)
    writer.write(_head(place, secret, BODY_BYTES))
    left, piece = int(BODY_BYTES * ALMOST), b"x" * 262_144
    with contextlib.suppress(ConnectionError):
        while left > 0:
            writer.write(piece[:left])
            await writer.drain()
            left -= len(piece)
    return reader, writer


async def _is_answered(reader: asyncio.StreamReader) -> bool:
    """Tell whether an answer came, which can only be a refusal."""
    try:
        async with asyncio.timeout(0.01):
            return bool(await reader.read(1))
    except (TimeoutError, ConnectionError):
        return False


def _head(place: Place, secret: str, length: int) -> bytes:
    return (
        f"POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1:{place.port}\r\nauthorization: Bearer {secret}\r\n"
        f"content-type: application/json\r\ncontent-length: {length}\r\n\r\n"
    ).encode()
