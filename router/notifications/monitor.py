"""The thread that looks whether something is wrong, and delivers what is raised; one in each worker, off the path.

What the books know the worker looks at that leads; what only a worker knows (how late its spool is, what drifts in it,
which breakers its machine has opened) it looks at itself. While the database is away nothing is raised: the shipping
thread says so, and what still holds when it is back is raised then.
"""

import logging
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from router.clock import Clock
from router.decision.policy import Policy
from router.ledger.shipping import ShippingState
from router.money import nano_from_usd
from router.notifications import alerts, readings, rules
from router.notifications.deliveries import Channel, deliver_due
from router.notifications.rules import AlertRule, DriftReading, Finding, OpenBreaker
from router.settings import AlertSettings

log = logging.getLogger(__name__)

DELIVER_EVERY_S = 2.0
SLOWLY_S = 300.0  # how often a day and past weeks are looked at, at most
TURN_LEASE_US = 8_000_000  # a worker that dies while it looks loses its turn after so long
SLOW_RULES = (AlertRule.MARGIN, AlertRule.SPEND)
UNSEEN_TURNS = 3  # so many looks without finding it again end an alert


class AlertMonitor:
    """Looks and delivers. The callables read the state of this worker; they are asked from its thread."""

    def __init__(
        self,
        engine: Engine,
        settings: AlertSettings,
        channels: Mapping[str, Channel],
        clock: Clock,
        policy: Callable[[], Policy],
        shipping: Callable[[], ShippingState],
        drift: Callable[[], Sequence[DriftReading]] = lambda: (),
        breakers: Callable[[], Sequence[OpenBreaker]] = lambda: (),
        leads: Callable[[], bool] = lambda: True,
    ) -> None:
        self._engine = engine
        self._settings = settings
        self._channels = channels
        self._clock = clock
        self._policy = policy
        self._shipping = shipping
        self._drift = drift
        self._breakers = breakers
        self._leads = leads
        self._every_us = round(settings.every_s * 1e6)
        self._slowly_us = max(self._every_us, round(SLOWLY_S * 1e6))
        self._looked_at_us = clock.now_us()
        self._failures: set[str] = set()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="alerts", daemon=True)

    def start(self) -> None:
        """Begin to look, for the first time after a while."""
        self._thread.start()

    def stop(self, timeout: float = 5.0) -> None:
        """End; a delivery under way may go on, and is made again by another worker if it is cut."""
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join(timeout)

    def turn(self) -> None:
        """Look if it is time to, and deliver what is due. Raises SQLAlchemyError."""
        now_us, leads = self._clock.now_us(), self._leads()
        if not 0 <= now_us - self._looked_at_us < self._every_us:
            self._looked_at_us = now_us
            self.look(now_us, leads=leads)
        deliver_due(self._engine, self._channels, self._clock)

    def look(self, now_us: int, *, leads: bool = True) -> None:
        """Raise what is wrong now, and end what is not any more. Raises SQLAlchemyError."""
        self._raise(self._own_findings(now_us), now_us)
        if not leads:
            return
        often = [rule for rule in AlertRule if rule not in SLOW_RULES]
        self._take_turn("often", self._every_us, often, self._findings, now_us)
        self._take_turn("slowly", self._slowly_us, SLOW_RULES, self._slow_findings, now_us)

    def _take_turn(
        self,
        name: str,
        every_us: int,
        looked_at: Sequence[AlertRule],
        find: Callable[[int], Iterable[Finding]],
        now_us: int,
    ) -> None:
        """Look in place of all workers, if nobody else does."""
        lease_us = min(every_us, TURN_LEASE_US, self._every_us)
        if alerts.take_turn(self._engine, name, now_us, lease_us=lease_us, longest_us=max(every_us, TURN_LEASE_US)):
            self._raise(find(now_us), now_us)
            alerts.end_unseen(self._engine, looked_at, now_us - UNSEEN_TURNS * every_us, now_us)
            alerts.end_turn(self._engine, name, now_us + every_us)

    def _raise(self, findings: Iterable[Finding], now_us: int) -> None:
        alerts.raise_once(self._engine, list(findings), list(self._channels), now_us)

    def _own_findings(self, now_us: int) -> list[Finding]:
        state, late_s = self._shipping(), self._settings.spool_lag_s
        return self._gather(
            lambda: rules.find_late_books(state.lag_seconds, state.lag_entries, late_s, now_us),
            lambda: rules.find_drift(self._drift(), now_us),
            lambda: rules.find_open_breakers(self._breakers(), now_us),
        )

    def _findings(self, now_us: int) -> list[Finding]:
        engine, settings = self._engine, self._settings
        targets = readings.read_targets(engine, now_us)
        return self._gather(
            lambda: rules.find_spent_budgets(readings.read_budgets(engine, now_us), settings.budget_percent),
            lambda: rules.find_unpriced(targets, settings.unpriced_share, now_us),
            lambda: rules.find_failing(targets, settings.error_share, now_us),
        )

    def _slow_findings(self, now_us: int) -> list[Finding]:
        least = nano_from_usd(self._settings.spend_least_usd)
        alerts.purge(self._engine, now_us)
        return self._gather(
            lambda: rules.find_low_margins(readings.read_margins(self._engine, self._policy(), now_us), now_us),
            lambda: rules.find_dear_hours(readings.read_hours(self._engine, now_us), least),
        )

    def _gather(self, *finders: Callable[[], Iterable[Finding]]) -> list[Finding]:
        """Look by every rule; one that fails is said once and keeps none of the others from being looked at."""
        found: list[Finding] = []
        for finder in finders:
            try:
                found += finder()
            except SQLAlchemyError:
                raise
            except Exception as error:  # a figure that nobody thought of must not end all alerts
                if repr(error) not in self._failures:
                    self._failures.add(repr(error))
                    log.exception("a rule of alerts fails")
        return found

    def _run(self) -> None:
        while not self._stopping.wait(DELIVER_EVERY_S):
            try:
                self.turn()
            except SQLAlchemyError:
                continue  # the shipping thread says that the database is away
            except Exception as error:  # what cannot be read or told now may be next time
                if repr(error) not in self._failures:
                    self._failures.add(repr(error))
                    log.exception("alerts cannot be looked at")
