"""What proxies say of a request: believed where they are known, and looked for only where one has said something."""

from collections.abc import Sequence
from typing import cast

from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

SAID = frozenset({b"x-forwarded-for", b"x-forwarded-proto"})  # all that uvicorn's middleware reads


class ForwardedHeaders:
    """uvicorn's middleware, for requests that have a header it reads: it parses addresses before it looks for one."""

    def __init__(self, app: ASGIApp, trusted: Sequence[str] | str) -> None:
        self._app = app
        self._believing = cast(ASGIApp, ProxyHeadersMiddleware(app, trusted))  # type: ignore[arg-type]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_said = scope["type"] != "lifespan" and not SAID.isdisjoint([name for name, _ in scope["headers"]])
        await (self._believing if is_said else self._app)(scope, receive, send)
