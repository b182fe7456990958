"""What is done with trials of a version: started and stopped by people, rolled back or passed by the guard.

Each act is one exclusive transaction that looks before it writes, and leaves a line in the log. A trial stands beside
the version in force: it can only start on top of it, and ends with it.
"""

import math
from typing import Any

from sqlalchemy import Connection, Engine, insert, select

from router.database.canary_tables import CanaryRow
from router.database.engine import exclusive
from router.policies.canaries import Canary, CanaryState, Mode, canary_of, end_canary, open_canary
from router.policies.dials import Wiring, WrongPolicy
from router.policies.lifecycle import Actor, require_on_top, require_validated, row_of
from router.policies.versions import PolicyAction, PolicyState, newest, note_act, put_in_force

__all__ = ["Canary", "CanaryState", "Mode", "history", "pass_canary", "roll_back", "running", "start", "stop"]

GUARD = "tierwise"
WAIT, ACTIVATE = "wait", "activate"
MOST_SHARE = 0.9


def start(
    engine: Engine,
    version: int,
    share: float,
    wiring: Wiring,
    actor: Actor,
    *,
    mode: str = Mode.CANARY,
    on_success: str = WAIT,
) -> Canary:
    """Try a version on a share of the conversations; raises WrongPolicy when it cannot be tried, or not now."""
    _require_sensible(share, mode, on_success)
    with exclusive(engine) as connection:
        row = row_of(connection, version)
        current = newest(connection, state=PolicyState.ACTIVE)
        if current is None:
            raise WrongPolicy("no version is in force that this one could be compared with; activate one first")
        if (canary := open_canary(connection)) is not None:
            raise WrongPolicy(f"{describe(canary)}; stop it first: tierwise policy canary --stop")
        require_on_top(row, current)
        require_validated(connection, row, wiring)
        values = {
            "version": version,
            "control": current.version,
            "mode": Mode(mode).value,
            "share": share,
            "started_at": actor.now_us,
            "on_success": on_success,
            "state": CanaryState.RUNNING.value,
            "author": actor.author,
            "note": actor.note,
        }
        made = connection.execute(insert(CanaryRow).values(**values).returning(CanaryRow.id)).scalar_one()
        act = PolicyAction.SHADOW_STARTED if mode == Mode.SHADOW else PolicyAction.CANARY_STARTED
        _note(connection, act, version, current.version, _describe_start(share, on_success, mode, actor.note), actor)
        return _canary(connection, made)


def stop(engine: Engine, actor: Actor, canary_id: int | None = None) -> Canary:
    """End the open trial without a verdict; the version in force decides alone. Raises WrongPolicy where none is open.

    `canary_id` is the trial that the caller means, so that one who is late does not stop another.
    """
    with exclusive(engine) as connection:
        canary = open_canary(connection)
        if canary is None:
            raise WrongPolicy("no version is on trial, so there is nothing to stop")
        if canary_id is not None and canary_id != canary.id:
            raise WrongPolicy(f"that trial has ended by now; {describe(canary)}")
        end_canary(connection, canary, CanaryState.STOPPED, canary.verdict, actor.now_us)
        _note(connection, PolicyAction.CANARY_STOPPED, canary.version, canary.control, actor.note, actor)
        return _canary(connection, canary.id)


def roll_back(engine: Engine, canary_id: int, verdict: str, now_us: int) -> bool:
    """End a trial that hurts, with the reason; False when somebody ended it before."""
    with exclusive(engine) as connection:
        canary = open_canary(connection)
        if canary is None or canary.id != canary_id:
            return False
        end_canary(connection, canary, CanaryState.ROLLED_BACK, verdict, now_us)
        by = Actor(GUARD, verdict, now_us)
        _note(connection, PolicyAction.CANARY_ROLLED_BACK, canary.version, canary.control, verdict, by)
        return True


def pass_canary(engine: Engine, canary_id: int, verdict: str, now_us: int, wiring: Wiring | None = None) -> bool:
    """Note that a trial did well: it waits for a person, or its version comes in force, as was set when it started.

    Where the configuration is another by now, it waits. False when it is no longer running.
    """
    with exclusive(engine) as connection:
        canary = open_canary(connection)
        if canary is None or canary.id != canary_id or canary.state is not CanaryState.RUNNING:
            return False
        by = Actor(GUARD, verdict, now_us)
        _note(connection, PolicyAction.CANARY_PASSED, canary.version, canary.control, verdict, by)
        if canary.on_success == WAIT or not _is_validated(connection, canary, wiring):
            end_canary(connection, canary, CanaryState.WAITING, verdict, None)
            return True
        end_canary(connection, canary, CanaryState.ACTIVATED, verdict, now_us)
        put_in_force(connection, canary.version)
        _note(connection, PolicyAction.ACTIVATED, canary.version, canary.control, verdict, by)
        return True


def running(engine: Engine) -> Canary | None:
    """Read the trial that is open: it runs, or has passed and waits."""
    with engine.connect() as connection:
        return open_canary(connection)


def history(engine: Engine, limit: int = 50) -> list[Canary]:
    """Read the last trials, newest first."""
    with engine.connect() as connection:
        query = select(CanaryRow.__table__).order_by(CanaryRow.id.desc()).limit(limit)
        return [canary_of(row) for row in connection.execute(query).all()]


def describe(canary: Canary) -> str:
    """Say in a few words what is on trial."""
    how = "decides in the shadow of" if canary.mode is Mode.SHADOW else "answers in place of"
    waits = ", has passed and waits for a person" if canary.state is CanaryState.WAITING else ""
    return f"version {canary.version} {how} version {canary.control} for {canary.share:.4g} of conversations{waits}"


def _describe_start(share: float, on_success: str, mode: str, note: str) -> str:
    then = f", then {on_success}" if mode == Mode.CANARY else ""
    return f"share {share:.4g}{then}" + (f": {note}" if note else "")


def _require_sensible(share: float, mode: str, on_success: str) -> None:
    if mode not in list(Mode):
        raise WrongPolicy(f"mode: must be one of {', '.join(Mode)}, is {mode!r}")
    if on_success not in (WAIT, ACTIVATE):
        raise WrongPolicy(f"on_success: must be {WAIT} or {ACTIVATE}, is {on_success!r}")
    if mode == Mode.SHADOW and on_success == ACTIVATE:
        raise WrongPolicy("a shadow acts on nothing, so it cannot show that it does well: on_success must be wait")
    most = 1.0 if mode == Mode.SHADOW else MOST_SHARE
    if isinstance(share, bool) or not math.isfinite(share) or not 0.0 < share <= most:
        raise WrongPolicy(f"share: must be above 0 and at most {most:g} of the conversations, is {share!r}")


def _is_validated(connection: Connection, canary: Canary, wiring: Wiring | None) -> bool:
    if wiring is None:
        return True
    try:
        require_validated(connection, row_of(connection, canary.version), wiring)
    except WrongPolicy:
        return False
    return True


def _canary(connection: Connection, canary_id: Any) -> Canary:
    return canary_of(connection.execute(select(CanaryRow.__table__).where(CanaryRow.id == canary_id)).one())


def _note(connection: Connection, act: PolicyAction, version: int, control: int, note: str, actor: Actor) -> None:
    note_act(connection, act, version, control, actor.author, note, actor.now_us)
