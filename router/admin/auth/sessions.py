"""Who is signed in: sessions in the database, shared by all workers. Only hashes of tokens are stored.

A session ends when it was idle too long, when it is too old, when its owner signs out, and when the secret that
opened it is no longer the secret.
"""

import hashlib
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from sqlalchemy import Engine, delete, insert, select, update

from router.admin.auth.secrets import AdminRole, AdminSecret
from router.api.browser.access import csrf_of
from router.database.admin_tables import AdminSession
from router.database.engine import writing

SECOND_US = 1_000_000
TOUCH_EVERY_US = 60 * SECOND_US
KEPT_US = 30 * 86_400 * SECOND_US  # so that an old cookie is told from a forged one
TOKEN_LENGTH = 43  # characters of 32 random bytes


@dataclass(frozen=True, slots=True)
class Session:
    """One person's sign-in. The name is what they called themselves; the role is what their secret proved."""

    token_hash: str
    role: AdminRole
    actor: str
    address: str
    csrf: str


@dataclass(frozen=True, slots=True)
class SessionLimits:
    """How long a session lasts."""

    idle_s: int
    longest_s: int


class UnknownToken(Exception):
    """A cookie that was never given out: forged, or older than what is remembered."""


class Sessions:
    """The sessions in the database; every method blocks."""

    def __init__(
        self,
        engine: Engine,
        admin_secrets: Mapping[AdminRole, AdminSecret],
        limits: SessionLimits,
        now_us: Callable[[], int],
    ) -> None:
        self._engine = engine
        self._admin_secrets = admin_secrets
        self._limits = limits
        self._now_us = now_us

    def open(self, role: AdminRole, actor: str, address: str) -> str:
        """Begin a session and return its token."""
        token, now_us = secrets.token_urlsafe(32), self._now_us()
        row = {
            "token_hash": _hash(token),
            "mark": self._admin_secrets[role].mark(token) or "",
            "role": role,
            "actor": actor,
            "address": address,
            "created_at": now_us,
            "seen_at": now_us,
        }
        with writing(self._engine) as connection:
            connection.execute(delete(AdminSession).where(AdminSession.seen_at < now_us - KEPT_US))
            connection.execute(insert(AdminSession).values(**row))
        return token

    def find(self, token: str) -> Session | None:
        """Return the session of a token, None when it has ended. Raises UnknownToken."""
        if len(token) != TOKEN_LENGTH or not token.isascii():
            raise UnknownToken
        with self._engine.connect() as connection:
            row = connection.execute(
                select(AdminSession.__table__).where(AdminSession.token_hash == _hash(token))
            ).one_or_none()
        if row is None:
            raise UnknownToken
        now_us, role = self._now_us(), AdminRole(row.role)
        mark = self._admin_secrets[role].mark(token)
        is_over = (
            row.ended_at is not None
            or now_us - row.seen_at > self._limits.idle_s * SECOND_US
            or now_us - row.created_at > self._limits.longest_s * SECOND_US
            or mark is None
            or not secrets.compare_digest(mark, row.mark)
        )
        if is_over:
            return None
        if now_us - row.seen_at > TOUCH_EVERY_US:
            with writing(self._engine) as connection:
                connection.execute(update(AdminSession).filter_by(token_hash=row.token_hash).values(seen_at=now_us))
        return Session(row.token_hash, role, row.actor, row.address, csrf_of(token))

    def end(self, session: Session) -> None:
        """End a session now, in all workers."""
        with writing(self._engine) as connection:
            ended = update(AdminSession).filter_by(token_hash=session.token_hash)
            connection.execute(ended.values(ended_at=self._now_us()))


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
