"""A killable process that checks what the event loop must not: computer algebra and JSON schemas with patterns.

A thread cannot be killed and a SIGALRM time-out answers False in one, so each check has a deadline after which the
process is killed; the next check starts a new one. The worker gets no environment (no keys) and starts when needed.
"""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

WORKER = Path(__file__).with_name("checker_worker.py")
START_TIMEOUT_S = 60.0
LINE_LIMIT = 4_000_000


class CheckerPool:
    """Runs checks in up to `workers` processes; None is the answer of a check that could not be finished."""

    def __init__(self, workers: int = 1, timeout_s: float = 3.0) -> None:
        self._timeout_s = timeout_s
        self._idle: list[asyncio.subprocess.Process] = []
        self._places = asyncio.Semaphore(workers)
        self._known: dict[tuple[str, str], bool | None] = {}

    async def same_maths(self, a: str, b: str) -> bool | None:
        """Tell whether two expressions are equal, by Math-Verify in both directions."""
        pair = (a, b) if a < b else (b, a)
        if pair not in self._known:
            if len(self._known) > 20_000:
                self._known.clear()
            self._known[pair] = await self._check({"op": "maths", "a": a, "b": b})
        return self._known[pair]

    async def fits_schema(self, value: Any, schema: dict[str, Any]) -> bool | None:
        """Tell whether a value satisfies a JSON schema; references outside the schema are not followed."""
        return await self._check({"op": "schema", "value": value, "schema": schema})

    async def close(self) -> None:
        """End the processes."""
        while self._idle:
            await _kill(self._idle.pop())

    async def _check(self, question: dict[str, Any]) -> bool | None:
        async with self._places:
            process = self._idle.pop() if self._idle else await self._start()
            if process is None:
                return None
            is_well = False
            try:
                async with asyncio.timeout(self._timeout_s):
                    answer = await _ask(process, question)
                is_well = True
            except (TimeoutError, OSError, ValueError):
                return None
            finally:
                if is_well:
                    self._idle.append(process)
                else:
                    await _kill(process)
            return answer

    async def _start(self) -> asyncio.subprocess.Process | None:
        try:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-I",
                str(WORKER),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
                env={},
                limit=LINE_LIMIT,
            )
        except OSError:
            return None
        is_ready = False
        try:
            async with asyncio.timeout(START_TIMEOUT_S):
                is_ready = await _ask(process, {"op": "hello"}) is True
        except (TimeoutError, OSError, ValueError):
            return None
        finally:
            if not is_ready:
                await _kill(process)
        return process


async def _ask(process: asyncio.subprocess.Process, question: dict[str, Any]) -> bool | None:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(json.dumps(question).encode() + b"\n")
    await process.stdin.drain()
    line = await process.stdout.readline()
    if not line:
        raise BrokenPipeError("the checker ended")
    answer = json.loads(line)
    return answer if isinstance(answer, bool) else None


async def _kill(process: asyncio.subprocess.Process) -> None:
    """End a process; shielded, so that a cancelled request leaves none behind."""
    if process.returncode is None:
        process.kill()
    if process.stdin is not None:
        process.stdin.close()
    await asyncio.shield(process.wait())
