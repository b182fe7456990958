"""Records what this code asks of a database, so that the next release can be held against it.

Run as `python -m tests.migrations.recording DIRECTORY` in a checkout of a release: it serves, changes and reads the
books as clients, operators and commands do, on both databases, and writes every kind of statement that it saw with what
it was given. `tests/migrations/test_previous_release.py` executes them on the schema as it is by then.
"""

import asyncio
import gzip
import json
import sys
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, text
from typer.testing import CliRunner

from router.cli import app
from router.database import schema
from router.keys import Scope
from router.ledger import budgets, closing, pricelist, retention, rollups
from router.ledger.budgets import BudgetScope, Period
from router.ledger.correction import Rerated, rerate
from router.ledger.pricelist import OPERATOR, Quote
from router.ledger.prices import Rates
from router.notifications import alerts
from router.notifications.rules import AlertRule, Finding
from router.policies import canary_lifecycle, lifecycle
from router.policies.lifecycle import Actor
from router.types import DAY_US
from tests.admin.visitors import PAGES, Visitor, plane
from tests.api.service import CHAT, HARD, Service, a_chat, serving, settings_of
from tests.builders.databases import postgresql_url

ASKS = ("SELECT", "INSERT", "UPDATE", "DELETE", "WITH")
OF_THE_SERVER = ("pg_", "set_config", "sqlite_master", "alembic_version", "information_schema")
SEEN_OF_EACH = 2
FOLLOWED_AFTER_S = 6.0  # until then every follower of the books has read them
ADA = Actor("ada", "", 7)
LEARNING = {"policy": {"explore": 0, "shadow": 1}, "learning": {"keep_share": 1}}
COMMANDS = (
    "report --by tier,segment,model,day",
    "report --by key,cause",
    "ledger verify",
    "ledger export --format csv",
    "ledger forget --user someone",
    "policy show",
    "policy log",
    "policy pace",
    "prices list",
    "keys list",
    "budget show",
    "revenue show",
    "revenue events",
    "alerts list",
    "artifacts list",
    "agreement",
    "whatif",
)


class Recorder:
    """Listens to every engine; keeps each statement's first occurrences, in the order in which they were executed."""

    def __init__(self, dialect: str) -> None:
        self.kept: list[list[Any]] = []
        self._dialect = dialect
        self._seen: Counter[str] = Counter()

    def __enter__(self) -> "Recorder":
        event.listen(Engine, "before_cursor_execute", self._note)
        return self

    def __exit__(self, *_: object) -> None:
        event.remove(Engine, "before_cursor_execute", self._note)

    def _note(self, connection: Connection, cursor: Any, statement: str, given: Any, context: Any, many: bool) -> None:
        is_wanted = statement.lstrip().upper().startswith(ASKS) and not any(word in statement for word in OF_THE_SERVER)
        if is_wanted and connection.dialect.name == self._dialect and self._seen[statement] < SEEN_OF_EACH:
            self._seen[statement] += 1
            self.kept.append([statement, [_plain(one) for one in given] if many else _plain(given), bool(many)])


def _plain(value: Any) -> Any:
    """Write what a statement is given as JSON; bytes and ids are marked."""
    match value:
        case dict():
            return {name: _plain(one) for name, one in value.items()}
        case list() | tuple():
            return [_plain(one) for one in value]
        case bytes() | memoryview():
            return {"$bytes": bytes(value).hex()}
        case uuid.UUID():
            return {"$id": value.hex}
        case None | bool() | int() | float() | str():
            return value
        case _ if hasattr(value, "obj"):  # psycopg's wrappers
            return _plain(value.obj) if isinstance(value.obj, bytes) else {"$json": value.obj}
    raise TypeError(f"{type(value)} cannot be written")


async def _serve(service: Service) -> None:
    """What clients and operators do."""
    now_us = time.time_ns() // 1_000
    client = service.with_key("recorded", limits={"user_deep_per_day": 5})
    seller = service.with_key("seller", Scope.REVENUE)
    named: dict[str, Any] = {"metadata": {"conversation_id": "one"}, "user": "someone"}
    asked = [a_chat("fast", **named), a_chat("fast", **named), a_chat("auto"), a_chat("reasoning"), a_chat("parallel")]
    asked += [a_chat("fail-500"), a_chat("auto", messages=[{"role": "user", "content": HARD}])]
    replies = [await client.post(CHAT, json=body) for body in asked]
    async with client.stream("POST", CHAT, json=a_chat("fast", stream=True)) as streamed:
        await streamed.aread()
    stored = (await client.post("/v1/responses", json={"model": "fast", "input": "Hello", "store": True})).json()
    await client.get(f"/v1/responses/{stored['id']}")
    again = {"model": "fast", "input": "And now?", "store": True, "previous_response_id": stored["id"]}
    await client.post("/v1/responses", json=again)
    await client.delete(f"/v1/responses/{stored['id']}")
    request_id = replies[0].headers["x-request-id"]
    await service.booked(request_id)
    await client.post("/v1/feedback", json={"request_id": request_id, "rating": 1})
    await client.get("/v1/usage")
    event = {"source": "ads", "id": "1", "request_id": request_id, "kind": "click", "amount_usd": "0.01"}
    statement = {"source": "ads", "id": "2", "kind": "statement", "day": "2026-01-02", "amount_usd": "1.5"}
    await seller.post("/v1/revenue-events", json=[event, statement])
    wiring = service.settings.tiers
    version = lifecycle.propose(service.engine, {"reasoning_threshold": 0.5}, wiring, ADA)
    trial = canary_lifecycle.start(service.engine, version, 0.5, wiring, ADA)
    budgets.put(service.engine, BudgetScope.TOTAL, "", Period.MONTH, 10**12, "ada", "", now_us)
    budgets.put(service.engine, BudgetScope.TOTAL, "", Period.MONTH, 10**13, "ada", "", now_us)
    pricelist.put(service.engine, Quote("scripted/fast-echo", OPERATOR, "test", (Rates(1_000, 2_000),)), now_us)
    await asyncio.sleep(FOLLOWED_AFTER_S / 2)
    for body in asked:
        await client.post(CHAT, json=body)
    canary_lifecycle.stop(service.engine, ADA, trial.id)
    lifecycle.activate(service.engine, version, wiring, ADA)
    await asyncio.sleep(FOLLOWED_AFTER_S)
    _keep_books(service.engine, request_id, now_us)
    await client.post("/v1/feedback", json={"request_id": request_id, "rating": -1})
    budgets.drop(service.engine, BudgetScope.TOTAL, "", Period.MONTH)


def _keep_books(engine: Engine, request_id: str, now_us: int) -> None:
    """What is done now and then: an alert, a correction, rollups, the closing of a month."""
    alerts.raise_once(engine, [Finding(AlertRule.TEST, "all", "now", "bad", "A test", "says so")], ["log"], now_us)
    alerts.take_turn(engine, "often", now_us, lease_us=1, longest_us=1)
    alerts.end_turn(engine, "often", now_us)
    rerate(engine, [Rerated(request_id, 0, "scripted/fast-echo", now_us, 0, 250, 1)], "ada", "wrong", now_us)
    rollups.catch_up(engine, now_us + DAY_US)
    closing.close(engine, "2026-01", "ada", "over", now_us)
    retention.purge(engine, now_us + DAY_US)


def _read(directory: Path, url: str) -> None:
    """What operators look at."""
    with plane(directory, database_url=url) as running:
        visitor = Visitor(running)
        visitor.enter()
        for page in PAGES:
            visitor.get(page)
    config = directory / "tierwise.toml"
    config.write_text(f'database_url = "{url}"\nstate_dir = "{directory}"\n')
    for line in COMMANDS:
        _run(line.split(), config)


def _run(words: Sequence[str], config: Path) -> None:
    found = CliRunner().invoke(app, [*words, "--config", str(config)])
    if found.exit_code:
        sys.stderr.write(f"{' '.join(words)}: {found.output[-200:] or repr(found.exception)}\n")


def record(dialect: str, url: str, directory: Path) -> list[list[Any]]:
    """Serve, change and read books that are empty at first; returns the statements."""
    directory.mkdir()
    settings = settings_of(directory, database_url=url, state_dir=directory, alerts={"every_s": 2}, **LEARNING)

    async def serve() -> None:
        async with serving(settings) as service:
            await _serve(service)

    with Recorder(dialect) as recorder:
        asyncio.run(serve())
        _read(directory, url)
    return recorder.kept


def main() -> None:
    """Write one file for each database into a directory."""
    into = Path(sys.argv[1])
    with tempfile.TemporaryDirectory() as place:
        urls = {"sqlite": f"sqlite:///{place}/books.db", "postgresql": _empty_postgresql()}
        for dialect, url in urls.items():
            schema.migrate(url)
            kept = record(dialect, url, Path(place) / dialect)
            written = json.dumps({"revision": schema.revisions()[-1], "statements": kept}, ensure_ascii=False)
            (into / f"{dialect}.json.gz").write_bytes(gzip.compress(written.encode(), mtime=0))
            sys.stdout.write(f"{dialect}: {len(kept)} statements, {len({one[0] for one in kept})} kinds\n")


def _empty_postgresql() -> str:
    base = postgresql_url()
    engine = create_engine(base.format(name="postgres"), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text("CREATE DATABASE recorded"))
    engine.dispose()
    return base.format(name="recorded")


if __name__ == "__main__":
    main()
