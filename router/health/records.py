"""Records of fixed size that all workers of a machine share: a small file in `state_dir`, mapped into memory.

Reading is a look at memory. Writing happens on failures and changes of state only, under a lock of the file. Where the
file cannot be had, a worker keeps its records to itself. It holds numbers and digests, no names and no keys.
"""

import contextlib
import fcntl
import logging
import mmap
import os
from collections.abc import Iterator
from enum import IntEnum
from pathlib import Path

WORD = 8
WORDS_PER_RECORD = 16
MOST_RECORDS = 512  # and one for the head
MAGIC = int.from_bytes(b"twhealth", "little")
LAYOUT = 1
FILE_NAME = "health.map"
LOCK_TRIES = 50

_log = logging.getLogger(__name__)


class Field(IntEnum):
    """The words of a record. Milliseconds are of the machine's monotonic clock, which all its processes share."""

    KEY = 0  # and the word after it
    STATE = 2
    CAUSE = 3
    SINCE_US = 4  # of the state, since the epoch: for people
    PROBE_MS = 5  # from then on it may be tried, while others serve
    RESORT_MS = 6  # from then on it may be tried, where nobody else serves
    PROBED_UNTIL_MS = 7  # a trial is under way, and has so long to come back
    BACKOFF = 8  # trials that failed in a row
    WINDOW_MS = 9  # when the first of the failures was that are counted
    CALLS = 10
    FAILURES = 11
    STREAK = 12  # failures in a row
    OPENINGS = 13
    USED_US = 14  # when a worker last began with it


class Record:
    """One record: `words[at + Field.X]`."""

    __slots__ = ("at", "file", "words")

    def __init__(self, file: "HealthFile", at: int) -> None:
        self.file = file
        self.words = file.words
        self.at = at

    def __getitem__(self, field: Field) -> int:
        return self.words[self.at + field]

    def __setitem__(self, field: Field, value: int) -> None:
        self.words[self.at + field] = value

    def clear(self) -> None:
        """Forget everything but the key."""
        for field in range(Field.STATE, WORDS_PER_RECORD):
            self.words[self.at + field] = 0


class HealthFile:
    """All records of a machine; `path` None keeps them in this process."""

    def __init__(self, path: Path | None = None) -> None:
        self._descriptor: int | None = None
        size = (MOST_RECORDS + 1) * WORDS_PER_RECORD * WORD
        try:
            memory: mmap.mmap | bytearray = bytearray(size) if path is None else self._map(path, size)
        except OSError as error:
            _log.warning("%s: %s; what is known of models is not shared with other workers", path, error.strerror)
            memory = bytearray(size)
        self.words: memoryview[int] = memoryview(memory).cast("B").cast("q")

    def find(self, key: bytes, now_us: int) -> Record:
        """Return the record of a key of 16 bytes, made where there is none; the one unused for longest makes room."""
        low, high = (int.from_bytes(half, "little", signed=True) for half in (key[:WORD], key[WORD : 2 * WORD]))
        with self.hold_lock():
            places = range(WORDS_PER_RECORD, len(self.words), WORDS_PER_RECORD)
            at = next((at for at in places if self.words[at] == low and self.words[at + 1] == high), None)
            if at is None:
                at = min(places, key=lambda at: self.words[at + Field.USED_US])
                Record(self, at).clear()
                self.words[at], self.words[at + 1] = low, high
            self.words[at + Field.USED_US] = now_us
        return Record(self, at)

    def clear(self) -> None:
        """Forget what is known of every target."""
        with self.hold_lock():
            for at in range(WORDS_PER_RECORD, len(self.words), WORDS_PER_RECORD):
                Record(self, at).clear()

    @contextlib.contextmanager
    def hold_lock(self) -> Iterator[bool]:
        """Hold the lock against other workers; False where another one keeps it, which lasts microseconds."""
        if self._descriptor is None:
            yield True
            return
        is_held = False
        for _ in range(LOCK_TRIES):
            try:
                fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                is_held = True
                break
            except OSError:
                continue
        try:
            yield is_held
        finally:
            if is_held:
                fcntl.flock(self._descriptor, fcntl.LOCK_UN)

    def close(self) -> None:
        """Give the file back; the memory goes with the last reader."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _map(self, path: Path, size: int) -> mmap.mmap:
        """Map the file, made whole where it is not: a hole in it would end the process on a full disk."""
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            head = os.pread(descriptor, 2 * WORD, 0)
            is_known = head == MAGIC.to_bytes(WORD, "little") + LAYOUT.to_bytes(WORD, "little")
            if not is_known or os.fstat(descriptor).st_size < size:
                blank = MAGIC.to_bytes(WORD, "little") + LAYOUT.to_bytes(WORD, "little") + bytes(size - 2 * WORD)
                if os.pwrite(descriptor, blank, 0) < size:
                    raise OSError(None, "no room on the disk")
                os.fsync(descriptor)
            fcntl.flock(descriptor, fcntl.LOCK_UN)
            mapped = mmap.mmap(descriptor, size)
        except BaseException:
            os.close(descriptor)
            raise
        self._descriptor = descriptor
        return mapped
