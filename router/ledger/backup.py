"""Copying a running installation, so that what it had booked or spooled when the copy began is in the copy.

Spools are copied before the books: what is shipped in between is then in both, and booked once when the copied spool is
shipped again. The other way round it would be in neither. Books in PostgreSQL are copied by PostgreSQL's own tools.
"""

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from router.database.engine import sqlite_path
from router.database.private import make_directory, make_file
from router.ledger.spool import LOCK_SUFFIX, SPOOL_SUFFIX

STATE, BOOKS = "state", "books"
SQLITE_HEADER = b"SQLite format 3\0"
# Locks and figures are those of living processes, the map and the last known state are made anew, logs of SQLite go
# with their file.
LEFT_OUT_SUFFIXES = (LOCK_SUFFIX, "-leader", "-wal", "-shm", ".map")
LEFT_OUT = {"last-known.json", "metrics"}


class BackupRefused(Exception):
    """The backup cannot be made where it was asked for."""


def back_up_state(state_dir: Path, database_url: str, target: Path) -> int:
    """Copy spools, then all else that a state holds but the books, below `target/state`; returns how many files.

    Raises BackupRefused where the target holds something already, OSError and sqlite3.Error where it cannot be written.
    """
    if target.exists() and any(target.iterdir()):
        raise BackupRefused(f"{target} is not empty: a backup goes into a directory of its own")
    books = sqlite_path(database_url)
    copied = 0
    for path in _files_of(state_dir):
        if books is None or not (books.exists() and path.samefile(books)):
            copied += _copy(path, target / STATE / path.relative_to(state_dir))
    return copied


def back_up_books(database_url: str, target: Path) -> Path | None:
    """Copy books in SQLite below `target/books`; None for a database that has tools of its own."""
    path = sqlite_path(database_url)
    if path is None:
        return None
    copied = target / BOOKS / path.name
    _copy(path, copied)
    return copied


def _files_of(state_dir: Path) -> Iterator[Path]:
    """What of a state is worth keeping, spools first."""
    files = [path for path in state_dir.rglob("*") if path.is_file() and not path.name.endswith(LEFT_OUT_SUFFIXES)]
    kept = [path for path in files if LEFT_OUT.isdisjoint(path.relative_to(state_dir).parts)]
    yield from sorted(kept, key=lambda path: (path.suffix != SPOOL_SUFFIX, path))


def _copy(path: Path, target: Path) -> bool:
    """Copy a file as it is at one moment; False where it has gone meanwhile, as a spool that holds nothing may."""
    make_directory(target.parent)
    try:
        with path.open("rb") as file:
            is_database = file.read(len(SQLITE_HEADER)) == SQLITE_HEADER
        make_file(target)
        if not is_database:
            shutil.copyfile(path, target)
            return True
        reading = f"{path.absolute().as_uri()}?mode=ro"
        with closing(sqlite3.connect(reading, uri=True)) as source, closing(sqlite3.connect(target)) as copy:
            source.backup(copy)
    except (FileNotFoundError, sqlite3.OperationalError):
        target.unlink(missing_ok=True)
        if path.exists():
            raise
        return False
    return True
