"""Waiting for what other threads and processes bring about, with a deadline that no busy machine misses."""

import asyncio
import inspect
import time
from collections.abc import Callable
from typing import Any

PATIENCE_S = 60.0
PAUSE_S = 0.02


def eventually(holds: Callable[[], Any]) -> Any:
    """Ask until the answer counts as true; returns it."""
    deadline = time.monotonic() + PATIENCE_S
    while not (found := holds()):
        assert time.monotonic() < deadline, f"never: {holds}"
        time.sleep(PAUSE_S)
    return found


async def soon(holds: Callable[[], Any]) -> Any:
    """The same in an event loop; the answer may be one to be awaited."""
    deadline = time.monotonic() + PATIENCE_S
    while not (found := await _awaited(holds())):
        assert time.monotonic() < deadline, f"never: {holds}"
        await asyncio.sleep(PAUSE_S)
    return found


async def _awaited(found: Any) -> Any:
    return await found if inspect.isawaitable(found) else found
