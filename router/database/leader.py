"""Which of all workers and replicas does what is done once for all of them: rollups, pacing, common alerts, retention.

On PostgreSQL it is the one whose session holds an advisory lock, on SQLite the one that holds a lock of a file beside
the database. Either is released when its process dies, and the next worker takes it within seconds. The lead only saves
work: whatever is done under it changes nothing the second time, should two workers think for a moment that they lead.
"""

import fcntl
import logging
import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import SQLAlchemyError

from router.database.engine import sqlite_path
from router.database.private import FILE_MODE

log = logging.getLogger(__name__)

LEADER_LOCK = 0x7165_727A  # PostgreSQL advisory lock of the session that leads
TRY_EVERY_S = 2.0
ASKED_WITHIN_S = 15.0  # a worker whose threads no longer ask whether they lead gives the lead up
SETTINGS = (  # of the session that leads: the server notices within seconds that its machine is gone
    "SET tcp_keepalives_idle = 3",
    "SET tcp_keepalives_interval = 2",
    "SET tcp_keepalives_count = 2",
    "SET statement_timeout = 5000",
)
IS_HELD = (
    "SELECT EXISTS (SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid() AND granted"
    " AND classid = 0 AND objid = :lock AND objsubid = 1)"
)


class LeaderLock(Protocol):
    """A lock that one process has, until it gives it back or dies."""

    def take(self) -> bool:
        """Take it or keep it; False where another process has it. Raises SQLAlchemyError or OSError."""
        ...

    def release(self) -> None:
        """Give it back, if it is held."""
        ...


class SessionLock:
    """An advisory lock of PostgreSQL, held by a connection of its own."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._connection: Connection | None = None

    def take(self) -> bool:
        """Take it, or see whether the session that took it still has it."""
        try:
            if self._connection is not None:
                is_held = bool(self._connection.scalar(text(IS_HELD), {"lock": LEADER_LOCK}))
            else:
                self._connection = self._engine.connect().execution_options(isolation_level="AUTOCOMMIT")
                is_held = bool(
                    self._connection.scalar(text("SELECT pg_try_advisory_lock(:lock)"), {"lock": LEADER_LOCK})
                )
                if is_held:
                    self._connection.detach()  # it does not go back to the pool, and ends with what it holds
                    for setting in SETTINGS:
                        self._connection.execute(text(setting))
        except SQLAlchemyError:
            self.release()
            raise
        if not is_held:
            self.release()
        return is_held

    def release(self) -> None:
        """Give the lock back and end the session."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(SQLAlchemyError):  # a session that is gone has given it back
                connection.execute(text("SELECT pg_advisory_unlock_all()"))
            connection.close()


class FileLock:
    """A lock of a file; None is a database in memory, which nobody shares."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._descriptor: int | None = None

    def take(self) -> bool:
        """Take it; what is held stays held."""
        if self._path is None or self._descriptor is not None:
            return True
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, FILE_MODE)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return False
        self._descriptor = descriptor
        return True

    def release(self) -> None:
        """Close the file."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


class Leadership:
    """Whether this worker leads. `leads` is asked by whoever has something to do; one thread calls `refresh`."""

    def __init__(self, engine: Engine, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.is_leader = False
        self._lock = _lock_of(engine)
        self._monotonic = monotonic
        self._asked_at: dict[str, float] = {}
        self._due = 0.0

    def leads(self, task: str) -> bool:
        """Tell whether a task is to be done here; to ask is to be ready to do it."""
        self._asked_at[task] = self._monotonic()
        return self.is_leader

    def refresh(self) -> None:
        """Take the lead where nobody has it, keep it while all tasks go on here; raises SQLAlchemyError, OSError."""
        now_s = self._monotonic()
        asked = list(self._asked_at.values())
        if not asked or now_s - min(asked) > ASKED_WITHIN_S:
            self.resign()
        elif now_s >= self._due:
            self._due = now_s + TRY_EVERY_S
            had_it, self.is_leader = self.is_leader, False
            self.is_leader = self._lock.take()
            if self.is_leader != had_it:
                log.info("this worker %s", "leads from now on" if self.is_leader else "does not lead any more")

    def resign(self) -> None:
        """Give the lead to whoever takes it next."""
        self.is_leader = False
        self._lock.release()


def _lock_of(engine: Engine) -> LeaderLock:
    if engine.dialect.name == "postgresql":
        return SessionLock(engine)
    path = sqlite_path(engine.url.render_as_string(hide_password=False))
    return FileLock(None if path is None else path.with_name(f"{path.name}-leader"))
