"""A request sent many times at once with one `Idempotency-Key`, over two workers; and after its worker was killed.

Whoever gets a 409 asks again until there is an answer. All answers of a key must be the same bytes, and the books and
the provider's own tally must know one call of it.
"""

import asyncio
import contextlib
import time
from collections import Counter
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

import aiohttp
from sqlalchemy import select

from router.database.tables import Call
from router.types import Precision
from scripts.benchmarks.faults.account import read_tally
from scripts.benchmarks.faults.served import MODELS, Instance, Place

POSTS = 10
ASK_AGAIN_S, PATIENCE_S = 0.05, 60.0
TOOK_PLACE_S = 1.0  # so long the killed request has been under way


@dataclass(frozen=True, slots=True)
class SentAtOnce:
    """What came of keys that were each sent several times at once."""

    keys: int
    posts: int
    answered: int
    answers: int  # different ones
    refused: int  # 409 on the way
    served: int  # calls, by the provider's tally
    booked: int  # calls, by the books

    @property
    def holds(self) -> bool:
        """One bill and one answer for each key."""
        return self.answered == self.posts and self.keys == self.answers == self.served == self.booked


@dataclass(frozen=True, slots=True)
class SentAfterKill:
    """What a client finds that asks again after the worker of its request was killed."""

    waited_s: float  # until another request could take the key
    status: int
    unknown: int  # calls of which nobody can know what they cost, held at the most
    booked: int


def a_place(directory: Path, workers: int, models: str = "") -> Place:
    """Lay out an instance of so many workers, with more models perhaps."""
    return Place.make(directory, models=f"workers = {workers}\n{MODELS}{models}")


async def send_at_once(place: Place, keys: int, posts: int = POSTS) -> SentAtOnce:
    """Send each key's request several times at once, streamed for every other key."""
    instance = Instance(place)
    await instance.start()
    refused: Counter[int] = Counter()
    try:
        bodies = [await asyncio.gather(*(_insist(place, key, refused) for _ in range(posts))) for key in range(keys)]
        await instance.wait_shipped()
    finally:
        await instance.stop()
    answers = {(key, body) for key, found in enumerate(bodies) for body in found if body}
    answered = sum(bool(body) for found in bodies for body in found)
    booked = len(_calls(place))
    return SentAtOnce(keys, keys * posts, answered, len(answers), refused.total(), len(read_tally(place.tally)), booked)


async def send_after_kill(place: Place) -> SentAfterKill:
    """Kill the worker in the middle of an answer, start another, and ask again until it answers."""
    instance = Instance(place)
    await instance.start()
    refused: Counter[int] = Counter()
    first = asyncio.create_task(_post(place, 0, "long"))
    await asyncio.sleep(TOOK_PLACE_S)
    await instance.kill()
    killed_at = time.monotonic()
    with contextlib.suppress(aiohttp.ClientError):
        await first
    await instance.start()
    try:
        body = await _insist(place, 0, refused, "long")
        waited_s = time.monotonic() - killed_at
        await instance.wait_shipped()
    finally:
        await instance.stop()
    precisions = Counter(_calls(place))
    status = HTTPStatus.OK if body else HTTPStatus.CONFLICT
    return SentAfterKill(waited_s, status, precisions[Precision.UNKNOWN], precisions.total())


async def _insist(place: Place, key: int, refused: Counter[int], model: str = "fast") -> bytes:
    """Ask until there is an answer; returns its bytes, none where there was none in time."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        status, body = await _post(place, key, model)
        if status == HTTPStatus.OK:
            return body
        refused[status] += 1
        await asyncio.sleep(ASK_AGAIN_S)
    return b""


async def _post(place: Place, key: int, model: str) -> tuple[int, bytes]:
    body = {"model": model, "messages": [{"role": "user", "content": f"Tell me of {key}."}], "stream": key % 2 == 0}
    headers = {"Idempotency-Key": f"key-{key}"}
    url = f"{place.url}/v1/chat/completions"
    async with aiohttp.ClientSession() as session, session.post(url, json=body, headers=headers) as reply:
        return reply.status, await reply.read()


def _calls(place: Place) -> list[Precision]:
    """How precise each call in the books is."""
    engine = place.engine()
    try:
        with engine.connect() as connection:
            return list(connection.scalars(select(Call.precision)))
    finally:
        engine.dispose()


def describe(found: SentAtOnce) -> str:
    """Write what was found for the table."""
    return (
        f"{found.keys} keys, {found.posts} POSTs: {found.answered} answered with {found.answers} different answers, "
        f"{found.refused} times 409 on the way; {found.served} calls served, {found.booked} booked"
    )
