"""What an operator can follow while requests are served: a line per request, and a line per kind of failure.

No prompt, no answer and no secret stands in any of them. Lines of requests are written by a thread of their own; what
a request pays is noting a few references.
"""

import logging
import os
import sys
import threading
from collections import deque
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec

from router.clock import Clock
from router.errors import Cause, ProviderError
from router.providers.base import ProviderRequest
from router.providers.echoes import cut_echoes, texts_of
from router.providers.openai.backends import address_of
from router.settings import LogSettings
from router.tiers.calls import ProviderCall
from router.types import CallKind, CallStatus

log = logging.getLogger(__name__)

QUIET_S = 600.0  # a kind of failure that was not seen for so long is said again
MOST_KINDS = 1_000
WRITE_EVERY_S = 0.2
MOST_WAITING = 100_000  # lines of requests; a disk that takes none costs lines, never requests
PIPE_BYTES = 4_096  # so much goes into a pipe at once, whoever else writes
MODE = 0o600


class RequestLine(msgspec.Struct):
    """One request, as its line in the log tells it: ids, figures and closed lists; no text."""

    at_us: int
    request_id: str
    path: str
    status: int | None  # of HTTP; None where nobody was left to send one to
    ms: int
    error: str | None = None  # our code of it
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
            "time": _time_text(self.at_us),
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
            self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, MODE)
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


class _Seen:
    """How often a kind of failure came since it was last said."""

    __slots__ = ("last_ms", "unsaid")

    def __init__(self) -> None:
        self.last_ms = -1e18
        self.unsaid = 0


class FailureLog:
    """Counts every failed call, and says each kind of failure once: again when it comes back after a quiet time.

    A kind is a model, a status, a cause and an address. Each worker says it for itself.
    """

    def __init__(self, count: Callable[[str, str, str], None], clock: Clock, quiet_s: float = QUIET_S) -> None:
        self._count = count
        self._clock = clock
        self._quiet_ms = quiet_s * 1_000
        self._kinds: dict[tuple[str, int | None, Cause, str], _Seen] = {}

    def note(self, request: ProviderRequest, error: ProviderError) -> None:
        """Take a failed call."""
        target = request.target
        self._count(target.provider, target.name, error.cause)
        address = address_text(request)
        kind = (target.name, error.provider_status, error.cause, address)
        if kind not in self._kinds and len(self._kinds) >= MOST_KINDS:
            return
        seen, now_ms = self._kinds.setdefault(kind, _Seen()), self._clock.ticks_ms()
        was_quiet, seen.last_ms = now_ms - seen.last_ms >= self._quiet_ms, now_ms
        if not was_quiet:
            seen.unsaid += 1
            return
        again = f" (again: {seen.unsaid:,} more since it was last said)" if seen.unsaid else ""
        seen.unsaid = 0
        words = cut_echoes(
            error.message.removeprefix(f"{target.name}: "),
            texts_of(request.messages, request.params),
            (target.name, error.cause),
        )
        status = error.provider_status
        log.warning(
            "provider %s, model %s: %s, %s, at %s: %s%s",
            target.provider,
            target.name,
            error.cause,
            f"HTTP {status}" if status is not None else "no status",
            address,
            words,
            again,
            extra={
                "fields": {
                    "provider": target.provider,
                    "model": target.name,
                    "status": status,
                    "cause": error.cause,
                    "address": address,
                    "words": words,
                }
            },
        )


def address_text(request: ProviderRequest) -> str:
    """Write where a model is called, without what may be secret: no user, no query."""
    try:
        parts = urlsplit(address_of(request.target))
        port = f":{parts.port}" if parts.port else ""
    except (ProviderError, ValueError):
        return "its usual address"
    name = parts.hostname or ""
    return f"{parts.scheme}://{f'[{name}]' if ':' in name else name}{port}{parts.path}"


class JsonFormatter(logging.Formatter):
    """One JSON object per line: when, how grave, who says it, what, and the fields that come with it."""

    def format(self, record: logging.LogRecord) -> str:
        """Write a record."""
        line: dict[str, Any] = {
            "time": _time_text(int(record.created * 1e6)),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return msgspec.json.encode(line).decode()


class TextFormatter(logging.Formatter):
    """When, how grave, who says it, and what, on one line where there is no traceback."""

    def format(self, record: logging.LogRecord) -> str:
        """Write a record."""
        line = f"{_time_text(int(record.created * 1e6))} {record.levelname} {record.name}: {record.getMessage()}"
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


def set_up_logging(settings: LogSettings) -> None:
    """Send everything that is logged in this process to stderr, in the form and from the level that is configured."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonFormatter() if settings.format == "json" else TextFormatter())
    logging.basicConfig(level=settings.level.upper(), handlers=[handler], force=True)


def _time_text(at_us: int) -> str:
    seconds, rest = divmod(at_us, 1_000_000)
    return f"{_second_text(seconds)}.{rest // 1_000:03d}Z"


@lru_cache(maxsize=8)
def _second_text(seconds: int) -> str:
    """Write an instant to the second; nearly every line is of the same few seconds as the one before it."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
