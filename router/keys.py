"""API keys: who may call, as which segment, and what. Only hashes are stored; a key is shown once.

`KeyRing` answers from memory and follows the database: a new or a revoked key counts within two seconds. While the
database is away the keys known so far stay valid, each until it expires.
"""

import asyncio
import hashlib
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from types import MappingProxyType
from typing import Any

import msgspec
from sqlalchemy import BindParameter, Connection, Engine, bindparam, delete, func, insert, or_, select, update
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from router.clock import SystemClock
from router.database.engine import AuditHook, writing
from router.database.replay_tables import ReplayRow
from router.database.tables import ApiKey, OldKeySecret
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


EVERY_MODEL = ("*",)

NOW: BindParameter[int] = bindparam("now_us")
IS_LIVE = (ApiKey.revoked_at.is_(None), or_(ApiKey.expires_at.is_(None), ApiKey.expires_at > NOW))
LIVE_KEYS = select(ApiKey.__table__).where(*IS_LIVE)
REPLACED_SECRETS = (
    select(OldKeySecret.hash, OldKeySecret.key_id, OldKeySecret.valid_until)
    .join(ApiKey, ApiKey.id == OldKeySecret.key_id)
    .where(*IS_LIVE, OldKeySecret.valid_until > NOW)
)


class WrongKey(ValueError):
    """A key cannot be made or found as asked."""


class KeyLimits(msgspec.Struct, frozen=True):
    """What a key may do at once and in a time, and each end user of it; None is no limit. Amounts in nano-dollars.

    `max_tokens` bounds what one answer may be asked to write, `max_n` its choices. Deep answers and their dollars are
    counted by UTC day.
    """

    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    concurrency: int | None = None
    user_requests_per_minute: int | None = None
    user_tokens_per_minute: int | None = None
    user_concurrency: int | None = None
    max_tokens: int | None = None
    max_n: int | None = None
    user_deep_per_day: int | None = None
    user_nanousd_per_day: int | None = None

    @property
    def has_allowance(self) -> bool:
        """Whether end users have an allowance of deep answers."""
        return self.user_deep_per_day is not None or self.user_nanousd_per_day is not None

    def with_own(self, own: Mapping[str, int | None]) -> "KeyLimits":
        """Return these limits with a key's own, which beat them; None among them lifts one."""
        return msgspec.structs.replace(self, **own) if own else self


NO_LIMITS = KeyLimits()
LIMIT_NAMES = KeyLimits.__struct_fields__
MAY_BE_NOTHING = frozenset({"user_deep_per_day", "user_nanousd_per_day"})


@dataclass(frozen=True, slots=True)
class KnownKey:
    """One API key, as the data plane knows it."""

    id: int
    name: str
    segment: str = DEFAULT_SEGMENT
    scopes: frozenset[Scope] = frozenset(NEW_KEY_SCOPES)
    allowed_tiers: frozenset[Tier] = field(default_factory=lambda: frozenset(Tier))
    max_cost_nanousd: int | None = None  # of one request
    allowed_models: frozenset[str] | None = None  # of those with names of their own; None: all
    limits: KeyLimits = NO_LIMITS
    valid_until: int | None = None  # that is, of the secret that it was found by


class KeyRing:
    """The keys that are valid now, by the hash of their secret; `defaults` are limits that a key's own beat."""

    def __init__(
        self, engine: Engine, defaults: KeyLimits = NO_LIMITS, now_us: Callable[[], int] | None = None
    ) -> None:
        self.defaults = defaults
        self._now_us = now_us or SystemClock().now_us
        self._engine = engine
        self._keys: Mapping[str, KnownKey] = MappingProxyType({})
        self._is_loaded = False
        self._begun = self._ended = 0  # readings for somebody who waits
        self._is_away = False
        self._loading: asyncio.Lock | None = None

    async def find(self, secret: str) -> KnownKey | None:
        """Return the key of a secret; one not seen before is looked up. Raises Unavailable if that cannot be done."""
        return await self.find_hashed(hash_of(secret), is_of_our_form=secret.startswith(KEY_PREFIX))

    async def find_hashed(self, digest: str, *, is_of_our_form: bool = True) -> KnownKey | None:
        """Return the key of a secret's hash; one not seen before is looked up if it may be ours. Raises as `find`."""
        key = self._keys.get(digest)
        if key is None and is_of_our_form:
            key = await self._look_up(digest)
        if key is not None and key.valid_until is not None and key.valid_until <= self._now_us():
            return None
        return key

    async def has_live(self) -> bool:
        """Tell whether there is any valid key; raises Unavailable while it was never possible to look."""
        if not self._is_loaded:
            await self._load()
        return bool(self._keys)

    def refresh(self, engine: Engine | None = None) -> None:
        """Read the valid keys again, from the books or elsewhere; blocks, so call it off the event loop."""
        self._keys = MappingProxyType(valid_keys(engine or self._engine, self._now_us(), self.defaults))
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


def valid_keys(engine: Engine, now_us: int, defaults: KeyLimits = NO_LIMITS) -> dict[str, KnownKey]:
    """Read every key that is neither revoked nor expired, by the hash of each secret that opens it."""
    with engine.connect() as connection:
        rows = connection.execute(LIVE_KEYS, {"now_us": now_us}).all()
        old = connection.execute(REPLACED_SECRETS, {"now_us": now_us}).all()
    by_id = {row.id: (row.hash, _read_key(row, defaults)) for row in rows}
    valid = dict(by_id.values())
    for secret in old:
        if secret.key_id in by_id:
            _, key = by_id[secret.key_id]
            ends = [at for at in (key.valid_until, secret.valid_until) if at is not None]
            valid[secret.hash] = replace(key, valid_until=min(ends))
    return valid


def _read_key(row: Any, defaults: KeyLimits) -> KnownKey:
    own = {name: value for name, value in (row.limits or {}).items() if name in LIMIT_NAMES}
    return KnownKey(
        row.id,
        row.name,
        row.segment,
        frozenset(Scope(scope) for scope in row.scopes),
        frozenset(Tier(tier) for tier in row.allowed_tiers),
        row.max_cost_nanousd,
        None if row.allowed_models is None else frozenset(row.allowed_models),
        NO_LIMITS if (limits := defaults.with_own(own)) == NO_LIMITS else limits,
        row.expires_at,
    )


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
    allowed_models: Sequence[str] | None = None,
    expires_at: int | None = None,
    limits: Mapping[str, int | None] | None = None,
) -> str:
    """Make a key and return its secret, which is stored nowhere; raises WrongKey.

    `allowed_models` are those with names of their own that it may name; unset: all for a key that may use every tier,
    none for others. EVERY_MODEL stands for all.
    """
    if not name or len(name) > 128:
        raise WrongKey("a key's name is 1 to 128 characters long")
    if not SEGMENT_NAME.fullmatch(segment):
        raise WrongKey(f"segment {segment!r}: 1 to 64 of a-z 0-9 _ -")
    if not allowed_tiers:
        raise WrongKey("a key without any tier opens nothing")
    if max_cost_nanousd is not None and max_cost_nanousd <= 0:
        raise WrongKey("what one request may cost is above 0")
    if allowed_models is None:
        allowed_models = EVERY_MODEL if set(allowed_tiers) == set(Tier) else ()
    _check_expiry(expires_at, now_us)
    _check_limits(limits or {})
    secret, hidden = _new_secret()
    row = {
        "name": name,
        **hidden,
        "segment": segment,
        "scopes": sorted(set(scopes)),
        "allowed_tiers": sorted(set(allowed_tiers)),
        "created_at": now_us,
        "max_cost_nanousd": max_cost_nanousd,
        "allowed_models": write_models(allowed_models),
        "expires_at": expires_at,
        "limits": dict(limits) if limits else None,
    }
    try:
        with writing(engine) as connection:
            connection.execute(insert(ApiKey).values(**row))
            if hook is not None:
                told = ["prefix", "segment", "scopes", "allowed_tiers"]
                told += [
                    n for n in ("max_cost_nanousd", "allowed_models", "expires_at", "limits") if row[n] is not None
                ]
                hook(connection, None, {name: row[name] for name in told})
    except IntegrityError:
        raise WrongKey(f"there is a key named {name!r} already") from None
    return secret


def write_models(allowed: Sequence[str]) -> list[str] | None:
    """Write which models a key may name as it is stored: None for all."""
    return None if tuple(allowed) == EVERY_MODEL else sorted(set(allowed))


def rotate(engine: Engine, name: str, *, overlap_us: int, now_us: int, hook: AuditHook | None = None) -> str:
    """Give a key a new secret and return it; the old one stays valid for the overlap. Raises WrongKey."""
    if overlap_us < 0:
        raise WrongKey("an overlap is not negative")
    secret, hidden = _new_secret()
    with writing(engine) as connection:
        key = _find(connection, name)
        if key.expires_at is not None and key.expires_at <= now_us:
            raise WrongKey(f"the key {name!r} has expired")
        connection.execute(delete(OldKeySecret).where(OldKeySecret.valid_until <= now_us))
        if overlap_us:
            old = {"hash": key.hash, "key_id": key.id, "prefix": key.prefix, "valid_until": now_us + overlap_us}
            connection.execute(insert(OldKeySecret).values(**old))
        connection.execute(update(ApiKey).where(ApiKey.id == key.id).values(**hidden))
        if hook is not None:
            until = now_us + overlap_us
            hook(connection, {"prefix": key.prefix}, {"prefix": hidden["prefix"], "old_valid_until": until})
    return secret


def change(
    engine: Engine,
    name: str,
    changes: Mapping[str, Any],
    *,
    now_us: int,
    limits: Mapping[str, int | None] | None = None,
    inherited: Sequence[str] = (),
    hook: AuditHook | None = None,
) -> None:
    """Change what a key may do: `allowed_models`, `expires_at`, and single limits; raises WrongKey.

    Limits that are `inherited` are taken off the key: what is configured for all keys holds again.
    """
    _check_limits(limits or {})
    if "expires_at" in changes:
        _check_expiry(changes["expires_at"], now_us)
    with writing(engine) as connection:
        key = _find(connection, name)
        own = {**(key.limits or {}), **(limits or {})}
        values = {**changes, "limits": {name: own[name] for name in own if name not in inherited} or None}
        connection.execute(update(ApiKey).where(ApiKey.id == key.id).values(**values))
        if hook is not None:
            hook(connection, {name: getattr(key, name) for name in values}, values)


def id_of(engine: Engine, name: str) -> int:
    """Return the number of a valid key; raises WrongKey."""
    with engine.connect() as connection:
        return int(_find(connection, name).id)


def list_keys(engine: Engine) -> list[dict[str, Any]]:
    """List all keys, revoked ones too, without their hashes; `old_valid_until` is of a secret that was replaced."""
    until = (
        select(func.max(OldKeySecret.valid_until))
        .where(OldKeySecret.key_id == ApiKey.id)
        .scalar_subquery()
        .label("old_valid_until")
    )
    with engine.connect() as connection:
        rows = connection.execute(select(ApiKey.__table__, until).order_by(ApiKey.id)).mappings().all()
    return [
        {
            **{name: value for name, value in row.items() if name != "hash"},
            "scopes": ",".join(row["scopes"]),
            "allowed_tiers": ",".join(row["allowed_tiers"]),
            "allowed_models": "all" if row["allowed_models"] is None else ",".join(row["allowed_models"]) or "none",
            "limits": row["limits"] or {},
        }
        for row in rows
    ]


def revoke(engine: Engine, name: str, *, now_us: int, hook: AuditHook | None = None) -> None:
    """Revoke a key with every secret of it, and what is kept for its retries; raises WrongKey for no valid key."""
    with writing(engine) as connection:
        wanted = update(ApiKey).where(ApiKey.name == name, ApiKey.revoked_at.is_(None)).values(revoked_at=now_us)
        if connection.execute(wanted).rowcount == 0:
            raise WrongKey(f"there is no valid key named {name!r}")
        of_key = select(ApiKey.id).where(ApiKey.name == name)
        connection.execute(delete(OldKeySecret).where(OldKeySecret.key_id.in_(of_key)))
        connection.execute(delete(ReplayRow).where(ReplayRow.key_id.in_(of_key)))
        if hook is not None:
            hook(connection, {"revoked": False}, {"revoked": True})


def _new_secret() -> tuple[str, dict[str, str]]:
    """Make a secret, and what is stored of it."""
    secret = KEY_PREFIX + secrets.token_urlsafe(32)
    return secret, {"hash": hash_of(secret), "prefix": secret[: len(KEY_PREFIX) + SHOWN_CHARACTERS]}


def _find(connection: Connection, name: str) -> Any:
    key = connection.execute(select(ApiKey.__table__).where(ApiKey.name == name)).one_or_none()
    if key is None or key.revoked_at is not None:
        raise WrongKey(f"there is no valid key named {name!r}")
    return key


def _check_expiry(expires_at: int | None, now_us: int) -> None:
    if expires_at is not None and expires_at <= now_us:
        raise WrongKey("a key expires in the future")


def _check_limits(limits: Mapping[str, int | None]) -> None:
    for name, value in limits.items():
        if name not in LIMIT_NAMES:
            raise WrongKey(f"there is no limit {name!r}")
        if value is not None and value < (0 if name in MAY_BE_NOTHING else 1):
            raise WrongKey(f"{name.replace('_', ' ')}: a limit is above 0")
