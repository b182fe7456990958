"""Clients that hang up at random byte positions: upstream is cancelled within a second, and everything settles."""

import asyncio
import json
import random
import time
from dataclasses import dataclass
from statistics import quantiles

from sqlalchemy import Engine, select

from router.ledger.tables import Request
from scripts.faulting.account import read_tally
from scripts.faulting.served import Instance, Place

WITHIN_US = 1_000_000
CLIENTS = 20


@dataclass(frozen=True, slots=True)
class HangUp:
    """One client that went away."""

    key_id: int
    sent_us: int
    gone_us: int
    bytes_read: int


@dataclass(frozen=True, slots=True)
class Disconnects:
    """How soon what clients left behind was cancelled and settled."""

    made: int
    settled: int
    in_time: int
    upstream_in_time: bool
    p50_ms: float
    worst_ms: float


async def disconnects(place: Place, count: int, seed: int = 3) -> Disconnects:
    """Hang up `count` times on answers that would take many seconds; all tiers, streamed or not."""
    instance = Instance(place)
    keys = place.make_keys(CLIENTS)
    try:
        await instance.start()
        share = [count // CLIENTS + (n < count % CLIENTS) for n in range(CLIENTS)]
        clients = [
            _client(place, key_id, secret, share[n], random.Random(seed + n))
            for n, (key_id, secret) in enumerate(keys.items())
        ]
        made = [one for ones in await asyncio.gather(*clients) for one in ones]
        last_us = max(one.gone_us for one in made)
        await asyncio.sleep(1.5)
        await instance.wait_shipped()
        engine = place.engine()
        delays = _delays(engine, made)
        engine.dispose()
    finally:
        await instance.stop()
    late = [one for one in read_tally(place.tally) if one.at_us > last_us + WITHIN_US]
    in_time = sum(delay <= WITHIN_US for delay in delays)
    p50 = quantiles(delays, n=2)[0] / 1000 if len(delays) > 1 else 0.0
    return Disconnects(len(made), len(delays), in_time, not late, p50, max(delays, default=0) / 1000)


async def _client(place: Place, key_id: int, secret: str, count: int, dice: random.Random) -> list[HangUp]:
    made = []
    for _ in range(count):
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
        sent_us = time.time_ns() // 1000
        writer.write(head.encode() + body)
        await writer.drain()
        read = await _read_some(reader, dice.choice((0, 0, dice.randrange(1, 400), dice.randrange(400, 3000))))
        if read == 0:
            await asyncio.sleep(dice.uniform(0.002, 0.2))
        writer.transport.abort() if dice.random() < 0.5 else writer.close()
        made.append(HangUp(key_id, sent_us, time.time_ns() // 1000, read))
        await asyncio.sleep(dice.uniform(0.0, 0.05))
    return made


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


def _delays(engine: Engine, made: list[HangUp]) -> list[int]:
    """From hanging up to the settlement, in microseconds, of every request that was booked."""
    query = select(Request.key_id, Request.opened_at, Request.closed_at).order_by(Request.opened_at)
    with engine.connect() as connection:
        rows = list(connection.execute(query))
    delays = []
    for one in made:
        mine = [r for r in rows if r.key_id == one.key_id and one.sent_us - 5_000 <= r.opened_at]
        if mine:
            delays.append(max(mine[0].closed_at - one.gone_us, 0))
            rows.remove(mine[0])
    return delays
