"""What every part of a worker stands on: its settings, its clock, its books, and what is measured and told of it."""

from collections.abc import Mapping
from typing import NamedTuple, Self

from router.books import OpenBooks
from router.clock import SystemClock
from router.metrics import Metrics
from router.settings import Settings
from router.telemetry.request_log import RequestLog
from router.telemetry.spans import Spans, open_spans


class Ground(NamedTuple):
    """Made first, once; the last two are None where they are off."""

    settings: Settings
    environ: Mapping[str, str]
    clock: SystemClock
    metrics: Metrics
    books: OpenBooks
    request_log: RequestLog | None
    spans: Spans | None

    @classmethod
    def of(cls, settings: Settings, environ: Mapping[str, str]) -> Self:
        """Open the books; raises WrongSetting or DatabaseUnusable naming the cause."""
        clock = SystemClock()
        books = OpenBooks.at_start(settings, clock)
        request_log = RequestLog(settings.log.requests) if settings.log.requests != "off" else None
        return cls(settings, environ, clock, Metrics(), books, request_log, open_spans(settings.otel))
