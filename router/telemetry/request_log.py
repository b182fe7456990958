"""A line per request. It is written by a thread of its own; what a request pays is noting a few references."""

import logging
import os
import sys
import threading
from collections import deque
from collections.abc import Sequence
from pathlib import Path

import msgspec

from router.database.private import FILE_MODE
from router.telemetry.logs import time_text
from router.tiers.calls import ProviderCall
from router.types import CallKind, CallStatus

log = logging.getLogger(__name__)

WRITE_EVERY_S = 0.2
MOST_WAITING = 100_000  # lines of requests; a disk that takes none costs lines, never requests
PIPE_BYTES = 4_096  # so much goes into a pipe at once, whoever else writes


class RequestLine(msgspec.Struct):
    """One request, as its line in the log tells it: ids, figures and closed lists; no text."""

    at_us: int
    request_id: str
    path: str
    status: int | None  # of HTTP; None where nobody was left to send one to
    ms: int
    error: str | None = None  # our code of it
    replay_of: str | None = None  # the request whose answer went out again
    key_id: int | None = None
    segment: str | None = None
    tier: str | None = None
    final_tier: str | None = None
    reason: str | None = None
    outcome: str | None = None
    streamed: bool | None = None
    first_byte_ms: int | None = None
    calls: Sequence[ProviderCall] = ()

    def fields(self) -> dict[str, object]:
        """Write it out; tokens and cost are sums over the calls that the client pays for, None where not known."""
        paid = [call for call in self.calls if call.intent.kind is not CallKind.SHADOW]
        failed = next((call for call in paid if call.cause is not None), None)
        last = next((call for call in reversed(paid) if call.status is CallStatus.OK), paid[-1] if paid else None)
        metered = [call.metered.usage for call in paid if call.metered is not None]
        costs = [call.cost_nanousd for call in paid]
        return {
            "time": time_text(self.at_us),
            "request_id": self.request_id,
            "path": self.path,
            "key_id": self.key_id,
            "segment": self.segment,
            "tier": self.tier,
            "final_tier": self.final_tier,
            "reason": self.reason,
            "outcome": self.outcome,
            "status": self.status,
            "error": self.error,
            "replay_of": self.replay_of,
            "cause": failed.cause if failed else None,
            "provider_status": failed.http_status if failed else None,
            "provider_model": last.intent.provider_model if last else None,
            "calls": len(paid),
            "streamed": self.streamed,
            "ms": self.ms,
            "first_byte_ms": self.first_byte_ms,
            "input_tokens": sum(usage.input_tokens for usage in metered) if metered else None,
            "output_tokens": sum(usage.output_tokens for usage in metered) if metered else None,
            "cost_nanousd": None if not costs or None in costs else sum(cost or 0 for cost in costs),
        }


class RequestLog:
    """One JSON line per request, to stdout or to a file that may be moved away at any time.

    Lines of all workers go whole into the same file. Those of the last moments before a kill are lost: the books,
    which lose nothing, know the requests too.
    """

    def __init__(self, where: str, interval_s: float = WRITE_EVERY_S) -> None:
        self._path = None if where == "stdout" else Path(where)
        self._interval_s = interval_s
        self._waiting: deque[RequestLine] = deque(maxlen=MOST_WAITING)
        self._file: int | None = None
        self._has_failed = False
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="request-log", daemon=True)

    def note(self, line: RequestLine) -> None:
        """Take a line to be written soon."""
        self._waiting.append(line)

    def start(self) -> None:
        """Begin to write."""
        self._thread.start()

    def stop(self, timeout: float = 5.0) -> None:
        """Write what waits, and end."""
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join(timeout)
        self._close()

    def flush(self) -> None:
        """Write what waits; where it cannot be written, that is said once and the lines wait for the next time."""
        lines: list[RequestLine] = []
        while self._waiting:
            lines.append(self._waiting.popleft())
        if not lines:
            return
        try:
            self._write([msgspec.json.encode(line.fields()) + b"\n" for line in lines])
        except OSError as error:
            if not self._has_failed:
                log.warning("requests cannot be logged to %s: %s", self._path or "stdout", error.strerror)
            self._has_failed = True
            self._close()
            self._waiting.extendleft(reversed(lines))
        else:
            self._has_failed = False

    def _write(self, lines: Sequence[bytes]) -> None:
        if self._path is None:
            sys.stdout.flush()
            for piece in _pieces(lines, PIPE_BYTES):
                _write_whole(sys.stdout.fileno(), piece)
        else:
            _write_whole(self._open(self._path), b"".join(lines))

    def _open(self, path: Path) -> int:
        """Return the file, opened again when it was moved away or removed."""
        if self._file is not None:
            ours = os.fstat(self._file)
            try:
                there = path.stat()
            except FileNotFoundError:
                there = None
            if there is None or (there.st_dev, there.st_ino) != (ours.st_dev, ours.st_ino):
                self._close()
        if self._file is None:
            self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, FILE_MODE)
        return self._file

    def _close(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _run(self) -> None:
        while not self._stopping.wait(self._interval_s):
            self.flush()
        self.flush()


def _write_whole(file: int, piece: bytes) -> None:
    while piece:
        piece = piece[os.write(file, piece) :]


def _pieces(lines: Sequence[bytes], most: int) -> list[bytes]:
    """Join lines to pieces of at most so many bytes, a longer line alone."""
    pieces: list[bytes] = []
    for line in lines:
        if pieces and len(pieces[-1]) + len(line) <= most:
            pieces[-1] += line
        else:
            pieces.append(line)
    return pieces
