"""Admission: how many requests are answered at once and for whom, how many wait, and how long.

A worker has a number of places. One key holds at most as many as are free (where there are several segments, one of
them three times as many), so that there are some for the next key: one that hangs takes half, the next half of what is
left. Who gets none waits in a line of its key and segment; the lines take turns. What a key may do over time, or all
workers together, is no matter of this module.
"""

import asyncio
from collections import Counter, deque
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from dataclasses import dataclass
from math import ceil
from time import monotonic

from router.api.body import BodyBudget
from router.errors import RateLimited, Saturated
from router.limits.gate import LimitGate
from router.limits.windows import MemoryWindows
from router.types import DEFAULT_SEGMENT, Tier

RETRY_SECONDS = 2
MOST_KNOWN = 10_000  # keys and segments that are remembered although nothing of them is under way
TOO_MANY_WAIT = "too many requests are waiting"
KEY_PER_FREE, SEGMENT_PER_FREE = 1, 3  # places of one for each that is free: half, and three quarters, of the whole
QUEUE_SHARE = 0.5  # of one key
TARGET_SHARE = 0.75
DEEP_SHARE = 0.75  # with so many of the places taken nothing deep begins any more


@dataclass(frozen=True, slots=True)
class Shares:
    """How many of the places one key, one segment and one model may hold; None leaves it to what is free."""

    key: int | None = None
    segment: int | None = None
    target: int | None = None


@dataclass(frozen=True, slots=True)
class Occupancy:
    """How the places of a worker are taken."""

    places: int
    taken: int
    waiting: int
    body_bytes: int  # of the requests that are under way

    @property
    def is_saturated(self) -> bool:
        """Tell whether there is somebody for whom there is no place."""
        return self.taken >= self.places or self.waiting > 0


class _Held:
    """What one key holds: places, and how many of its requests wait."""

    def __init__(self) -> None:
        self.inside = 0
        self.waiting = 0
        self.moved_at = monotonic()  # when it took or gave back a place last


Owner = tuple[int | None, str]  # a key (None: callers without one) and a segment


class AdmissionControl:
    """A bounded number of places with a bounded, fair queue before it, per worker.

    `target_of` names the model that a request for a model or a tier asks first; `gate` holds limits of single keys.
    """

    def __init__(
        self,
        places: int,
        queue: int,
        timeout_s: float,
        shares: Shares | None = None,
        target_of: Callable[[str, Tier], str] = lambda model, tier: model,
        body_bytes: int = 64_000_000,
        gate: LimitGate | None = None,
    ) -> None:
        self.gate = gate or LimitGate(MemoryWindows())
        self._shares = shares = shares or Shares()
        self._all = places
        self._queue = queue
        self._timeout_s = timeout_s
        self._of_target = min(shares.target or ceil(places * TARGET_SHARE), places)
        self._queue_of_key = ceil(queue * QUEUE_SHARE)
        self._target_of = target_of
        self._keys: dict[int | None, _Held] = {}
        self._segments: Counter[str] = Counter()
        self._seen_segments: set[str] = set()  # two at most: of one alone there is nobody to keep a place for
        self._targets: Counter[str] = Counter()
        self._lines: dict[Owner, deque[asyncio.Future[None]]] = {}  # of who waits; whose turn is next first
        self.bodies = BodyBudget(body_bytes)
        self.waiting = 0
        self.inside = 0

    def place(self, key: int | None = None, segment: str = DEFAULT_SEGMENT) -> AbstractAsyncContextManager[None]:
        """Hold a place; raises RateLimited when the queue is full or the wait too long."""
        return _Place(self, key, segment)

    def target(self, model: str, tier: Tier) -> AbstractContextManager[None]:
        """Hold one of the places of a model that is about to be asked; raises Saturated where it has none left."""
        return _TargetPlace(self._targets, self._target_of(model, tier), self._of_target)

    def is_short(self, model: str, tier: Tier) -> bool:
        """Tell whether a request that has a place should rather not go deep: few places are left, or none of its model.

        Deep answers hold their places longest, so they are the first to stop.
        """
        others = self.inside - 1
        return others >= ceil(self._all * DEEP_SHARE) or self._targets[self._target_of(model, tier)] >= self._of_target

    @property
    def occupancy(self) -> Occupancy:
        """How the places are taken now."""
        return Occupancy(self._all, self.inside, self.waiting, self.bodies.held)

    async def enter(self, key: int | None = None, segment: str = DEFAULT_SEGMENT) -> None:
        """Take a place, as `place` does."""
        held = self._keys.get(key)
        if held is None:
            held = self._keys[key] = _Held()
        if len(self._seen_segments) < 2:
            self._seen_segments.add(segment)
        if (key, segment) in self._lines or not self._is_free_for(held, segment):
            await self._wait((key, segment), held)
        else:
            self._take(held, segment)

    def leave(self, key: int | None = None, segment: str = DEFAULT_SEGMENT) -> None:
        """Give a place back."""
        held = self._keys[key]
        held.inside -= 1
        held.moved_at = monotonic()
        self.inside -= 1
        self._segments[segment] -= 1
        if self._lines:
            self._admit_waiting()
        if len(self._keys) > MOST_KNOWN or len(self._segments) > MOST_KNOWN:
            self._forget_idle()

    def headers(self) -> list[tuple[bytes, bytes]]:
        """The places as OpenAI's rate-limit headers: requests at once, not per minute; nothing limits tokens."""
        free = max(self._all - self.inside, 0)
        return [
            (b"x-ratelimit-limit-requests", b"%d" % self._all),
            (b"x-ratelimit-remaining-requests", b"%d" % free),
            (b"x-ratelimit-reset-requests", b"0s" if free else b"%ds" % RETRY_SECONDS),
        ]

    def _is_free_for(self, held: _Held, segment: str) -> bool:
        free = self._all - self.inside
        if free <= 0 or held.inside >= (self._shares.key or free * KEY_PER_FREE):
            return False
        most = self._shares.segment or (free * SEGMENT_PER_FREE if len(self._seen_segments) > 1 else self._all)
        return self._segments[segment] < most

    def _take(self, held: _Held, segment: str) -> None:
        held.inside += 1
        held.moved_at = monotonic()
        self.inside += 1
        self._segments[segment] += 1

    def _admit_waiting(self) -> None:
        """Give free places to those that wait: one of each line in turn, past those that hold their part already."""
        for owner in list(self._lines):
            if self.inside >= self._all:
                return
            key, segment = owner
            line, held = self._lines[owner], self._keys[key]
            while line and line[0].done():  # gave up, and has not left the line yet
                line.popleft()
            if line and self._is_free_for(held, segment):
                self._take(held, segment)
                line.popleft().set_result(None)
                self._lines[owner] = self._lines.pop(owner)  # to the end: the others come first now
            if not line:
                del self._lines[owner]

    async def _wait(self, owner: Owner, held: _Held) -> None:
        self._check_queue(owner, held)
        place = asyncio.get_running_loop().create_future()
        self._lines.setdefault(owner, deque()).append(place)
        self.waiting += 1
        held.waiting += 1
        try:
            async with asyncio.timeout(self._timeout_s):
                await place
        except BaseException as error:
            self._give_up(owner, place)
            if isinstance(error, TimeoutError):
                raise RateLimited("no place became free in time", retry_after_seconds=5) from None
            raise
        finally:
            self.waiting -= 1
            held.waiting -= 1

    def _give_up(self, owner: Owner, place: "asyncio.Future[None]") -> None:
        """Leave the line, or give back the place that came just now."""
        if place in (line := self._lines.get(owner, deque())):
            line.remove(place)
            if not line:
                del self._lines[owner]
        elif not place.cancelled() and place.exception() is None:
            self.leave(*owner)

    def _check_queue(self, owner: Owner, held: _Held) -> None:
        """Raise RateLimited for who would wait in vain; when all is full the longest line makes room for a shorter."""
        if held.waiting >= self._queue_of_key:
            raise RateLimited(TOO_MANY_WAIT, retry_after_seconds=RETRY_SECONDS)
        if held.inside and monotonic() - held.moved_at > self._timeout_s:
            message = f"{held.inside} requests of this key have been under way for long, and none has ended"
            raise RateLimited(message, retry_after_seconds=ceil(self._timeout_s) or 1)
        if self.waiting < self._queue:
            return
        longest = max(self._lines, key=lambda other: len(self._lines[other]), default=owner)
        if len(self._lines.get(longest, ())) <= len(self._lines.get(owner, ())) + 1:
            raise RateLimited(TOO_MANY_WAIT, retry_after_seconds=RETRY_SECONDS)
        last = self._lines[longest].pop()
        if not last.done():
            message = f"{TOO_MANY_WAIT}, most of them of this key"
            last.set_exception(RateLimited(message, retry_after_seconds=RETRY_SECONDS))

    def _forget_idle(self) -> None:
        """Forget keys and segments of which nothing is under way, once there are many."""
        self._keys = {key: held for key, held in self._keys.items() if held.inside or held.waiting}
        self._segments = Counter({segment: inside for segment, inside in self._segments.items() if inside})


class _Place(AbstractAsyncContextManager[None]):
    """A place while it is held."""

    def __init__(self, admission: AdmissionControl, key: int | None, segment: str) -> None:
        self._admission = admission
        self._key = key
        self._segment = segment

    async def __aenter__(self) -> None:
        await self._admission.enter(self._key, self._segment)

    async def __aexit__(self, *raised: object) -> None:
        self._admission.leave(self._key, self._segment)


class _TargetPlace(AbstractContextManager[None]):
    """A place of one model while it is held."""

    def __init__(self, held: Counter[str], name: str, most: int) -> None:
        self._held = held
        self._name = name
        self._most = most

    def __enter__(self) -> None:
        if self._held[self._name] >= self._most:
            raise Saturated(f"{self._name} has {self._most} requests under way, as many as it is given at once")
        self._held[self._name] += 1

    def __exit__(self, *raised: object) -> None:
        self._held[self._name] -= 1
