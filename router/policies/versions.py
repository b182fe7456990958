"""Policies as versions in the database: what is in force and on trial now, and how the file's dials come in.

Dials in the configuration file are imported as a new active version, author `config`, only when they differ from the
last import, so that what an operator activated since then is not undone by a restart. What people do with versions is
in `router.policies.lifecycle`, with trials in `router.policies.canary_lifecycle`.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from hashlib import blake2b
from typing import Any

from sqlalchemy import Connection, Engine, Select, bindparam, insert, select, update

from router.database.engine import exclusive
from router.database.tables import PolicyEvent, PolicyVersion
from router.decision.policy import DIALS, Dial, Policy, SegmentDials, defaults_of_stored
from router.policies.canaries import Canary, CanaryState, Mode, end_canary, open_canary
from router.types import CONFIG_AUTHOR

BUILT_IN = Policy(version=0)  # what is in force where nothing was ever activated
MASK = 2**64 - 1


class PolicyState(StrEnum):
    """Where a version is in its life."""

    PROPOSED = "proposed"
    ACTIVE = "active"
    RETIRED = "retired"


class PolicyAction(StrEnum):
    """What was done to a version."""

    PROPOSED = "proposed"
    VALIDATED = "validated"
    ACTIVATED = "activated"
    ROLLED_BACK = "rolled_back"
    CANARY_STARTED = "canary_started"
    SHADOW_STARTED = "shadow_started"
    CANARY_STOPPED = "canary_stopped"
    CANARY_ROLLED_BACK = "canary_rolled_back"
    CANARY_PASSED = "canary_passed"


@dataclass(frozen=True, slots=True)
class PolicySnapshot:
    """What decides at one moment, read in one piece: the policy in force, and the one on trial beside it."""

    active: Policy
    canary: Canary | None = None
    trial: Policy | None = None
    cut: int = 0  # scrambled buckets below it are the trial's
    salt: int = 1

    def choose(self, bucket: int) -> Policy:
        """The policy that answers a conversation."""
        return self.trial if self.trial is not None and self._is_in(bucket, Mode.CANARY) else self.active

    def shadow_of(self, bucket: int = 0) -> Policy | None:
        """The policy that decides beside the one chosen and acts on nothing; None where none does.

        Beside a canary's arm it is the other arm's, so that the guards know where the two differ.
        """
        if self.canary is not None and self.canary.mode is Mode.CANARY:
            return self.trial if self.choose(bucket) is self.active else self.active
        return self.trial if self.trial is not None and self._is_in(bucket, Mode.SHADOW) else None

    def assign(self, bucket: Callable[[], int]) -> tuple[Policy, Policy | None]:
        """The policy that answers a conversation, and the one that decides beside it and acts on nothing, if any.

        The conversation's bucket is asked for only while something is on trial.
        """
        if self.trial is None:
            return self.active, None
        drawn = bucket()
        return self.choose(drawn), self.shadow_of(drawn)

    def _is_in(self, bucket: int, mode: Mode) -> bool:
        return self.canary is not None and self.canary.mode is mode and (bucket * self.salt & MASK) < self.cut


class PolicyBook:
    """The policy in force and the one on trial, kept in memory and refreshed from the database."""

    def __init__(self, engine: Engine, at_first: Engine | None = None) -> None:
        """`at_first`: where the first reading is done, if not in the books."""
        self._engine = engine
        self.snapshot = _read(at_first or engine, None)

    @property
    def active(self) -> Policy:
        """The policy in force."""
        return self.snapshot.active

    @property
    def canary(self) -> Canary | None:
        """The open trial, canary or shadow."""
        return self.snapshot.canary

    @property
    def trial(self) -> Policy | None:
        """The policy on trial."""
        return self.snapshot.trial

    def assign(self, bucket: Callable[[], int]) -> tuple[Policy, Policy | None]:
        """The policy that answers a conversation, and the one beside it, both of one moment; see `PolicySnapshot`."""
        return self.snapshot.assign(bucket)

    def refresh(self) -> None:
        """Read what is in force and on trial again; blocks, so call it off the event loop."""
        self.snapshot = _read(self._engine, self.snapshot)


def _read(engine: Engine, before: PolicySnapshot | None) -> PolicySnapshot:
    """Read what decides now; a version that was known stays the same object, since versions never change."""
    known = {policy.version: policy for policy in (before.active, before.trial) if policy} if before else {}
    with engine.connect() as connection:
        row = newest(connection, state=PolicyState.ACTIVE)
        canary = open_canary(connection)
        tried = newest(connection, version=canary.version) if canary else None

    def policy(row: Any) -> Policy:
        return known.get(row.version) or policy_of(row.version, row.body)

    active = policy(row) if row is not None else BUILT_IN
    return view_of(active, canary, policy(tried) if tried is not None else None)


def view_of(active: Policy, canary: Canary | None = None, trial: Policy | None = None) -> PolicySnapshot:
    """Put together what decides; a trial that stands on another version than the one in force does not."""
    if canary is None or trial is None or canary.control != active.version:
        return PolicySnapshot(active)
    # An odd number of the version's own: another version is tried on other conversations, more of one on the same.
    salt = int.from_bytes(blake2b(str(canary.version).encode(), digest_size=8).digest()) | 1
    return PolicySnapshot(active, canary, trial, math.ceil(canary.share * (MASK + 1)), salt)


def in_force(engine: Engine) -> Policy:
    """Read the active policy; the built-in defaults, as version 0, where none was ever activated."""
    with engine.connect() as connection:
        row = newest(connection, state=PolicyState.ACTIVE)
    return BUILT_IN if row is None else policy_of(row.version, row.body)


def policy_of(version: int, body: Mapping[str, Any], dials: Mapping[str, Dial] = DIALS) -> Policy:
    """Make a policy of its stored dials; one that came later reads as its declaration says of stored versions.

    Raises ValueError naming a wrong one.
    """
    if unknown := body.keys() - {*dials, "segments"}:
        raise ValueError(f"policy version {version} has dials of another release: {', '.join(sorted(unknown))}")
    segments = {name: SegmentDials(**own) for name, own in body.get("segments", {}).items()}
    return Policy(version=version, **{**defaults_of_stored(dials), **body, "segments": segments})


def default_policy_beside(body: Mapping[str, Any], dials: Mapping[str, Dial] = DIALS) -> Policy:
    """The built-in dials as they were when a version was stored: what came later reads as it does of that version."""
    return policy_of(0, {name: dial.default for name, dial in dials.items() if name in body}, dials)


def policy_of_file(values: Mapping[str, Any], before: Policy = BUILT_IN, dials: Mapping[str, Dial] = DIALS) -> Policy:
    """Make a policy of the file's dials; what it leaves unset of dials that came later stays as it was before."""
    return policy_of(0, _keep_late_dials(values, before, dials), dials)


def import_dials(
    engine: Engine, values: Mapping[str, Any], now_us: int, dials: Mapping[str, Dial] = DIALS
) -> int | None:
    """Activate the file's dials as a new version if they changed since the last import; returns that version."""
    with exclusive(engine) as connection:
        last = newest(connection, author=CONFIG_AUTHOR)
        imported = BUILT_IN if last is None else policy_of(0, last.body, dials)
        if policy_of_file(values, imported, dials) == imported and last is not None:
            return None
        current = newest(connection, state=PolicyState.ACTIVE)
        before = policy_of(current.version, current.body, dials) if current else BUILT_IN
        body = _keep_late_dials(values, before, dials)
        parent = current.version if current else None
        note = "dials of the configuration file"
        version = add_version(connection, parent, body, CONFIG_AUTHOR, note, now_us)
        stop_open(connection, "the dials of the configuration file changed", CONFIG_AUTHOR, now_us)
        put_in_force(connection, version)
        note_act(connection, PolicyAction.ACTIVATED, version, parent, CONFIG_AUTHOR, note, now_us)
        return version


def _keep_late_dials(values: Mapping[str, Any], before: Policy, dials: Mapping[str, Dial]) -> dict[str, Any]:
    came_later = defaults_of_stored(dials)
    return {
        name: getattr(before, name) if value is None and name in came_later else value for name, value in values.items()
    }


def newest(connection: Connection, **where: object) -> Any:
    """The newest version of which this holds, as a row; None where there is none."""
    return connection.execute(_newest_by(tuple(where)), where).one_or_none()


@cache  # every worker asks twice a second
def _newest_by(columns: tuple[str, ...]) -> Select[Any]:
    table = PolicyVersion.__table__
    where = [table.c[name] == bindparam(name) for name in columns]
    return select(table).where(*where).order_by(table.c.version.desc()).limit(1)


def add_version(
    connection: Connection,
    parent: int | None,
    dials: Mapping[str, Any],
    author: str,
    note: str,
    now_us: int,
    wiring: str | None = None,
) -> int:
    """Write a version that is only proposed; returns its number. `wiring`: what it was validated against."""
    row = {
        "parent": parent,
        "author": author,
        "note": note,
        "created_at": now_us,
        "state": PolicyState.PROPOSED.value,
        "body": dict(dials),
        "validated_at": now_us if wiring else None,
        "wiring": wiring,
    }
    made = connection.execute(insert(PolicyVersion).values(**row).returning(PolicyVersion.version))
    return int(made.scalar_one())


def put_in_force(connection: Connection, version: int) -> None:
    """Retire the active version and make this one active."""
    active = PolicyVersion.state == PolicyState.ACTIVE.value
    connection.execute(update(PolicyVersion).where(active).values(state=PolicyState.RETIRED.value))
    chosen = PolicyVersion.version == version
    connection.execute(update(PolicyVersion).where(chosen).values(state=PolicyState.ACTIVE.value))


def stop_open(connection: Connection, why: str, author: str, now_us: int) -> None:
    """End the open trial, if there is one, because what it was compared with is no longer in force."""
    if (canary := open_canary(connection)) is not None:
        end_canary(connection, canary, CanaryState.STOPPED, why, now_us)
        note_act(connection, PolicyAction.CANARY_STOPPED, canary.version, canary.control, author, why, now_us)


def note_act(
    connection: Connection, act: PolicyAction, version: int, previous: int | None, author: str, note: str, now_us: int
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
