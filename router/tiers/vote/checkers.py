"""A killable process that checks what the event loop must not: computer algebra and JSON schemas with patterns.

A thread cannot be killed and a SIGALRM time-out answers False in one, so each check has a deadline after which the
process is killed; the next check starts a new one. The worker gets no environment (no keys) and starts when needed.
"""

import asyncio
import json
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

WORKER = Path(__file__).with_name("checker_worker.py")
LOAD_TIMEOUT_S = 60.0
LINE_LIMIT = 4_000_000


class CheckerPool:
    """Runs checks in up to `workers` processes; None is the answer of a check that could not be finished."""

    def __init__(self, workers: int = 1, timeout_s: float = 3.0) -> None:
        self._timeout_s = timeout_s
        self._idle: list[Worker] = []
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
            await self._idle.pop().kill()

    async def _check(self, question: dict[str, Any]) -> bool | None:
        async with self._places:
            worker = self._idle.pop() if self._idle else await _start_worker()
            if worker is None:
                return None
            is_well = False
            try:
                await worker.load(question["op"])
                async with asyncio.timeout(self._timeout_s):
                    answer = await worker.ask(question)
                is_well = True
            except (TimeoutError, OSError, ValueError):
                return None
            finally:
                if is_well:
                    self._idle.append(worker)
                else:
                    await worker.kill()
            return answer


@dataclass(slots=True)
class Worker:
    """One process, and the kinds of check whose libraries it has loaded."""

    process: asyncio.subprocess.Process
    loaded: set[str] = field(default_factory=set)

    async def load(self, kind: str) -> None:
        """Have the libraries of a kind of check loaded, once: the time that takes is not the check's."""
        if kind not in self.loaded:
            async with asyncio.timeout(LOAD_TIMEOUT_S):
                await self.ask({"op": "load", "kind": kind})
            self.loaded.add(kind)

    async def ask(self, question: dict[str, Any]) -> bool | None:
        """Send a question and read its answer; raises OSError when the process ended."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(question).encode() + b"\n")
        await self.process.stdin.drain()
        line = await self.process.stdout.readline()
        if not line:
            raise BrokenPipeError("the checker ended")
        answer = json.loads(line)
        return answer if isinstance(answer, bool) else None

    async def kill(self) -> None:
        """End the process; shielded, so that a cancelled request leaves none behind."""
        if self.process.returncode is None:
            self.process.kill()
        if self.process.stdin is not None:
            self.process.stdin.close()
        await asyncio.shield(self.process.wait())


async def _start_worker() -> Worker | None:
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
    return Worker(process)
