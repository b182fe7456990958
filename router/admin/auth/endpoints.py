"""Endpoints beside the pages: signing in and out, the operator's time zone, and the files that pages load."""

from collections.abc import Mapping
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from router.admin.assets import ASSETS
from router.admin.auth import access
from router.admin.auth.sign_in import SignIn
from router.admin.rendering import render
from router.admin.responses import flash, local, sentence
from router.admin.visits import VisitReader
from router.api.browser.access import address_of, require_same_site
from router.errors import NotFound, RequestError
from router.reports.window import WrongWindow, zone_of

YEAR_S = 365 * 86_400
TRICKS = ("..", "\\", "%", "/", "\x00")


class AuthEndpoints:
    """The endpoints around the pages: signing in and out, how figures are shown, and the files that pages load."""

    def __init__(self, visits: VisitReader, sign_in: SignIn, session_s: int) -> None:
        self._visits = visits
        self._sign_in = sign_in
        self._session_s = session_s

    async def sign_in(self, request: Request) -> Response:
        """Show the sign-in page, or begin a session."""
        if request.method == "GET":
            return await self._sign_in_page(local(request.query_params.get("next", "")))
        require_same_site(request.headers)
        given = await self._visits.form(request)
        to, address = local(given.get("next", "")), address_of(request.scope)
        try:
            token = await self._sign_in.sign_in(
                given.get("secret", ""),
                given.get("name", ""),
                address,
                request.cookies.get(access.REMEMBERED_COOKIE, ""),
            )
        except RequestError as error:
            await self._visits.note(request, "sign-in", error.message)
            return await self._sign_in_page(to, sentence(error), error.status, error.headers())
        response = RedirectResponse(to, 303)
        access.set_cookie(response, request, access.COOKIE, token, self._session_s)
        remembered = await self._visits.aside(self._sign_in.remember)
        access.set_cookie(response, request, access.REMEMBERED_COOKIE, remembered, YEAR_S)
        return response

    async def sign_out(self, request: Request) -> Response:
        """End the session in all workers."""
        visit = await self._visits.visit(request)
        await self._visits.aside(self._sign_in.sign_out, visit.session, visit.address)
        response = RedirectResponse("/admin/sign-in", 303)
        response.delete_cookie(access.COOKIE, path=access.PATH)
        return response

    async def choose_zone(self, request: Request) -> Response:
        """Remember in which zone this browser wants its times; nothing of the server's changes."""
        visit = await self._visits.visit(request)
        response = RedirectResponse(local(visit.given.get("next", "")), 303)
        wanted = visit.given.get("zone", "")
        try:
            zone_of(wanted)
        except WrongWindow as error:
            flash(response, request, sentence(error))
            return response
        response.set_cookie(access.ZONE_COOKIE, quote(wanted), YEAR_S, path=access.PATH, samesite="strict")
        return response

    async def choose_made_up(self, request: Request) -> Response:
        """Remember whether this browser wants made-up requests counted; nothing of the server's changes."""
        visit = await self._visits.visit(request)
        response = RedirectResponse(local(visit.given.get("next", "")), 303)
        if visit.given.get("made_up") == "with":
            response.set_cookie(
                access.MADE_UP_COOKIE, "with", YEAR_S, path=access.PATH, httponly=True, samesite="strict"
            )
        else:
            response.delete_cookie(access.MADE_UP_COOKIE, path=access.PATH)
        return response

    async def asset(self, request: Request) -> Response:
        """Send a file of the closed list."""
        name, wanted = request.path_params["name"], request.path_params["version"]
        if name not in ASSETS.names and any(trick in name for trick in TRICKS):
            await self._visits.note(request, "path trick", "there is no such file, and nothing else is served")
        accepted = request.headers.get("accept-encoding", "")
        return await self._visits.aside(ASSETS.response, name, wanted, accepted)

    async def nothing(self, request: Request) -> Response:
        """Answer an address that no page has."""
        if ".." in request.url.path or "%2e" in str(request.scope.get("raw_path", b"")).lower():
            await self._visits.note(request, "path trick", "there is no such page, and nothing else is served")
        raise NotFound("there is no such page")

    async def _sign_in_page(
        self, to: str, error: str = "", status: int = 200, headers: Mapping[str, str] | None = None
    ) -> Response:
        body = await self._visits.aside(render, "sign_in.html", title="Sign in", to=to, error=error)
        return HTMLResponse(body, status, dict(headers or {}))
