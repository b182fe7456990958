"""A primary that hangs or is dead, with a well fallback and without: who still asks it, and how long they wait."""

import asyncio
import time
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import aiohttp
from sqlalchemy import func, select

from router.database.tables import Call, LabelText
from scripts.benchmarks.faults.served import Instance, Place
from scripts.benchmarks.faults.upstreams import misbehaving

REQUESTS = 60
CLIENTS = 4
TOLERATED_FAILURES = 20
BACK_WITHIN_S = 5.0
USUAL_S = 0.1  # beside the fallback's own median: what a request through a busy machine may take longer
LAST = 10
MODELS = """
[tiers.fast]
model = "openai/hang"
api_base = "{base}"
api_key = "none"
first_byte_timeout_s = 1.0
[models.well]
model = "scripted/assistant-10ms-1gap-20c"
[models.alone]
model = "openai/alone"
api_base = "{base}"
api_key = "none"
first_byte_timeout_s = 1.0
[fallbacks]
"openai/hang" = ["scripted/assistant-10ms-1gap-20c"]
"""


@dataclass(slots=True)
class Served:
    """What the clients of one stretch saw: when each request began, how long it took, with which status."""

    began_s: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Breakers:
    """How often the primary was asked, and how soon clients noticed nothing of it."""

    what: str
    requests: int
    failed: int
    asked: int
    usual_p50_s: float
    last_p50_s: float
    back_after_s: float  # from the first request until a begun one took no longer than usual for good
    alone_requests: int
    alone_calls: int

    @property
    def still_asked(self) -> float:
        """The share of requests that asked it after so many failures as are tolerated."""
        return max(0, self.asked - TOLERATED_FAILURES) / (self.requests - TOLERATED_FAILURES)

    @property
    def amplification(self) -> float:
        """Calls for each request where everything fails."""
        return self.alone_calls / self.alone_requests

    @property
    def is_met(self) -> bool:
        """Tell whether the bars are met."""
        is_back = self.last_p50_s <= self.usual_p50_s + USUAL_S and self.back_after_s <= BACK_WITHIN_S
        return not self.failed and self.still_asked <= 0.02 and is_back and self.amplification <= 1.1


async def breakers(directory: Path, *, is_dead: bool, workers: int = 2) -> Breakers:
    """Ask a tier whose primary hangs, or where nobody listens, sixty times; then a model that has no fallback."""
    async with misbehaving() as provider:
        base = "http://127.0.0.1:9/v1" if is_dead else provider.base
        models = MODELS.format(base=base)
        place = Place.make(directory, models=models if is_dead else models.replace("openai/alone", "openai/comments"))
        config = directory / "tierwise.toml"
        config.write_text(config.read_text().replace("[server]\n", f"[server]\nworkers = {workers}\n", 1))
        place.engine().dispose()
        instance = Instance(place)
        try:
            await instance.start()
            usual = await _press(place, "well", REQUESTS // 3)
            seen = await _press(place, "fast", REQUESTS)
            alone = await _press(place, "alone", REQUESTS)
            await instance.wait_shipped()
        finally:
            await instance.stop()
    calls = _calls(place)
    usual_s = median(usual.seconds)
    slow = [began + took for began, took in zip(seen.began_s, seen.seconds, strict=True) if took > usual_s + USUAL_S]
    return Breakers(
        "dead" if is_dead else "hangs",
        REQUESTS,
        sum(status != 200 for status in seen.statuses),
        calls.get("openai/hang", 0),
        usual_s,
        median(seen.seconds[-LAST:]),
        max(slow, default=min(seen.began_s)) - min(seen.began_s),
        len(alone.statuses),
        calls.get("openai/alone", 0) + calls.get("openai/comments", 0),
    )


async def _press(place: Place, model: str, count: int) -> Served:
    seen = Served()
    left = iter(range(count))

    async def client(session: aiohttp.ClientSession) -> None:
        for number in left:
            body = {"model": model, "messages": [{"role": "user", "content": f"Say {number}."}], "stream": True}
            began = time.monotonic()
            async with session.post(f"{place.url}/v1/chat/completions", json=body) as reply:
                await reply.read()
            seen.began_s.append(began)
            seen.seconds.append(time.monotonic() - began)
            seen.statuses.append(reply.status)

    async with aiohttp.ClientSession() as session:
        await asyncio.gather(*(client(session) for _ in range(CLIENTS)))
    return seen


def _calls(place: Place) -> dict[str, int]:
    """Count the calls of each model, by the books."""
    query = (
        select(LabelText.text, func.count().label("calls"))
        .select_from(Call)
        .join(LabelText, LabelText.id == Call.provider_model_id)
        .group_by(LabelText.text)
    )
    engine = place.engine()
    with engine.connect() as connection:
        found = {row.text: row.calls for row in connection.execute(query)}
    engine.dispose()
    return found
