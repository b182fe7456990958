"""Clients that hang up at random byte positions: upstream is cancelled within a second, and everything settles."""

import asyncio
import json
import random
import time
from dataclasses import dataclass
from statistics import quantiles

import aiohttp
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import Engine, select

from router.database.tables import Request
from scripts.benchmarks.faults.account import read_tally
from scripts.benchmarks.faults.served import Instance, Place

CLIENTS = 20


@dataclass(frozen=True, slots=True)
class Disconnects:
    """How soon what clients left behind was cancelled and settled."""

    made: int
    settled: int
    unopened: int  # gone before the server had read what they asked: nothing was spent, nothing is booked
    in_time: int
    upstream_in_time: bool
    p50_ms: float
    worst_ms: float

    @property
    def lost(self) -> int:
        """Those that were opened and not settled."""
        return self.made - self.settled - self.unopened


async def disconnects(place: Place, count: int, *, within_s: float = 1.0, seed: int = 3) -> Disconnects:
    """Hang up `count` times on answers that would take many seconds; all tiers, streamed or not."""
    instance = Instance(place)
    # A key for each, so that it can be told which request is whose.
    keys, metrics_key = list(place.make_keys(count).items()), place.make_metrics_key()
    within_us = round(within_s * 1e6)
    try:
        await instance.start()
        clients = [_client(place, keys[n::CLIENTS], random.Random(seed + n)) for n in range(CLIENTS)]
        gone_us = {key_id: at_us for ones in await asyncio.gather(*clients) for key_id, at_us in ones.items()}
        await asyncio.sleep(within_s + 0.5)
        await instance.wait_shipped()
        unopened = await _unopened(place, metrics_key)
        engine = place.engine()
        delays = _delays(engine, gone_us)
        engine.dispose()
    finally:
        await instance.stop()
    late = [one for one in read_tally(place.tally) if one.at_us > max(gone_us.values()) + within_us]
    in_time = sum(delay <= within_us for delay in delays)
    p50 = quantiles(delays, n=2)[0] / 1000 if len(delays) > 1 else 0.0
    return Disconnects(len(gone_us), len(delays), unopened, in_time, not late, p50, max(delays, default=0) / 1000)


async def _client(place: Place, keys: list[tuple[int, str]], dice: random.Random) -> dict[int, int]:
    """Ask and hang up, once with each key; returns when, in microseconds, by the id of the key."""
    gone_us = {}
    for key_id, secret in keys:
        body = json.dumps(
            {
                "model": dice.choice(("long", "long", "parallel", "reasoning")),
                "messages": [{"role": "user", "content": f"What is 12 * {dice.randrange(1000)}?"}],
                "stream": dice.random() < 0.7,
            }
        ).encode()
        reader, writer = await asyncio.open_connection("127.0.0.1", place.port)
        head = (
            f"POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1:{place.port}\r\nauthorization: Bearer {secret}\r\n"
            f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
        )
        writer.write(head.encode() + body)
        await writer.drain()
        read = await _read_some(reader, dice.choice((0, 0, dice.randrange(1, 400), dice.randrange(400, 3000))))
        if read == 0:
            await asyncio.sleep(dice.uniform(0.002, 0.2))
        writer.transport.abort() if dice.random() < 0.5 else writer.close()
        gone_us[key_id] = time.time_ns() // 1000
        await asyncio.sleep(dice.uniform(0.0, 0.05))
    return gone_us


async def _read_some(reader: asyncio.StreamReader, wanted: int) -> int:
    read = 0
    try:
        async with asyncio.timeout(1.0):
            while read < wanted:
                piece = await reader.read(min(wanted - read, 100))
                if not piece:
                    break
                read += len(piece)
    except TimeoutError:
        pass
    return read


async def _unopened(place: Place, metrics_key: str) -> int:
    """How many clients the server says were gone before their request was opened."""
    headers = {"authorization": f"Bearer {metrics_key}"}
    async with aiohttp.ClientSession() as session, session.get(f"{place.url}/metrics", headers=headers) as reply:
        scraped = await reply.text()
    family = next(f for f in text_string_to_metric_families(scraped) if f.name == "tierwise_unopened_requests")
    return int(next(sample.value for sample in family.samples if sample.name == "tierwise_unopened_requests_total"))


def _delays(engine: Engine, gone_us: dict[int, int]) -> list[int]:
    """From hanging up to the settlement, in microseconds, of every request that was booked."""
    with engine.connect() as connection:
        rows = list(connection.execute(select(Request.key_id, Request.closed_at)))
    return [max(row.closed_at - gone_us[row.key_id], 0) for row in rows]
