"""What people do with policy versions: propose, validate, activate, roll back; and the log of who, when and why.

Two who act at once cannot undo each other unseen: a version can only be activated while the one that it was proposed
on top of is in force. There is no way around that; proposing the same changes again shows what they now mean. A
version is validated against a configuration of the tiers; under another one it has to be validated again.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine, select, update

from router.database.engine import exclusive
from router.database.learning_tables import Artifact
from router.database.tables import PolicyEvent, PolicyVersion
from router.decision.policy import DialValue, Policy
from router.policies.canaries import CanaryState, end_canary, open_canary
from router.policies.dials import (
    Change,
    Wiring,
    WrongPolicy,
    dials_of,
    differences,
    fingerprint,
    require_fits,
    with_changes,
)
from router.policies.versions import (
    BUILT_IN,
    PolicyAction,
    PolicyState,
    add_version,
    default_policy_beside,
    newest,
    note_act,
    policy_of,
    put_in_force,
    stop_open,
)

LONGEST_TEXT = 2_000
STORED = "stored"  # the state of an artefact that may be used


@dataclass(frozen=True, slots=True)
class Version:
    """A version of the policy, and what it changes of its parent (None: the built-in dials)."""

    policy: Policy
    parent: int | None
    author: str
    note: str
    created_at_us: int
    state: PolicyState
    changes: Mapping[str, Change]
    validated_at_us: int | None = None


@dataclass(frozen=True, slots=True)
class LogEntry:
    """One act; `changes` are those between what was in force (of a proposal: its parent) and the version."""

    act: PolicyAction
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


def propose(
    engine: Engine, changes: Mapping[str, DialValue], wiring: Wiring, actor: Actor, *, base: int | None = None
) -> int:
    """Write a version with these changes on top of the one in force; returns its number. Raises WrongPolicy.

    `base` is the version (0: the built-in dials) on top of which the caller means the changes, where it saw one.
    """
    with exclusive(engine) as connection:
        current = newest(connection, state=PolicyState.ACTIVE)
        now = current.version if current else 0
        if base is not None and base != now:
            raise WrongPolicy(f"version {base} was in force when you began, version {now} is now; look at it again")
        parent = policy_of(current.version, current.body) if current else BUILT_IN
        proposed = with_changes(parent, changes)
        _require_possible(connection, proposed, wiring)
        if not differences(parent, proposed):
            raise WrongPolicy(f"this changes nothing: version {parent.version} has the same dials")
        above = current.version if current else None
        made = (above, dials_of(proposed), actor.author, actor.note, actor.now_us, fingerprint(wiring))
        version = add_version(connection, *made)
        note_act(connection, PolicyAction.PROPOSED, version, above, actor.author, actor.note, actor.now_us)
    return version


def validate(engine: Engine, version: int, wiring: Wiring, actor: Actor) -> None:
    """Hold a version against the wiring of today and note that it was; raises WrongPolicy naming what is wrong."""
    with exclusive(engine) as connection:
        row = row_of(connection, version)
        _require_possible(connection, policy_of(version, row.body), wiring)
        values = {"validated_at": actor.now_us, "wiring": fingerprint(wiring)}
        connection.execute(update(PolicyVersion).where(PolicyVersion.version == version).values(**values))
        note_act(connection, PolicyAction.VALIDATED, version, row.parent, actor.author, actor.note, actor.now_us)


def activate(engine: Engine, version: int, wiring: Wiring, actor: Actor) -> None:
    """Put a version in force, which ends its own trial; raises WrongPolicy.

    Refused while another version is on trial, when another version than its parent is in force by now, and when it was
    validated against another configuration.
    """
    with exclusive(engine) as connection:
        row = row_of(connection, version)
        current = newest(connection, state=PolicyState.ACTIVE)
        require_on_top(row, current)
        require_validated(connection, row, wiring)
        _end_own_trial(connection, version, actor)
        now = current.version if current else None
        put_in_force(connection, version)
        note_act(connection, PolicyAction.ACTIVATED, version, now, actor.author, actor.note, actor.now_us)


def roll_back(engine: Engine, actor: Actor, undone: int | None = None) -> int:
    """Put the parent of the version in force back in force; returns it. Raises WrongPolicy.

    `undone` is the version that the caller means to undo, so that two who roll back at once go back one step only. A
    trial on top of that version ends.
    """
    with exclusive(engine) as connection:
        current = newest(connection, state=PolicyState.ACTIVE)
        if current is None:
            raise WrongPolicy("no version is in force, so there is nothing to roll back")
        if undone is not None and undone != current.version:
            raise WrongPolicy(f"version {undone} is not in force, version {current.version} is")
        if current.parent is None:
            raise WrongPolicy(f"version {current.version} is the first, there is nothing before it")
        parent = row_of(connection, current.parent)
        stop_open(connection, f"version {current.version} was rolled back", actor.author, actor.now_us)
        put_in_force(connection, parent.version)
        note_act(
            connection,
            PolicyAction.ROLLED_BACK,
            parent.version,
            current.version,
            actor.author,
            actor.note,
            actor.now_us,
        )
        return int(parent.version)


def version_of(engine: Engine, version: int | None = None) -> Version:
    """Read a version, by default the one in force; raises WrongPolicy."""
    with engine.connect() as connection:
        row = newest(connection, state=PolicyState.ACTIVE) if version is None else row_of(connection, version)
        if row is None:
            return Version(
                BUILT_IN, None, "tierwise", "built-in dials; nothing was activated", 0, PolicyState.ACTIVE, {}
            )
        policy = policy_of(row.version, row.body)
        changes = _changes(connection, row.parent, row)
        made = (row.parent, row.author, row.note, row.created_at)
        return Version(policy, *made, PolicyState(row.state), changes, row.validated_at)


def history(engine: Engine, limit: int = 50) -> list[LogEntry]:
    """Read the last acts, newest first."""
    with engine.connect() as connection:
        query = select(PolicyEvent.__table__).order_by(PolicyEvent.id.desc()).limit(limit)
        return [
            LogEntry(
                PolicyAction(row.act),
                row.version,
                row.previous,
                row.author,
                row.note,
                row.created_at,
                _changes(connection, row.previous, row_of(connection, row.version)),
            )
            for row in connection.execute(query).all()
        ]


def row_of(connection: Connection, version: int) -> Any:
    """Read the row of a version; raises WrongPolicy."""
    row = connection.execute(select(PolicyVersion.__table__).filter_by(version=version)).one_or_none()
    if row is None:
        raise WrongPolicy(f"there is no policy version {version}")
    return row


def require_on_top(row: Any, current: Any) -> None:
    """Refuse a version that was proposed on top of another one than that in force (a row, or None)."""
    now = current.version if current else None
    if now == row.version:
        raise WrongPolicy(f"version {row.version} is in force already")
    if row.parent != now:
        raise WrongPolicy(
            f"version {row.version} was proposed on top of version {row.parent or 0}, but version {now or 0} is in "
            f"force now; look at it, then propose the same changes on top of it with --like {row.version}"
        )


def require_validated(connection: Connection, row: Any, wiring: Wiring) -> None:
    """Refuse a version not validated against this configuration of the tiers, or whose classifier is gone."""
    if row.wiring != fingerprint(wiring):
        when = "never validated" if row.wiring is None else "validated before the configuration of the tiers changed"
        raise WrongPolicy(
            f"version {row.version} was {when}; look at what it does now, then: tierwise policy validate {row.version}"
        )
    _require_stored(connection, row.body.get("classifier"))


def _require_possible(connection: Connection, policy: Policy, wiring: Wiring) -> None:
    """Refuse a policy that the wiring contradicts, and one that names a classifier nobody stored."""
    require_fits(policy, wiring)
    _require_stored(connection, policy.classifier)


def _require_stored(connection: Connection, classifier: str | None) -> None:
    if classifier is None:
        return
    query = select(Artifact.version).filter_by(version=classifier, state=STORED)
    if connection.execute(query).one_or_none() is None:
        raise WrongPolicy(f"classifier: no artefact {classifier!r} is stored")


def _end_own_trial(connection: Connection, version: int, actor: Actor) -> None:
    canary = open_canary(connection)
    if canary is None:
        return
    if canary.version != version:
        raise WrongPolicy(
            f"version {canary.version} is on trial; stop that first (tierwise policy canary --stop), then activate"
        )
    end_canary(connection, canary, CanaryState.ACTIVATED, canary.verdict, actor.now_us)


def _changes(connection: Connection, before: int | None, row: Any) -> Mapping[str, Change]:
    """What a stored version has other than another one; than the built-in dials of its time where there is none."""
    if before is None:
        earlier = default_policy_beside(row.body)
    else:
        other = row_of(connection, before)
        earlier = policy_of(other.version, other.body)
    return differences(earlier, policy_of(row.version, row.body))
