"""GET /health/live, /health/ready and /metrics: is this worker alive, can it serve, and what has it seen."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from time import monotonic

from prometheus_client import Metric
from starlette.types import Receive, Scope, Send

from classifier.drift import CalibrationMonitor, Drift
from router.api.admission import Occupancy
from router.api.asgi import answering, send_json
from router.api.auth import Authenticator
from router.api.chat.response import encode_body
from router.health.targets import TargetReading
from router.keys import Scope as KeyScope
from router.ledger.shipping import ShippingState
from router.metrics import Metrics
from router.reports.coverage import CoverageFigures
from router.telemetry.machine_metrics import MachineMetrics

METRICS_TYPE = (b"content-type", b"text/plain; version=0.0.4; charset=utf-8")
DRIFT_EVERY_S = 10.0


class Live:
    """Alive: the event loop answers."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with answering(send) as headers:
            await send_json(send, 200, b'{"status":"alive"}', headers)


class Ready:
    """Ready: the spool takes entries and models answer; a database that is away only makes the books late.

    A worker whose places are all taken says so and stays ready: taken out, its load would only fall on the others. A
    model whose breaker is open is named; only where no model at all may be asked is there nothing to be ready with.
    """

    def __init__(
        self,
        shipping: Callable[[], ShippingState],
        is_stopping: Callable[[], bool],
        occupancy: Callable[[], Occupancy],
        targets: Callable[[], Sequence[TargetReading]] = tuple,
    ) -> None:
        self._shipping = shipping
        self._is_stopping = is_stopping
        self._occupancy = occupancy
        self._targets = targets

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        state, is_stopping, places = self._shipping(), self._is_stopping(), self._occupancy()
        targets = self._targets()
        is_served = not targets or any(target.may_be_asked for target in targets)
        body = {
            "status": "stopping" if is_stopping else "ready" if is_served else "no_provider",
            "ledger": {
                "database": "replaced" if state.is_replaced else "ok" if state.database_ok else "away",
                "failing": list(state.failing),
                "started_without_since": None if state.known_at_us is None else state.known_at_us // 1_000_000,
                "lag_entries": state.lag_entries,
                "lag_seconds": round(state.lag_seconds, 3),
                "low_on_space": state.low_on_space,
            },
            "places": {
                "all": places.places,
                "taken": places.taken,
                "waiting": places.waiting,
                "body_bytes": places.body_bytes,
                "saturated": places.is_saturated,
            },
            "targets": [_describe(target) for target in targets],
        }
        async with answering(send) as headers:
            await send_json(send, 503 if is_stopping or not is_served else 200, encode_body(body), headers)


def _describe(target: TargetReading) -> dict[str, object]:
    """Say how one model is; times are seconds since the epoch."""
    breaker = target.breaker
    return {
        "model": target.model,
        "state": breaker.state,
        "cause": breaker.cause,
        "since": None if breaker.since_us is None else breaker.since_us // 1_000_000,
        "next_probe": None if breaker.next_probe_us is None else breaker.next_probe_us // 1_000_000,
    }


class GaugeReadings:
    """Where the gauges of a worker are read, from a thread; drift takes milliseconds and is read now and then."""

    def __init__(
        self,
        metrics: Metrics,
        shipping: Callable[[], ShippingState],
        occupancy: Callable[[], Occupancy],
        scores: Callable[[], Drift],
        calibration: CalibrationMonitor,
        coverage: Callable[[], CoverageFigures],
        is_leader: Callable[[], bool],
        targets: Callable[[], Sequence[TargetReading]] = tuple,
    ) -> None:
        self._metrics = metrics
        self._shipping = shipping
        self._occupancy = occupancy
        self._scores = scores
        self._calibration = calibration
        self._coverage = coverage
        self._is_leader = is_leader
        self._targets = targets
        self._drift_due_s = 0.0

    def collect(self) -> Iterable[Metric]:
        """Set the gauges to what they are now, and return all metrics."""
        metrics, places = self._metrics, self._occupancy()
        metrics.set_shipping(self._shipping())
        metrics.set_places(places.places, places.taken, places.waiting, places.body_bytes)
        metrics.set_coverage(self._coverage())
        metrics.leader.set(self._is_leader())
        metrics.set_targets(self._targets())
        if monotonic() >= self._drift_due_s:
            self._drift_due_s = monotonic() + DRIFT_EVERY_S
            metrics.set_drift(self._scores(), self._calibration.gap(), self._calibration.ece())
        return metrics.registry.collect()


class Scrape:
    """Prometheus' metrics of all workers of this machine, for keys with the scope `metrics`."""

    def __init__(self, metrics: MachineMetrics, authenticator: Authenticator) -> None:
        self._metrics = metrics
        self._authenticator = authenticator

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with answering(send) as headers:
            (await self._authenticator.admit(scope)).require(KeyScope.METRICS)
            body = await asyncio.to_thread(self._metrics.scrape)
            sized = [METRICS_TYPE, (b"content-length", str(len(body)).encode()), *headers]
            await send({"type": "http.response.start", "status": 200, "headers": sized})
            await send({"type": "http.response.body", "body": body})
