"""Keeps what was refused: an audit entry each, up to a bound, so that a stranger cannot fill the books with them."""

import logging
import threading
from collections.abc import Callable

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from router.admin import audit
from router.database.engine import writing

log = logging.getLogger(__name__)

MOST_A_MINUTE = 60
MINUTE_US = 60_000_000
NOBODY = "nobody"


class DenialLog:
    """Writes refusals into the audit log, at most so many a minute and worker; the rest is counted."""

    def __init__(self, engine: Engine, now_us: Callable[[], int], most: int = MOST_A_MINUTE) -> None:
        self._engine = engine
        self._now_us = now_us
        self._most = most
        self._lock = threading.Lock()
        self._minute = 0
        self._written = 0
        self._left_out = 0

    def note(self, act: str, target: str, why: str, *, address: str, actor: str = NOBODY, role: str = "none") -> None:
        """Write one entry; blocks. The refusal stands even when the database is away."""
        now_us = self._now_us()
        more = self._count_one(now_us)
        if more is None:
            return
        note = f"{why}; {more} more were refused before and not written" if more else why
        try:
            with writing(self._engine) as connection:
                audit.add(
                    connection,
                    actor,
                    act,
                    target,
                    None,
                    None,
                    now_us,
                    role=role,
                    address=address,
                    note=note,
                    refused=True,
                )
        except SQLAlchemyError:
            log.warning("refused and not audited, the database is away: %s of %s by %s", act, target, address)

    def _count_one(self, now_us: int) -> int | None:
        """Count one more: None when it is one too many, else how many were left out before it."""
        with self._lock:
            if now_us // MINUTE_US != self._minute:
                self._minute, self._written = now_us // MINUTE_US, 0
            if self._written >= self._most:
                self._left_out += 1
                return None
            self._written += 1
            left_out, self._left_out = self._left_out, 0
            return left_out
