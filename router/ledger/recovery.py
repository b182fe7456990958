"""What dead workers left behind: finding their spools, and keeping what cannot be booked."""

import logging
import os
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec

from router.database.private import make_file
from router.ledger.folding import RequestRecord
from router.ledger.spool import LOCK_SUFFIX, SPOOL_SUFFIX, Spool, lock

log = logging.getLogger(__name__)

REJECTED = "rejected.jsonl"
DAMAGED_SUFFIX = ".damaged"


def orphans(directory: Path) -> Iterator[Spool]:
    """Take over, one after the other, the spools whose worker is dead; whoever takes one closes it."""
    for path in sorted(directory.glob(f"*{SPOOL_SUFFIX}")):
        lock_file = lock(path)
        if lock_file is None:
            continue
        if not path.exists():  # another worker adopted it in between
            os.close(lock_file)
            path.with_suffix(LOCK_SUFFIX).unlink(missing_ok=True)
            continue
        try:
            spool = Spool(path, lock_file, "normal")
        except sqlite3.DatabaseError as error:
            log.error("the spool %s cannot be opened and was put aside: %s", path.name, error)
            quarantine(path)
            os.close(lock_file)
            continue
        yield spool


def quarantine(path: Path) -> None:
    """Put a damaged spool out of the way, for a human to look at."""
    path.rename(path.with_suffix(f".{time.time_ns()}{DAMAGED_SUFFIX}"))


def set_aside(directory: Path, record: RequestRecord, why: str) -> None:
    """Keep what the database refuses for good, durably, as a line of JSON."""
    calls = [*record.intents.values(), *record.results.values()]
    entries = [record.opening, record.features, *calls, record.closing, record.verdict]
    line = msgspec.json.encode({"refused": why, "entries": [entry for entry in entries if entry is not None]})
    make_file(directory / REJECTED)
    with (directory / REJECTED).open("ab") as file:
        file.write(line + b"\n")
        file.flush()
        os.fsync(file.fileno())


def count_rejected(directory: Path) -> int:
    """Count the requests that wait in the file of the refused."""
    path = directory / REJECTED
    return path.read_bytes().count(b"\n") if path.exists() else 0


def list_damaged(directory: Path) -> list[Path]:
    """List the damaged spools."""
    return sorted(directory.glob(f"*{DAMAGED_SUFFIX}"))
