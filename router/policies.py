"""Policies as versions in the database: what is in force now, who set it, and why.

Dials in the configuration file are imported as a new active version, author `config`, only when they differ from the
last import, so that what an operator activated since then is not undone by a restart.
"""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, Engine, insert, select, update

from router.ledger.database import exclusive
from router.ledger.tables import PolicyVersion
from router.policy import Policy

ACTIVE = "active"
RETIRED = "retired"
CONFIG_AUTHOR = "config"


class PolicyBook:
    """The policy in force, kept in memory and refreshed from the database."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.active: Policy = in_force(engine)

    def refresh(self) -> None:
        """Read the policy in force again; blocks, so call it off the event loop."""
        self.active = in_force(self._engine)


def in_force(engine: Engine) -> Policy:
    """Read the active policy; the built-in defaults, as version 0, where none was ever activated."""
    with engine.connect() as connection:
        row = _newest(connection, state=ACTIVE)
    return Policy(version=0) if row is None else policy_of(row.version, row.body)


def policy_of(version: int, body: Mapping[str, Any]) -> Policy:
    """Make a policy of its stored dials; raises ValueError naming a wrong one."""
    return Policy(version=version, **body)


def import_dials(engine: Engine, dials: Mapping[str, Any], now_us: int) -> int | None:
    """Activate the file's dials as a new version if they changed since the last import; returns that version."""
    policy_of(0, dials)
    with exclusive(engine) as connection:
        last = _newest(connection, author=CONFIG_AUTHOR)
        if last is not None and last.body == dials:
            return None
        current = _newest(connection, state=ACTIVE)
        connection.execute(update(PolicyVersion).where(PolicyVersion.state == ACTIVE).values(state=RETIRED))
        row = {
            "parent": current.version if current else None,
            "author": CONFIG_AUTHOR,
            "note": "dials of the configuration file",
            "created_at": now_us,
            "state": ACTIVE,
            "body": dict(dials),
        }
        made = connection.execute(insert(PolicyVersion).values(**row).returning(PolicyVersion.version))
        return int(made.scalar_one())


def _newest(connection: Connection, **where: str) -> Any:
    query = select(PolicyVersion.__table__).filter_by(**where).order_by(PolicyVersion.version.desc()).limit(1)
    return connection.execute(query).one_or_none()
