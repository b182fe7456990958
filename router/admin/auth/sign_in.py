"""Signing in and out: which secret opens what. argon2 runs in threads, two at a time, behind the rate limit."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from hmac import compare_digest
from secrets import token_urlsafe

from sqlalchemy import Engine

from router.admin import audit
from router.admin.auth.access import SignInRate
from router.admin.auth.secrets import AdminRole, AdminSecret
from router.admin.auth.sessions import Session, SessionLimits, Sessions
from router.admin.services import Services
from router.admin.threads import Threads
from router.database.engine import writing
from router.errors import InvalidRequest, RequestError

AT_ONCE = 2  # each takes 64 MiB on purpose
LONGEST_NAME = 80
LONGEST_REMEMBERED = 200


class WrongSecret(RequestError):
    """The secret opens nothing."""

    status = 401


@dataclass(frozen=True, slots=True)
class SignIn:
    """The secrets of the roles, the rate of tries, and the sessions behind them."""

    engine: Engine
    now_us: Callable[[], int]
    secrets: Mapping[AdminRole, AdminSecret]
    sessions: Sessions
    threads: Threads = field(default_factory=Threads)
    rate: SignInRate = field(default_factory=SignInRate)
    places: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_ONCE))

    @classmethod
    def of(cls, services: Services, environ: Mapping[str, str]) -> "SignIn":
        """Build it from the settings."""
        settings = services.settings
        secrets = {role: AdminSecret(settings.state_dir, environ, role) for role in AdminRole}
        limits = SessionLimits(settings.admin.session_idle_minutes * 60, settings.admin.session_hours * 3_600)
        sessions = Sessions(services.engine, secrets, limits, services.now_us)
        return cls(services.engine, services.now_us, secrets, sessions)

    async def sign_in(self, secret: str, name: str, address: str, remembered: str = "") -> str:
        """Return the token of a new session; raises WrongSecret, RateLimited or InvalidRequest.

        A browser that shows what `remember` gave it is counted by itself, whatever comes from its address.
        """
        actor = " ".join(name.split())
        if len(actor) > LONGEST_NAME or not actor.isprintable():
            raise InvalidRequest(f"a name is at most {LONGEST_NAME} characters")
        counted = address
        if await self.threads.run(self._is_remembered, remembered):
            counted = f"a browser that was here: {remembered}"
        wait_s, role = self.rate.begin(counted), None
        try:
            await asyncio.sleep(wait_s)
            async with self.places:
                role = await self.threads.run(self._role_of, secret)
        finally:
            self.rate.end(counted, is_right=role is not None)
        if role is None:
            raise WrongSecret("the secret is wrong")
        return await self.threads.run(self._open, role, actor or str(role), address)

    def remember(self) -> str:
        """Make what a browser that signed in is known by; it opens nothing. Another admin secret makes it worthless."""
        token = token_urlsafe(16)
        return f"{token}.{self._mark(token)}"

    def _is_remembered(self, remembered: str) -> bool:
        token, _, mark = remembered.partition(".")
        wanted = self._mark(token) if 0 < len(remembered) <= LONGEST_REMEMBERED else ""
        return bool(token and wanted) and compare_digest(wanted, mark)

    def _mark(self, token: str) -> str:
        return self.secrets[AdminRole.ADMIN].mark(f"remembered {token}") or ""

    def sign_out(self, session: Session, address: str) -> None:
        """End a session in all workers."""
        self.sessions.end(session)
        self._note("signed out", session.role, session.actor, address)

    def _role_of(self, secret: str) -> AdminRole | None:
        return next((role for role, stored in self.secrets.items() if stored.opens(secret)), None)

    def _open(self, role: AdminRole, actor: str, address: str) -> str:
        token = self.sessions.open(role, actor, address)
        self._note("signed in", role, actor, address)
        return token

    def _note(self, act: str, role: AdminRole, actor: str, address: str) -> None:
        with writing(self.engine) as connection:
            audit.add(connection, actor, act, "", None, None, self.now_us(), role=role, address=address)
