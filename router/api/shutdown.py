"""How far a stop has come, and the steps that end a worker, none of which stops the next.

A stop goes: readiness turns red, the listener closes, what is under way finishes, what does not finish in time is told
so and ended, and the services close. The server drives it; what it drives finds the `Shutdown` in the state of each
request.
"""

import asyncio
import logging
import threading
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from starlette.types import Scope

log = logging.getLogger(__name__)

STATE = "shutdown"  # the name of the Shutdown in the state of the lifespan and of each request
STEP_S = 5.0


@dataclass(slots=True)
class Shutdown:
    """How far a stop has come."""

    is_stopping: bool = False  # readiness is red
    is_cut: bool = False  # what is still under way is ended now

    @staticmethod
    def has_cut(scope: Scope) -> bool:
        """Tell whether a request is ended because the server stops, and not because its client left."""
        found = scope.get("state", {}).get(STATE)
        return isinstance(found, Shutdown) and found.is_cut


@dataclass(frozen=True, slots=True)
class ClosingStep:
    """One step of a stop: what it is, what it does, and how long it may take."""

    name: str
    work: Callable[[], Awaitable[object]]
    seconds: float = STEP_S


async def take_steps(steps: Sequence[ClosingStep]) -> None:
    """Take the steps one after the other; one that raises or hangs is logged, and the next is taken all the same."""
    for step in steps:
        try:
            await asyncio.wait_for(asyncio.ensure_future(step.work()), step.seconds)
        except TimeoutError:
            log.error("while stopping: %s takes longer than %g s and is left behind", step.name, step.seconds)
        except Exception:  # whatever one of them does, the others must not be left out
            log.exception("while stopping: %s failed", step.name)


async def in_thread(work: Callable[[], object]) -> None:
    """Do blocking work in a thread that the end of the process does not wait for."""
    loop, done = asyncio.get_running_loop(), asyncio.Event()
    failed: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except BaseException as error:  # raised again below, in the loop
            failed.append(error)
        try:
            loop.call_soon_threadsafe(done.set)
        except RuntimeError:  # nobody waits any more
            pass

    threading.Thread(target=run, name="shutdown", daemon=True).start()
    await done.wait()
    if failed:
        raise failed[0]
