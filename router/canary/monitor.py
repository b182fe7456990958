"""Monitors the open canary: reads its arms, asks the guards, and rolls it back, or notes that it has passed.

Runs in every worker, off the event loop; the first one to act wins, the others find that it is done. While the
database is away nothing is decided: what happened meanwhile is in the spools and is read when it arrives.
"""

import logging
from collections.abc import Callable

from sqlalchemy import Engine

from router.canary.guards import judge
from router.canary.reader import ArmsReader
from router.canary.verdicts import GuardStatus, HarmLimits, Verdict
from router.decision.policy import Policy
from router.policies import canary_lifecycle
from router.policies.canary_lifecycle import Canary, CanaryState, Mode
from router.policies.dials import Wiring
from router.policies.versions import PolicyBook

log = logging.getLogger(__name__)

EVERY_US = 2_000_000


class CanaryMonitor:
    """Monitors the open canary in one worker; `verdict` is the last one, None while there is nothing to judge."""

    def __init__(
        self,
        engine: Engine,
        book: PolicyBook,
        now_us: Callable[[], int],
        *,
        limits: HarmLimits | None = None,
        wiring: Wiring | None = None,
        tell: Callable[[Verdict | None], None] = lambda verdict: None,
    ) -> None:
        self.verdict: Verdict | None = None
        self._engine = engine
        self._book = book
        self._now_us = now_us
        self._limits = limits or HarmLimits()
        self._wiring = wiring
        self._tell = tell
        self._reading: ArmsReader | None = None
        self._next_us = 0

    def verdict_on(self, canary_id: int) -> Verdict | None:
        """The last verdict on a canary; None where this worker does not monitor it, or not yet."""
        reading, verdict = self._reading, self.verdict
        return verdict if reading is not None and reading.canary.id == canary_id else None

    def follow(self) -> None:
        """Look at the open canary, every other second at most, and act; raises SQLAlchemyError."""
        now_us = self._now_us()
        if self._next_us - EVERY_US <= now_us < self._next_us:  # a clock that was set back must not stop it
            return
        self._next_us = now_us + EVERY_US
        snapshot = self._book.snapshot
        canary, trial, active = snapshot.canary, snapshot.trial, snapshot.active
        if canary is None or trial is None or canary.mode is not Mode.CANARY:
            if self._reading is not None:
                self._reading = self.verdict = None
                self._tell(None)
            return
        if self._reading is None or self._reading.canary.id != canary.id:
            self._reading = ArmsReader(self._engine, canary, (trial, active), now_us)
        self._reading.read(now_us)
        if not self._reading.is_complete:
            self._next_us = now_us  # as soon as the shipping thread comes by again
            return
        self.verdict = judge(self._reading.arms, cap_of(trial), self._limits)
        self._tell(self.verdict)
        self._act(canary, self.verdict, now_us)

    def _act(self, canary: Canary, verdict: Verdict, now_us: int) -> None:
        match verdict.standing:
            case GuardStatus.BREACHED:
                if canary_lifecycle.roll_back(self._engine, canary.id, str(verdict), now_us):
                    log.warning("canary version %d rolled back: %s", canary.version, verdict)
            case GuardStatus.PASSED if canary.state is CanaryState.RUNNING:
                if canary_lifecycle.pass_canary(self._engine, canary.id, str(verdict), now_us, self._wiring):
                    log.info("canary version %d passed: %s", canary.version, verdict)
            case _:
                return
        self._book.refresh()


def cap_of(policy: Policy) -> float:
    """The highest deep share that a policy allows: its own cap, or that of a segment."""
    caps = [policy.for_segment(name).max_deep_share for name in policy.segments]
    return max([policy.max_deep_share, *caps])


def verdict_of(
    engine: Engine, canary: Canary, trial: Policy, active: Policy, now_us: int, limits: HarmLimits | None = None
) -> Verdict:
    """Judge a canary by all the books hold of it now, without acting; raises SQLAlchemyError."""
    reading = ArmsReader(engine, canary, (trial, active), now_us)
    while not reading.is_complete:
        reading.read(now_us)
    return judge(reading.arms, cap_of(trial), limits or HarmLimits())
