"""The steps of a stop do not depend on each other, and a request can tell a stop from a client that left."""

import asyncio
import logging
import threading

import pytest

from router.api.shutdown import STATE, ClosingStep, Shutdown, in_thread, take_steps


async def test_a_step_that_raises_and_one_that_hangs_do_not_stop_the_rest(caplog: pytest.LogCaptureFixture) -> None:
    taken: list[str] = []
    hanging = threading.Event()

    async def fails() -> None:
        raise RuntimeError("no")

    async def notes() -> None:
        taken.append("last")

    steps = (
        ClosingStep("one that fails", fails),
        ClosingStep("one that hangs", lambda: asyncio.sleep(3_600), 0.01),
        ClosingStep("a thread that hangs", lambda: in_thread(hanging.wait), 0.01),
        ClosingStep("the last", notes),
    )
    with caplog.at_level(logging.ERROR):
        await take_steps(steps)
    hanging.set()
    assert taken == ["last"]
    assert [record.getMessage().split(":")[1].strip()[:14] for record in caplog.records] == [
        "one that fails",
        "one that hangs",
        "a thread that ",
    ]


async def test_what_a_thread_raises_is_raised() -> None:
    def fails() -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        await in_thread(fails)


@pytest.mark.parametrize(
    ("scope", "is_cut"),
    [
        ({}, False),
        ({"state": {STATE: Shutdown(is_stopping=True)}}, False),
        ({"state": {STATE: Shutdown(is_stopping=True, is_cut=True)}}, True),
    ],
)
def test_a_request_knows_that_the_server_ends_it(scope: dict[str, object], is_cut: bool) -> None:
    assert Shutdown.has_cut(scope) is is_cut
