"""Replicas with states of their own on one PostgreSQL, nginx before them, and whatever else they share."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Engine

from router import keys
from router.types import Tier
from scripts.benchmarks.cluster.parts import Nginx
from scripts.benchmarks.faults.served import MODELS, Instance, Place, free_port

SETTINGS = """auth = "required"
drain_pause_s = {pause_s}
[limits]
storage = "{limits}"
requests_per_minute = 1000000
[alerts]
every_s = 1
spool_lag_s = 600
[alerts.webhook]
url = "http://127.0.0.1:{inbox}/"
secret = "{secret}"
"""
DRAIN_PAUSE_S = 5  # nginx lets go of idle connections after 4


@dataclass(frozen=True, slots=True)
class Cluster:
    """What runs, and the key of who asks."""

    places: Sequence[Place]
    replicas: Sequence[Instance]
    nginx: Nginx
    key: str

    @property
    def headers(self) -> dict[str, str]:
        """What a client sends."""
        return {"authorization": f"Bearer {self.key}"}

    def engine(self) -> Engine:
        """Open the books."""
        return self.places[0].engine()

    async def wait_shipped(self) -> bool:
        """Wait until the books have everything that any replica spooled."""
        return all([await replica.wait_shipped() for replica in self.replicas])


@asynccontextmanager
async def running(
    directory: Path, database_url: str, count: int, settings: str = "", models: str = MODELS
) -> AsyncIterator[Cluster]:
    """Start so many replicas and nginx; all replicas ask providers that keep one tally."""
    places = [_lay_out(directory, database_url, number, settings + models) for number in range(count)]
    engine = places[0].engine()
    key = make_key(engine, "cluster")
    engine.dispose()
    replicas = [Instance(place) for place in places]
    nginx = Nginx(directory / "nginx", free_port(), [place.port for place in places])
    try:
        await asyncio.gather(*(replica.start() for replica in replicas))
        await nginx.start()
        yield Cluster(places, replicas, nginx, key)
    finally:
        await nginx.stop()
        await asyncio.gather(*(replica.stop() for replica in replicas))


def make_key(engine: Engine, name: str) -> str:
    """Make a key that may ask every tier; returns its secret."""
    return keys.create(
        engine,
        name,
        segment="default",
        scopes=keys.NEW_KEY_SCOPES,
        allowed_tiers=list(Tier),
        now_us=time.time_ns() // 1000,
    )


def _lay_out(directory: Path, database_url: str, number: int, text: str) -> Place:
    place = Place.make(directory / f"replica-{number + 1}", database_url, text)
    place.tally.symlink_to(directory / "tally.jsonl")
    return place
