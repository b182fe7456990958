"""Threads of the admin plane's own: a slow page must not take those that the data plane's keys and budgets wait for."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import ParamSpec, TypeVar

AT_ONCE = 4

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


class Threads:
    """Runs what blocks, a few at a time; the rest of the admin plane waits."""

    def __init__(self, at_once: int = AT_ONCE) -> None:
        self._pool = ThreadPoolExecutor(at_once, "admin")

    async def run(
        self, work: Callable[Parameters, Result], *args: Parameters.args, **named: Parameters.kwargs
    ) -> Result:
        """Run blocking work in a thread."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, partial(work, *args, **named))
