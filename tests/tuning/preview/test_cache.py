"""A worker reads a stretch of time once, in a thread, and never makes anybody wait."""

import threading
from collections.abc import Callable
from datetime import UTC

from sqlalchemy.exc import OperationalError

from router.decision.policy import Policy, SegmentDials
from router.reports.window import Window
from router.tuning.past import Past
from router.tuning.preview.cache import (
    FIRST_ROWS,
    KEPT_US,
    MOST_KEPT,
    RETRIED_US,
    CachedWindow,
    Previews,
    Stage,
    thresholds_of,
)
from router.tuning.traffic import Traffic
from router.tuning.traffic_reader import MOST_ROWS
from router.tuning.whole import Whole, Wholes
from tests.builders.traffics import LOGGED, a_world
from tests.waiting import PATIENCE_S, eventually

EVER = Window(None, None, UTC)


class Books:
    """Gives out traffic when it is told to, and counts how often it was asked."""

    def __init__(self, traffic: Traffic) -> None:
        self.traffic = traffic
        self.asked = 0
        self.is_away = False
        self.open = threading.Event()
        self.now_us = KEPT_US + 1

    def read(self, window: Window, most: int) -> Past:
        self.asked += 1
        assert self.open.wait(PATIENCE_S)
        if self.is_away:
            raise OperationalError("SELECT", {}, Exception("away"))
        return Past(self.traffic, Wholes())

    def previews(self) -> Previews:
        return Previews(self.read, lambda: self.now_us)


def until(previews: Previews, holds: Callable[[CachedWindow], bool], name: str = "7d") -> CachedWindow:
    def read() -> CachedWindow | None:
        reading = previews.of(name, EVER, LOGGED)
        return reading if holds(reading) else None

    found: CachedWindow = eventually(read)
    return found


def test_there_is_a_state_to_show_until_it_is_read_and_it_is_read_once() -> None:
    books = Books(a_world(300).traffic)
    previews = books.previews()
    for _ in range(3):
        reading = previews.of("7d", EVER, LOGGED)
        assert (reading.stage, reading.preview, reading.is_under_way) == (Stage.READING, None, True)
    books.open.set()
    found = until(previews, lambda reading: reading.stage is Stage.READY)
    assert found.preview is not None
    assert (found.preview.requests, books.asked) == (300, 1)


def test_an_old_reading_serves_while_it_is_read_again() -> None:
    books = Books(a_world(300).traffic)
    books.open.set()
    previews = books.previews()
    first = until(previews, lambda reading: reading.stage is Stage.READY)
    books.open.clear()
    books.now_us += KEPT_US + 1
    again = previews.of("7d", EVER, LOGGED)
    assert (again.stage, again.is_under_way, again.preview is first.preview) == (Stage.READY, True, True)
    books.open.set()
    until(previews, lambda reading: not reading.is_under_way)
    assert books.asked == 2


def test_a_first_sample_serves_while_the_rest_is_read() -> None:
    asked: list[int] = []
    go_on = threading.Event()
    many = Wholes(Whole(20_000, 20_000, (20_000, 0, 0), 0, 1.0, 2.0))

    def read(window: Window, most: int) -> Past:
        asked.append(most)
        assert len(asked) == 1 or go_on.wait(PATIENCE_S)
        return Past(a_world(300 * len(asked)).traffic, many)

    previews = Previews(read, lambda: KEPT_US + 1)
    first = until(previews, lambda reading: reading.stage is Stage.READY)
    assert first.preview is not None
    assert (first.preview.requests, first.is_under_way) == (300, True)
    go_on.set()
    whole = until(previews, lambda reading: not reading.is_under_way)
    assert whole.preview is not None
    assert (whole.preview.requests, asked) == (600, [FIRST_ROWS, MOST_ROWS])


def test_no_requests_are_empty_and_looked_for_again_soon() -> None:
    books = Books(a_world(10).traffic.rows(slice(0, 0)))
    books.open.set()
    previews = books.previews()
    until(previews, lambda reading: reading.stage is Stage.EMPTY)
    books.traffic = a_world(50).traffic
    books.now_us += RETRIED_US + 1
    until(previews, lambda reading: reading.stage is Stage.READY)


def test_books_that_are_away_are_told_and_tried_again() -> None:
    books = Books(a_world(50).traffic)
    books.open.set()
    books.is_away = True
    previews = books.previews()
    until(previews, lambda reading: reading.stage is Stage.FAILED)
    books.is_away = False
    books.now_us += RETRIED_US + 1
    until(previews, lambda reading: reading.stage is Stage.READY)


def test_few_stretches_are_kept() -> None:
    books = Books(a_world(50).traffic)
    books.open.set()
    previews = books.previews()
    for name in ("a", "b", "c", "d"):
        until(previews, lambda reading: reading.stage is Stage.READY, name)
    assert len(previews._readings) == MOST_KEPT


def test_thresholds_of_segments_are_exact_too() -> None:
    policy = Policy(1, reasoning_threshold=0.3, segments={"plus": SegmentDials(reasoning_threshold=0.2)})
    assert set(thresholds_of(policy)) == {0.1, 0.2, 0.3}
