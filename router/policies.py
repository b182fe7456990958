"""Policies as versions in the database: what is in force now, and how the file's dials come in.

Dials in the configuration file are imported as a new active version, author `config`, only when they differ from the
last import, so that what an operator activated since then is not undone by a restart. What people do with versions is
in `router.policy_acts`.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, Engine, insert, select, update

from router.ledger.database import exclusive
from router.ledger.tables import PolicyEvent, PolicyVersion
from router.policy import Policy, SegmentDials

CONFIG_AUTHOR = "config"


class State(StrEnum):
    """Where a version is in its life."""

    PROPOSED = "proposed"
    ACTIVE = "active"
    RETIRED = "retired"


class Act(StrEnum):
    """What was done to a version."""

    PROPOSED = "proposed"
    ACTIVATED = "activated"
    ROLLED_BACK = "rolled_back"


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
        row = newest(connection, state=State.ACTIVE)
    return Policy(version=0) if row is None else policy_of(row.version, row.body)


def policy_of(version: int, body: Mapping[str, Any]) -> Policy:
    """Make a policy of its stored dials, those that are missing as they are by default.

    Raises ValueError naming a wrong one.
    """
    segments = {name: SegmentDials(**own) for name, own in body.get("segments", {}).items()}
    return Policy(version=version, **{**body, "segments": segments})


def import_dials(engine: Engine, dials: Mapping[str, Any], now_us: int) -> int | None:
    """Activate the file's dials as a new version if they changed since the last import; returns that version."""
    wanted = policy_of(0, dials)
    with exclusive(engine) as connection:
        last = newest(connection, author=CONFIG_AUTHOR)
        if last is not None and policy_of(0, last.body) == wanted:
            return None
        current = newest(connection, state=State.ACTIVE)
        parent = current.version if current else None
        note = "dials of the configuration file"
        version = add_version(connection, parent, dials, CONFIG_AUTHOR, note, now_us)
        put_in_force(connection, version)
        note_act(connection, Act.ACTIVATED, version, parent, CONFIG_AUTHOR, note, now_us)
        return version


def newest(connection: Connection, **where: object) -> Any:
    """The newest version of which this holds, as a row; None where there is none."""
    query = select(PolicyVersion.__table__).filter_by(**where).order_by(PolicyVersion.version.desc()).limit(1)
    return connection.execute(query).one_or_none()


def add_version(
    connection: Connection, parent: int | None, dials: Mapping[str, Any], author: str, note: str, now_us: int
) -> int:
    """Write a version that is only proposed; returns its number."""
    row = {
        "parent": parent,
        "author": author,
        "note": note,
        "created_at": now_us,
        "state": State.PROPOSED.value,
        "body": dict(dials),
    }
    made = connection.execute(insert(PolicyVersion).values(**row).returning(PolicyVersion.version))
    return int(made.scalar_one())


def put_in_force(connection: Connection, version: int) -> None:
    """Retire the active version and make this one active."""
    active = PolicyVersion.state == State.ACTIVE.value
    connection.execute(update(PolicyVersion).where(active).values(state=State.RETIRED.value))
    chosen = PolicyVersion.version == version
    connection.execute(update(PolicyVersion).where(chosen).values(state=State.ACTIVE.value))


def note_act(
    connection: Connection, act: Act, version: int, previous: int | None, author: str, note: str, now_us: int
) -> None:
    """Record who did what to a version, when and why; `previous` was in force until then."""
    row = {
        "act": act.value,
        "version": version,
        "previous": previous,
        "author": author,
        "note": note,
        "created_at": now_us,
    }
    connection.execute(insert(PolicyEvent).values(**row))
