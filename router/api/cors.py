"""Which web pages may call the data plane from a browser: those of configured origins, and none by default.

A page needs a key like any other client. The admin pages answer no other origin, whatever is configured.
"""

from collections.abc import Sequence

from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

PREFIX = "/v1/"
METHODS = ("GET", "POST", "DELETE")
EXPOSED = (
    "x-request-id",
    "request-id",
    "retry-after",
    "x-should-retry",
    "idempotent-replayed",
    "x-tierwise-tier",
    "x-tierwise-reason",
    "x-tierwise-score",
    "x-tierwise-policy",
    "x-tierwise-overhead-ms",
)


class _AnyLetters(CORSMiddleware):
    """Compares origins as browsers do: capitals in a scheme or a host change nothing."""

    def is_allowed_origin(self, origin: str) -> bool:
        return super().is_allowed_origin(origin.lower())


class CrossOrigin:
    """Answers preflights and marks responses below `/v1/`; everything else goes by."""

    def __init__(self, app: ASGIApp, origins: Sequence[str]) -> None:
        self._app = app
        self._marked = _AnyLetters(
            app,
            allow_origins=[origin.rstrip("/").lower() for origin in origins],
            allow_methods=METHODS,
            allow_headers=["*"],
            allow_private_network=True,
            expose_headers=EXPOSED,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_open = scope["type"] == "http" and scope["path"].startswith(PREFIX)
        await (self._marked if is_open else self._app)(scope, receive, send)


def cross_origin(origins: Sequence[str]) -> list[Middleware]:
    """Return the middleware for these origins; none, and no cost, without any."""
    return [Middleware(CrossOrigin, origins=origins)] if origins else []
