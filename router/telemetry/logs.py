"""How what is logged is written: lines to read, or one JSON object per line; and the set-up of a process."""

import logging
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import msgspec

from router.settings import LogSettings


class JsonFormatter(logging.Formatter):
    """One JSON object per line: when, how grave, who says it, what, and the fields that come with it."""

    def format(self, record: logging.LogRecord) -> str:
        """Write a record."""
        line: dict[str, Any] = {
            "time": time_text(int(record.created * 1e6)),
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
        line = f"{time_text(int(record.created * 1e6))} {record.levelname} {record.name}: {record.getMessage()}"
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


def set_up_logging(settings: LogSettings) -> None:
    """Send everything that is logged in this process to stderr, in the form and from the level that is configured."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonFormatter() if settings.format == "json" else TextFormatter())
    logging.basicConfig(level=settings.level.upper(), handlers=[handler], force=True)


def time_text(at_us: int) -> str:
    """Write an instant as ISO 8601 in UTC, to the millisecond."""
    seconds, rest = divmod(at_us, 1_000_000)
    return f"{_second_text(seconds)}.{rest // 1_000:03d}Z"


@lru_cache(maxsize=8)
def _second_text(seconds: int) -> str:
    """Write an instant to the second; nearly every line is of the same few seconds as the one before it."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
