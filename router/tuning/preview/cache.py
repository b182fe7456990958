"""The previews of one worker: read from the books in a thread of their own, kept for some minutes, few at a time.

Who asks is never made to wait: until a stretch of time has been read there is a state to show instead, and while it is
read again the last reading serves.
"""

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from enum import StrEnum

from cachetools import LRUCache
from sqlalchemy.exc import SQLAlchemyError

from router.decision.policy import Policy
from router.reports.window import Window
from router.tuning.past import Past
from router.tuning.preview.preview import Preview
from router.tuning.traffic import Traffic
from router.tuning.traffic_reader import MOST_ROWS
from router.tuning.whole import Wholes

log = logging.getLogger(__name__)

MOST_KEPT = 3
FIRST_ROWS = 12_000  # some figures at once; the rest follows
KEPT_US = 10 * 60 * 1_000_000
RETRIED_US = 15 * 1_000_000


class Busy(Exception):
    """Something heavy is under way; the message says what."""


class Stage(StrEnum):
    """How far a reading is."""

    READING = "reading"
    READY = "ready"
    EMPTY = "empty"
    FAILED = "failed"


@dataclass(slots=True)
class CachedWindow:
    """One stretch of time: what was last read of it, over which window, when, and whether it is being read now.

    `wholes` are the sums of all its requests; there may be some where no score decided any (`empty`).
    """

    stage: Stage = Stage.READING
    preview: Preview | None = None
    wholes: Wholes = field(default_factory=Wholes)
    window: Window | None = None
    read_at_us: int = 0
    is_under_way: bool = False


class Previews:
    """Reads stretches of time when they are asked for; `read` takes at most so many rows, and blocks for seconds.

    Of more rows than FIRST_ROWS there is a first, smaller sample to show while the rest is read.
    """

    def __init__(self, read: Callable[[Window, int], Past], now_us: Callable[[], int]) -> None:
        self._read = read
        self._now_us = now_us
        self._lock = threading.Lock()
        self._one_at_a_time = threading.Lock()
        self._heavy = threading.Lock()
        self._readings: LRUCache[str, CachedWindow] = LRUCache(MOST_KEPT)

    def of(self, name: str, window: Window, in_force: Policy) -> CachedWindow:
        """Return the reading of a stretch of time by its name, begun or begun anew where that is due.

        The name is that of a span in a zone, so that it stays the same while the window moves on with the clock.
        """
        now_us = self._now_us()
        with self._lock:
            reading = self._readings.setdefault(f"{name} {in_force.cost_sensitivity}", CachedWindow())
            kept_us = KEPT_US if reading.stage in (Stage.READY, Stage.READING) else RETRIED_US
            if not reading.is_under_way and now_us - reading.read_at_us > kept_us:
                reading.is_under_way = True
                work = threading.Thread(
                    target=self._fill, args=(reading, window, in_force), name=f"preview-{name}", daemon=True
                )
                work.start()
            return replace(reading)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Do something heavy of another kind, one at a time; raises Busy while another is under way."""
        if not self._heavy.acquire(blocking=False):
            raise Busy("another back-test or solution is under way here; try again when it is done")
        try:
            yield
        finally:
            self._heavy.release()

    def _fill(self, reading: CachedWindow, window: Window, in_force: Policy) -> None:
        try:
            with self._one_at_a_time:
                is_first = reading.preview is None
                decided = self._take(reading, window, in_force, FIRST_ROWS if is_first else MOST_ROWS)
                if is_first and decided > FIRST_ROWS:
                    self._take(reading, window, in_force, MOST_ROWS)
        except SQLAlchemyError as error:
            log.warning("the books cannot be read for a preview: %s", type(error).__name__)
            self._end(reading, Stage.READY if reading.preview else Stage.FAILED)
        except Exception:  # a bug must not leave the page waiting for ever
            log.exception("a preview could not be made")
            self._end(reading, Stage.FAILED)
        else:
            self._end(reading, reading.stage)

    def _take(self, reading: CachedWindow, window: Window, in_force: Policy, most: int) -> int:
        """Read so many rows and show them; returns how many there are in all."""
        past = self._read(window, most)
        preview = _preview_of(past.traffic, in_force) if len(past.traffic) else None
        with self._lock:
            reading.preview, reading.wholes, reading.window = preview, past.wholes, window
            reading.stage, reading.read_at_us = Stage.READY if preview else Stage.EMPTY, self._now_us()
        return past.wholes.total.decided

    def _end(self, reading: CachedWindow, stage: Stage) -> None:
        with self._lock:
            reading.stage = stage
            reading.read_at_us, reading.is_under_way = self._now_us(), False


def _preview_of(traffic: Traffic, in_force: Policy) -> Preview:
    return Preview.of(traffic, exact=thresholds_of(in_force), sensitivity=in_force.cost_sensitivity)


def thresholds_of(policy: Policy) -> list[float]:
    """Return every threshold of a policy, those of its segments too."""
    every = [policy, *(policy.for_segment(name) for name in policy.segments)]
    return [t for one in every for t in (one.reasoning_threshold, one.parallel_threshold)]
