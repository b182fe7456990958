"""The write path of the books: one SQLite file per worker, written in the event loop, shipped by a thread.

A write is one row in a write-ahead log: it survives the death of the process at the next instruction. Nothing here
waits for a disk unless durability is "full"; the shipping thread checkpoints. A lock file held by the living worker
tells the others that its spool is no orphan.
"""

import fcntl
import os
import secrets
import sqlite3
import threading
import time
import weakref
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self

import msgspec

from router.database.private import FILE_MODE, make_directory, make_file
from router.errors import Unavailable
from router.ledger.entries import CallIntent, Entry

SPOOL_SUFFIX = ".spool"
LOCK_SUFFIX = ".lock"
PAGE_BYTES = 1024  # one write dirties one small page of the log
LOW_BELOW_BYTES = 128 * 2**20
REFUSE_BELOW_BYTES = 16 * 2**20  # the rest is for settling what is under way
LONGEST_LOG_BYTES = 16 * 2**20
OWED_LIMIT = 100_000

INSERT = "INSERT INTO entries(id, body) VALUES (?, ?)"
encode = msgspec.msgpack.Encoder().encode
decode = msgspec.msgpack.Decoder(list[Entry]).decode


@dataclass(frozen=True, slots=True)
class SpoolRow:
    """One write: the entries of one request, under the number by which it is deleted."""

    id: int
    entries: list[Entry]


class Spool:
    """The spool of one worker. `write` belongs to the event loop, everything else to the shipping thread.

    One mutex keeps the two from waiting for SQLite's own locks, which are polled in milliseconds.
    """

    def __init__(self, path: Path, lock_file: int, durability: Literal["normal", "full"]) -> None:
        self.path = path
        self.free_bytes = free_bytes(path.parent)
        self._lock_file = lock_file
        self._mutex = threading.RLock()
        self._writer = _connect(path, durability)
        self._reader = _connect(path, "normal")
        last = self._reader.execute("SELECT coalesce(max(id), 0), count(*) FROM entries").fetchone()
        self._last_id, self._rows_waiting = int(last[0]), int(last[1])
        self._owed: list[Entry] = []
        self._is_closed = False
        forked = weakref.WeakMethod(self._close_in_child)
        os.register_at_fork(after_in_child=lambda: (method := forked()) and method())

    @classmethod
    def open(cls, directory: Path, *, durability: Literal["normal", "full"] = "normal") -> Self:
        """Make a fresh spool in the directory; raises Unavailable naming the cause."""
        path = directory / f"{time.time_ns() // 1000:x}-{os.getpid()}-{secrets.token_hex(3)}{SPOOL_SUFFIX}"
        try:
            make_directory(directory)
            make_file(path)
            lock_file = lock(path)
            assert lock_file is not None
            return cls(path, lock_file, durability)
        except (OSError, sqlite3.Error) as error:
            raise Unavailable(f"the spool in {directory} cannot be made: {error}") from None

    def write(self, entries: Sequence[Entry]) -> None:
        """Append the entries of one request, all or none, durably; raises Unavailable.

        Where disk space runs out, intents are refused first, so that what is under way can still be settled. Results
        that cannot be written are owed: they are kept in memory and written as soon as there is room.
        """
        request_id, has_intent = entries[0].request_id, False
        for entry in entries:
            has_intent = has_intent or type(entry) is CallIntent
            if entry.request_id != request_id:
                raise ValueError("a write holds the entries of one request")  # it is deleted when that one is booked
        if self._owed:
            self.pay()
        if has_intent and (self._owed or self.free_bytes < REFUSE_BELOW_BYTES):
            raise Unavailable("the ledger's spool is out of disk space", code="spool_full")
        try:
            self._append(entries)
        except sqlite3.Error as error:
            with self._mutex:
                if not has_intent and len(self._owed) < OWED_LIMIT:
                    self._owed.extend(entries)
            self.free_bytes = 0
            raise Unavailable(f"the ledger's spool cannot be written: {error}", code="spool_full") from None

    def pay(self) -> None:
        """Write what is owed, if there is room by now."""
        with self._mutex:
            while self._owed:
                request_id = self._owed[0].request_id
                try:
                    self._append([entry for entry in self._owed if entry.request_id == request_id])
                except sqlite3.Error:
                    return
                self._owed = [entry for entry in self._owed if entry.request_id != request_id]

    def read(self, after_id: int, limit: int) -> list[SpoolRow]:
        """Read the rows after the given one, oldest first."""
        rows = self._reader.execute("SELECT id, body FROM entries WHERE id > ? ORDER BY id LIMIT ?", (after_id, limit))
        return [SpoolRow(id, decode(body)) for id, body in rows.fetchall()]

    def delete(self, ids: Iterable[int]) -> None:
        """Forget rows whose content has arrived in the database."""
        rows = [(id,) for id in ids]
        for start in range(0, len(rows), 200):  # short transactions: the event loop waits for this lock
            with self._mutex:
                self._reader.execute("BEGIN IMMEDIATE")
                try:
                    chunk = rows[start : start + 200]
                    gone = self._reader.executemany("DELETE FROM entries WHERE id = ?", chunk).rowcount
                    self._reader.execute("COMMIT")
                except sqlite3.Error:
                    if self._reader.in_transaction:
                        self._reader.execute("ROLLBACK")
                    raise
                self._rows_waiting -= gone

    def checkpoint(self) -> None:
        """Move the log into the file and make both durable.

        Under unbroken load a passive checkpoint never gets to the log's end, and the log would grow for ever: a long
        one is begun anew while the event loop waits for a few milliseconds.
        """
        self._reader.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
        log = self.path.with_name(self.path.name + "-wal")
        if log.exists() and log.stat().st_size > LONGEST_LOG_BYTES:
            with self._mutex:
                self._reader.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def look_at_disk(self) -> None:
        """Find out how much room there is."""
        self.free_bytes = free_bytes(self.path.parent)

    @property
    def rows_waiting(self) -> int:
        """Writes that have not arrived in the database, those of requests under way included."""
        return self._rows_waiting

    @property
    def is_low(self) -> bool:
        """Little room is left: the deep tiers stop first."""
        return self.free_bytes < LOW_BELOW_BYTES or bool(self._owed)

    def close(self) -> None:
        """Let go of the file; one that holds nothing any more is removed."""
        if self._is_closed:
            return
        self._is_closed = True
        self.pay()
        self._writer.close()
        is_empty = self._reader.execute("SELECT 1 FROM entries LIMIT 1").fetchone() is None
        self._reader.close()
        if is_empty and not self._owed:
            remove(self.path)
        os.close(self._lock_file)

    def _append(self, entries: Sequence[Entry]) -> None:
        body = encode(entries)
        with self._mutex:
            self._writer.execute(INSERT, (self._last_id + 1, body))
            self._last_id += 1
            self._rows_waiting += 1

    def _close_in_child(self) -> None:
        """Let go of the lock: a forked child must not seem to be this worker when this worker is dead."""
        if not self._is_closed:
            os.close(self._lock_file)


def lock(path: Path, kind: int = fcntl.LOCK_EX) -> int | None:
    """Take the lock of a worker's file, None while a living worker holds it; closing the descriptor releases it."""
    descriptor = os.open(path.with_suffix(LOCK_SUFFIX), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, FILE_MODE)
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def remove(path: Path) -> None:
    """Remove a spool with all that belongs to it."""
    for file in (path, path.with_name(path.name + "-wal"), path.with_name(path.name + "-shm")):
        file.unlink(missing_ok=True)
    path.with_suffix(LOCK_SUFFIX).unlink(missing_ok=True)


def free_bytes(directory: Path) -> int:
    """Tell how much the disk of a directory still takes."""
    disk = os.statvfs(directory)
    return disk.f_bavail * disk.f_frsize


def _connect(path: Path, durability: Literal["normal", "full"]) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=5.0, isolation_level=None, check_same_thread=False)
    connection.execute(f"PRAGMA page_size={PAGE_BYTES}")
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute(f"PRAGMA synchronous={durability.upper()}")
    connection.execute("PRAGMA wal_autocheckpoint=0")
    connection.execute("CREATE TABLE IF NOT EXISTS entries(id INTEGER PRIMARY KEY, body BLOB NOT NULL)")
    return connection
