"""Makes a `Visit` out of a request: who is there, whether they may, and what they sent; notes whom it turns away."""

from datetime import tzinfo
from secrets import compare_digest
from urllib.parse import parse_qsl, unquote

import msgspec
from sqlalchemy.exc import SQLAlchemyError
from starlette.requests import Request

from router.admin.auth import access
from router.admin.auth.access import SignedOut
from router.admin.auth.denials import NOBODY, DenialLog
from router.admin.auth.sessions import Session, UnknownToken
from router.admin.auth.sign_in import SignIn
from router.admin.page import Visit
from router.admin.services import Services
from router.api.body import read_body
from router.api.browser.access import Refused, address_of, require_same_site
from router.errors import InvalidRequest
from router.reports.window import WrongWindow, zone_of

MOST_BYTES = 256 * 1024
MOST_FIELDS = 200


class VisitReader:
    """Reads every request before a page sees it."""

    def __init__(self, services: Services, sign_in: SignIn) -> None:
        self._services = services
        self._sign_in = sign_in
        self.aside = sign_in.threads.run
        self._refusals = DenialLog(services.engine, services.now_us)
        self._timeout_s = services.settings.server.read_timeout_s

    async def visit(self, request: Request, *, changes: bool = False) -> Visit:
        """Find out who asks, and read what they sent; raises SignedOut, Refused and RequestError."""
        session = await self._session(request)
        given: dict[str, str] = {}
        body: object = None
        if request.method == "POST":
            require_same_site(request.headers)
            if "json" in request.headers.get("content-type", ""):
                body, token = await self._read_json(request), request.headers.get("x-csrf-token", "")
            else:
                given = await self.form(request)
                token = given.pop("csrf", "")
            if not compare_digest(token.encode("utf-8", "replace"), session.csrf.encode()):
                raise Refused("wrong CSRF token", "the form is from another session; load the page again")
        zone_name, zone = _zone(request, self._services.settings.reports.zone)
        address = address_of(request.scope)
        query = dict(request.query_params)
        with_made_up = request.cookies.get(access.MADE_UP_COOKIE) == "with" or None
        visit = Visit(self._services, session, address, zone, zone_name, query, given, body, with_made_up)
        if changes and not visit.is_admin:
            raise Refused("a viewer's change", "viewers look; ask an administrator to change this")
        return visit

    async def form(self, request: Request) -> dict[str, str]:
        """Read a form's fields; raises RequestError."""
        body = await self._body(request)
        try:
            text = body.decode("utf-8", "strict")
            return dict(parse_qsl(text, keep_blank_values=True, max_num_fields=MOST_FIELDS, errors="strict"))
        except ValueError:
            raise InvalidRequest("the form cannot be read") from None

    async def note(self, request: Request, act: str, why: str) -> None:
        """Audit a refusal, with the name of who is signed in where somebody is."""
        actor, role = NOBODY, "none"
        if token := request.cookies.get(access.COOKIE):
            try:
                session = await self.aside(self._sign_in.sessions.find, token)
            except (UnknownToken, SQLAlchemyError):
                session = None
            if session is not None:
                actor, role = session.actor, session.role
        target = f"{request.method} {request.url.path}"
        address = address_of(request.scope)
        await self.aside(self._refusals.note, act, target, why, address=address, actor=actor, role=role)

    async def _session(self, request: Request) -> Session:
        token = request.cookies.get(access.COOKIE)
        if not token:
            raise SignedOut
        try:
            session = await self.aside(self._sign_in.sessions.find, token)
        except UnknownToken:
            await self.note(request, "forged cookie", "the cookie was never given out")
            raise SignedOut from None
        if session is None:
            raise SignedOut
        return session

    async def _read_json(self, request: Request) -> object:
        try:
            content: object = msgspec.json.decode(await self._body(request))
        except msgspec.DecodeError:
            raise InvalidRequest("the body is not JSON") from None
        return content

    async def _body(self, request: Request) -> bytes:
        return await read_body(request.scope, request.receive, max_bytes=MOST_BYTES, timeout_s=self._timeout_s)


def _zone(request: Request, configured: str) -> tuple[str, tzinfo]:
    """The zone that this browser asked for; the configured one while it has not, or for one that nobody knows."""
    name = unquote(request.cookies.get(access.ZONE_COOKIE, "")) or configured
    try:
        return name, zone_of(name)
    except WrongWindow:
        return configured, zone_of(configured)
