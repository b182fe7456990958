"""Stored responses: what `store: true` keeps, and what later requests find of it."""

import asyncio
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from router.api.chat.response import encode_body
from router.database.engine import off_loop
from router.errors import NotFound, QuotaExhausted, TooLarge
from router.ledger.stored import StoredResponses
from router.types import DAY_US

READ_AT_ONCE = 2  # chains and named items: each may be as large as a body, and is claimed once it is read
RECOUNT_US = 60_000_000  # what a key stores is counted anew so often; in between each worker adds up its own
RESPONSE_ID = re.compile(r"resp_[0-9a-f]{32}")
ITEM_ID = re.compile(r"(?:msg|rs|fc)_([0-9a-f]{32})[0-9a-f]{2,}")


class StoredResponse(msgspec.Struct):
    """A stored response with the items that it answers."""

    response: msgspec.Raw
    input: list[Any]


class _Output(msgspec.Struct):
    output: list[dict[str, Any]]
    previous_response_id: str | None = None


@dataclass(frozen=True, slots=True)
class ChainLimits:
    """How much stored responses may bring into a request, in bytes and in responses, and how much a key may store."""

    most_bytes: int = 20_000_000
    most_responses: int = 500
    bytes_per_key: int = 256_000_000


class ResponseStore:
    """Stored responses, each for the key that stored it. Database work is done off the event loop."""

    def __init__(
        self,
        table: StoredResponses,
        days: int,
        now_us: Callable[[], int],
        limits: ChainLimits | None = None,
        find_job: Callable[[str, int | None], StoredResponse | None] = lambda response_id, key_id: None,
    ) -> None:
        self._find_job = find_job
        self._table = table
        self._days = days
        self._now_us = now_us
        self._limits = limits or ChainLimits()
        self._stored: dict[int | None, tuple[int, int]] = {}  # bytes of a key, and when they were counted
        self._reading = asyncio.Semaphore(READ_AT_ONCE)

    async def reserve(self, response_id: str, key_id: int | None, size: int = 0) -> None:
        """Make a place for a response of at least `size` bytes before it is bought; raises Unavailable.

        Raises QuotaExhausted where the key's responses take as much as it may store.
        """
        now_us = self._now_us()
        held, counted_at = self._stored.get(key_id, (0, 0))
        if now_us - counted_at > RECOUNT_US:
            held, counted_at = await off_loop(lambda: self._table.count_bytes(key_id, now_us)), now_us
        if held + size > self._limits.bytes_per_key:
            self._stored[key_id] = held, counted_at
            raise QuotaExhausted(
                f"the stored responses of this key take {held} bytes, and it may have {self._limits.bytes_per_key}; "
                "delete some, or ask without store: true"
            )
        self._stored[key_id] = held + size, counted_at
        await off_loop(lambda: self._table.reserve(response_id, key_id, now_us))

    async def keep(self, response_id: str, key_id: int | None, response: object, items: list[Any]) -> None:
        """Store a response; raises Unavailable."""
        now_us = self._now_us()
        body = encode_body(StoredResponse(msgspec.Raw(encode_body(response)), items))
        held, counted_at = self._stored.get(key_id, (0, 0))
        self._stored[key_id] = held + len(body), counted_at
        await off_loop(lambda: self._table.keep(response_id, key_id, now_us, now_us + self._days * DAY_US, body))

    async def response(self, response_id: str, key_id: int | None) -> bytes:
        """Return a stored response as it went out; raises NotFound or Unavailable."""
        kept = await off_loop(lambda: self._find(response_id, key_id))
        if kept is None:
            raise NotFound(_missing(response_id), param="response_id")
        return bytes(kept.response)

    async def delete(self, response_id: str, key_id: int | None) -> None:
        """Delete a stored response; raises NotFound or Unavailable."""
        if not await off_loop(lambda: self._table.delete(response_id, key_id, self._now_us())):
            raise NotFound(_missing(response_id), param="response_id")

    async def conversation(self, response_id: str, key_id: int | None, beside: int = 0) -> list[Any]:
        """Return the items of a stored response and of all before it, in order; raises NotFound or Unavailable.

        Raises TooLarge where they and `beside` more bytes are more than a body may be, or the chain is too long.
        """
        async with self._reading:
            turns: list[list[Any]] = await off_loop(lambda: self._turns(response_id, key_id, beside))
        return [item for turn in reversed(turns) for item in turn]

    async def resolve_references(self, items: list[Any], key_id: int | None, beside: int = 0) -> list[Any]:
        """Put stored items in the place of references to them; raises NotFound or Unavailable.

        Raises TooLarge where they and `beside` more bytes are more than a body may be, as often as each is named.
        """
        wanted = {place: item["id"] for place, item in enumerate(items) if _is_reference(item)}
        if not wanted:
            return items
        async with self._reading:
            stored: dict[str, Any] = await off_loop(lambda: self._items(list(wanted.values()), key_id))
        sizes = {item_id: len(encode_body(item)) for item_id, item in stored.items()}
        self._require_room(beside + sum(sizes.get(item_id, 0) for item_id in wanted.values()), "input")
        for place, item_id in wanted.items():
            if item_id not in stored:
                message = f"no stored item has the id {item_id[:128]!r}; only responses with store: true are kept"
                raise NotFound(message, param=f"input[{place}].id")
        return [stored[wanted[place]] if place in wanted else item for place, item in enumerate(items)]

    def _find(self, response_id: str, key_id: int | None) -> StoredResponse | None:
        if not RESPONSE_ID.fullmatch(response_id):
            return None
        body = self._table.find(response_id, key_id, self._now_us())
        if body is None:
            return self._find_job(response_id, key_id)
        return msgspec.json.decode(body, type=StoredResponse)

    def _require_room(self, size: int, param: str) -> None:
        if size > self._limits.most_bytes:
            message = f"with what is stored of it the request is larger than {self._limits.most_bytes} bytes"
            raise TooLarge(message, param=param)

    def _turns(self, response_id: str, key_id: int | None, size: int) -> list[list[Any]]:
        """The items of each turn, the last first; `size` is what stands beside them, in bytes."""
        turns: list[list[Any]] = []
        next_id: str | None = response_id
        while next_id is not None:
            if len(turns) >= self._limits.most_responses:
                message = f"more than {self._limits.most_responses} stored responses stand before this one"
                raise TooLarge(message, param="previous_response_id")
            kept = self._find(next_id, key_id)
            if kept is None:
                raise NotFound(_missing(next_id), param="previous_response_id", code="previous_response_not_found")
            size += len(kept.response) + len(encode_body(kept.input))
            self._require_room(size, "previous_response_id")
            answered = msgspec.json.decode(kept.response, type=_Output)
            turns.append([*kept.input, *answered.output])
            next_id = answered.previous_response_id
        return turns

    def _items(self, item_ids: Sequence[str], key_id: int | None) -> dict[str, Any]:
        matches = [match for item_id in item_ids if (match := ITEM_ID.fullmatch(item_id))]
        items: dict[str, Any] = {}
        for response_id in {f"resp_{match[1]}" for match in matches}:
            kept = self._find(response_id, key_id)
            if kept is not None:
                items |= {item["id"]: item for item in msgspec.json.decode(kept.response, type=_Output).output}
        return items


def _is_reference(item: object) -> bool:
    """Tell whether an item only names one; the type may be left out."""
    if not isinstance(item, dict) or not isinstance(item.get("id"), str):
        return False
    return item.get("type") == "item_reference" or (item.get("type") is None and "role" not in item)


def _missing(response_id: str) -> str:
    return f"no response with the id {response_id[:128]!r} is stored for this key"
