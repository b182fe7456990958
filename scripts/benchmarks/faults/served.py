"""An instance of the real command in a directory of its own, with a provider that keeps its own tally."""

import asyncio
import contextlib
import os
import signal
import socket
import sqlite3
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from random import SystemRandom

import aiohttp
import psutil  # type: ignore[import-untyped]
from sqlalchemy import Engine

from router import keys
from router.database import schema
from router.ledger.entries import Entry
from router.ledger.shipping import spool_directory
from router.ledger.spool import SPOOL_SUFFIX, decode
from router.types import Tier

COMMAND = [str(Path(sys.executable).with_name("tierwise")), "serve"]
READY_WITHIN_S = 120.0
BELOW_OUTGOING = range(20_000, 32_000)
BASE = """
database_url = "{database_url}"
state_dir = "{directory}/state"
[server]
port = {port}
shutdown_timeout_s = 5
"""
MODELS = """
[tiers.fast]
model = "scripted/assistant-10ms-2gap"
[tiers.reasoning]
model = "scripted/assistant-think-20ms-2gap"
max_thinking_tokens = 2048
[tiers.parallel]
models = ["scripted/solver-70pct-15ms-3gap"]
max_samples = 8
[models.long]
model = "scripted/assistant-50ms-250gap"
[models.uncounted]
model = "scripted/assistant-5ms-1gap-no-usage"
"""


@dataclass(frozen=True, slots=True)
class Place:
    """Where an instance keeps what must survive it."""

    directory: Path
    database_url: str
    port: int

    @classmethod
    def make(cls, directory: Path, database_url: str | None = None, models: str = MODELS) -> "Place":
        """Lay out a directory with a configuration; `models` says what stands behind the tiers."""
        directory.mkdir(parents=True, exist_ok=True)
        place = cls(directory, database_url or f"sqlite:///{directory}/books.db", free_port())
        base = BASE.format(database_url=place.database_url, directory=directory, port=place.port)
        (directory / "tierwise.toml").write_text(base + models)
        return place

    @property
    def url(self) -> str:
        """Where the instance answers."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def tally(self) -> Path:
        """What the provider served, by its own account."""
        return self.directory / "tally.jsonl"

    def engine(self) -> Engine:
        """Open the books."""
        return schema.ready_engine(self.database_url)

    def spooled(self) -> list[Entry]:
        """What waits in the spools, those of dead workers included; raises sqlite3.Error while one comes or goes."""
        found: list[Entry] = []
        for path in spool_directory(self.directory / "state").glob(f"*{SPOOL_SUFFIX}"):
            with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as spool:
                found += [entry for (body,) in spool.execute("SELECT body FROM entries") for entry in decode(body)]
        return found

    def make_keys(self, count: int) -> dict[int, str]:
        """Make API keys; returns their secrets by id."""
        engine = self.engine()
        secrets = {name: _make_key(engine, name, keys.NEW_KEY_SCOPES) for name in map("client-{}".format, range(count))}
        ids = {key.name: key.id for key in keys.valid_keys(engine, time.time_ns() // 1_000).values()}
        engine.dispose()
        return {ids[name]: secret for name, secret in secrets.items()}

    def make_metrics_key(self) -> str:
        """Make a key that may read the metrics; returns its secret."""
        engine = self.engine()
        secret = _make_key(engine, "metrics", (keys.Scope.METRICS,))
        engine.dispose()
        return secret


class Instance:
    """One life of the served process."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Start and wait until it is ready."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith("TIERWISE_")}
        environment["SCRIPTED_TALLY_FILE"] = str(self.place.tally)
        with (self.place.directory / "serve.log").open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *COMMAND,
                "--config",
                str(self.place.directory / "tierwise.toml"),
                stdout=log,
                stderr=log,
                env=environment,
            )
        await self.wait_ready()

    async def wait_ready(self) -> None:
        """Wait until it answers; raises RuntimeError when it does not."""
        deadline = time.monotonic() + READY_WITHIN_S
        async with aiohttp.ClientSession() as session:
            while time.monotonic() < deadline:
                with contextlib.suppress(aiohttp.ClientError):
                    async with session.get(f"{self.place.url}/health/ready") as reply:
                        if reply.status == 200:
                            return
                if self._process is not None and self._process.returncode is not None:
                    break
                await asyncio.sleep(0.02)
        log = (self.place.directory / "serve.log").read_text(errors="replace")[-2000:]
        raise RuntimeError(f"the instance does not answer: {log}")

    async def wait_shipped(self, within_s: float = 60.0) -> bool:
        """Wait until the books have everything that was spooled; False when they do not in time."""
        deadline = time.monotonic() + within_s
        while time.monotonic() < deadline:
            with contextlib.suppress(sqlite3.Error):
                if not self.place.spooled():
                    return True
            await asyncio.sleep(0.1)
        return False

    def terminate(self) -> None:
        """SIGTERM: the process ends in good order."""
        self.signal(signal.SIGTERM)

    def signal(self, sig: signal.Signals) -> None:
        """Send the process a signal."""
        assert self._process is not None
        self._process.send_signal(sig)

    async def wait_ended(self, within_s: float = 120.0) -> int:
        """Wait until the process has ended; returns how."""
        assert self._process is not None
        return await asyncio.wait_for(self._process.wait(), within_s)

    @property
    def pid(self) -> int:
        """The process that was started."""
        assert self._process is not None
        return self._process.pid

    def memory_bytes(self) -> int:
        """How much memory the process takes now."""
        assert self._process is not None
        return int(psutil.Process(self._process.pid).memory_info().rss)

    async def kill(self) -> None:
        """SIGKILL: the process gets no chance to do anything."""
        assert self._process is not None
        self._process.send_signal(signal.SIGKILL)
        await self._process.wait()

    async def stop(self) -> None:
        """End it in good order, if it runs."""
        if self._process is not None and self._process.returncode is None:
            self._process.terminate()
            try:
                await asyncio.wait_for(self._process.wait(), 30)
            except TimeoutError:
                await self.kill()


def _make_key(engine: Engine, name: str, scopes: Sequence[keys.Scope]) -> str:
    now_us = time.time_ns() // 1000
    return keys.create(engine, name, segment="default", scopes=scopes, allowed_tiers=list(Tier), now_us=now_us)


def free_port() -> int:
    """A port on which nobody listens, and which no outgoing connection gets while the instance is down."""
    for port in SystemRandom().sample(BELOW_OUTGOING, 100):
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
            return port
    raise RuntimeError("no port is free")
