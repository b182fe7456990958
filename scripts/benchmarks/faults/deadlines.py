"""A provider that hangs or drips: how long a client waits, what it is told, and what the books say."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import aiohttp
from sqlalchemy import select

from router.database.tables import Call, LabelText
from router.errors import Cause
from scripts.benchmarks.faults.served import Instance, Place
from scripts.benchmarks.faults.upstreams import BEHAVIOURS, misbehaving

FIRST_BYTE_S, IDLE_S, TOTAL_S = 1.0, 1.5, 3.0
SPARE_S = 1.0
MODEL = """
[models.{name}]
model = "openai/{name}"
api_base = "{base}"
api_key = "none"
first_byte_timeout_s = {first_byte}
idle_timeout_s = {idle}
timeout_s = {total}
"""
PHASES = {
    Cause.TIMEOUT_FIRST_BYTE: FIRST_BYTE_S,
    Cause.TIMEOUT_IDLE: IDLE_S,  # after a piece that came at once
    Cause.TIMEOUT_TOTAL: TOTAL_S,
}
EXPECTED = {
    "hang": Cause.TIMEOUT_FIRST_BYTE,
    "half-head": Cause.TIMEOUT_FIRST_BYTE,
    "slow-head": Cause.TIMEOUT_FIRST_BYTE,
    "comments": Cause.TIMEOUT_FIRST_BYTE,
    "pause": Cause.TIMEOUT_IDLE,
    "comments-after": Cause.TIMEOUT_IDLE,
    "slow-chunk": Cause.TIMEOUT_IDLE,
    "drip": Cause.TIMEOUT_TOTAL,
    "slow-body": Cause.TIMEOUT_TOTAL,
}


@dataclass(frozen=True, slots=True)
class Ending:
    """How one request ended."""

    name: str
    seconds: float
    told: str  # the HTTP status, or that the stream ended in an error
    cause: Cause | None  # by the books
    expected: Cause

    @property
    def is_met(self) -> bool:
        """Tell whether it ended by the phase and a second, in its own cause, and the client was told."""
        is_told = self.told.startswith("HTTP 504") or self.told == "an error event"
        return self.cause is self.expected and self.seconds <= PHASES[self.expected] + SPARE_S and is_told


async def deadlines(directory: Path, names: Sequence[str] = tuple(BEHAVIOURS)) -> list[Ending]:
    """Ask models that misbehave, all at the same time, and read how it ended."""
    async with misbehaving() as provider:
        phases = {"base": provider.base, "first_byte": FIRST_BYTE_S, "idle": IDLE_S, "total": TOTAL_S}
        place = Place.make(directory, models="".join(MODEL.format(name=name, **phases) for name in names))
        place.engine().dispose()
        instance = Instance(place)
        try:
            await instance.start()
            async with aiohttp.ClientSession() as session:
                seen = await asyncio.gather(*(_ask(session, place, name) for name in names))
            await instance.wait_shipped()
        finally:
            await instance.stop()
    causes = _causes(place)
    return [
        Ending(name, seconds, told, causes.get(f"openai/{name}"), EXPECTED[name])
        for name, (seconds, told) in zip(names, seen, strict=True)
    ]


async def _ask(session: aiohttp.ClientSession, place: Place, name: str) -> tuple[float, str]:
    body = {"model": name, "messages": [{"role": "user", "content": "Hello?"}], "stream": name != "slow-body"}
    began = time.monotonic()
    async with session.post(f"{place.url}/v1/chat/completions", json=body) as reply:
        content = await reply.read()
    seconds = time.monotonic() - began
    if reply.status != 200:
        return seconds, f"HTTP {reply.status}"
    return seconds, "an error event" if b'"error"' in content else "NOTHING"


def _causes(place: Place) -> dict[str, Cause | None]:
    query = select(LabelText.text, Call.cause).join(LabelText, LabelText.id == Call.provider_model_id)
    engine = place.engine()
    with engine.connect() as connection:
        found = {row.text: row.cause for row in connection.execute(query)}
    engine.dispose()
    return found
