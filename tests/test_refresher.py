"""What every worker has to follow is read again and again, whatever goes wrong with one of it."""

import logging
import threading

import pytest

from router.refresher import INTERVAL_S, Refresher
from tests.waiting import PATIENCE_S


def test_it_reads_until_it_is_stopped() -> None:
    enough, seen = threading.Event(), []

    def refresh() -> None:
        seen.append(1)
        if len(seen) == 3:
            enough.set()

    refresher = Refresher([refresh], interval_s=0.001)
    refresher.start()
    assert enough.wait(PATIENCE_S)
    refresher.stop()
    count = len(seen)
    assert count == len(seen)


def test_it_reads_often_enough() -> None:
    assert 2 * INTERVAL_S < 2


def test_what_fails_does_not_keep_the_rest_and_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    seen: list[int] = []

    def wrong() -> None:
        raise ValueError("a dial of a newer version")

    def away() -> None:
        raise ConnectionError("away")

    refresher = Refresher([wrong, away, lambda: seen.append(1)], quiet=(ConnectionError,))
    with caplog.at_level(logging.ERROR):
        refresher.turn()
        refresher.turn()
    assert (len(seen), len(caplog.records)) == (2, 1)


def test_one_that_never_started_can_be_stopped() -> None:
    Refresher([]).stop()
