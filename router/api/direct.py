"""The app, with a short way in to the endpoints that answer queries: past Starlette's middleware and routing.

Only for endpoints that need neither: they take no path parameters and answer every error themselves. What is asked in
any other way (another method, a slash too many) goes the long way, where the same endpoints are routes too.
"""

from collections.abc import Mapping
from typing import Any

from starlette.applications import Starlette
from starlette.types import ASGIApp, Receive, Scope, Send


class DirectApp(Starlette):
    """Starlette, in front of it `endpoints` by method and path."""

    def __init__(self, endpoints: Mapping[tuple[str, str], ASGIApp], **options: Any) -> None:
        super().__init__(**options)
        self._endpoints = endpoints

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and (found := self._endpoints.get((scope["method"], scope["path"]))) is not None:
            await found(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)
