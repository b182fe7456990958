"""What the previous release asks of a database works on the schema as it is now: old and new replicas run side by side.

The statements were recorded by `tests/migrations/recording.py` in a checkout of that release; CONTRIBUTING says when
they are recorded anew. That a row is there already, or another is not, is no failure: only a part of them was kept.
"""

import gzip
import json
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from psycopg.types.json import Json
from sqlalchemy import Engine, select, text
from sqlalchemy.exc import DBAPIError, IntegrityError

from router.database import schema
from router.database.books_tables import SchemaFloor
from router.database.engine import open_engine

RECORDED = Path(__file__).parent / "release"
IS_THERE = ("UNIQUE constraint failed", "FOREIGN KEY constraint failed", "duplicate key", "violates foreign key")


def recorded(engine: Engine) -> tuple[str, list[list[Any]]]:
    """The revision of the previous release, and its statements with what they were given."""
    found = json.loads(gzip.decompress((RECORDED / f"{engine.dialect.name}.json.gz").read_bytes()))
    return found["revision"], found["statements"]


def given(value: Any) -> Any:
    """Make of what was written what a driver takes."""
    match value:
        case {"$bytes": str(content)}:
            return bytes.fromhex(content)
        case {"$id": str(content)}:
            return uuid.UUID(content)
        case {"$json": content}:
            return Json(content)
        case dict():
            return {name: given(one) for name, one in value.items()}
        case list():
            return tuple(given(one) for one in value)
        case _:
            return value


def failures(engine: Engine, statements: Sequence[Sequence[Any]]) -> list[str]:
    """Execute each statement by itself; returns what the database says against any."""
    said = []
    for statement, parameters, is_many in statements:
        values = [given(one) for one in parameters] if is_many else given(parameters)
        try:
            with engine.begin() as connection:
                connection.exec_driver_sql(statement, values)
        except IntegrityError as error:
            if not any(words in str(error.orig) for words in IS_THERE):
                said.append(f"{error.orig}: {statement}")
        except DBAPIError as error:
            said.append(f"{error.orig}: {statement}")
    return said


@pytest.fixture
def empty_engine(empty_url: str) -> Iterator[Engine]:
    engine = open_engine(empty_url)
    yield engine
    engine.dispose()


def test_the_previous_release_works_on_this_schema(empty_engine: Engine) -> None:
    revision, statements = recorded(empty_engine)
    schema.migrate(empty_engine, revision)
    assert failures(empty_engine, statements) == []
    schema.migrate(empty_engine)  # with the rows of that release in it
    with empty_engine.connect() as connection:
        floor = str(connection.scalar(select(SchemaFloor.revision)))
    assert floor <= revision  # or an old replica that is restarted is refused
    assert failures(empty_engine, statements) == []


@pytest.mark.parametrize(
    "change",
    [
        "ALTER TABLE requests RENAME COLUMN effort TO efforts",
        "DROP TABLE feedback CASCADE",
        "ALTER TABLE keys ADD COLUMN owner TEXT NOT NULL",
    ],
)
def test_a_change_that_breaks_it_is_noticed(postgresql_engine: Engine, change: str) -> None:
    _, statements = recorded(postgresql_engine)
    with postgresql_engine.begin() as connection:
        connection.execute(text(change))
    assert failures(postgresql_engine, statements) != []
