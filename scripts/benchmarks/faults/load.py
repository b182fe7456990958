"""Clients of all kinds at once: every tier, streamed or not, some of which hang up."""

import asyncio
import contextlib
import random
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

import aiohttp

MODELS = ("auto", "fast", "fast", "reasoning", "parallel", "uncounted")
QUESTIONS = (
    "What is 17 * 23? Think it through and end with the number.",
    "How do I descale a kettle?",
    "Which is larger, 9.11 or 9.9?",
    "Plan a week of dinners for two people who dislike coriander.",
    "What is 418 - 219?",
)


@dataclass
class Experience:
    """What the clients saw."""

    sent: int = 0
    answered: list[str] = field(default_factory=list)  # request ids of complete answers
    failed: list[str] = field(default_factory=list)
    hung_up: int = 0
    cut_off: int = 0
    unwell: list[tuple[float, float]] = field(default_factory=list)  # failed or cut off: from when until when


class Load:
    """Keeps a number of clients busy until told to stop."""

    def __init__(
        self,
        url: str,
        clients: int,
        seed: int,
        hang_up_share: float = 0.2,
        headers: Mapping[str, str] | None = None,
        pause_s: float = 0.0,
    ) -> None:
        self.seen = Experience()
        self._pause_s = pause_s  # of each client, between requests
        self._headers = headers
        self._url = url
        self._dice = random.Random(seed)
        self._hang_up_share = hang_up_share
        self._clients = clients
        self._stopping = asyncio.Event()
        self._is_answered = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begin."""
        self._tasks = [asyncio.create_task(self._client()) for _ in range(self._clients)]

    async def wait_answered(self, within_s: float = 60.0) -> None:
        """Wait until somebody has a whole answer, or for so long."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._is_answered.wait(), within_s)

    async def stop(self, *, abruptly: bool = False) -> Experience:
        """End after the requests under way, or at once."""
        self._stopping.set()
        if abruptly:
            await asyncio.sleep(0.05)
            for task in self._tasks:
                task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        return self.seen

    async def _client(self) -> None:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=60), headers=self._headers) as session:
            while not self._stopping.is_set():
                began = time.monotonic()
                try:
                    await self._ask(session)
                except (aiohttp.ClientError, TimeoutError, ConnectionError, asyncio.IncompleteReadError):
                    self.seen.cut_off += 1
                    self.seen.unwell.append((began, time.monotonic()))
                    await asyncio.sleep(0.02)
                await asyncio.sleep(self._pause_s)

    async def _ask(self, session: aiohttp.ClientSession) -> None:
        dice = self._dice
        is_streamed = dice.random() < 0.6
        body = {
            "model": dice.choice(MODELS),
            "messages": [{"role": "user", "content": f"{dice.choice(QUESTIONS)} ({dice.random():.6f})"}],
            "stream": is_streamed,
            "max_tokens": 200,
        }
        patience_s = dice.uniform(0.0, 0.3) if dice.random() < self._hang_up_share else None
        self.seen.sent += 1
        began = time.monotonic()
        asking = self._answer(session, body, is_streamed)
        if patience_s is None:
            await asking
            return
        try:
            await asyncio.wait_for(asking, patience_s)
        except TimeoutError:
            self.seen.hung_up += 1
            assert time.monotonic() - began >= 0

    async def _answer(self, session: aiohttp.ClientSession, body: dict[str, object], is_streamed: bool) -> None:
        began = time.monotonic()
        async with session.post(f"{self._url}/v1/chat/completions", json=body) as reply:
            content = await reply.read()
            is_whole = b"data: [DONE]" in content if is_streamed else content.endswith(b"}")
            if reply.status == 200 and is_whole and b'"error"' not in content:
                self.seen.answered.append(reply.headers["x-request-id"])
                self._is_answered.set()
            else:
                self.seen.failed.append(f"{reply.status} {content[-300:].decode(errors='replace')}")
                self.seen.unwell.append((began, time.monotonic()))
