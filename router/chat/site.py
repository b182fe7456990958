"""The routes of /chat. What the page asks goes to the data plane's own endpoints, on behalf of the page's session."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from sqlalchemy import Engine
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp

from router.api.auth import Authenticator
from router.api.browser.headers import SecurityHeaders, sealing_headers
from router.chat.access import PATH, SessionAuthenticator
from router.chat.pages import ChatOffers, ChatPages, as_page
from router.chat.sessions import ChatSessions
from router.keys import KeyRing
from router.settings import Settings

API = f"{PATH}/api"  # before the addresses of the data plane, without their `/v1`
ROUTES = (
    ("GET", PATH, "Ask and be answered, in a browser; needs `chat.enabled`."),
    ("POST", f"{PATH}/sign-in", "Begin a session of the page with an API key."),
    ("POST", f"{PATH}/sign-out", "End the session in all workers."),
    (
        "POST",
        f"{API}/...",
        "What the page sends on behalf of its session: to `/v1/chat/completions`, `/v1/responses` and below it, "
        "`/v1/quotes` and `/v1/feedback`.",
    ),
    ("GET", f"{API}/responses/...", "What the page looks up of its work in the background."),
)

Endpoints = Mapping[tuple[str, str], ASGIApp]  # by method and address below /v1


class ChatParts(NamedTuple):
    """What the page needs of the service; `endpoints_for` makes endpoints of the data plane for one way in."""

    engine: Engine
    keys: KeyRing
    now_us: Callable[[], int]
    endpoints_for: Callable[[Authenticator], Endpoints]
    offers: ChatOffers


def chat_routes(settings: Settings, parts: ChatParts) -> list[BaseRoute]:
    """Make the routes of the page; none where it is turned off."""
    if not settings.chat.enabled:
        return []
    server, chat = settings.server, settings.chat
    names = frozenset({server.host.lower(), *(name.lower() for name in chat.hosts)})
    sessions = ChatSessions(parts.engine, chat.session_hours, parts.now_us)
    way_in = SessionAuthenticator(parts.keys, server.auth, sessions, names)
    pages = ChatPages(way_in, parts.offers, server.read_timeout_s)
    headers = sealing_headers()
    routes = [
        Route(PATH, as_page(pages.show)),
        Route(f"{PATH}/sign-in", as_page(pages.sign_in), methods=["POST"]),
        Route(f"{PATH}/sign-out", as_page(pages.sign_out), methods=["POST"]),
        Route(f"{PATH}/static/{{version}}/{{name:path}}", as_page(pages.file)),
    ]
    for (method, path), endpoint in parts.endpoints_for(way_in).items():
        routes.append(Route(f"{API}{path}", endpoint, methods=[method]))
    for route in routes:
        route.app = SecurityHeaders(route.app, headers)
    return list(routes)
