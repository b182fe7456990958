"""The app, with a short way to the endpoints that answer queries: what is asked most passes no list of routes."""

from collections.abc import Iterable, Mapping
from typing import Any

from starlette.applications import Starlette
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from router.api.endpoint import InferenceEndpoint


class DirectApp(Starlette):
    """Starlette's app; requests for exact addresses go to their endpoints at once, past routes and middleware.

    `direct` names them by method and path. They need no parameter of their path and answer every error themselves.
    Whatever differs from them by as much as a slash finds its route, or none, as ever.
    """

    def __init__(self, *, direct: Mapping[tuple[str, str], ASGIApp], **options: Any) -> None:
        super().__init__(**options)
        self._direct = direct

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            endpoint = self._direct.get((scope["method"], scope["path"]))
            if endpoint is not None and not scope.get("root_path"):
                await endpoint(scope, receive, send)
                return
        await super().__call__(scope, receive, send)


def answering_routes(routes: Iterable[BaseRoute]) -> dict[tuple[str, str], ASGIApp]:
    """Pick the endpoints that answer queries, which need nothing of Starlette, by method and path."""
    return {
        (method, route.path): route.app
        for route in routes
        if isinstance(route, Route) and isinstance(route.endpoint, InferenceEndpoint)
        for method in route.methods or ()
    }
