"""A served admin plane inside the test's process, and people who visit it."""

import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import httpx
from anyio.from_thread import BlockingPortal, start_blocking_portal
from starlette.applications import Starlette

from router import keys
from router.admin import registry
from router.app import create
from router.database.engine import open_engine
from router.types import Tier
from tests.api.service import settings_of
from tests.builders.databases import lay_out

SECRETS = {"TIERWISE_ADMIN_SECRET": "open sesame", "TIERWISE_VIEWER_SECRET": "only looking"}
URL = "http://127.0.0.1:8080"
CSRF = re.compile(r'name="csrf" content="([0-9a-f]+)"')
PAGES = tuple(page.address for page in registry.PAGES)


@dataclass(frozen=True, slots=True)
class Plane:
    """The whole app, running; `portal` is the way into its event loop."""

    app: Starlette
    portal: BlockingPortal
    directory: Path
    database_url: str


@contextmanager
def plane(directory: Path, **changes: Any) -> Iterator[Plane]:
    """Run the whole app with secrets of both roles, books in a directory."""
    settings = settings_of(directory, **changes)
    lay_out(settings.database_url)
    app = create(settings, SECRETS)
    lifespan = app.router.lifespan_context(app)
    with start_blocking_portal() as portal, portal.wrap_async_context_manager(lifespan):
        yield Plane(app, portal, directory, settings.database_url)


class Visitor:
    """A browser at an address; `enter` signs in."""

    def __init__(self, plane: Plane, address: str = "127.0.0.1", url: str = URL) -> None:
        transport = httpx.ASGITransport(plane.app, raise_app_exceptions=False, client=(address, 50_000))
        self._client = httpx.AsyncClient(transport=transport, base_url=url)
        self._portal = plane.portal
        self.csrf = ""
        self._database_url = plane.database_url
        self._key: str | None = None

    @property
    def cookies(self) -> httpx.Cookies:
        return self._client.cookies

    def enter(self, secret: str = "open sesame", name: str = "Ann", to: str = "", **headers: str) -> httpx.Response:
        """Sign in; knows the CSRF token afterwards."""
        reply = self._send("POST", "/admin/sign-in", headers, data={"secret": secret, "name": name, "next": to})
        if reply.status_code == 303:
            found = CSRF.search(self.get("/admin/audit").text)
            assert found is not None
            self.csrf = found[1]
        return reply

    def chat(self, body: dict[str, Any]) -> httpx.Response:
        """Ask the data plane, with a key of its own: others may have made some."""
        if self._key is None:
            engine = open_engine(self._database_url)
            self._key = keys.create(
                engine,
                f"visitor {secrets.token_hex(4)}",
                segment="default",
                scopes=keys.NEW_KEY_SCOPES,
                allowed_tiers=list(Tier),
                now_us=1,
            )
            engine.dispose()
        return self._send("POST", "/v1/chat/completions", {"authorization": f"Bearer {self._key}"}, json=body)

    def get(self, path: str, **headers: str) -> httpx.Response:
        return self._send("GET", path, headers)

    def post(self, path: str, fields: dict[str, str] | None = None, **headers: str) -> httpx.Response:
        """Send a form with its token."""
        return self._send("POST", path, headers, data={"csrf": self.csrf, **(fields or {})})

    def json(self, path: str) -> Any:
        """Read a feed."""
        return self.get(f"/admin/api/{path}").json()

    def audit(self, **query: str) -> list[dict[str, Any]]:
        """The newest entries of the audit log."""
        entries: list[dict[str, Any]] = self.json(f"audit?{httpx.QueryParams(query)}")["entries"]
        return entries

    def _send(self, method: str, path: str, headers: dict[str, str], **body: Any) -> httpx.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self._portal.call(partial(self._client.request, method, path, headers=named, **body))
