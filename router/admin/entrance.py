"""The way into the admin plane, which is imported and made with its first visitor. Others need nothing else of it.

The pages and what they read would take memory of each worker and time of its start.
"""

import asyncio
import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from router.admin.auth.secrets import require_no_keys
from router.admin.responses import START
from router.settings import Settings

if TYPE_CHECKING:
    from router.admin.services import Services

ROUTES = (
    ("GET", "/admin", "Open the admin pages, for browsers: they have their own sessions and take no API key."),
    ("POST", "/admin/sign-in", "Begin a session with the admin or the viewer secret."),
    ("POST", "/admin/sign-out", "End the session in all workers."),
    ("GET", "/admin/{page}", "Show one page; its forms post to `/admin/{page}/{act}` with a CSRF token."),
    (
        "GET",
        "/admin/{page}.csv",
        "Download what Overview or Decisions shows, with the filters of the page's address.",
    ),
    ("GET", "/admin/api/{feed}", "Return what a page's script reads, as JSON; only with the session's cookie."),
)


def admin_routes(
    settings: Settings, make_services: "Callable[[], Services]", environ: Mapping[str, str] = os.environ
) -> list[BaseRoute]:
    """Make the routes of the admin plane; none where it is turned off. Raises WrongSetting."""
    if not settings.admin.enabled:
        return []
    require_no_keys(environ)

    def make() -> ASGIApp:
        from router.admin.site import site_of

        return site_of(make_services(), environ)

    return [Route("/admin", to_start), Mount("/admin", app=Entrance(make))]


class Entrance:
    """Makes the site with the first request for it, in a thread, and passes every request on to it."""

    def __init__(self, make: Callable[[], ASGIApp]) -> None:
        self._make, self._making = make, asyncio.Lock()
        self._site: ASGIApp | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        site = self._site or await self._open()
        await site(scope, receive, send)

    async def _open(self) -> ASGIApp:
        async with self._making:  # one for all: two sites would count the tries of signing in apart
            if self._site is None:
                self._site = await asyncio.to_thread(self._make)
            return self._site


async def to_start(request: Request) -> Response:
    """Send a visitor to the page that comes first."""
    return RedirectResponse(START, 303)
