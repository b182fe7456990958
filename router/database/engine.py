"""Engines for the books' database, and plain words for why a database cannot be used."""

import asyncio
import os
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import (
    ArgumentError,
    DataError,
    DBAPIError,
    IntegrityError,
    NoSuchModuleError,
    ProgrammingError,
    SQLAlchemyError,
)
from sqlalchemy.exc import TimeoutError as PoolTimeout

from router.database.private import make_file
from router.errors import Unavailable
from router.mistakes.extras import require

Result = TypeVar("Result")
AuditHook = Callable[[Connection, Mapping[str, Any] | None, Mapping[str, Any] | None], None]
"""Told of a change within its own transaction: what was so before, what is after (None: there was, there is none)."""

BOOKS_FILE = "tierwise_file"  # an engine's execution option
AWAY_SQLITE = frozenset(
    (
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_NOTADB,
        sqlite3.SQLITE_PERM,
    )
)
CANCELLED_STATEMENT = "57014"  # PostgreSQL: one statement took too long
BUSY_TIMEOUT_MS = 10_000
AWAY_PAUSE_S = 0.5  # before what can wait is tried again
CONNECT_TIMEOUT_S = 5
LOCK_TIMEOUT_MS = 30_000
STATEMENT_TIMEOUT_MS = 900_000  # reports and back-tests of years are done before
KEEPALIVE = {
    "connect_timeout": CONNECT_TIMEOUT_S,
    "keepalives": 1,
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,  # milliseconds that what was sent may go unacknowledged
}
NEEDED_BYTES = 4 * 2**20
# Of a value that is no number and no text, `sqlite3` asks many whether they adapt it; to find that nobody does takes
# longer than to insert it. These say at once that it stays what it is.
sqlite3.register_adapter(type(None), lambda nothing: nothing)
sqlite3.register_adapter(bytes, bytes)
sqlite3.register_adapter(bool, int)
LEDGER_LOCK = 0x7165_7277  # PostgreSQL advisory lock of whoever changes schema, prices or versions


class BooksReplaced(SQLAlchemyError):
    """The database is not the one that was opened: its file was deleted or replaced, or it has another name."""


class BooksFile:
    """The file of an SQLite database, as it was when it was first opened.

    A connection to a file that was deleted or replaced goes on working, and what it commits is gone.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known: tuple[int, int] | None = None

    def require_same(self) -> None:
        """Raise BooksReplaced when another file, or none, has the name by now."""
        if self._known is not None and self._known != (found := self._look()):
            what = "deleted" if found is None else "replaced by another file"
            raise BooksReplaced(
                f"{self._path} was {what} while it was open: put it back, or start anew to use what is there"
            )

    def note_opened(self) -> None:
        """Remember which file it is, the first time."""
        if self._known is None:
            self._known = self._look()

    def _look(self) -> tuple[int, int] | None:
        try:
            found = os.stat(self._path)
        except OSError:
            return None
        return found.st_dev, found.st_ino


def require_same_file(engine: Engine) -> None:
    """Raise BooksReplaced when the database's file is not the one that was opened."""
    file = engine.get_execution_options().get(BOOKS_FILE)
    if isinstance(file, BooksFile):
        file.require_same()


class DatabaseUnusable(Unavailable):
    """The books' database cannot be used; the message names the cause and carries no password."""


class DatabaseAway(DatabaseUnusable):
    """The database is right, and away or busy at the moment: it may be back by itself."""


def open_engine(database_url: str) -> Engine:
    """Make an engine with the pragmas and time-outs that the books rely on; raises DatabaseUnusable."""
    url = _parse_url(database_url)
    try:
        if url.get_backend_name() == "sqlite":
            return _sqlite_engine(url)
        return _postgresql_engine(url)
    except (ArgumentError, NoSuchModuleError, ImportError) as error:
        raise DatabaseUnusable(f"database_url: {error}") from None


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """Open a transaction that is going to write: SQLite takes its write lock now and not halfway."""
    with engine.connect().execution_options(tierwise_writes=True) as connection, connection.begin():
        yield connection


@contextmanager
def exclusive(engine: Engine) -> Iterator[Connection]:
    """Open a writing transaction that excludes other processes in this same block, on either database."""
    with writing(engine) as connection:
        if connection.dialect.name == "postgresql":
            # Whoever holds it may migrate a large table: it is waited for, and what is done under it may take long.
            connection.execute(text("SELECT set_config('lock_timeout', '0', true)"))
            connection.execute(text("SELECT set_config('statement_timeout', '0', true)"))
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LEDGER_LOCK})
        yield connection


async def off_loop(work: Callable[[], Result]) -> Result:
    """Do database work for a client in a thread, off the event loop; raises Unavailable when the database is away."""
    try:
        return await asyncio.to_thread(work)
    except SQLAlchemyError:
        raise Unavailable("the database is away; send it again later") from None


async def patiently(work: Callable[[], Result]) -> Result:
    """Do database work off the event loop, again and again while the database is away."""
    while True:
        try:
            return await off_loop(work)
        except Unavailable:
            await asyncio.sleep(AWAY_PAUSE_S)


def format_url(database_url: str) -> str:
    """Write a database URL without its password."""
    return _parse_url(database_url).render_as_string(hide_password=True)


def address_of(engine: Engine) -> str:
    """Write where an engine's database is, for a report that others read: without user, password and parameters."""
    url = engine.url
    return URL.create(url.get_backend_name(), None, None, url.host, url.port, url.database).render_as_string()


def sqlite_path(database_url: str) -> Path | None:
    """Return the file of an SQLite URL; None for other databases and in-memory ones."""
    url = _parse_url(database_url)
    if url.get_backend_name() != "sqlite" or not url.database or url.database == ":memory:":
        return None
    return Path(url.database)


def cause(error: BaseException, database_url: str | None = None) -> str:
    """Say in one line why the database failed, without its password."""
    origin = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
    line = " ".join(str(origin).split()) or type(origin).__name__
    password = _parse_url(database_url).password if database_url else None
    return line.replace(str(password), "***") if password else line


def is_away(error: SQLAlchemyError) -> bool:
    """Tell whether an error says that the database is away or busy, and not that one statement failed in it."""
    if not isinstance(error, DBAPIError):
        return isinstance(error, (BooksReplaced, PoolTimeout))
    if isinstance(error, (DataError, IntegrityError, ProgrammingError)):
        return False
    if isinstance(error.orig, sqlite3.Error):
        return _primary_code(error.orig) in AWAY_SQLITE
    return getattr(error.orig, "sqlstate", None) != CANCELLED_STATEMENT


def _primary_code(error: sqlite3.Error) -> int:
    """Return SQLite's code of an error without what extends it; 0 where Python's module made the error by itself."""
    return (getattr(error, "sqlite_errorcode", None) or 0) & 0xFF


def check_writable(engine: Engine, needed_bytes: int = NEEDED_BYTES) -> None:
    """Commit a tiny write, so that a read-only, full or unreachable database is found now; raises DatabaseUnusable."""
    url = engine.url.render_as_string(hide_password=False)
    path = sqlite_path(url)
    if path is not None and path.exists() and shutil.disk_usage(path.parent).free < needed_bytes:
        raise DatabaseUnusable(f"{format_url(url)} cannot be written: the disk is full")
    try:
        with writing(engine) as connection:
            connection.execute(text("UPDATE alembic_version SET version_num = version_num"))
    except SQLAlchemyError as error:
        raise unusable(error)(f"{format_url(url)} cannot be written: {cause(error, url)}") from None


def _parse_url(database_url: str) -> URL:
    try:
        url = make_url(database_url)
    except ArgumentError:
        url = None
    if url is None or url.get_backend_name() not in ("sqlite", "postgresql"):
        raise DatabaseUnusable("database_url is neither sqlite:///PATH nor postgresql+psycopg://...")
    return url.set(drivername="postgresql+psycopg") if url.drivername == "postgresql" else url


def _use_wal(connection: Any) -> None:
    """Switch a database to a write-ahead log, once; SQLite's own time-out does not cover this."""
    deadline = time.monotonic() + BUSY_TIMEOUT_MS / 1000
    while connection.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.01)


def unusable(error: SQLAlchemyError) -> type[DatabaseUnusable]:
    """Tell which error a start that failed is: only one that may pass by itself says that the database is away."""
    origin = error.orig if isinstance(error, DBAPIError) else None
    if isinstance(origin, sqlite3.Error):
        is_busy = _primary_code(origin) in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
        return DatabaseAway if is_busy else DatabaseUnusable
    is_wrong = any(words in str(origin) for words in ("authentication", "does not exist", "no pg_hba.conf entry"))
    return DatabaseAway if is_away(error) and not is_wrong else DatabaseUnusable


def _postgresql_engine(url: URL) -> Engine:
    """Make an engine whose connections notice a server that is gone, and wait for nobody for ever.

    What the URL itself says of the connection counts. The time-outs are set once connected: a pooler in between may
    refuse options at the start.
    """
    require("postgres", "database_url: PostgreSQL", DatabaseUnusable)
    given = {name: value for name, value in KEEPALIVE.items() if name not in url.query}
    engine = create_engine(url, pool_pre_ping=True, connect_args=given)

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, record: object) -> None:
        with connection.cursor() as cursor:
            cursor.execute(f"SET lock_timeout = {LOCK_TIMEOUT_MS}")
            cursor.execute(f"SET statement_timeout = {STATEMENT_TIMEOUT_MS}")
        connection.commit()

    return engine


def _sqlite_engine(url: URL) -> Engine:
    engine = create_engine(url, connect_args={"timeout": BUSY_TIMEOUT_MS / 1000, "check_same_thread": False})

    path = sqlite_path(url.render_as_string(hide_password=False))
    file = None if path is None else BooksFile(path)
    engine.update_execution_options(**{BOOKS_FILE: file})

    @event.listens_for(engine, "do_connect")
    def look(dialect: object, record: object, args: object, options: object) -> None:
        if file is not None:  # or SQLite would make an empty one
            file.require_same()
        if path is not None and not str(path).startswith("file:"):
            with suppress(OSError):  # SQLite says better what is wrong; its other files get the mode of this one
                make_file(path)

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, record: object) -> None:
        if file is not None:
            file.note_opened()
        connection.isolation_level = None
        connection.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")
        _use_wal(connection)
        connection.execute("PRAGMA synchronous=NORMAL")
        connection.execute("PRAGMA foreign_keys=ON")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        if file is not None:
            file.require_same()
        if connection.get_execution_options().get("tierwise_writes"):
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        else:  # it takes no lock and cannot fail; past SQLAlchemy it costs less than what is read then
            connection.connection.cursor().execute("BEGIN")

    return engine
