"""Trials of policy versions as the database holds them: at most one is open. What people do with them, and what a
guard does, is in `router.policies.canary_lifecycle`.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, select, update

from router.database.canary_tables import CanaryRow


class Mode(StrEnum):
    """How a version is tried: a canary answers its share of conversations, a shadow decides and acts on nothing."""

    CANARY = "canary"
    SHADOW = "shadow"


class CanaryState(StrEnum):
    """How a trial stands; one that runs, or has passed and waits for a person, is open."""

    RUNNING = "running"
    WAITING = "waiting"
    ROLLED_BACK = "rolled_back"
    ACTIVATED = "activated"
    STOPPED = "stopped"


OPEN = (CanaryState.RUNNING, CanaryState.WAITING)
NEWEST_OPEN = (  # every worker asks twice a second
    select(CanaryRow.__table__)
    .where(CanaryRow.state.in_([state.value for state in OPEN]))
    .order_by(CanaryRow.id.desc())
    .limit(1)
)


@dataclass(frozen=True, slots=True)
class Canary:
    """A version on trial beside `control`, the one in force; of `share` of the conversations (0 to 1)."""

    id: int
    version: int
    control: int
    mode: Mode
    share: float
    started_at_us: int
    ended_at_us: int | None
    on_success: str
    state: CanaryState
    verdict: str | None
    author: str
    note: str

    @property
    def is_undecided(self) -> bool:
        """Whether its guards do not know yet whether it harms; a shadow has none."""
        return self.mode is Mode.CANARY and self.state is CanaryState.RUNNING


def open_canary(connection: Connection) -> Canary | None:
    """Read the trial that is open; there is at most one."""
    row = connection.execute(NEWEST_OPEN).one_or_none()
    return canary_of(row) if row is not None else None


def canary_of(row: Any) -> Canary:
    """Make a Canary of its row."""
    return Canary(
        id=row.id,
        version=row.version,
        control=row.control,
        mode=Mode(row.mode),
        share=row.share,
        started_at_us=row.started_at,
        ended_at_us=row.ended_at,
        on_success=row.on_success,
        state=CanaryState(row.state),
        verdict=row.verdict,
        author=row.author,
        note=row.note,
    )


def end_canary(
    connection: Connection, canary: Canary, state: CanaryState, verdict: str | None, now_us: int | None
) -> None:
    """Write how a trial stands now; `now_us` where it ended."""
    values = {"state": state.value, "verdict": verdict, "ended_at": now_us}
    connection.execute(update(CanaryRow).where(CanaryRow.id == canary.id).values(**values))
