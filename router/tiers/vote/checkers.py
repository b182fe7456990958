"""Killable processes that check what the event loop must not: computer algebra and JSON schemas with patterns.

A thread cannot be killed and a SIGALRM time-out answers False in one, so each check has a deadline after which its
process is killed. Workers get no environment (no keys), start when needed, and one more than is busy is kept ready, so
that nobody waits for a process that somebody else's check has cost. A request has a budget for all of its checks; who
has used the least comes first, and who has used much leaves the last place to others.
"""

import asyncio
import json
import re
import subprocess
import sys
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from router.mistakes.extras import is_installed

WORKER = Path(__file__).with_name("checker_worker.py")
LOAD_TIMEOUT_S = 60.0
LINE_LIMIT = 4_000_000
LONGEST_EXPRESSION = 1_000
MOST_KNOWN = 20_000
REQUEST_BUDGET_S = 5.0
PATIENCE_S = 0.7  # what a check may take while others wait
MUCH_S = 1.0  # who has used more leaves the last place to others
_SLICE_S = 0.1
_HARMLESS = re.compile(r"[-+]?[\d.,/ ]{1,20}")


@dataclass(slots=True)
class CheckBudget:
    """What the checks of one request may take altogether, and what they have taken, in seconds."""

    total_s: float = REQUEST_BUDGET_S
    used_s: float = 0.0

    @property
    def left_s(self) -> float:
        """What is left."""
        return self.total_s - self.used_s


class CheckerPool:
    """Runs up to `workers` checks at once; None is the answer of a check that could not be finished.

    Without the extra `parallel` no check can be done, no process is started, and `tell_skipped` hears of each.
    """

    def __init__(
        self, workers: int = 2, timeout_s: float = 3.0, tell_skipped: Callable[[str], None] = lambda kind: None
    ) -> None:
        self._is_able = is_installed("parallel")
        self._tell_skipped = tell_skipped
        self._timeout_s = timeout_s
        self._workers = workers
        self._busy = 0
        self._idle: list[Worker] = []
        self._starting: set[asyncio.Task[None]] = set()
        self._queue: list[tuple[CheckBudget, asyncio.Future[None]]] = []
        self._known: OrderedDict[tuple[str, str], bool | None] = OrderedDict()
        self._slow: OrderedDict[str, None] = OrderedDict()

    async def same_maths(self, a: str, b: str, budget: CheckBudget | None = None) -> bool | None:
        """Tell whether two expressions are equal, by Math-Verify in both directions.

        An expression that took too long once is not tried again.
        """
        pair = (a, b) if a < b else (b, a)
        if pair in self._known:
            return self._known[pair]
        if a in self._slow or b in self._slow or max(len(a), len(b)) > LONGEST_EXPRESSION:
            return None
        budget = budget or CheckBudget()
        before = budget.used_s
        answer = await self._check({"op": "maths", "a": a, "b": b}, budget)
        taken = budget.used_s - before
        if answer is not None or taken > 0:
            _remember(self._known, pair, answer)
        if answer is None and taken >= min(self._timeout_s, PATIENCE_S):
            self._note_slow(a, b)
        return answer

    async def fits_schema(self, value: Any, schema: dict[str, Any], budget: CheckBudget | None = None) -> bool | None:
        """Tell whether a value satisfies a JSON schema; references outside the schema are not followed."""
        return await self._check({"op": "schema", "value": value, "schema": schema}, budget or CheckBudget())

    def warm(self) -> None:
        """Have a process loaded in the background, so that the first check does not wait for it."""
        if self._is_able and not self._idle and not self._starting and not self._busy:
            self._start_another()

    async def close(self) -> None:
        """End the processes."""
        for task in self._starting:
            task.cancel()
        await asyncio.gather(*self._starting, return_exceptions=True)
        while self._idle:
            await self._idle.pop().kill()

    async def _check(self, question: dict[str, Any], budget: CheckBudget) -> bool | None:
        if not self._is_able:
            self._tell_skipped(question["op"])
            return None
        if budget.left_s <= 0:
            return None
        await self._take_place(budget)
        worker: Worker | None = None
        try:
            worker = await self._worker(question["op"])
            if worker is None:
                return None
            answer, is_well = await self._ask(worker, question, budget)
            if is_well:
                self._idle.append(worker)
                worker = None
            return answer
        except (TimeoutError, OSError, ValueError):
            return None
        finally:
            self._give_place_back()
            if worker is not None:
                self._keep_ready()
                await worker.kill()

    async def _worker(self, kind: str) -> "Worker | None":
        """Return a process with the libraries of a kind of check, one that has them already if there is one."""
        if not self._idle and self._starting:
            await asyncio.wait(self._starting, return_when=asyncio.FIRST_COMPLETED)
        at = next((n for n, idle in enumerate(self._idle) if kind in idle.loaded), -1)
        worker = self._idle.pop(at) if self._idle else await _start_worker()
        self._keep_ready()
        if worker is not None:
            try:
                await worker.load(kind)
            except BaseException:
                await worker.kill()
                raise
        return worker

    async def _ask(self, worker: "Worker", question: dict[str, Any], budget: CheckBudget) -> tuple[bool | None, bool]:
        """Put a question within the deadline; returns the answer and whether the process may be used again."""
        loop = asyncio.get_running_loop()
        began, limit = loop.time(), min(self._timeout_s, budget.left_s)
        asking = asyncio.create_task(worker.ask(question))
        try:
            while not asking.done():
                taken = loop.time() - began
                if taken >= limit or (taken >= PATIENCE_S and self._keeps_others_waiting(budget.used_s + taken)):
                    return None, False
                await asyncio.wait({asking}, timeout=min(_SLICE_S, limit - taken))
            return asking.result(), True
        finally:
            budget.used_s += loop.time() - began
            asking.cancel()

    def _keeps_others_waiting(self, used_s: float) -> bool:
        """Tell whether somebody waits who has used less."""
        return any(waiting.used_s < used_s and self._busy == self._workers for waiting, _ in self._queue)

    async def _take_place(self, budget: CheckBudget) -> None:
        if not self._queue and self._may_begin(budget):
            self._busy += 1
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queue.append((budget, turn))
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._give_place_back()
            else:
                self._queue = [waiting for waiting in self._queue if waiting[1] is not turn]
            raise

    def _may_begin(self, budget: CheckBudget) -> bool:
        kept = 1 if budget.used_s >= MUCH_S and self._workers > 1 else 0
        return self._busy + kept < self._workers

    def _give_place_back(self) -> None:
        self._busy -= 1
        for waiting in sorted(self._queue, key=lambda waiting: waiting[0].used_s):
            budget, turn = waiting
            if turn.done():
                self._queue.remove(waiting)
            elif self._may_begin(budget):
                self._queue.remove(waiting)
                self._busy += 1
                turn.set_result(None)

    def _keep_ready(self) -> None:
        """Have one process ready beside those that are busy."""
        if not self._idle and not self._starting:
            self._start_another()

    def _start_another(self) -> None:
        task = asyncio.create_task(self._start())
        self._starting.add(task)
        task.add_done_callback(self._starting.discard)

    async def _start(self) -> None:
        worker = await _start_worker()
        if worker is None:
            return
        try:
            await worker.load("maths")
        except (TimeoutError, OSError, ValueError):
            await worker.kill()
        except asyncio.CancelledError:
            await worker.kill()
            raise
        else:
            self._idle.append(worker)

    def _note_slow(self, a: str, b: str) -> None:
        """Remember which expression took too long: of two the longer one, never a plain number."""
        suspects = [e for e in (a, b) if not _HARMLESS.fullmatch(e)]
        if suspects:
            _remember(self._slow, max(suspects, key=len), None)


@dataclass(slots=True)
class Worker:
    """One process, and the kinds of check whose libraries it has loaded."""

    process: subprocess.Popen[bytes]
    reader: asyncio.StreamReader
    writer: asyncio.WriteTransport
    incoming: asyncio.ReadTransport
    loaded: set[str] = field(default_factory=set)

    async def load(self, kind: str) -> None:
        """Have the libraries of a kind of check loaded, once: the time that takes is not the check's."""
        if kind not in self.loaded:
            async with asyncio.timeout(LOAD_TIMEOUT_S):
                await self.ask({"op": "load", "kind": kind})
            self.loaded.add(kind)

    async def ask(self, question: dict[str, Any]) -> bool | None:
        """Send a question and read its answer; raises OSError when the process ended."""
        self.writer.write(json.dumps(question).encode() + b"\n")
        line = await self.reader.readline()
        if not line:
            raise BrokenPipeError("the checker ended")
        answer = json.loads(line)
        return answer if isinstance(answer, bool) else None

    async def kill(self) -> None:
        """End the process; shielded, so that a cancelled request leaves none behind."""
        self.process.kill()
        self.writer.abort()
        self.incoming.close()
        await asyncio.shield(asyncio.to_thread(self.process.wait))


_Key = TypeVar("_Key")
_Value = TypeVar("_Value")


def _remember(memory: "OrderedDict[_Key, _Value]", key: _Key, value: _Value) -> None:
    memory[key] = value
    if len(memory) > MOST_KNOWN:
        memory.popitem(last=False)


async def _start_worker() -> Worker | None:
    """Start a process; asyncio's own way hangs for ever where it is cancelled half-way."""
    loop, command = asyncio.get_running_loop(), [sys.executable, "-I", str(WORKER)]
    try:
        process = subprocess.Popen(  # noqa: ASYNC220 - it returns once the program has begun
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env={}
        )
    except OSError:
        return None
    try:
        reader = asyncio.StreamReader(limit=LINE_LIMIT)
        incoming, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), process.stdout)
        writer, _ = await loop.connect_write_pipe(asyncio.BaseProtocol, process.stdin)
    except BaseException:
        process.kill()
        process.communicate()
        raise
    return Worker(process, reader, writer, incoming)
