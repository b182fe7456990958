"""Alerts in the database: raised once for a rule, a subject and a period over all workers, then seen, ended, read.

An alert and its deliveries are written in one transaction, so that one that was raised is going to be delivered.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Engine, and_, delete, select, update

from router.clock import request_id
from router.database.alert_tables import AlertDelivery, AlertRow, AlertTurn
from router.database.engine import AuditHook, writing
from router.database.upsert import insert_or_nothing
from router.notifications.rules import Finding
from router.types import DAY_US

LONGEST_SUBJECT = 200
KEPT_US = 400 * DAY_US
MOST_PURGED = 500  # at once


@dataclass(frozen=True, slots=True)
class Alert:
    """An alert as it is told: the same words, whoever delivers it and how often."""

    id: str
    rule: str
    subject: str
    period: str
    level: str
    title: str
    says: str
    figures: Mapping[str, Any]
    raised_at_us: int


@dataclass(frozen=True, slots=True)
class AlertStanding:
    """An alert as the page shows it, and how its deliveries stand."""

    alert: Alert
    seen_at_us: int
    ended_at_us: int | None
    acknowledged_at_us: int | None
    acknowledged_by: str | None
    deliveries: Sequence[Mapping[str, Any]] = ()

    @property
    def is_open(self) -> bool:
        """It still holds, and nobody has said that they know."""
        return self.ended_at_us is None and self.acknowledged_at_us is None

    @property
    def state(self) -> str:
        """In a word: open, acknowledged or ended."""
        if self.ended_at_us is not None:
            return "ended"
        return "open" if self.acknowledged_at_us is None else "acknowledged"


def raise_once(engine: Engine, findings: Sequence[Finding], channels: Sequence[str], now_us: int) -> int:
    """Raise what is new and note of the rest that it still holds; returns how many are new. Raises SQLAlchemyError."""
    if not findings:
        return 0
    if not (unknown := _note_seen(engine, findings, now_us)):
        return 0
    raised = 0
    with writing(engine) as connection:
        for finding in unknown:
            row = {
                "id": request_id(now_us),
                "rule": finding.rule,
                "subject": finding.subject[:LONGEST_SUBJECT],
                "period": finding.period,
                "level": finding.level,
                "title": finding.title,
                "says": finding.says,
                "figures": dict(finding.figures),
                "raised_at": now_us,
                "seen_at": now_us,
            }
            if insert_or_nothing(connection, AlertRow, [row]):
                raised += 1
                ways = [{"alert_id": row["id"], "channel": name, "due_at": now_us, "attempts": 0} for name in channels]
                insert_or_nothing(connection, AlertDelivery, ways)
    return raised


def _note_seen(engine: Engine, findings: Sequence[Finding], now_us: int) -> list[Finding]:
    """Note of alerts there are that they hold; returns the findings of which there is none."""
    unknown = []
    with writing(engine) as connection:
        for finding in findings:
            here = (
                AlertRow.rule == finding.rule,
                AlertRow.subject == finding.subject[:LONGEST_SUBJECT],
                AlertRow.period == finding.period,
            )
            seen = update(AlertRow).where(*here).values(seen_at=now_us, ended_at=None)
            if not connection.execute(seen).rowcount:
                unknown.append(finding)
    return unknown


def end_unseen(engine: Engine, rules: Sequence[str], before_us: int, now_us: int) -> int:
    """End what was not found for a while; returns how many ended."""
    gone = and_(AlertRow.ended_at.is_(None), AlertRow.rule.in_(rules), AlertRow.seen_at < before_us)
    with engine.connect() as connection:  # nearly always there is nothing to end, and no writer has to wait
        if connection.scalar(select(AlertRow.id).where(gone).limit(1)) is None:
            return 0
    with writing(engine) as connection:
        return int(connection.execute(update(AlertRow).where(gone).values(ended_at=now_us)).rowcount)


def acknowledge(engine: Engine, alert_id: str, by: str, now_us: int, hook: AuditHook | None = None) -> bool:
    """Note that somebody knows; False when there is no such alert, or somebody knew before."""
    with writing(engine) as connection:
        here = (AlertRow.id == alert_id, AlertRow.acknowledged_at.is_(None))
        known = update(AlertRow).where(*here).values(acknowledged_at=now_us, acknowledged_by=by)
        if not connection.execute(known).rowcount:
            return False
        if hook is not None:
            hook(connection, None, {"acknowledged_by": by})
        return True


def take_turn(engine: Engine, name: str, now_us: int, *, lease_us: int, longest_us: int) -> bool:
    """Take the turn to look at rules, if it is due and nobody else did; for so long, whoever dies meanwhile.

    `longest_us` is how far ahead a turn can lie: one further on was set by a clock that was wrong. Raises
    SQLAlchemyError.
    """
    with engine.connect() as connection:
        due_at = connection.scalar(select(AlertTurn.due_at).where(AlertTurn.name == name))
    if due_at is not None and now_us < due_at <= now_us + longest_us:
        return False
    with writing(engine) as connection:
        if due_at is None:
            return insert_or_nothing(connection, AlertTurn, [{"name": name, "due_at": now_us + lease_us}]) == 1
        mine = (AlertTurn.name == name, AlertTurn.due_at == due_at)
        return connection.execute(update(AlertTurn).where(*mine).values(due_at=now_us + lease_us)).rowcount == 1


def end_turn(engine: Engine, name: str, next_us: int) -> None:
    """Say that the turn was used, and when the next one is due."""
    with writing(engine) as connection:
        connection.execute(update(AlertTurn).where(AlertTurn.name == name).values(due_at=next_us))


def purge(engine: Engine, now_us: int) -> int:
    """Delete alerts that ended more than a year ago, with their deliveries; returns how many."""
    old = and_(AlertRow.raised_at < now_us - KEPT_US, AlertRow.ended_at.is_not(None))
    with engine.connect() as connection:
        ids = list(connection.scalars(select(AlertRow.id).where(old).limit(MOST_PURGED)))
    if not ids:
        return 0
    with writing(engine) as connection:
        connection.execute(delete(AlertDelivery).where(AlertDelivery.alert_id.in_(ids)))
        return int(connection.execute(delete(AlertRow).where(AlertRow.id.in_(ids))).rowcount)


def read(engine: Engine, *, most: int = 50, only_open: bool = False) -> list[AlertStanding]:
    """Read alerts, the newest first."""
    query = select(AlertRow.__table__).order_by(AlertRow.raised_at.desc(), AlertRow.id.desc()).limit(most)
    if only_open:
        query = query.where(AlertRow.ended_at.is_(None), AlertRow.acknowledged_at.is_(None))
    with engine.connect() as connection:
        rows = connection.execute(query).all()
        ways = select(AlertDelivery.__table__).where(AlertDelivery.alert_id.in_([row.id for row in rows]))
        deliveries: dict[str, list[Mapping[str, Any]]] = {}
        for way in connection.execute(ways.order_by(AlertDelivery.channel)).mappings():
            deliveries.setdefault(way["alert_id"], []).append(dict(way))
    return [
        AlertStanding(
            alert_of(row),
            row.seen_at,
            row.ended_at,
            row.acknowledged_at,
            row.acknowledged_by,
            deliveries.get(row.id, ()),
        )
        for row in rows
    ]


def alert_of(row: Any) -> Alert:
    """Make an alert of its row."""
    return Alert(row.id, row.rule, row.subject, row.period, row.level, row.title, row.says, row.figures, row.raised_at)
