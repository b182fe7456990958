"""A long run: faults and hang-ups all the way, then tally against ledger, and what memory and file handles did.

`scripts/soak [--requests 1000000] [--workers 2] [--clients 32]` prints the figures next to their bars.
"""

import argparse
import asyncio
import json
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean

import msgspec
import psutil  # type: ignore[import-untyped]
from sqlalchemy import Engine, func, select

from router.database.tables import Call, LabelText, Request
from router.providers.scripted.tally import Served
from router.types import CallStatus, Outcome, Precision
from scripts.benchmarks.faults.served import Instance, Place

FAULT_SHARE = 0.05
HANG_UP_SHARE = 0.05
SAMPLES = 100
MOST_GROWTH_BYTES = 5 * 2**20
MORE_HANDLES = 8  # keep-alive connections come and go
FAULTS = ("busy", "midway", "nonsense")
MODELS = """
[tiers.fast]
model = "scripted/assistant-1ms"
[tiers.reasoning]
model = "scripted/assistant-think-1ms"
[tiers.parallel]
models = ["scripted/solver-70pct-1ms"]
[models.busy]
model = "scripted/assistant-1ms-fail-503"
[models.midway]
model = "scripted/assistant-1ms-fail-midstream"
[models.nonsense]
model = "scripted/assistant-1ms-malformed"
[models.long]
model = "scripted/assistant-5ms-20gap"
"""


@dataclass(frozen=True, slots=True)
class Sample:
    """What the workers held at one moment."""

    requests: int
    bytes: int
    handles: int


@dataclass
class Soak:
    """What was sent, what both sides say of it, and what the workers held meanwhile."""

    sent: int = 0
    hung_up: int = 0
    failed: int = 0
    seconds: float = 0.0
    served: int = 0
    lines: int = 0
    requests_booked: int = 0
    exact_unmatched: int = 0
    unsettled: int = 0
    is_shipped: bool = False
    samples: list[Sample] = field(default_factory=list)

    @property
    def growth_bytes(self) -> int:
        """How much more the workers held in the last tenth than around the middle."""
        return self._later(lambda one: one.bytes)

    @property
    def more_handles(self) -> int:
        """How many more files they had open."""
        return self._later(lambda one: one.handles)

    @property
    def is_equal(self) -> bool:
        """Whether every call that the provider served is a line, every exact line was served so, and all is settled."""
        is_whole = self.is_shipped and not self.unsettled
        return is_whole and not self.exact_unmatched and self.served <= self.lines and self.lines <= self.sent

    def _later(self, of: Callable[[Sample], int]) -> int:
        count = len(self.samples)
        middle = self.samples[round(count * 0.45) : round(count * 0.55)] or self.samples
        last = self.samples[round(count * 0.9) :] or self.samples
        return round(fmean(of(one) for one in last) - fmean(of(one) for one in middle))


async def soak(
    directory: Path, requests: int, workers: int = 2, clients: int = 32, told: Callable[[str], None] = lambda line: None
) -> Soak:
    """Send so many requests, then compare."""
    place = Place.make(directory, models=f"workers = {workers}\n{MODELS}")
    place.engine().dispose()
    instance, found = Instance(place), Soak()
    await instance.start()
    began = time.monotonic()
    try:
        sending = [asyncio.create_task(_client(place, random.Random(n), requests, found)) for n in range(clients)]
        while not all(task.done() for task in sending):
            await asyncio.sleep(0.2)
            if found.sent >= (len(found.samples) + 1) * requests // SAMPLES:
                found.samples.append(_sample(instance, found.sent))
                if len(found.samples) % 10 == 0:
                    last = found.samples[-1]
                    told(f"{found.sent} sent: {last.bytes / 2**20:.1f} MB, {last.handles} file handles")
        await asyncio.gather(*sending)
        found.seconds = time.monotonic() - began
        found.is_shipped = await instance.wait_shipped(300.0)
    finally:
        await instance.stop()
    engine = place.engine()
    _compare(engine, place.tally, found)
    engine.dispose()
    return found


def _sample(instance: Instance, sent: int) -> Sample:
    """Add up what the workers hold: of several, without the process that keeps them."""
    server = psutil.Process(instance.pid)
    workers = [child for child in server.children() if "spawn_main" in " ".join(child.cmdline())] or [server]
    return Sample(sent, sum(one.memory_info().rss for one in workers), sum(one.num_fds() for one in workers))


async def _client(place: Place, dice: random.Random, requests: int, found: Soak) -> None:
    """Ask again and again over one connection, as long as it lasts."""
    reader: asyncio.StreamReader | None = None
    writer: asyncio.StreamWriter | None = None
    while found.sent < requests:
        found.sent += 1
        draw = dice.random()
        hangs_up = draw < HANG_UP_SHARE
        model = "long" if hangs_up else dice.choice(FAULTS) if draw < HANG_UP_SHARE + FAULT_SHARE else "fast"
        is_streamed = hangs_up or dice.random() < 0.3
        try:
            if writer is None or writer.is_closing():
                reader, writer = await asyncio.open_connection("127.0.0.1", place.port)
            assert reader is not None
            writer.write(_request(place, model, is_streamed, dice))
            if hangs_up:
                await asyncio.wait_for(reader.read(100), 30.0)
                writer.transport.abort()
                writer = None
                found.hung_up += 1
                continue
            if not await asyncio.wait_for(_read_answer(reader), 30.0):
                found.failed += 1
        except (OSError, TimeoutError, asyncio.IncompleteReadError, ValueError):
            found.failed += 1
            if writer is not None:
                writer.transport.abort()
            writer = None
    if writer is not None:
        writer.close()


def _request(place: Place, model: str, is_streamed: bool, dice: random.Random) -> bytes:
    question = f"How do I descale kettle {dice.randrange(10**9)}?"
    asked = {"model": model, "stream": is_streamed, "max_tokens": 40}
    body = json.dumps({**asked, "messages": [{"role": "user", "content": question}]}).encode()
    head = (
        f"POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1:{place.port}\r\ncontent-type: application/json\r\n"
        f"content-length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


async def _read_answer(reader: asyncio.StreamReader) -> bool:
    """Read one response to its end; tells whether it is a whole answer."""
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    if b"transfer-encoding: chunked" in head:
        content = b""
        while size := int(await reader.readuntil(b"\r\n"), 16):
            content = (content + await reader.readexactly(size + 2))[-400:]
        await reader.readexactly(2)
        return b"data: [DONE]" in content
    length = int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0])
    await reader.readexactly(length)
    return head.startswith(b"http/1.1 200")


def _compare(engine: Engine, tally: Path, found: Soak) -> None:
    """Hold every exact line against the tally, and count what is not settled; one pass over each."""
    served: Counter[tuple[object, ...]] = Counter()
    if tally.exists():
        with tally.open("rb") as lines:
            for line in lines:
                one = msgspec.json.decode(line, type=Served)
                found.served += 1
                if one.is_whole:
                    served[one.model, *msgspec.structs.astuple(one.usage)] += 1
    usage = (Call.input_fresh, Call.input_cached, Call.input_cache_write, Call.output_visible, Call.output_reasoning)
    exact = (
        select(LabelText.text, *usage, func.count())
        .join(LabelText, LabelText.id == Call.provider_model_id)
        .where(Call.precision == Precision.EXACT, Call.status != CallStatus.NOT_SENT, Call.output_visible > 0)
        .group_by(LabelText.text, *usage)
    )
    with engine.connect() as connection:
        found.lines = connection.scalar(select(func.count()).select_from(Call)) or 0
        found.requests_booked = connection.scalar(select(func.count()).select_from(Request)) or 0
        unknown = select(func.count()).select_from(Request).where(Request.outcome == Outcome.UNKNOWN)
        found.unsettled = connection.scalar(unknown) or 0
        for *key, count in connection.execute(exact):
            found.exact_unmatched += max(count - served[tuple(key)], 0)


def describe(found: Soak) -> str:
    """Write the figures for the table."""
    return (
        f"{found.sent} requests in {found.seconds:.0f} s, {found.hung_up} hung up, {found.failed} failed; "
        f"{found.served} served, {found.lines} lines, {found.exact_unmatched} exact lines without a call, "
        f"{found.unsettled} unsettled; memory {found.growth_bytes / 2**20:+.1f} MB over the last half, "
        f"{found.more_handles:+d} file handles"
    )


def main() -> int:
    """Return 0 when every bar is met."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--requests", type=int, default=1_000_000)
    arguments.add_argument("--workers", type=int, default=2)
    arguments.add_argument("--clients", type=int, default=32)
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory(prefix="tierwise-soak") as folder:

        def tell(line: str) -> None:
            sys.stdout.write(f"      {line}\n")
            sys.stdout.flush()

        found = asyncio.run(soak(Path(folder) / "soak", given.requests, given.workers, given.clients, tell))
    is_met = is_within_bars(found)
    bar = "tally equal, growth under 5 MB over the last half, file handles flat"
    sys.stdout.write(f"{'met ' if is_met else 'MISS'}  soak: {describe(found)}  (bar: {bar})\n")
    return 0 if is_met else 1


def is_within_bars(found: Soak) -> bool:
    """Whether the run meets its bars."""
    return found.is_equal and found.growth_bytes < MOST_GROWTH_BYTES and found.more_handles <= MORE_HANDLES


if __name__ == "__main__":
    sys.exit(main())
