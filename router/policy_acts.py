"""What people do with policy versions: propose, activate, roll back; and the log of who did it, when and why.

Two who act at once cannot undo each other unseen: a version can only be activated while the one that it was proposed
on top of is in force. There is no way around that; proposing the same changes again shows what they now mean.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine, select

from router.dials import Change, Dial, Wiring, WrongPolicy, changed, dials_of, differences, require_fits
from router.ledger.database import exclusive
from router.ledger.tables import PolicyEvent, PolicyVersion
from router.policies import Act, State, add_version, newest, note_act, policy_of, put_in_force
from router.policy import Policy

BUILT_IN = Policy(version=0)
LONGEST_TEXT = 2_000


@dataclass(frozen=True, slots=True)
class Version:
    """A version of the policy, and what it changes of its parent (None: the built-in dials)."""

    policy: Policy
    parent: int | None
    author: str
    note: str
    created_at_us: int
    state: State
    changes: Mapping[str, Change]


@dataclass(frozen=True, slots=True)
class LogEntry:
    """One act; `changes` are those between what was in force (of a proposal: its parent) and the version."""

    act: Act
    version: int
    previous: int | None
    author: str
    note: str
    created_at_us: int
    changes: Mapping[str, Change]


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts, why, and when."""

    author: str
    note: str
    now_us: int

    def __post_init__(self) -> None:
        if not self.author.strip():
            raise WrongPolicy("the author has no name")
        if max(len(self.author), len(self.note)) > LONGEST_TEXT:
            raise WrongPolicy(f"author and note have at most {LONGEST_TEXT} characters")


def propose(engine: Engine, changes: Mapping[str, Dial], wiring: Wiring, actor: Actor) -> int:
    """Write a version with these changes on top of the one in force; returns its number. Raises WrongPolicy."""
    with exclusive(engine) as connection:
        current = newest(connection, state=State.ACTIVE)
        parent = policy_of(current.version, current.body) if current else BUILT_IN
        proposed = changed(parent, changes)
        require_fits(proposed, wiring)
        if not differences(parent, proposed):
            raise WrongPolicy(f"this changes nothing: version {parent.version} has the same dials")
        above = current.version if current else None
        version = add_version(connection, above, dials_of(proposed), actor.author, actor.note, actor.now_us)
        note_act(connection, Act.PROPOSED, version, above, actor.author, actor.note, actor.now_us)
        return version


def activate(engine: Engine, version: int, wiring: Wiring, actor: Actor) -> None:
    """Put a version in force; raises WrongPolicy when another one than its parent is in force by now."""
    with exclusive(engine) as connection:
        row = _row(connection, version)
        current = newest(connection, state=State.ACTIVE)
        now = current.version if current else None
        if now == version:
            raise WrongPolicy(f"version {version} is in force already")
        if row.parent != now:
            raise WrongPolicy(
                f"version {version} was proposed on top of version {row.parent or 0}, but version {now or 0} is in "
                f"force now; look at it, then propose the same changes on top of it with --like {version}"
            )
        require_fits(policy_of(version, row.body), wiring)  # the wiring may be newer than the proposal
        put_in_force(connection, version)
        note_act(connection, Act.ACTIVATED, version, now, actor.author, actor.note, actor.now_us)


def roll_back(engine: Engine, actor: Actor, undone: int | None = None) -> int:
    """Put the parent of the version in force back in force; returns it. Raises WrongPolicy.

    `undone` is the version that the caller means to undo, so that two who roll back at once go back one step only.
    """
    with exclusive(engine) as connection:
        current = newest(connection, state=State.ACTIVE)
        if current is None:
            raise WrongPolicy("no version is in force, so there is nothing to roll back")
        if undone is not None and undone != current.version:
            raise WrongPolicy(f"version {undone} is not in force, version {current.version} is")
        if current.parent is None:
            raise WrongPolicy(f"version {current.version} is the first, there is nothing before it")
        parent = _row(connection, current.parent)
        put_in_force(connection, parent.version)
        note_act(connection, Act.ROLLED_BACK, parent.version, current.version, actor.author, actor.note, actor.now_us)
        return int(parent.version)


def version_of(engine: Engine, version: int | None = None) -> Version:
    """Read a version, by default the one in force; raises WrongPolicy."""
    with engine.connect() as connection:
        row = newest(connection, state=State.ACTIVE) if version is None else _row(connection, version)
        if row is None:
            return Version(BUILT_IN, None, "tierwise", "built-in dials; nothing was activated", 0, State.ACTIVE, {})
        policy = policy_of(row.version, row.body)
        changes = differences(_policy(connection, row.parent), policy)
        return Version(policy, row.parent, row.author, row.note, row.created_at, State(row.state), changes)


def history(engine: Engine, limit: int = 50) -> list[LogEntry]:
    """Read the last acts, newest first."""
    with engine.connect() as connection:
        query = select(PolicyEvent.__table__).order_by(PolicyEvent.id.desc()).limit(limit)
        return [
            LogEntry(
                Act(row.act),
                row.version,
                row.previous,
                row.author,
                row.note,
                row.created_at,
                differences(_policy(connection, row.previous), _policy(connection, row.version)),
            )
            for row in connection.execute(query).all()
        ]


def _row(connection: Connection, version: int) -> Any:
    row = connection.execute(select(PolicyVersion.__table__).filter_by(version=version)).one_or_none()
    if row is None:
        raise WrongPolicy(f"there is no policy version {version}")
    return row


def _policy(connection: Connection, version: int | None) -> Policy:
    if version is None:
        return BUILT_IN
    row = _row(connection, version)
    return policy_of(row.version, row.body)
