"""`Idempotency-Key`: the same key and body get the same answer and one bill, whatever became of the connection.

A key is claimed before anything is bought and kept with its answer for a day, for one caller, in a table that all
workers and replicas share. What is used up is the money: where nothing was spent the claim is let go, and the next
request of the key begins anew; else the answer is kept, an error too, and goes out again. A client that leaves does not
stop an answer that has a key, for it will ask for it again. A worker that is gone stops renewing its claims.
"""

import asyncio
import re
import zlib
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from hashlib import blake2b

import msgspec
from starlette.types import Message, Scope

from router.api.asgi import KEEP_ALIVE, RawHeaders
from router.api.auth import IDEMPOTENCY_HEADER, Caller
from router.api.writer import ResponseWriter
from router.database.engine import off_loop
from router.errors import Conflict, InvalidRequest, Unavailable
from router.exchange import Exchange
from router.ledger.replays import Claimed, KeptAnswer, ReplayClaim, Replays
from router.tiers.calls import ProviderCall
from router.types import CallStatus, Precision, Usage

KEY = re.compile(r"[\x21-\x7e]{1,255}")
MOST_BYTES = 4_000_000  # of one answer, compressed
RENEW_EVERY_S, REPEAT_EVERY_S = 5.0, 1.0
KEEPING_S = 2.0  # that an answer waits for being kept
LONGEST_WAIT_S = 10  # that a client is asked to wait before it asks again
KEPT_HEADERS = frozenset((b"content-type", b"cache-control", b"x-accel-buffering", b"x-request-id", b"x-should-retry"))
OUR_HEADERS = b"x-tierwise-"
STOPPED_BY_US = frozenset(("shutting_down",))
_NO_USAGE = Usage()


class Idempotency:
    """The claims of this worker: those under way, whose leases it renews, and those whose end is not written yet."""

    def __init__(self, table: Replays, now_us: Callable[[], int]) -> None:
        self._table = table
        self._now_us = now_us
        self._under_way: dict[bytes, Recording] = {}
        self._renewing: asyncio.Task[None] | None = None

    async def begin(self, scope: Scope, caller: Caller, body: bytes, writer: ResponseWriter) -> bool:
        """Claim the key of a request, and record its answer; False where an earlier one went out again instead.

        Raises InvalidRequest for what is no key, Conflict where the key is under way or was used for something else,
        and Unavailable where it cannot be claimed.
        """
        claim = _claim_of(scope, caller, body, writer.request_id)
        if (mine := self._under_way.get(claim.name)) is not None:
            found: Claimed | None = mine.describe_to(claim)
        else:
            found = await off_loop(lambda: self._table.claim(claim, self._now_us()))
        if found is None:
            writer.record(recording := Recording(self, claim, writer, self._now_us()))
            self._under_way[claim.name] = recording
            if self._renewing is None:
                self._renewing = asyncio.get_running_loop().create_task(self._renew())
            return True
        _require_same(found)
        answer = _require_answer(found, self._now_us())
        head = msgspec.json.decode(answer.head, type=list[tuple[str, str]])
        raw = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in head]
        await writer.replay(found.request_id, answer.status, raw, zlib.decompress(answer.body or b""))
        return False

    async def end(self, recording: "Recording") -> None:
        """Write how a request ended; what cannot be written in time is written later, and the answer goes out."""
        writing = asyncio.ensure_future(self._write(recording))
        try:
            async with asyncio.timeout(KEEPING_S):
                await asyncio.shield(writing)
        except TimeoutError:
            pass

    def drop(self, recording: "Recording") -> None:
        """Renew a claim no longer: it lapses."""
        self._under_way.pop(recording.claim.name, None)

    async def close(self) -> None:
        """Write what is not written yet, as far as that is possible now."""
        await asyncio.gather(*(self._write(one) for one in list(self._under_way.values()) if one.has_ended))

    async def _write(self, recording: "Recording") -> None:
        claim, answer = recording.claim, recording.answer
        try:
            if answer is None:
                await off_loop(lambda: self._table.release(claim))
            else:
                await off_loop(lambda: self._table.keep(claim, answer, self._now_us()))
        except Unavailable:
            return
        self.drop(recording)

    async def _renew(self) -> None:
        """Renew the leases of what is under way, and write what could not be written, while there is any."""
        try:
            while self._under_way:
                unwritten = [one for one in self._under_way.values() if one.has_ended]
                await asyncio.sleep(REPEAT_EVERY_S if unwritten else RENEW_EVERY_S)
                claims = [one.claim for one in self._under_way.values()]
                with suppress(Unavailable):
                    await off_loop(partial(self._table.renew, claims, self._now_us()))
                for recording in unwritten:
                    await self._write(recording)
        finally:
            self._renewing = None


class Recording:
    """What goes out of one claimed request. Its claim ends before the last piece does, so that no retry comes early."""

    def __init__(self, book: Idempotency, claim: ReplayClaim, writer: ResponseWriter, began_us: int) -> None:
        self.claim = claim
        self.has_ended = False
        self.answer: KeptAnswer | None = None  # once it ended, unless the claim is let go
        self._book = book
        self._writer = writer
        self._began_us = began_us
        self._status = 0
        self._head: RawHeaders = []
        self._packing = zlib.compressobj(1)
        self._packed: list[bytes] | None = []
        self._size = 0

    def describe_to(self, other: ReplayClaim) -> Claimed:
        """Say what another request of the same key finds."""
        return Claimed(self.claim.request_id, self.claim.fingerprint == other.fingerprint, self.answer)

    async def note(self, message: Message) -> None:
        """Take note of a message before it goes out, and end the claim before the last."""
        if self.has_ended:
            return
        if message["type"] == "http.response.start":
            self._status, self._head = message["status"], list(message["headers"])
            return
        if (piece := message.get("body", b"")) != KEEP_ALIVE:
            self._add(self._packing.compress(piece))
        if not message.get("more_body", False):
            self._add(self._packing.flush())
            if self._is_kept():
                self.answer = KeptAnswer(self._status, _write_head(self._head), self._body())
            self.has_ended = True
            self._packed = None
            await self._book.end(self)

    def close(self) -> None:
        """End a request that nothing went out of: let it go where nothing was bought, and else let it lapse."""
        if self.has_ended:
            return
        if has_spent(self._writer.exchange) or self._writer.is_accepted:
            self._book.drop(self)
        else:
            self.has_ended = True
            asyncio.ensure_future(self._book.end(self))  # noqa: RUF006 - the book holds it

    def _add(self, packed: bytes) -> None:
        if self._packed is None:
            return
        self._size += len(packed)
        if self._size > MOST_BYTES:
            self._packed = None
        else:
            self._packed.append(packed)

    def _is_kept(self) -> bool:
        """Whether the answer is what the key stands for from now on: one that came, or that was paid for."""
        failed_with = self._writer.failed_with
        if failed_with is None or self._writer.is_accepted:
            return True
        return failed_with not in STOPPED_BY_US and has_spent(self._writer.exchange)

    def _body(self) -> bytes | None:
        return None if self._packed is None else b"".join(self._packed)


def has_spent(exchange: Exchange | None) -> bool:
    """Tell whether anything was bought for a request, or may have been."""
    return exchange is not None and not all(map(_is_free, exchange.calls.made))


def _is_free(call: ProviderCall) -> bool:
    if call.status is CallStatus.NOT_SENT or call.cost_nanousd == 0:
        return True
    metered = call.metered  # of a model without a price
    return metered is not None and metered.precision is Precision.EXACT and metered.usage == _NO_USAGE


def _claim_of(scope: Scope, caller: Caller, body: bytes, request_id: str) -> ReplayClaim:
    """Hash what is asked; raises InvalidRequest. Without the key itself, what is stored compares with nothing."""
    given = [value for name, value in scope["headers"] if name == IDEMPOTENCY_HEADER.encode()]
    key = caller.idempotency_key or ""
    if len(given) != 1 or not KEY.fullmatch(key):
        message = "Idempotency-Key: one header of 1 to 255 visible ASCII characters, such as a UUID"
        raise InvalidRequest(message, param="Idempotency-Key", code="invalid_value")
    named = f"{caller.key_id}\0{key}".encode()
    fingerprint = blake2b(key=blake2b(named, person=b"asked").digest(), digest_size=32)
    ours = sorted(header for header in scope["headers"] if header[0].startswith(OUR_HEADERS))
    for part in (scope["path"].encode(), *(part for header in ours for part in header), body):
        fingerprint.update(len(part).to_bytes(8))
        fingerprint.update(part)
    name = blake2b(named, person=b"named", digest_size=32).digest()
    return ReplayClaim(name, fingerprint.digest(), caller.key_id, request_id)


def _require_same(found: Claimed) -> None:
    if not found.is_same:
        message = (
            "this Idempotency-Key was used within the last day for another request "
            f"({found.request_id}): the path, the body or an x-tierwise header differs; take a new key"
        )
        raise Conflict(message, param="Idempotency-Key", code="idempotency_key_reused")


def _require_answer(found: Claimed, now_us: int) -> KeptAnswer:
    """Return the answer that is kept; raises Conflict where it is not there yet, or was too large."""
    if found.answer is None:
        took_s = (now_us // 1_000 - int(found.request_id[:12], 16)) // 1_000
        raise Conflict(
            f"the request of this Idempotency-Key ({found.request_id}) is under way; send it again then",
            retry_after_seconds=max(1, min(took_s, LONGEST_WAIT_S)),
            param="Idempotency-Key",
            code="idempotency_key_in_use",
        )
    if found.answer.body is None:
        raise Conflict(
            f"the answer to this Idempotency-Key ({found.request_id}) is paid for and was not kept: it is too large, "
            "or all that is kept for this API key is",
            param="Idempotency-Key",
            code="idempotent_answer_not_kept",
        )
    return found.answer


def _write_head(headers: RawHeaders) -> str:
    kept = [pair for pair in headers if pair[0] in KEPT_HEADERS or pair[0].startswith(OUR_HEADERS)]
    return msgspec.json.encode([(name.decode("latin-1"), value.decode("latin-1")) for name, value in kept]).decode()
