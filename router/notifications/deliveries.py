"""Deliveries: at least once under one id, by whichever worker claims one that is due, again and again with back-off.

A claim moves the time on at which the delivery is due, in one conditional update: two workers never have it at once,
and one that dies while it has it loses it when that time comes.
"""

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from sqlalchemy import ColumnElement, Engine, bindparam, select, update

from router.clock import Clock
from router.database.alert_tables import AlertDelivery, AlertRow
from router.database.engine import writing
from router.notifications.alerts import Alert, alert_of
from router.types import DAY_US

log = logging.getLogger(__name__)

LEASE_US = 60_000_000
SEND_WITHIN_S = 40.0
# Seconds after each attempt in vain; the last goes on until what is told is older than it may be.
BACKOFF_S = (5, 15, 60, 300, 900, 1_800, 3_600)
GIVEN_UP_AFTER_US = 3 * DAY_US
AT_ONCE = 20
DUE = (
    select(AlertDelivery.channel, AlertDelivery.due_at, AlertDelivery.attempts, AlertRow.__table__)
    .join(AlertRow, AlertRow.id == AlertDelivery.alert_id)
    .where(
        AlertDelivery.due_at <= bindparam("now_us"),
        AlertDelivery.channel.in_(bindparam("channels", expanding=True)),
    )
    .order_by(AlertDelivery.due_at)
    .limit(AT_ONCE)
)


class NotDelivered(Exception):
    """A delivery failed; the message says why and carries no secret. `is_final`: another attempt would fail too."""

    def __init__(self, message: str, *, is_final: bool = False) -> None:
        super().__init__(message)
        self.is_final = is_final


class Channel(Protocol):
    """A way to tell people."""

    def send(self, alert: Alert) -> None:
        """Tell them; raises NotDelivered. May be called again for the same alert, which has the same id."""
        ...


class LogChannel:
    """The log of whichever worker delivers."""

    def send(self, alert: Alert) -> None:
        """Say it."""
        log.warning(
            "ALERT %s: %s (%s, %s)", alert.title, alert.says, alert.rule, alert.id, extra={"fields": fields(alert)}
        )


def fields(alert: Alert) -> dict[str, object]:
    """Write an alert for programs, as logs and webhooks carry it; the instant in microseconds since the epoch."""
    return {
        "alert_id": alert.id,
        "rule": alert.rule,
        "subject": alert.subject,
        "period": alert.period,
        "alert_level": alert.level,
        "title": alert.title,
        "says": alert.says,
        "figures": dict(alert.figures),
        "raised_at_us": alert.raised_at_us,
    }


def deliver_due(engine: Engine, channels: Mapping[str, Channel], clock: Clock, *, lease_us: int = LEASE_US) -> int:
    """Deliver what is due through the channels that there are; returns how many went out. Raises SQLAlchemyError."""
    now_us = clock.now_us()
    with engine.connect() as connection:
        rows = connection.execute(DUE, {"now_us": now_us, "channels": list(channels)}).all()
    delivered = 0
    for row in rows:
        here = (AlertDelivery.alert_id == row.id, AlertDelivery.channel == row.channel)
        if claim(engine, AlertDelivery, here, row.due_at, clock.now_us(), lease_us):
            delivered += _deliver(engine, channels[row.channel], row.channel, alert_of(row), row.attempts + 1, clock)
    return delivered


def claim(
    engine: Engine, table: Any, here: Sequence[ColumnElement[bool]], due_at: int, now_us: int, lease_us: int
) -> bool:
    """Take a delivery that is due for so long; False where another worker has it. Raises SQLAlchemyError."""
    taken = {"due_at": now_us + lease_us, "attempts": table.attempts + 1}
    with writing(engine) as connection:
        return connection.execute(update(table).where(*here, table.due_at == due_at).values(**taken)).rowcount == 1


def _deliver(engine: Engine, channel: Channel, name: str, alert: Alert, attempts: int, clock: Clock) -> bool:
    try:
        within_time(lambda: channel.send(alert))
    except NotDelivered as error:
        due_at = next_try(alert.raised_at_us, attempts, clock.now_us())
        _note(engine, alert, name, due_at, None, str(error)[:500])
        if attempts == 1:
            log.warning("alert %s is not delivered by %s yet: %s", alert.id, name, error)
        return False
    _note(engine, alert, name, None, clock.now_us(), None)
    return True


def within_time(send: Callable[[], None], seconds: float = SEND_WITHIN_S) -> None:
    """Send, for so long at most: a receiver that drips would keep this worker from telling anything else."""
    failures: list[BaseException] = []

    def run() -> None:
        try:
            send()
        except BaseException as error:  # raised again below
            failures.append(error)

    sending = threading.Thread(target=run, name="delivery", daemon=True)
    sending.start()
    sending.join(seconds)
    if failures:
        raise failures[0]
    if sending.is_alive():
        raise NotDelivered(f"it took more than {seconds:.0f} s")


def next_try(since_us: int, attempts: int, now_us: int) -> int | None:
    """Return when to try again what is to be told since then; None once it is old news."""
    due_at = now_us + BACKOFF_S[min(attempts, len(BACKOFF_S)) - 1] * 1_000_000
    return due_at if due_at < since_us + GIVEN_UP_AFTER_US else None


def _note(
    engine: Engine, alert: Alert, channel: str, due_at: int | None, delivered_at: int | None, last_error: str | None
) -> None:
    here = (
        AlertDelivery.alert_id == alert.id,
        AlertDelivery.channel == channel,
        AlertDelivery.delivered_at.is_(None),
    )
    values = {"due_at": due_at, "delivered_at": delivered_at, "last_error": last_error}
    with writing(engine) as connection:
        connection.execute(update(AlertDelivery).where(*here).values(**values))
