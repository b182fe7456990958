"""Whole columns into tables, as fast as each database takes them; knows nothing of what they mean.

SQLite gets rows of Python values in one statement, PostgreSQL its own binary format, laid out without a loop over rows.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import BigInteger, Boolean, Connection, SmallInteger, Table
from sqlalchemy.types import REAL

from router.database.tables import Base, Coded, RequestId

HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
TRAILER = b"\xff\xff"


@dataclass(frozen=True, slots=True)
class Column:
    """Values, and where there are none; ids are rows of sixteen bytes."""

    values: NDArray[Any]
    is_null: NDArray[np.bool_] | None = None


Columns = Mapping[str, Column]


def known(values: NDArray[Any]) -> Column:
    """A column of numbers that are not negative; -1 is none."""
    return Column(values, values < 0)


def insert(connection: Connection, model: type[Base], columns: Columns) -> None:
    """Insert all rows; columns that are not given stay empty."""
    table = Base.metadata.tables[model.__tablename__]
    if connection.dialect.name == "sqlite":
        _insert_sqlite(connection, table, columns)
    else:
        _copy_postgresql(connection, table, columns)


def _insert_sqlite(connection: Connection, table: Table, columns: Columns) -> None:
    marks = ", ".join("?" * len(columns))
    statement = f"INSERT INTO {table.name} ({', '.join(columns)}) VALUES ({marks})"  # noqa: S608 - names of our own
    rows = zip(*(_listed(column) for column in columns.values()), strict=True)
    connection.connection.cursor().executemany(statement, rows)  # type: ignore[arg-type]


def _listed(column: Column) -> list[Any]:
    values = column.values
    if values.ndim == 2:
        octets = values.tobytes()
        return [octets[place : place + 16] for place in range(0, len(octets), 16)]
    if column.is_null is None or not column.is_null.any():
        return list(values.tolist())
    found = values.astype(object)
    found[column.is_null] = None
    return list(found.tolist())


def _copy_postgresql(connection: Connection, table: Table, columns: Columns) -> None:
    cursor: Any = connection.connection.cursor()
    with cursor.copy(f"COPY {table.name} ({', '.join(columns)}) FROM STDIN (FORMAT BINARY)") as copy:
        copy.write(HEADER)
        copy.write(_laid_out(table, columns))
        copy.write(TRAILER)


def _laid_out(table: Table, columns: Columns) -> bytes:
    """Rows in PostgreSQL's binary format: the number of fields, then each with its length, -1 for none."""
    forms = {name: _form(table, name) for name in columns}
    fields = [("count", ">i2")]
    for name, form in forms.items():
        fields += [(f"length_{name}", ">i4"), (name, form)]
    kind = np.dtype(fields)
    count = len(next(iter(columns.values())).values)
    rows = np.empty(count, kind)
    rows["count"] = len(columns)
    is_kept = np.ones((count, kind.itemsize), bool)
    for name, column in columns.items():
        size, at = kind[name].itemsize, kind.fields[name][1]  # type: ignore[index]
        rows[f"length_{name}"] = size
        rows[name] = column.values.reshape(count, 16).view("V16")[:, 0] if column.values.ndim == 2 else column.values
        if column.is_null is not None:
            rows[f"length_{name}"][column.is_null] = -1
            is_kept[column.is_null, at : at + size] = False
    return rows.view(np.uint8).reshape(is_kept.shape)[is_kept].tobytes()


def _form(table: Table, name: str) -> str:
    match table.columns[name].type:
        case RequestId():
            return "V16"
        case Boolean():
            return "u1"
        case REAL():
            return ">f4"
        case BigInteger():
            return ">i8"
        case SmallInteger() | Coded():
            return ">i2"
    return ">i4"
