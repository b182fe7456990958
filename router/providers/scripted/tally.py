"""A provider's own tally: what it served, to compare the books with."""

import os
import time
from collections import deque
from pathlib import Path

import msgspec

from router.types import Usage

MOST_RECENT = 1000


class Served(msgspec.Struct, frozen=True):
    """One served call, also a line of the tally's file."""

    model: str
    usage: Usage
    is_whole: bool  # False: it was cut off, by its caller or by a scripted failure
    at_us: int


class Tally:
    """Counts served calls per model, and appends each to a file as one line: a kill loses none that was written."""

    def __init__(self, path: Path | None = None) -> None:
        self.calls: dict[str, int] = {}
        self.usage: dict[str, Usage] = {}
        self.recent: deque[Served] = deque(maxlen=MOST_RECENT)
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644) if path else None

    def add(self, model: str, usage: Usage, *, is_whole: bool) -> None:
        """Note a call whose usage is determined."""
        served = Served(model, usage, is_whole, time.time_ns() // 1000)
        self.calls[model] = self.calls.get(model, 0) + 1
        self.usage[model] = self.usage.get(model, Usage()) + usage
        self.recent.append(served)
        if self._file is not None:
            os.write(self._file, msgspec.json.encode(served) + b"\n")

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            os.close(self._file)
            self._file = None
