"""A database that cannot be used stops the start, and the message names the cause and no password."""

import sqlite3
from pathlib import Path

import pytest
from sqlalchemy import Connection, Engine, insert, select, text

from router.database import ids, schema
from router.database.engine import DatabaseUnusable, check_writable, exclusive, format_url, off_loop, open_engine
from router.database.tables import RawUsage, StoredResponseRow
from router.errors import Unavailable
from router.ledger.retention import purge
from router.types import DAY_US
from tests.ledger.builders import NOON, an_id


def test_an_unreachable_server_is_named_without_its_password() -> None:
    with pytest.raises(DatabaseUnusable) as refused:
        schema.ready_engine("postgresql+psycopg://books:hush@127.0.0.1:1/books")
    assert "127.0.0.1" in str(refused.value)
    assert "refused" in str(refused.value)
    assert "hush" not in str(refused.value)


async def test_a_client_is_told_that_the_database_is_away_and_nothing_of_it() -> None:
    engine = open_engine("postgresql+psycopg://books:hush@127.0.0.1:1/books")
    with pytest.raises(Unavailable, match=r"^the database is away; send it again later$"):
        await off_loop(engine.connect)


def test_a_read_only_file_is_named(sqlite_url: str) -> None:
    schema.ready_engine(sqlite_url).dispose()
    engine = open_engine(sqlite_url.replace("sqlite:///", "sqlite:///file:") + "?mode=ro&uri=true")
    with pytest.raises(DatabaseUnusable, match="readonly"):
        check_writable(engine)
    engine.dispose()


def test_a_full_disk_is_named(sqlite_url: str) -> None:
    engine = schema.ready_engine(sqlite_url)
    with pytest.raises(DatabaseUnusable, match="full"):
        check_writable(engine, needed_bytes=2**62)
    engine.dispose()


def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    (tmp_path / "books.db").write_bytes(b"dear diary " * 1000)
    with pytest.raises(DatabaseUnusable, match="not a database"):
        schema.ready_engine(f"sqlite:///{tmp_path}/books.db")


def test_a_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DatabaseUnusable, match="file"):
        schema.ready_engine(f"sqlite:///{tmp_path}/file/var/books.db")


@pytest.mark.parametrize("url", ["books.db", "mysql://books", "sqlite:/books.db"])
def test_what_is_no_url_of_ours_is_told(url: str) -> None:
    with pytest.raises(DatabaseUnusable, match="neither"):
        schema.ready_engine(url)


def test_the_driver_of_postgresql_need_not_be_named() -> None:
    assert open_engine("postgresql://db/books").url.drivername == "postgresql+psycopg"


def test_passwords_are_not_shown() -> None:
    assert "hush" not in format_url("postgresql+psycopg://books:hush@db/books")


def test_sqlite_is_in_wal_mode(sqlite_url: str) -> None:
    schema.ready_engine(sqlite_url).dispose()
    with sqlite3.connect(sqlite_url.removeprefix("sqlite:///")) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    connection.close()


def test_raw_usage_goes_after_thirty_days(sqlite_url: str) -> None:
    engine = schema.ready_engine(sqlite_url)
    ids = [an_id(NOON - days * DAY_US) for days in (31, 29)]
    with engine.begin() as connection:
        connection.execute(insert(RawUsage), [{"request_id": i, "call_no": 0, "body": "{}"} for i in ids])
        kept = {"id": "a", "created_at": 0, "expires_at": NOON + 1, "body": b""}
        connection.execute(insert(StoredResponseRow), [kept, {**kept, "id": "b", "expires_at": NOON - 1}])
    assert purge(engine, NOON) == 2
    with engine.connect() as connection:
        assert connection.execute(text("SELECT id FROM stored_responses")).scalars().all() == ["a"]
        assert connection.execute(select(RawUsage.__table__)).one().request_id == ids[1]
    engine.dispose()


def test_a_range_of_time_is_a_range_of_ids() -> None:
    assert ids.text_at(NOON // 1_000) <= an_id(NOON) < ids.text_at(NOON // 1_000 + 1)


@pytest.mark.slow
def test_postgresql_is_waited_for_so_long_and_no_longer(postgresql_engine: Engine) -> None:
    def setting(connection: Connection, name: str) -> str:
        return str(connection.execute(text(f"SHOW {name}")).scalar_one())

    with postgresql_engine.connect() as connection:
        assert (setting(connection, "lock_timeout"), setting(connection, "statement_timeout")) == ("30s", "15min")
    with exclusive(postgresql_engine) as connection:  # a migration may take long, and who waits for one too
        assert (setting(connection, "lock_timeout"), setting(connection, "statement_timeout")) == ("0", "0")
    with postgresql_engine.connect() as connection:
        assert setting(connection, "lock_timeout") == "30s"
        driver = connection.connection.dbapi_connection
        assert driver is not None
        options = driver.info.get_parameters()
        assert (options["connect_timeout"], options["keepalives_idle"], options["tcp_user_timeout"]) == (
            "5", "30", "30000",
        )  # fmt: skip
