"""Inserts that differ between SQLite and PostgreSQL, each in one function; nothing else picks a dialect's insert.

All are given the connection of a transaction that is going to write, and raise SQLAlchemyError.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Connection
from sqlalchemy.dialects import sqlite

from router.database.tables import Base


def insert_or_nothing(connection: Connection, table: type[Base], rows: Sequence[Mapping[str, Any]]) -> int:
    """Insert rows whose key is not there yet; returns how many were new."""
    if not rows:
        return 0
    # Without the option the driver's count of an insert is thrown away on PostgreSQL.
    counted = {"preserve_rowcount": True}
    statement = _insert(connection, table).on_conflict_do_nothing()
    return int(connection.execute(statement, list(rows), execution_options=counted).rowcount)


def insert_or_update(
    connection: Connection, table: type[Base], row: Mapping[str, Any], keys: Sequence[str], changes: Mapping[str, Any]
) -> None:
    """Insert a row, or change the one that has the same keys; changes may be expressions over what is there."""
    statement = _insert(connection, table).values(**row)
    connection.execute(statement.on_conflict_do_update(index_elements=keys, set_=changes))


def insert_or_update_where(
    connection: Connection,
    table: type[Base],
    row: Mapping[str, Any],
    keys: Sequence[str],
    changes: Mapping[str, Any],
    condition: ColumnElement[bool],
) -> bool:
    """Insert a row, or change the one that has the same keys if a condition holds of it; tells whether either was done.

    One statement: of many that do so at once each sees what the ones before it left.
    """
    statement = _insert(connection, table).values(**row)
    statement = statement.on_conflict_do_update(index_elements=keys, set_=changes, where=condition)
    return bool(connection.execute(statement, execution_options={"preserve_rowcount": True}).rowcount == 1)


def prepare_claim(dialect: str, table: type[Base], keys: Sequence[str], condition: ColumnElement[bool]) -> Any:
    """Prepare the same for whole rows: what is there is replaced where a condition with parameters holds of it.

    It is executed with a row and the parameters, and its `rowcount` tells whether either was done. To put a statement
    together costs several times what it costs to run.
    """
    statement = _dialect(dialect).insert(table.__table__)
    changes = {column.name: statement.excluded[column.name] for column in table.__table__.columns}
    changed = {name: value for name, value in changes.items() if name not in keys}
    return statement.on_conflict_do_update(index_elements=keys, set_=changed, where=condition).execution_options(
        preserve_rowcount=True
    )


def insert_structs_or_nothing(connection: Connection, table: str, rows: Sequence[msgspec.Struct]) -> None:
    """Insert structs of one kind, named field by field as the columns, whose key is not there yet; fast for many."""
    if not rows:
        return
    columns = rows[0].__struct_fields__
    if connection.dialect.name == "sqlite":
        statement = f"{_insert_into(table, columns)} ON CONFLICT DO NOTHING"
        connection.exec_driver_sql(statement, [msgspec.structs.astuple(row) for row in rows])
    else:
        connection.exec_driver_sql(_insert_from_json(table, columns), (msgspec.json.encode(rows).decode(),))


def insert_integers(connection: Connection, table: str, columns: Sequence[str], rows: Sequence[Sequence[int]]) -> None:
    """Insert rows of integers with keys that are not there, past SQLAlchemy, which would take longer than they do."""
    if not rows:
        return
    cursor: Any = connection.connection.cursor()
    if connection.dialect.name == "sqlite":
        cursor.executemany(_insert_into(table, tuple(columns)), rows)
        return
    with cursor.copy(f"COPY {table} ({', '.join(columns)}) FROM STDIN") as copy:
        copy.write("".join("\t".join(map(str, row)) + "\n" for row in rows))


def _insert(connection: Connection, table: type[Base]) -> Any:
    return _dialect(connection.dialect.name).insert(table)


def _dialect(name: str) -> Any:
    """Return the module of a dialect; that of PostgreSQL takes 2 MB, which a worker on SQLite does without."""
    if name == "sqlite":
        return sqlite
    from sqlalchemy.dialects import postgresql

    return postgresql


@cache
def _insert_into(table: str, columns: tuple[str, ...]) -> str:
    marks = ",".join("?" * len(columns))
    return f"INSERT INTO {table} ({','.join(columns)}) VALUES ({marks})"  # noqa: S608 - names of our own


@cache
def _insert_from_json(table: str, columns: tuple[str, ...]) -> str:
    names = ",".join(columns)
    source = f"json_populate_recordset(NULL::{table}, %s::json)"
    return f"INSERT INTO {table} ({names}) SELECT {names} FROM {source} ON CONFLICT DO NOTHING"  # noqa: S608 - names of our own
