"""What was last known of the books, in one small file of the state directory, for a start while they are away.

It holds what decides and who may call: keys by their hashes, the policy in force, prices, revenue assumptions, budgets,
and which books these are. No text of a request, no secret, no spending. Read back, it is a database in memory with the
same tables, so that whoever reads the books at a start reads this in the same way.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import Engine, Select, Table, create_engine, insert, select
from sqlalchemy.pool import StaticPool

from router.database import schema
from router.database.books_tables import BooksId
from router.database.private import FILE_MODE
from router.database.tables import ApiKey, Base, BudgetRow, OldKeySecret, PolicyVersion, PriceRow, RevenueVersion

FILE = "last-known.json"
VERSION = 1
KEPT: Sequence[type[Base]] = (BooksId, ApiKey, OldKeySecret, PolicyVersion, PriceRow, RevenueVersion, BudgetRow)


class LastKnown(msgspec.Struct):
    """The rows by their table, as they were at an instant."""

    version: int
    at_us: int
    tables: dict[str, list[dict[str, Any]]]


class LastKnownFile:
    """Keeps the file in step with the database; written only when something changed."""

    def __init__(self, engine: Engine, state_dir: Path, now_us: Callable[[], int]) -> None:
        self._engine = engine
        self._path = state_dir / FILE
        self._now_us = now_us
        self._tables: dict[str, list[dict[str, Any]]] | None = None

    def follow(self) -> None:
        """Read what there is, and write what changed; raises SQLAlchemyError or OSError."""
        tables = _read(self._engine)
        if tables != self._tables:
            _write(self._path, LastKnown(VERSION, self._now_us(), tables))
            self._tables = tables


def load(state_dir: Path) -> tuple[Engine, int] | None:
    """Make a database in memory of the file, and tell of which instant it is; None where there is none to be read."""
    try:
        known = msgspec.json.decode((state_dir / FILE).read_bytes(), type=LastKnown)
    except (OSError, msgspec.DecodeError):
        return None
    if known.version != VERSION:
        return None
    engine = create_engine("sqlite://", poolclass=StaticPool, connect_args={"check_same_thread": False})
    schema.metadata().create_all(engine)
    with engine.begin() as connection:
        for kind in KEPT:
            table = _table(kind)
            names = {column.name for column in table.columns}
            rows = [{n: v for n, v in row.items() if n in names} for row in known.tables.get(table.name, [])]
            if rows:
                connection.execute(insert(table), rows)
    return engine, known.at_us


def books_id(engine: Engine) -> str | None:
    """Read which books these are; raises SQLAlchemyError."""
    with engine.connect() as connection:
        return connection.scalar(select(BooksId.id))


def _read(engine: Engine) -> dict[str, list[dict[str, Any]]]:
    """Read the rows that are in force: of versions the newest active ones, of keys those that are not revoked."""
    found: dict[str, list[dict[str, Any]]] = {}
    with engine.connect() as connection:
        for name, query in _queries().items():
            found[name] = [dict(row) for row in connection.execute(query).mappings()]
    return found


@cache
def _queries() -> Mapping[str, Select[Any]]:
    """The statements that read what is kept, by table: put together once, since every worker reads often."""
    queries = {}
    for kind in KEPT:
        table = _table(kind)
        query = select(table).order_by(*table.primary_key.columns)
        if kind is ApiKey:
            query = query.where(ApiKey.revoked_at.is_(None))
        elif kind is PolicyVersion:
            query = query.where(PolicyVersion.state == "active")
        elif kind is RevenueVersion:
            query = select(table).order_by(RevenueVersion.version.desc()).limit(1)
        queries[table.name] = query
    return queries


def _write(path: Path, known: LastKnown) -> None:
    """Write the file anew, for its owner alone; whoever reads it has the old one or the new one."""
    made = path.with_name(f"{path.name}.{os.getpid()}")
    descriptor = os.open(made, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, FILE_MODE)
    with os.fdopen(descriptor, "wb") as file:
        file.write(msgspec.json.encode(known))
        file.flush()
        os.fsync(file.fileno())
    os.replace(made, path)


def _table(kind: type[Base]) -> Table:
    table = kind.__table__
    assert isinstance(table, Table)
    return table
