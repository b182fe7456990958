"""Who asks at /chat: the session that a browser's cookie names, and what the page in it may do.

A request of the page carries three things: the cookie, which scripts cannot read and other sites cannot make a browser
send; the CSRF token, which only a page of ours could read; and the browser's word that it comes from this very origin.
What the caller may do comes from the key of the session alone: no header of the request is believed.
"""

from collections.abc import Mapping
from dataclasses import replace
from hmac import compare_digest
from typing import Literal, NamedTuple

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Scope

from router.api.auth import Authenticator, Caller, caller_of, headers_of
from router.api.browser.access import Refused, csrf_of, require_known_host, require_same_site
from router.chat.sessions import ChatSessions, OpenSession
from router.database.engine import off_loop
from router.errors import Forbidden, Unauthenticated
from router.keys import KeyRing, hash_of
from router.keys import Scope as KeyScope

SURFACE = "chat"  # of all requests from the page, as assumptions of revenue tell surfaces apart
CSRF_HEADER = "x-csrf-token"
PATH = "/chat"
ENDED = "this session has ended; load the page again"


class Visitor(NamedTuple):
    """Somebody at the page: the session's token, its caller, and the name of its key where there is one."""

    token: str
    caller: Caller
    key_name: str | None

    @property
    def csrf(self) -> str:
        """What each request of the page must carry."""
        return csrf_of(self.token)


class SessionAuthenticator(Authenticator):
    """Turns the cookie of a session into a Caller; takes no key from a header. `names` are hosts besides addresses."""

    def __init__(
        self,
        keys: KeyRing,
        mode: Literal["auto", "required"],
        sessions: ChatSessions,
        names: frozenset[str],
    ) -> None:
        super().__init__(keys, mode)
        self._sessions = sessions
        self._names = names

    async def admit(self, scope: Scope) -> Caller:
        """Return on whose behalf the page asks; raises Forbidden, Unauthenticated or Unavailable."""
        headers = headers_of(scope)
        self.require_our_page(headers, changes=scope["method"] != "GET")
        token = token_of(scope)
        csrf = headers.get(CSRF_HEADER, "")
        if token and not compare_digest(csrf.encode("utf-8", "replace"), csrf_of(token).encode()):
            raise Refused("wrong CSRF token", "this page is of another session; load it again")
        visitor = await self.visitor(scope)
        if visitor is None:
            raise Unauthenticated(ENDED, code="session_ended")
        return visitor.caller

    def require_our_page(self, headers: Mapping[str, str], *, changes: bool) -> None:
        """Raise Refused for a name that is not ours, and for what another origin sends; a change must name its own."""
        require_known_host(headers, self._names, "chat.hosts")
        require_same_site(headers)
        if changes and "origin" not in headers:
            raise Refused("no origin", "the browser did not say which page this came from")

    async def visitor(self, scope: Scope) -> Visitor | None:
        """Return who is at the page; None where no session is open any more. Raises Unavailable."""
        token = token_of(scope)
        session = await self._session(token) if token else None
        if session is None:
            return None
        if session.key_hash is None:
            return Visitor(token, self._of_page(self.local), None) if await self.is_open(scope) else None
        key = await self.keys.find_hashed(session.key_hash)
        return None if key is None else Visitor(token, self._of_page(caller_of(key, {})), key.name)

    async def is_open(self, scope: Scope) -> bool:
        """Tell whether the page needs no key: by the rule for programs, once the origin was looked at."""
        headers = {name: value for name, value in headers_of(scope).items() if name != "origin"}
        return await self.needs_no_key(scope, headers)

    async def open_without_key(self) -> Visitor:
        """Begin a session where no key is needed."""
        return Visitor(await self._open(None), self._of_page(self.local), None)

    async def open_with_key(self, secret: str) -> Visitor:
        """Begin a session with a key; raises Unauthenticated, or Forbidden for one that may not chat."""
        key = await self.keys.find(secret)
        if key is None:
            raise Unauthenticated("this key is unknown, revoked or expired")
        if KeyScope.CHAT not in key.scopes:
            raise Forbidden("this key may not chat: it has no scope chat")
        return Visitor(await self._open(hash_of(secret)), self._of_page(caller_of(key, {})), key.name)

    async def end(self, scope: Scope) -> None:
        """End the session of a request in all workers."""
        token = token_of(scope)
        await off_loop(lambda: self._sessions.end(token))

    def set_cookie(self, response: Response, request: Request, token: str) -> None:
        """Give a browser its session: out of reach of scripts, of other sites and, with TLS, of other hosts."""
        is_secure = request.url.scheme == "https"
        response.set_cookie(
            cookie_of(request.scope),
            token,
            max_age=self._sessions.seconds,
            path="/" if is_secure else PATH,  # the prefix of the name asks for all paths
            secure=is_secure,
            httponly=True,
            samesite="strict",
        )

    async def _open(self, key_hash: str | None) -> str:
        return await off_loop(lambda: self._sessions.open(key_hash))

    async def _session(self, token: str) -> OpenSession | None:
        return await off_loop(lambda: self._sessions.find(token))

    @staticmethod
    def _of_page(caller: Caller) -> Caller:
        return replace(caller, surface=SURFACE)


def cookie_of(scope: Scope) -> str:
    """The name of the cookie: with TLS one that no other host and no plain page can set."""
    return "__Host-tierwise_chat" if scope.get("scheme") == "https" else "tierwise_chat"


def token_of(scope: Scope) -> str:
    """The session's token that a browser sent; empty where it sent none."""
    return Request(scope).cookies.get(cookie_of(scope), "")
