"""Reads the audit log: the admin plane's own entries and the acts on policies, together, newest first."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Engine, or_, select

from router.database.admin_tables import AuditEntry
from router.database.tables import PolicyEvent

PAGE_ROWS = 100


@dataclass(frozen=True, slots=True)
class AuditPage:
    """A page of entries; `older_us` is where the next page begins."""

    entries: Sequence[dict[str, Any]]
    older_us: int | None


def read(engine: Engine, before_us: int, *, refused_only: bool = False, about: str = "") -> AuditPage:
    """Read what happened before an instant; `about` is looked for in who, what and which."""
    with engine.connect() as connection, connection.begin():
        entry = AuditEntry.__table__
        query = select(entry).where(entry.c.at < before_us).order_by(entry.c.at.desc(), entry.c.id.desc())
        if refused_only:
            query = query.where(entry.c.refused)
        if about:
            query = query.where(or_(*(column.contains(about, autoescape=True) for column in _texts(entry))))
        entries = [_entry(row) for row in connection.execute(query.limit(PAGE_ROWS))]
        if not refused_only:
            event = PolicyEvent.__table__
            acts = select(event).where(event.c.created_at < before_us)
            if about:
                texts = (event.c.act, event.c.author, event.c.note)
                acts = acts.where(or_(*(column.contains(about, autoescape=True) for column in texts)))
            acts = acts.order_by(event.c.created_at.desc(), event.c.id.desc()).limit(PAGE_ROWS)
            entries += [_event(row) for row in connection.execute(acts)]
    entries.sort(key=lambda line: -line["at_us"])
    page = entries[:PAGE_ROWS]
    return AuditPage(page, page[-1]["at_us"] if len(entries) >= PAGE_ROWS else None)


def _texts(entry: Any) -> tuple[Any, ...]:
    return (entry.c.act, entry.c.target, entry.c.actor, entry.c.note, entry.c.address)


def _entry(row: Any) -> dict[str, Any]:
    return {
        "at_us": row.at,
        "actor": row.actor,
        "role": row.role,
        "address": row.address,
        "act": row.act,
        "target": row.target,
        "note": row.note,
        "refused": row.refused,
        "before": row.before,
        "after": row.after,
    }


def _event(row: Any) -> dict[str, Any]:
    """An act on policies: versions hold what changed, so before and after are their numbers."""
    return {
        "at_us": row.created_at,
        "actor": row.author,
        "role": "",
        "address": "",
        "act": f"policy {row.act}".replace("_", " "),
        "target": f"version {row.version}",
        "note": row.note,
        "refused": False,
        "before": None if row.previous is None else {"version": row.previous},
        "after": {"version": row.version},
    }
