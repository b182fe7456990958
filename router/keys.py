"""API keys: who may call, as which segment, and what. Only hashes are stored; a key is shown once.

`KeyRing` answers from memory and follows the database: a new or a revoked key counts within two seconds. While the
database is away the keys known so far stay valid.
"""

import asyncio
import hashlib
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType

from sqlalchemy import Engine, insert, select, update
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from router.database.engine import AuditHook, writing
from router.database.tables import ApiKey
from router.errors import Unavailable
from router.types import DEFAULT_SEGMENT, SEGMENT_NAME, Tier

KEY_PREFIX = "tw-"
SHOWN_CHARACTERS = 8


class Scope(StrEnum):
    """What a key opens."""

    CHAT = "chat"
    FEEDBACK = "feedback"
    REVENUE = "revenue"
    METRICS = "metrics"
    ASSIGN = "assign"


NEW_KEY_SCOPES = (Scope.CHAT, Scope.FEEDBACK)


class WrongKey(ValueError):
    """A key cannot be made or found as asked."""


@dataclass(frozen=True, slots=True)
class KnownKey:
    """One API key, as the data plane knows it."""

    id: int
    name: str
    segment: str = DEFAULT_SEGMENT
    scopes: frozenset[Scope] = frozenset(NEW_KEY_SCOPES)
    allowed_tiers: frozenset[Tier] = field(default_factory=lambda: frozenset(Tier))
    max_cost_nanousd: int | None = None  # of one request


class KeyRing:
    """The keys that are valid now, by the hash of their secret."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._keys: Mapping[str, KnownKey] = MappingProxyType({})
        self._is_loaded = False
        self._begun = self._ended = 0  # readings for somebody who waits
        self._is_away = False
        self._loading: asyncio.Lock | None = None

    async def find(self, secret: str) -> KnownKey | None:
        """Return the key of a secret; one not seen before is looked up. Raises Unavailable if that cannot be done."""
        digest = hash_of(secret)
        key = self._keys.get(digest)
        if key is None and secret.startswith(KEY_PREFIX):
            key = await self._look_up(digest)
        return key

    async def has_live(self) -> bool:
        """Tell whether there is any valid key; raises Unavailable while it was never possible to look."""
        if not self._is_loaded:
            await self._load()
        return bool(self._keys)

    def refresh(self) -> None:
        """Read the valid keys again; blocks, so call it off the event loop."""
        self._keys = MappingProxyType(valid_keys(self._engine))
        self._is_loaded = True

    async def _look_up(self, digest: str) -> KnownKey | None:
        await self._load()
        return self._keys.get(digest)

    async def _load(self) -> None:
        """Read the keys now; a reading that began after somebody asked serves them too. Raises Unavailable."""
        asked_after = self._begun
        self._loading = self._loading or asyncio.Lock()
        async with self._loading:
            if self._ended <= asked_after:
                self._begun += 1
                try:
                    await asyncio.to_thread(self.refresh)
                    self._is_away = False
                except SQLAlchemyError:
                    self._is_away = True
                finally:
                    self._ended = self._begun
            if self._is_away:
                raise Unavailable("API keys cannot be checked now: the database is away")


def hash_of(secret: str) -> str:
    """Hash a key for storage: keys are 256 random bits, so one round of SHA-256 is enough."""
    return hashlib.sha256(secret.encode()).hexdigest()


def valid_keys(engine: Engine) -> dict[str, KnownKey]:
    """Read every key that is not revoked."""
    with engine.connect() as connection:
        rows = connection.execute(select(ApiKey.__table__).where(ApiKey.revoked_at.is_(None))).all()
    return {
        row.hash: KnownKey(
            row.id,
            row.name,
            row.segment,
            frozenset(Scope(scope) for scope in row.scopes),
            frozenset(Tier(tier) for tier in row.allowed_tiers),
            row.max_cost_nanousd,
        )
        for row in rows
    }


def create(
    engine: Engine,
    name: str,
    *,
    segment: str,
    scopes: Sequence[Scope],
    allowed_tiers: Sequence[Tier],
    now_us: int,
    hook: AuditHook | None = None,
    max_cost_nanousd: int | None = None,
) -> str:
    """Make a key and return its secret, which is stored nowhere; raises WrongKey."""
    if not name or len(name) > 128:
        raise WrongKey("a key's name is 1 to 128 characters long")
    if not SEGMENT_NAME.fullmatch(segment):
        raise WrongKey(f"segment {segment!r}: 1 to 64 of a-z 0-9 _ -")
    if not allowed_tiers:
        raise WrongKey("a key without any tier opens nothing")
    if max_cost_nanousd is not None and max_cost_nanousd <= 0:
        raise WrongKey("what one request may cost is above 0")
    secret = KEY_PREFIX + secrets.token_urlsafe(32)
    row = {
        "name": name,
        "hash": hash_of(secret),
        "prefix": secret[: len(KEY_PREFIX) + SHOWN_CHARACTERS],
        "segment": segment,
        "scopes": sorted(set(scopes)),
        "allowed_tiers": sorted(set(allowed_tiers)),
        "created_at": now_us,
        "max_cost_nanousd": max_cost_nanousd,
    }
    try:
        with writing(engine) as connection:
            connection.execute(insert(ApiKey).values(**row))
            if hook is not None:
                told = (
                    "prefix",
                    "segment",
                    "scopes",
                    "allowed_tiers",
                    *(["max_cost_nanousd"] if max_cost_nanousd else []),
                )
                hook(connection, None, {name: row[name] for name in told})
    except IntegrityError:
        raise WrongKey(f"there is a key named {name!r} already") from None
    return secret


def list_keys(engine: Engine) -> list[dict[str, object]]:
    """List all keys, revoked ones too, without their hashes."""
    with engine.connect() as connection:
        rows = connection.execute(select(ApiKey.__table__).order_by(ApiKey.id)).mappings().all()
    return [{**row, "scopes": ",".join(row["scopes"]), "allowed_tiers": ",".join(row["allowed_tiers"])} for row in rows]


def revoke(engine: Engine, name: str, *, now_us: int, hook: AuditHook | None = None) -> None:
    """Revoke a key; raises WrongKey when there is no valid one of this name."""
    with writing(engine) as connection:
        wanted = update(ApiKey).where(ApiKey.name == name, ApiKey.revoked_at.is_(None)).values(revoked_at=now_us)
        if connection.execute(wanted).rowcount == 0:
            raise WrongKey(f"there is no valid key named {name!r}")
        if hook is not None:
            hook(connection, {"revoked": False}, {"revoked": True})
