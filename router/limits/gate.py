"""Lets a request in as far as the limits of its key and of its end user allow: at once, and in a minute.

A request is counted when it comes, its input tokens (estimated from its size) too; what an answer used beyond that is
counted when it ends. Without limits nothing here is asked.
"""

from collections import Counter
from collections.abc import Mapping
from math import ceil
from typing import NamedTuple

from router.errors import InvalidRequest, RateLimited
from router.keys import KeyLimits
from router.limits.windows import Windows

TOO_LARGE = "this request alone has more tokens than"


class RateState(NamedTuple):
    """How a limit per minute stands: what may be done in it, what is left, and in how many seconds it begins anew."""

    limit: int
    left: int
    ends_in_s: float


class Permit:
    """One request that was let in; closed once it has ended."""

    def __init__(self, gate: "LimitGate") -> None:
        self.rates: dict[str, RateState] = {}  # `requests` and `tokens`, whichever are limited
        self._gate = gate
        self._at_once: list[str] = []
        self._tokens: list[str] = []
        self._counted_tokens = 0

    def headers(self) -> Mapping[str, str]:
        """The limits per minute as OpenAI's headers: of key and end user the one with less left."""
        told = {}
        for unit, (limit, left, ends_in_s) in self.rates.items():
            told[f"x-ratelimit-limit-{unit}"] = str(limit)
            told[f"x-ratelimit-remaining-{unit}"] = str(left)
            told[f"x-ratelimit-reset-{unit}"] = f"{ceil(ends_in_s)}s"
        return told

    def close(self, tokens: int) -> None:
        """Note that the request has ended and how many tokens it used in all; the second time changes nothing."""
        self._gate.leave(self._at_once)
        self._at_once = []
        for name in self._tokens if tokens > self._counted_tokens else ():
            self._gate.windows.note(name, tokens - self._counted_tokens)
        self._tokens = []

    async def enter(self, names: tuple[str, str | None], limits: KeyLimits, input_tokens: int) -> None:
        """Take what the limits ask for; raises RateLimited, and is to be closed then too."""
        key, user = names
        self._enter_at_once(key, limits.concurrency, "the key")
        if user is not None:
            self._enter_at_once(user, limits.user_concurrency, "this user")
        await self._count("requests", key, limits.requests_per_minute, 1, "the key")
        await self._count("tokens", key, limits.tokens_per_minute, input_tokens, "the key")
        if user is not None:
            await self._count("requests", user, limits.user_requests_per_minute, 1, "this user")
            await self._count("tokens", user, limits.user_tokens_per_minute, input_tokens, "this user")
        self._counted_tokens = input_tokens

    def _enter_at_once(self, name: str, limit: int | None, whose: str) -> None:
        if limit is None:
            return
        if self._gate.inside[name] >= limit:
            raise RateLimited(f"{whose} may have {limit} requests at once", retry_after_seconds=1)
        self._gate.inside[name] += 1
        self._at_once.append(name)

    async def _count(self, unit: str, name: str, limit: int | None, amount: int, whose: str) -> None:
        if limit is None:
            return
        counter = f"{name}:{unit}"
        counted, ends_in_s = await self._gate.windows.add(counter, amount)
        is_over = counted > limit
        if is_over:
            self._gate.windows.note(counter, -amount)
            counted -= amount
        known, left = self.rates.get(unit), max(limit - counted, 0)
        if known is None or is_over or left < known.left:
            self.rates[unit] = RateState(limit, left, ends_in_s)
        if is_over:
            said = f"{whose} may use {limit} {unit} a minute"
            raise RateLimited(
                f"{TOO_LARGE} {said}" if amount > limit else said, retry_after_seconds=max(ceil(ends_in_s), 1)
            )
        if unit == "tokens":
            self._tokens.append(counter)


class LimitGate:
    """The limits of one worker: who is inside, and the windows of a minute."""

    def __init__(self, windows: Windows) -> None:
        self.windows = windows
        self.inside: Counter[str] = Counter()

    def permit(self) -> Permit:
        """Make the permit of a request, which enters with it."""
        return Permit(self)

    def leave(self, names: list[str]) -> None:
        """Take one request out of each of these."""
        for name in names:
            self.inside[name] -= 1
            if not self.inside[name]:
                del self.inside[name]


def names_of(key_id: int | None, user: int | str | None) -> tuple[str, str | None]:
    """Name what a key and its end user are counted by; a mark, so that no storage knows who it is."""
    key = f"key {key_id}"
    return key, None if user is None else f"{key} user {user}"


def require_bounds(limits: KeyLimits, *, n: int, max_visible: int | None, max_output: int | None) -> None:
    """Raise InvalidRequest for more choices or tokens than one request of the key may ask for."""
    if limits.max_n is not None and n > limits.max_n:
        raise InvalidRequest(f"n: this key may ask for {limits.max_n} choices", param="n", code="invalid_value")
    for param, asked in (("max_tokens", max_visible), ("max_completion_tokens", max_output)):
        if limits.max_tokens is not None and asked is not None and asked > limits.max_tokens:
            says = f"{asked}: this key may ask for {limits.max_tokens} tokens"
            raise InvalidRequest(says, param=param, code="invalid_value")
