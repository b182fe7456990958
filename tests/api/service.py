"""A whole service inside the test's process: the real app over ASGI, scripted models behind it, books in a file."""

import asyncio
import json
import sqlite3
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy import Engine, select, text
from starlette.applications import Starlette
from starlette.types import Message

from router import keys
from router.app import create
from router.database import schema
from router.database.tables import Feedback, RevenueEvent
from router.health.records import FILE_NAME, HealthFile
from router.keys import NEW_KEY_SCOPES, Scope
from router.ledger.export import COLUMNS, lines
from router.settings import Settings
from router.types import Tier
from tests.builders.databases import lay_out
from tests.waiting import PATIENCE_S, soon

CHAT = "/v1/chat/completions"
SCRIPTS = ("echo", "steady-think", "fail-429", "fail-500", "fail-400", "fail-timeout", "fail-midstream-5c", "hang")
JSON = {"content-type": "application/json"}
JSON_BODY = ((b"content-type", b"application/json"), (b"content-length", b"9"))
HELLO = [{"role": "user", "content": "Say hello"}]
HARD = "Prove that there are infinitely many primes congruent to 3 modulo 4."
CHEAP, STRONG = "scripted/echo", "scripted/strong"


def a_chat(model: str = "fast", **changes: Any) -> dict[str, Any]:
    return {"model": model, "messages": HELLO, **changes}


def settings_of(directory: Path, **changes: Any) -> Settings:
    """Scripted tiers, and one explicit model for each script."""
    wired: dict[str, Any] = {
        "database_url": f"sqlite:///{directory}/books.db",
        "state_dir": directory,
        "tiers": {
            "fast": {"model": "scripted/fast-echo"},
            "reasoning": {"model": "scripted/deep"},
            "parallel": {"models": ["scripted/solver"]},
        },
        "models": {name: {"model": f"scripted/{name}"} for name in SCRIPTS},
        "policy": {"explore": 0, "shadow": 0},
    }
    return Settings(**(wired | changes))


def priced_settings_of(directory: Path, *, effort: str | None = None, **policy: Any) -> Settings:
    """A cheap and a dear model, with prices, and a policy that explores nothing and caps nothing."""
    return settings_of(
        directory,
        tiers={
            "fast": {"model": CHEAP},
            "reasoning": {"model": STRONG, "effort": effort},
            "parallel": {"models": [CHEAP]},
        },
        prices={CHEAP: {"input": 0.05, "output": 0.4}, STRONG: {"input": 1.25, "output": 10}},
        policy={"explore": 0, "shadow": 0, "max_deep_share": 1, **policy},
    )


class Service:
    """The app, a client on this machine, and its books."""

    def __init__(self, app: Starlette, settings: Settings, engine: Engine) -> None:
        self.app = app
        self.settings = settings
        self.engine = engine
        self.local = self.client()
        self._keys: Counter[str] = Counter()

    def client(self, peer: str = "127.0.0.1", **headers: str) -> httpx.AsyncClient:
        """A client that connects from `peer` and sends these headers."""
        transport = httpx.ASGITransport(self.app, raise_app_exceptions=False, client=(peer, 50_000))
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8080", headers=named)

    def close_breakers(self) -> None:
        """Let every model be asked again, whatever it did in the tests before."""
        file = HealthFile(self.settings.state_dir / FILE_NAME)
        file.clear()
        file.close()

    def key(
        self,
        name: str = "app",
        *scopes: Scope,
        tiers: tuple[Tier, ...] = tuple(Tier),
        segment: str = "default",
        **limits: Any,
    ) -> str:
        """Make a key and return its secret; tests that share a service may choose the same name."""
        wanted, self._keys[name] = scopes or NEW_KEY_SCOPES, self._keys[name] + 1
        if self._keys[name] > 1:
            name = f"{name} {self._keys[name]}"
        return keys.create(self.engine, name, segment=segment, scopes=wanted, allowed_tiers=tiers, now_us=1, **limits)

    def with_key(self, name: str = "app", *scopes: Scope, peer: str = "10.0.0.9", **limits: Any) -> httpx.AsyncClient:
        """A client elsewhere that has a new key."""
        return self.client(peer, authorization=f"Bearer {self.key(name, *scopes, **limits)}")

    async def answered(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """What is answered to a request of this machine, which has to go well."""
        response = await self.local.post(path, json=body)
        assert response.status_code == 200, response.text
        found: dict[str, Any] = response.json()
        return found

    async def explained(self, text: str, model: str = "auto", **changes: Any) -> dict[str, Any]:
        """What an answer says of how it was made."""
        asked = a_chat(model, **{"messages": [{"role": "user", "content": text}], **changes})
        found: dict[str, Any] = (await self.answered(CHAT, asked))["x_tierwise"]
        return found

    async def until(self, holds: Callable[[], Any]) -> Any:
        """Wait for something that other threads bring about; returns it."""
        return await soon(holds)

    async def until_status(self, client: httpx.AsyncClient, status: int) -> None:
        """Ask until the answer has this status."""

        async def answered() -> bool:
            return (await client.get("/v1/models")).status_code == status

        await soon(answered)

    def spooled(self) -> int:
        """How many writes wait in the spools."""
        waiting = 0
        for path in (self.settings.state_dir / "spool").glob("*.spool"):
            with closing(sqlite3.connect(path)) as spool:
                waiting += int(spool.execute("SELECT count(*) FROM entries").fetchone()[0])
        return waiting

    async def booked(self, request_id: str) -> dict[str, Any]:
        """The settled request, as soon as it has been shipped."""
        found: list[dict[str, Any]] = await self.until(
            lambda: [row for row in self.requests() if row["request_id"] == request_id]
        )
        return found[0]

    def requests(self) -> list[dict[str, Any]]:
        """All settled requests that have been shipped."""
        with self.engine.connect() as connection:
            return [dict(row) for row in connection.execute(text("SELECT * FROM request_lines")).mappings()]

    async def calls(self, request_id: str) -> list[dict[str, Any]]:
        """The lines of a settled request."""
        await self.booked(request_id)
        exported = (dict(zip(COLUMNS, line, strict=True)) for line in lines(self.engine))
        return [line for line in exported if line["request_id"] == request_id]

    def stored(self, table: type[Feedback | RevenueEvent]) -> list[Any]:
        """All rows of a table."""
        with self.engine.connect() as connection:
            return list(connection.execute(select(table.__table__)))


@asynccontextmanager
async def serving(settings: Settings) -> AsyncIterator[Service]:
    """Start a service, and stop it so that everything is booked."""
    lay_out(settings.database_url)
    app = create(settings, {})
    engine = schema.ready_engine(settings.database_url)
    try:
        async with app.router.lifespan_context(app):
            service = Service(app, settings, engine)
            async with service.local:
                yield service
    finally:
        engine.dispose()


class Connection:
    """One raw ASGI request, for what an HTTP client hides: reading piece by piece, and going away."""

    def __init__(
        self, service: Service, body: Any, path: str = CHAT, headers: Sequence[tuple[bytes, bytes]] = ()
    ) -> None:
        self.sent: list[Message] = []
        self._incoming: asyncio.Queue[Message] = asyncio.Queue()
        self._arrived = asyncio.Event()
        self._incoming.put_nowait({"type": "http.request", "body": json.dumps(body).encode(), "more_body": False})
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": "POST",
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "root_path": "",
            "query_string": b"",
            "headers": [
                (b"host", b"localhost"),
                (b"content-type", b"application/json"),
                (b"content-length", b"9"),
                *headers,
            ],
            "client": ("127.0.0.1", 50_000),
            "server": ("127.0.0.1", 8080),
        }
        self.task = asyncio.ensure_future(service.app(scope, self._incoming.get, self._send))

    async def _send(self, message: Message) -> None:
        self.sent.append(message)
        self._arrived.set()
        await asyncio.sleep(0)

    async def arrived(self, count: int) -> None:
        """Wait until so many messages have gone out."""
        async with asyncio.timeout(PATIENCE_S):
            while len(self.sent) < count:
                self._arrived.clear()
                await self._arrived.wait()

    async def leave(self) -> None:
        """Go away, and wait until the server noticed."""
        self._incoming.put_nowait({"type": "http.disconnect"})
        async with asyncio.timeout(PATIENCE_S):
            await self.task

    @property
    def headers(self) -> dict[str, str]:
        """The response's headers."""
        return {name.decode(): value.decode() for name, value in self.sent[0]["headers"]}


def events(body: str) -> list[Any]:
    """Read server-sent events; [DONE] stays text."""
    texts = [block.removeprefix("data: ") for block in body.split("\n\n") if block]
    return [text if text == "[DONE]" else json.loads(text) for text in texts]
