"""Idempotency keys: claimed by one request before anything is bought, and kept with its answer for a day.

A claim is a lease: the worker that answers renews it, and where that worker is gone another request of the same key
and body may take it over. Blocking; call it off the event loop. Everything here raises SQLAlchemyError.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import BigInteger, Engine, LargeBinary, and_, bindparam, delete, func, or_, select, update

from router.database.engine import writing
from router.database.replay_tables import ReplayRow
from router.database.upsert import prepare_claim
from router.types import DAY_US

LEASE_US = 30_000_000
KEPT_US = DAY_US
RENEWED_AT_ONCE = 500
ROWS = ReplayRow.metadata.tables[ReplayRow.__tablename__]
OF_NAME = ROWS.c.name == bindparam("of_name")
OF_CLAIM = and_(OF_NAME, ROWS.c.request_id == bindparam("of_request"), ROWS.c.status.is_(None))
FIND = select(ROWS).where(OF_NAME)
KEPT_COLUMNS = ("status", "head", "body", "size", "expires_at")
KEEP = update(ROWS).where(OF_CLAIM).values({name: bindparam(f"to_{name}") for name in KEPT_COLUMNS})
RELEASE = delete(ROWS).where(OF_CLAIM)
RECOUNTED_US = 600_000_000  # what a caller's answers take is counted anew so often; in between each worker adds its own


@dataclass(frozen=True, slots=True)
class ReplayClaim:
    """What one request claims: the hash of caller and key, the hash of what is asked, and its own id."""

    name: bytes
    fingerprint: bytes
    key_id: int | None
    request_id: str


@dataclass(frozen=True, slots=True)
class KeptAnswer:
    """An answer as it went out: status, headers as JSON, and the compressed body, None where it was too large."""

    status: int
    head: str
    body: bytes | None


@dataclass(frozen=True, slots=True)
class Claimed:
    """What stands where a claim should go: another request's claim, with its answer once there is one."""

    request_id: str
    is_same: bool  # the same was asked
    answer: KeptAnswer | None


class Replays:
    """The table of idempotency keys, shared by all workers; `bytes_per_key` bounds the answers of one caller."""

    def __init__(self, engine: Engine, bytes_per_key: int) -> None:
        self._engine = engine
        self._bytes_per_key = bytes_per_key
        asked, now = bindparam("asked", type_=LargeBinary), bindparam("now_us", type_=BigInteger)
        is_left = and_(ROWS.c.status.is_(None), ROWS.c.lease_until <= now, ROWS.c.fingerprint == asked)
        may_take = or_(ROWS.c.expires_at <= now, is_left)
        self._claim = prepare_claim(engine.dialect.name, ReplayRow, ("name",), may_take)
        self._held: dict[int | None, tuple[int, int]] = {}  # bytes of a caller, and when they were counted

    def claim(self, claim: ReplayClaim, now_us: int) -> Claimed | None:
        """Claim a key for a request, by one statement; returns what stands there already, None where it is claimed."""
        taken = {
            "key_id": claim.key_id,
            "fingerprint": claim.fingerprint,
            "request_id": claim.request_id,
            "lease_until": now_us + LEASE_US,
            "expires_at": now_us + KEPT_US,
            "status": None,
            "head": None,
            "body": None,
            "size": 0,
        }
        row = {"name": claim.name, **taken, "asked": claim.fingerprint, "now_us": now_us}
        with writing(self._engine) as connection:
            if connection.execute(self._claim, row).rowcount == 1:
                return None
            found = connection.execute(FIND, {"of_name": claim.name}).one_or_none()
        if found is None:  # released since: whoever asks again finds it free
            return Claimed(claim.request_id, True, None)
        answer = None if found.status is None else KeptAnswer(found.status, found.head, found.body)
        return Claimed(found.request_id, found.fingerprint == claim.fingerprint, answer)

    def renew(self, claims: Sequence[ReplayClaim], now_us: int) -> None:
        """Renew the leases of requests that are under way."""
        for start in range(0, len(claims), RENEWED_AT_ONCE):
            ids = [claim.request_id for claim in claims[start : start + RENEWED_AT_ONCE]]
            is_under_way = and_(ReplayRow.request_id.in_(ids), ReplayRow.status.is_(None))
            with writing(self._engine) as connection:
                connection.execute(update(ReplayRow).where(is_under_way).values(lease_until=now_us + LEASE_US))

    def keep(self, claim: ReplayClaim, answer: KeptAnswer, now_us: int) -> None:
        """Keep the answer of a claim for a day; nothing where the claim is not this request's any more.

        Of a caller whose answers take as much as they may, only that there was one is kept.
        """
        body = answer.body if self._has_room(claim.key_id, len(answer.body or b""), now_us) else None
        kept = (answer.status, answer.head, body, len(body or b""), now_us + KEPT_US)
        values = {f"to_{name}": value for name, value in zip(KEPT_COLUMNS, kept, strict=True)}
        with writing(self._engine) as connection:
            connection.execute(KEEP, {**values, **_of(claim)})

    def release(self, claim: ReplayClaim) -> None:
        """Let go of a claim that nothing came of: the next request of its key begins anew."""
        with writing(self._engine) as connection:
            connection.execute(RELEASE, _of(claim))

    def _has_room(self, key_id: int | None, size: int, now_us: int) -> bool:
        """Add to what a caller's answers take, as this worker knows it."""
        held, counted_at = self._held.get(key_id, (0, 0))
        if now_us - counted_at > RECOUNTED_US:
            query = select(func.coalesce(func.sum(ReplayRow.size), 0)).where(ReplayRow.key_id == key_id)
            with self._engine.connect() as connection:
                held, counted_at = int(connection.execute(query).scalar_one()), now_us
        has_room = held + size <= self._bytes_per_key
        self._held[key_id] = (held + size if has_room else held), counted_at
        return has_room


def _of(claim: ReplayClaim) -> dict[str, object]:
    return {"of_name": claim.name, "of_request": claim.request_id}
