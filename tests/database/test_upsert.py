"""A row that is there already is left alone or changed, alike on both databases."""

import ast
from pathlib import Path

import msgspec
import pytest
from sqlalchemy import Engine, select

import router
from router.database.engine import writing
from router.database.learning_tables import DuelDay
from router.database.tables import Base, LabelText, RawUsage, RollupCosts
from router.database.upsert import insert_integers, insert_or_nothing, insert_or_update, insert_structs_or_nothing
from tests.ledger.builders import an_id


class UsageRow(msgspec.Struct):
    """A row of `raw_usage`, as the shipping thread lays it out."""

    request_id: str | bytes
    call_no: int
    body: str


def rows_of(engine: Engine, table: type[Base]) -> list[tuple[object, ...]]:
    with engine.connect() as connection:
        return [tuple(row) for row in connection.execute(select(table.__table__))]


def test_a_row_that_is_there_stays_as_it_is(engine: Engine) -> None:
    with writing(engine) as connection:
        assert insert_or_nothing(connection, DuelDay, [{"day": 1, "taken_nanousd": 5}]) == 1
        assert insert_or_nothing(connection, DuelDay, [{"day": 1, "taken_nanousd": 7}]) == 0
    assert rows_of(engine, DuelDay) == [(1, 5)]


@pytest.mark.parametrize("count", [2, 2_500])
def test_what_is_new_among_many_is_counted(engine: Engine, count: int) -> None:
    with writing(engine) as connection:
        insert_or_nothing(connection, LabelText, [{"text": "1"}])
        assert insert_or_nothing(connection, LabelText, [{"text": str(number)} for number in range(count)]) == count - 1
    assert len(rows_of(engine, LabelText)) == count


def test_no_rows_are_no_work(engine: Engine) -> None:
    with writing(engine) as connection:
        assert insert_or_nothing(connection, DuelDay, []) == 0
        insert_structs_or_nothing(connection, "raw_usage", [])
        insert_integers(connection, "rollup_costs", ("grain",), [])
    assert rows_of(engine, DuelDay) == []


def test_a_row_that_is_there_is_changed_by_what_is_there(engine: Engine) -> None:
    with writing(engine) as connection:
        for amount in (5, 7):
            more = {"taken_nanousd": DuelDay.taken_nanousd + amount}
            insert_or_update(connection, DuelDay, {"day": 1, "taken_nanousd": amount}, ("day",), more)
    assert rows_of(engine, DuelDay) == [(1, 12)]


def test_structs_that_come_twice_change_nothing(engine: Engine) -> None:
    id = an_id()
    key = bytes.fromhex(id) if engine.dialect.name == "sqlite" else id
    with writing(engine) as connection:
        insert_structs_or_nothing(connection, "raw_usage", [UsageRow(key, 0, '{"a": "%s"}')])
        insert_structs_or_nothing(connection, "raw_usage", [UsageRow(key, 0, "again"), UsageRow(key, 1, "{}")])
    assert sorted(rows_of(engine, RawUsage)) == [(id, 0, '{"a": "%s"}'), (id, 1, "{}")]


def test_integers_arrive_as_they_were(engine: Engine) -> None:
    columns = ("grain", "start", "tier", "bucket", "made_up", "requests")
    with writing(engine) as connection:
        insert_integers(connection, "rollup_costs", columns, [[1, 2, 3, 4, 0, 2**40], [1, 2, 3, -5, 1, 0]])
    assert set(rows_of(engine, RollupCosts)) == {(1, 2, 3, 4, 0, 2**40), (1, 2, 3, -5, 1, 0)}


def test_nothing_else_picks_the_insert_of_a_database() -> None:
    root = Path(router.__file__).parent
    naming = [path for path in root.rglob("*.py") if b"sqlalchemy.dialects" in path.read_bytes()]
    picking = {str(path.relative_to(root)) for path in naming if "sqlalchemy.dialects" in _imported(path)}
    assert picking == {"database/upsert.py"}


def _imported(path: Path) -> set[str | None]:
    nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    return {node.module for node in nodes if isinstance(node, ast.ImportFrom)}
