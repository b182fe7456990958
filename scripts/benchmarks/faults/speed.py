"""What the ledger costs on the request path, and how fast it ships."""

import tempfile
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median

import psutil  # type: ignore[import-untyped]

from router.clock import request_id
from router.database import schema
from router.ledger.entries import CallIntent, CallResult, Closing, Opening
from router.ledger.shipping import Shipper
from router.ledger.spool import Spool
from router.types import CallKind, CallStatus, Outcome, Precision, Reason, Tier, Usage

BATCHES = 10
opened = partial(
    Opening,
    key_id=1,
    segment="default",
    country="US",
    requested_model="auto",
    first_tier=Tier.FAST,
    reason=Reason.BELOW_THRESHOLD,
    score=0.1,
    p_fast=0.8,
    p_reasoning=0.9,
    propensity=1.0,
    policy_version=1,
    classifier_version="reference",
    answer_type="open",
    language="en",
    turn=1,
    streamed=True,
    ads_eligible=True,
    revenue_version=1,
    expected_revenue_nanousd=1_450_000,
)


@dataclass(frozen=True, slots=True)
class Speed:
    """Per request with one call and three writes."""

    path_cpu_us: float
    path_p50_us: float
    shipped_per_s: float
    shipping_cpu_us: float  # the database server's included

    @property
    def shipped_per_core_s(self) -> float:
        """Requests that one core ships in a second, whatever else the machine does."""
        return 1e6 / self.shipping_cpu_us


def speed(database_url: str | None = None, requests: int = 20_000, server_pid: int | None = None) -> Speed:
    """Measure spool and shipping alone."""
    with tempfile.TemporaryDirectory(prefix="tierwise-speed") as folder:
        directory = Path(folder)
        engine = schema.ready_engine(database_url or f"sqlite:///{directory}/books.db")
        spool = Spool.open(directory / "spool")
        took: list[float] = []
        path_cpu = min(_batch(spool, requests // BATCHES, took) for _ in range(BATCHES))
        shipper = Shipper(spool, engine)
        began, began_cpu = time.perf_counter(), time.process_time() + _cpu_of(server_pid)
        shipper.turn()
        wall, cpu = time.perf_counter() - began, time.process_time() + _cpu_of(server_pid) - began_cpu
        assert shipper.state.shipped_requests == requests, shipper.state
        spool.close()
        engine.dispose()
    return Speed(path_cpu * 1e6, median(took) * 1e6, requests / wall, cpu / requests * 1e6)


def _batch(spool: Spool, requests: int, took: list[float]) -> float:
    """CPU seconds a request; the best batch is taken, for what others do to the caches is not the ledger's cost."""
    began = time.process_time()
    for _ in range(requests):
        at = time.perf_counter()
        _one(spool)
        took.append(time.perf_counter() - at)
    return (time.process_time() - began) / requests


def _cpu_of(server_pid: int | None) -> float:
    if server_pid is None:
        return 0.0
    server = psutil.Process(server_pid)
    times = [process.cpu_times() for process in (server, *server.children(recursive=True))]
    return float(sum(one.user + one.system for one in times))


def _one(spool: Spool) -> None:
    now = time.time_ns() // 1000
    id = request_id(now)
    spool.write(
        [
            opened(request_id=id, opened_at=now),
            CallIntent(id, 0, CallKind.ANSWER, Tier.FAST, "openai/gpt-5-nano", 1, 215_000, now),
        ]
    )
    usage = Usage(800, 700, 0, 350, 0)
    spool.write([CallResult(id, 0, CallStatus.OK, Precision.EXACT, usage, 1, 183_500, 300, 1200)])
    spool.write([Closing(id, now + 1_200_000, Tier.FAST, Outcome.OK, 0, 300, 1200)])
