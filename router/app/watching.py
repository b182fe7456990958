"""What is told of a worker: metrics, and alerts where something goes wrong."""

from functools import partial
from typing import NamedTuple

from classifier.drift import CalibrationMonitor
from router.api.health import GaugeReadings
from router.app.answering import Answering
from router.app.bookkeeping import Bookkeeping
from router.app.deciding import Deciding
from router.app.followed import Followed
from router.app.ground import Ground
from router.health.breaker import BreakerState
from router.notifications.channels import channels_of
from router.notifications.monitor import AlertMonitor
from router.notifications.rules import DriftReading, OpenBreaker
from router.telemetry.machine_metrics import MachineMetrics


class Watching(NamedTuple):
    """The metrics of all workers of this machine, and alerts; None where these are off."""

    calibration: CalibrationMonitor
    machine_metrics: MachineMetrics
    alerts: AlertMonitor | None

    def learn(self, request_id: str, promised: float, correct: float) -> None:
        """Take feedback on an answer: what was promised of it, and whether it was right."""
        self.calibration.observe(promised, correct)


def open_watching(
    ground: Ground, followed: Followed, ledger: Bookkeeping, deciding: Deciding, answering: Answering
) -> Watching:
    """Put it together; raises WrongSetting for a channel of alerts that cannot work."""
    settings, calibration = ground.settings, CalibrationMonitor()
    policies, routing = followed.policies, deciding.routing
    gauges = GaugeReadings(
        ground.metrics,
        lambda: ledger.shipper.state,
        lambda: answering.admission.occupancy,
        lambda: routing.drift(policies.active.classifier),
        calibration,
        lambda: deciding.coverage.figures,
        lambda: followed.leadership.is_leader,
        deciding.targets.read,
    )
    machine_metrics = MachineMetrics(settings.state_dir / "metrics", gauges.collect, ground.metrics.across)

    def read_drift() -> list[DriftReading]:
        drifts = {"scores": routing.drift(policies.active.classifier), "calibration": calibration.gap()}
        return [DriftReading(name, abs(one.value), one.threshold, one.is_alarming) for name, one in drifts.items()]

    def read_open_breakers() -> list[OpenBreaker]:
        read = [(target.model, target.breaker) for target in deciding.targets.read()]
        shut = (BreakerState.OPEN, BreakerState.HALF_OPEN)
        return [OpenBreaker(model, one.since_us or 0, one.cause) for model, one in read if one.state in shut]

    channels = channels_of(settings.alerts, ground.clock, trust_env=settings.trust_env, environ=ground.environ)
    alerts = None
    if settings.alerts.enabled:
        alerts = AlertMonitor(
            ground.books.engine,
            settings.alerts,
            channels,
            ground.clock,
            lambda: policies.active,
            lambda: ledger.shipper.state,
            read_drift,
            read_open_breakers,
            partial(followed.leadership.leads, "alerts"),
        )
    return Watching(calibration, machine_metrics, alerts)
