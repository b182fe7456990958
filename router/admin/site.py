"""The admin plane as routes: who is there, which page, and what becomes of errors. `mounted` is all that others need.

Pages are blocking functions (`router.admin.page`); here they run in threads, behind the checks of `access`.
"""

import asyncio
import base64
import binascii
import logging
import os
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, tzinfo
from functools import partial
from secrets import compare_digest
from urllib.parse import parse_qsl, quote, unquote

import msgspec
from sqlalchemy.exc import SQLAlchemyError
from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from router.admin import access, assets
from router.admin.access import Refused, SignedOut
from router.admin.contents import PAGES
from router.admin.doors import Doors
from router.admin.page import Act, Done, Feed, NotDone, Page, Shown, Visit
from router.admin.refusals import NOBODY, Refusals
from router.admin.rendering import render
from router.admin.services import Services
from router.admin.sessions import Session, UnknownToken
from router.api.body import ClientGone, read_body
from router.dials import WrongPolicy
from router.errors import InvalidRequest, NotFound, RequestError, RouterError, Unavailable
from router.keys import WrongKey
from router.money import NotMoney
from router.reports.window import WrongWindow, zone_of

log = logging.getLogger(__name__)

MOST_BYTES = 256 * 1024
MOST_FIELDS = 200
LONGEST_SAID = 600
SAID_FOR_S = 60
YEAR_S = 365 * 86_400
START = "overview"
ROUTES = (
    ("GET", "/admin", "The admin pages, for browsers: a session of their own, no API key."),
    ("POST", "/admin/sign-in", "Begin a session with the admin or the viewer secret."),
    ("POST", "/admin/sign-out", "End the session in all workers."),
    ("GET", "/admin/{page}", "One page; its forms post to `/admin/{page}/{act}` with a CSRF token."),
    ("GET", "/admin/api/{feed}", "What a page's script reads, as JSON; for the session's cookie only."),
)
TOLD = (NotDone, WrongKey, WrongPolicy, NotMoney, WrongWindow, RequestError)  # their messages are for the operator
# Plotly puts one style for maps into every page, which no chart here uses: let in by its content and nothing else.
PLOTLY_MAPS = "sha256-ji27qzEtxXZW+7dun6UwjHXJ18e6WAin1VvNtkzIE/o="
SECURITY = {
    "content-security-policy": f"default-src 'none'; script-src 'self'; style-src 'self' '{PLOTLY_MAPS}'; "
    "img-src 'self' data:; connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}


def mounted(services: Services, environ: Mapping[str, str] = os.environ) -> list[BaseRoute]:
    """Make the routes of the admin plane; none where it is turned off. Raises WrongSetting."""
    if not services.settings.admin.enabled:
        return []
    site = Site(services, Doors.of(services, environ))
    return [Route("/admin", _to_start), Mount("/admin", app=site.app())]


async def _to_start(request: Request) -> Response:
    return RedirectResponse(f"/admin/{START}", 303)


class Site:
    """All pages of one worker."""

    def __init__(self, services: Services, doors: Doors) -> None:
        self._services = services
        self._doors = doors
        self._refusals = Refusals(services.engine, services.now_us)
        server, admin = services.settings.server, services.settings.admin
        self._names = frozenset({server.host.lower(), *(name.lower() for name in admin.hosts)})
        self._timeout_s = server.read_timeout_s

    def app(self) -> ASGIApp:
        """Make the application that is mounted at /admin."""
        routes: list[BaseRoute] = [
            Route("/", self._guarded(self._start)),
            Route("/sign-in", self._guarded(self._sign_in), methods=["GET", "POST"]),
            Route("/sign-out", self._guarded(self._sign_out), methods=["POST"]),
            Route("/zone", self._guarded(self._choose_zone), methods=["POST"]),
            Route("/static/{version}/{name:path}", self._guarded(self._asset)),
        ]
        for page in PAGES:
            routes.append(Route(f"/{page.name}", self._guarded(partial(self._show, page))))
            for act in page.acts:
                endpoint = self._guarded(partial(self._act, page, act))
                routes.append(Route(f"/{page.name}/{act.name}", endpoint, methods=["POST"]))
            for feed in page.feeds:
                endpoint = self._guarded(partial(self._feed, feed), is_json=True)
                routes.append(Route(f"/api/{feed.path}", endpoint, methods=[feed.method]))
        routes.append(Route("/{path:path}", self._guarded(self._nothing), methods=["GET", "POST"]))
        return _Sealed(Starlette(routes=routes))

    # What is asked for

    async def _start(self, request: Request) -> Response:
        return RedirectResponse(f"/admin/{START}", 303)

    async def _show(self, page: Page, request: Request) -> Response:
        visit = await self._visit(request)
        return await self._page(request, page, visit)

    async def _act(self, page: Page, act: Act, request: Request) -> Response:
        visit = await self._visit(request, changes=True)
        try:
            outcome = await asyncio.to_thread(act.run, visit)
        except TOLD as error:
            status = getattr(error, "status", 422)
            return await self._page(request, page, visit, error=_sentence(error), status=status)
        match outcome:
            case Done(message, to):
                response: Response = RedirectResponse(f"/admin/{to}", 303)
                said = base64.urlsafe_b64encode(message[:LONGEST_SAID].encode()).decode()
                access.set_cookie(response, request, access.SAID_COOKIE, said, SAID_FOR_S)
            case Shown(context):
                response = await self._page(request, page, visit, more=context)
        return response

    async def _feed(self, feed: Feed, request: Request) -> Response:
        visit = await self._visit(request, changes=feed.changes)
        try:
            found = await asyncio.to_thread(feed.run, visit)
        except TOLD as error:
            return _json({"error": {"message": _sentence(error)}}, getattr(error, "status", 422))
        return _json(found)

    async def _sign_in(self, request: Request) -> Response:
        if request.method == "GET":
            return await self._sign_in_page(_local(request.query_params.get("next", "")))
        access.require_same_site(request.headers)
        given = await self._form(request)
        to, address = _local(given.get("next", "")), access.address_of(request.scope)
        try:
            token = await self._doors.sign_in(given.get("secret", ""), given.get("name", ""), address)
        except RequestError as error:
            await self._note(request, "sign-in", error.message)
            return await self._sign_in_page(to, _sentence(error), error.status, error.headers())
        response = RedirectResponse(to, 303)
        access.set_cookie(response, request, access.COOKIE, token, self._services.settings.admin.session_hours * 3_600)
        return response

    async def _sign_in_page(
        self, to: str, error: str = "", status: int = 200, headers: Mapping[str, str] | None = None
    ) -> Response:
        body = await asyncio.to_thread(render, "sign_in.html", title="Sign in", to=to, error=error)
        return HTMLResponse(body, status, dict(headers or {}))

    async def _sign_out(self, request: Request) -> Response:
        visit = await self._visit(request)
        await asyncio.to_thread(self._doors.sign_out, visit.session, visit.address)
        response = RedirectResponse("/admin/sign-in", 303)
        response.delete_cookie(access.COOKIE, path=access.PATH)
        return response

    async def _choose_zone(self, request: Request) -> Response:
        """Remember in which zone this browser wants its times; nothing of the server's changes."""
        visit = await self._visit(request)
        response = RedirectResponse(_local(visit.given.get("next", "")), 303)
        wanted = visit.given.get("zone", "")
        try:
            zone_of(wanted)
        except WrongWindow as error:
            said = base64.urlsafe_b64encode(str(error)[:LONGEST_SAID].encode()).decode()
            access.set_cookie(response, request, access.SAID_COOKIE, said, SAID_FOR_S)
            return response
        response.set_cookie(access.ZONE_COOKIE, quote(wanted), YEAR_S, path=access.PATH, samesite="strict")
        return response

    async def _asset(self, request: Request) -> Response:
        name, wanted = request.path_params["name"], request.path_params["version"]
        if name not in assets.names():
            if any(trick in name for trick in ("..", "\\", "%", "/")):
                await self._note(request, "path trick", "there is no such file, and nothing else is served")
            raise NotFound("there is no such file")
        found = await asyncio.to_thread(assets.asset, name)
        is_current = wanted == assets.digest()
        headers = {
            "content-type": found.content_type,
            "vary": "accept-encoding",
            "cache-control": "public, max-age=31536000, immutable" if is_current else "no-cache",
        }
        if found.packed is not None and "gzip" in request.headers.get("accept-encoding", ""):
            return Response(found.packed, headers=headers | {"content-encoding": "gzip"})
        return Response(found.body, headers=headers)

    async def _nothing(self, request: Request) -> Response:
        if ".." in request.url.path or "%2e" in str(request.scope.get("raw_path", b"")).lower():
            await self._note(request, "path trick", "there is no such page, and nothing else is served")
        raise NotFound("there is no such page")

    # Who asks, and what with

    async def _visit(self, request: Request, *, changes: bool = False) -> Visit:
        """Find out who asks, and read what they sent; raises SignedOut, Refused and RequestError."""
        session = await self._session(request)
        given: dict[str, str] = {}
        body: object = None
        if request.method == "POST":
            access.require_same_site(request.headers)
            if "json" in request.headers.get("content-type", ""):
                body, token = await self._decoded(request), request.headers.get("x-csrf-token", "")
            else:
                given = await self._form(request)
                token = given.pop("csrf", "")
            if not _same(token, session.csrf):
                raise Refused("wrong CSRF token", "the form is from another session; load the page again")
        zone_name, zone = _zone(request)
        visit = Visit(
            self._services,
            session,
            access.address_of(request.scope),
            zone,
            zone_name,
            dict(request.query_params),
            given,
            body,
        )
        if changes and not visit.is_admin:
            raise Refused("a viewer's change", "viewers look; ask an administrator to change this")
        return visit

    async def _session(self, request: Request) -> Session:
        token = request.cookies.get(access.COOKIE)
        if not token:
            raise SignedOut
        try:
            session = await asyncio.to_thread(self._doors.sessions.find, token)
        except UnknownToken:
            await self._note(request, "forged cookie", "the cookie was never given out")
            raise SignedOut from None
        if session is None:
            raise SignedOut
        return session

    async def _form(self, request: Request) -> dict[str, str]:
        body = await self._body(request)
        try:
            text = body.decode("utf-8", "strict")
            return dict(parse_qsl(text, keep_blank_values=True, max_num_fields=MOST_FIELDS, errors="strict"))
        except ValueError:
            raise InvalidRequest("the form cannot be read") from None

    async def _decoded(self, request: Request) -> object:
        try:
            found: object = msgspec.json.decode(await self._body(request))
        except msgspec.DecodeError:
            raise InvalidRequest("the body is not JSON") from None
        return found

    async def _body(self, request: Request) -> bytes:
        return await read_body(request.scope, request.receive, max_bytes=MOST_BYTES, timeout_s=self._timeout_s)

    # What becomes of it

    async def _page(
        self,
        request: Request,
        page: Page,
        visit: Visit,
        *,
        error: str = "",
        status: int = 200,
        more: Mapping[str, object] | None = None,
    ) -> Response:
        said = _said(request)

        def written() -> str:
            context = {**page.show(visit), **(more or {})}
            frame = _frame(page.title, visit, page) | {"said": said, "error": error, "given": visit.given}
            return render(f"{page.name}.html", **(frame | context))

        response = HTMLResponse(await asyncio.to_thread(written), status)
        if said:
            response.delete_cookie(access.SAID_COOKIE, path=access.PATH)
        return response

    def _guarded(
        self, endpoint: Callable[[Request], Awaitable[Response]], *, is_json: bool = False
    ) -> Callable[[Request], Awaitable[Response]]:
        """Check the name that is asked for, and turn errors into pages or JSON."""

        async def guarded(request: Request) -> Response:
            try:
                access.require_known_host(request.headers, self._names)
                return await endpoint(request)
            except SignedOut:
                if is_json:
                    return _json({"error": {"message": "you are signed out; load the page again"}}, 401)
                to = request.url.path if request.method == "GET" else f"/admin/{START}"
                return RedirectResponse(f"/admin/sign-in?next={quote(to)}", 303)
            except Refused as error:
                await self._note(request, error.act, error.message)
                found: RouterError = error
            except ClientGone:
                return Response(status_code=400)
            except RouterError as error:
                found = error
            except TOLD as error:
                found = InvalidRequest(str(error))
            except SQLAlchemyError as error:
                log.warning("the database does not answer the admin plane: %s", type(error).__name__)
                found = Unavailable("the database is away; the pages come back when it does")
            except Exception:  # a bug: the operator is told that there was one, the server's log what it was
                log.exception("a page of the admin plane failed")
                found = RouterError("an internal error; the server's log tells more")
            if is_json:
                return _json({"error": {"message": _sentence(found)}}, found.status)
            body = await asyncio.to_thread(render, "error.html", title="Not possible", error=_sentence(found))
            return HTMLResponse(body, found.status, dict(found.headers()))

        return guarded

    async def _note(self, request: Request, act: str, why: str) -> None:
        """Audit a refusal, with the name of who is signed in where somebody is."""
        actor, role = NOBODY, "none"
        if token := request.cookies.get(access.COOKIE):
            try:
                session = await asyncio.to_thread(self._doors.sessions.find, token)
            except (UnknownToken, SQLAlchemyError):
                session = None
            if session is not None:
                actor, role = session.actor, session.role
        target = f"{request.method} {request.url.path}"
        address = access.address_of(request.scope)
        await asyncio.to_thread(self._refusals.note, act, target, why, address=address, actor=actor, role=role)


class _Sealed:
    """Puts the security headers on every response, and keeps pages out of caches."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def sealed(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(SECURITY)
                headers.setdefault("cache-control", "no-store")
            await send(message)

        await self._app(scope, receive, sealed)


def _frame(title: str, visit: Visit, page: Page) -> dict[str, object]:
    """What the frame around every page needs."""
    return {
        "title": title,
        "page": page,
        "pages": [listed for listed in PAGES if listed.is_listed],
        "visit": visit,
        "zone": visit.zone,
        "zone_name": visit.zone_name,
        "csrf": visit.session.csrf,
        "has_script": f"{page.name}.js" in assets.names(),
    }


def _zone(request: Request) -> tuple[str, tzinfo]:
    """The zone that this browser asked for; UTC while it has not, or for one that nobody knows."""
    name = unquote(request.cookies.get(access.ZONE_COOKIE, "")) or "UTC"
    try:
        return name, zone_of(name)
    except WrongWindow:
        return "UTC", UTC


def _said(request: Request) -> str:
    """What the last change left to be said."""
    try:
        return base64.urlsafe_b64decode(request.cookies.get(access.SAID_COOKIE, "")).decode()
    except (binascii.Error, UnicodeDecodeError):
        return ""


def _same(token: str, csrf: str) -> bool:
    return compare_digest(token.encode("utf-8", "replace"), csrf.encode())


def _sentence(error: Exception) -> str:
    """What went wrong, as a sentence."""
    message = str(error) or type(error).__name__
    return message[:1].upper() + message[1:]


def _json(found: object, status: int = 200) -> Response:
    return Response(msgspec.json.encode(found), status, media_type="application/json")


def _local(path: str) -> str:
    """A path within the admin plane; anything else becomes its start."""
    is_plain = path.startswith("/admin/") and not any(c in path for c in "\\\r\n") and "//" not in path
    return path if is_plain else f"/admin/{START}"
