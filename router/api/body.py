"""Reading a request body: bounded in size and in time, and all bodies of a worker together in bytes.

Bytes are claimed before they are read: what a client announces, or of what comes in chunks each as it comes. A claim is
held until its request is answered, for so long lives what was read.
"""

import asyncio
from contextlib import AbstractContextManager

from starlette.types import Message, Receive, Scope

from router.api.presence import presence_of
from router.errors import InvalidRequest, RateLimited, Saturated, TooLarge, TooSlow
from router.settings import ServerSettings

SMALL_BYTES = 1_048_576
RESERVE_SHARE = 0.125  # of the bytes in flight, kept free for bodies that are small
KEY_SHARE = 0.5
RETRY_AFTER_SECONDS = 2
UNBOUNDED = 1 << 62


class ClientGone(Exception):
    """The client went away before its request was complete."""


class BodyBudget:
    """The bytes of bodies in flight in one worker: `most` together, half of them for one key.

    A last part is kept for small bodies. The only large body, of the worker or of its key, is always let through.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._of_one = most * KEY_SHARE
        self._small = 0
        self._large = 0
        self._of_key: dict[int | None, int] = {}

    def claim(self, key: int | None = None) -> "BodyClaim":
        """Begin a claim, of no bytes yet, for a caller."""
        return BodyClaim(self, key)

    @property
    def held(self) -> int:
        """How many bytes are in flight."""
        return self._small + self._large

    def take(self, key: int | None, size: int, before: int) -> None:
        """Let a body grow from `before` to `size` bytes; raises RateLimited or Saturated, and takes nothing then."""
        others_of_key = self._of_key.get(key, 0) - before
        if size <= SMALL_BYTES and others_of_key + size <= self._of_one and self.held - before + size <= self._most:
            self._small += size - before
            self._of_key[key] = others_of_key + size
            return
        if others_of_key and others_of_key + size > self._of_one:
            message = "the bodies of this key's requests under way are too large together"
            raise RateLimited(message, retry_after_seconds=RETRY_AFTER_SECONDS)
        small, large = self._small, self._large
        if before > SMALL_BYTES:
            large -= before
        else:
            small -= before
        if size > SMALL_BYTES:
            is_full = large > 0 and small + large + size > self._most * (1 - RESERVE_SHARE)
        else:
            is_full = small + large + size > self._most and small + size > self._most * RESERVE_SHARE
        if is_full:
            raise Saturated("the bodies of the requests under way are too large together")
        self._put(-before, before > SMALL_BYTES)
        self._put(size, size > SMALL_BYTES)
        self._of_key[key] = others_of_key + size

    def give_back(self, key: int | None, size: int) -> None:
        """Take a body out of the books."""
        self._put(-size, size > SMALL_BYTES)
        left = self._of_key.get(key, 0) - size
        if left:
            self._of_key[key] = left
        else:
            self._of_key.pop(key, None)

    def _put(self, size: int, is_large: bool) -> None:
        if is_large:
            self._large += size
        else:
            self._small += size


class BodyClaim(AbstractContextManager["BodyClaim"]):
    """The bytes of one body; given back at the end of its request."""

    def __init__(self, budget: BodyBudget, key: int | None) -> None:
        self._budget = budget
        self._key = key
        self._bytes = 0

    def grow(self, size: int) -> None:
        """Make sure of so many bytes in all; raises RateLimited or Saturated."""
        if size > self._bytes:
            self._budget.take(self._key, size, self._bytes)
            self._bytes = size

    def __exit__(self, *raised: object) -> None:
        self._budget.give_back(self._key, self._bytes)
        self._bytes = 0


async def read_body(
    scope: Scope, receive: Receive, *, max_bytes: int, timeout_s: float, claim: BodyClaim | None = None
) -> bytes:
    """Return the whole body; raises TooLarge, TooSlow, InvalidRequest or ClientGone, and what `claim` does."""
    claim = claim or BodyBudget(UNBOUNDED).claim()
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit():
            if int(value) > max_bytes:
                raise TooLarge(f"the body is larger than {max_bytes} bytes", param="body")
            claim.grow(int(value))
        if name == b"content-encoding" and value.lower() != b"identity":
            raise InvalidRequest("send the body without content-encoding", param="content-encoding")
    client = presence_of(scope)
    # What is there already needs no timer.
    is_there = client is not None and client.has_sent_all
    message = _piece_of(await receive()) if is_there else await _receive_piece(receive, timeout_s)
    claim.grow(len(_check_size(message[0], max_bytes)))
    if not message[1]:
        return message[0]
    parts, size = [message[0]], len(message[0])
    deadline = asyncio.get_running_loop().time() + timeout_s
    while message[1]:
        message = await _receive_piece(receive, deadline - asyncio.get_running_loop().time())
        size += len(message[0])
        if size > max_bytes:
            raise TooLarge(f"the body is larger than {max_bytes} bytes", param="body")
        claim.grow(size)
        parts.append(message[0])
    return b"".join(parts)


async def read_body_of(server: ServerSettings, scope: Scope, receive: Receive, claim: BodyClaim) -> bytes:
    """Return the whole body, within what the server's settings allow; raises what `read_body` does."""
    return await read_body(
        scope, receive, max_bytes=server.max_body_bytes, timeout_s=server.read_timeout_s, claim=claim
    )


async def _receive_piece(receive: Receive, timeout_s: float) -> tuple[bytes, bool]:
    """Return the next piece of the body and whether more is to come."""
    try:
        async with asyncio.timeout(timeout_s):
            message = await receive()
    except TimeoutError:
        raise TooSlow("the body did not arrive in time") from None
    return _piece_of(message)


def _piece_of(message: Message) -> tuple[bytes, bool]:
    """Return a piece of the body and whether more is to come; raises ClientGone."""
    if message["type"] == "http.disconnect":
        raise ClientGone
    return message.get("body", b""), message.get("more_body", False)


def _check_size(body: bytes, max_bytes: int) -> bytes:
    if len(body) > max_bytes:
        raise TooLarge(f"the body is larger than {max_bytes} bytes", param="body")
    return body
