"""The schema history: up, down and up again on both databases, and never apart from the tables."""

import threading
from collections.abc import Iterator

import pytest
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, inspect, text

from router.database import codes, schema
from router.database.engine import DatabaseUnusable, open_engine
from router.database.schema import SchemaState


@pytest.fixture
def empty_engine(empty_url: str) -> Iterator[Engine]:
    engine = open_engine(empty_url)
    yield engine
    engine.dispose()


def test_up_down_up(empty_engine: Engine) -> None:
    assert schema.check(empty_engine) is SchemaState.EMPTY
    schema.migrate(empty_engine)
    assert schema.check(empty_engine) is SchemaState.CURRENT
    schema.migrate(empty_engine, "base")
    assert schema.check(empty_engine) is SchemaState.EMPTY
    assert set(inspect(empty_engine).get_table_names()) <= {"alembic_version"}
    schema.migrate(empty_engine)
    assert schema.check(empty_engine) is SchemaState.CURRENT


def test_history_and_tables_agree(engine: Engine) -> None:
    assert schema.drift(engine) == []


def test_revisions_are_told_by_the_names_of_their_files() -> None:
    scripts = ScriptDirectory(str(schema.HISTORY))
    assert schema.revisions() == [script.revision for script in scripts.walk_revisions()][::-1]


def test_starting_together_migrates_once(empty_url: str) -> None:
    failures: list[BaseException] = []

    def start() -> None:
        try:
            schema.ready_engine(empty_url).dispose()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=start) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_a_database_of_something_else_is_refused(empty_engine: Engine, empty_url: str) -> None:
    with empty_engine.begin() as connection:
        connection.execute(text("CREATE TABLE guests (id INTEGER)"))
    with pytest.raises(DatabaseUnusable, match="something else"):
        schema.ready_engine(empty_url)


def test_a_newer_schema_is_used_unless_it_lost_what_this_code_knows(engine: Engine) -> None:
    url = engine.url.render_as_string(hide_password=False)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    assert schema.check(engine) is SchemaState.GROWN
    schema.ready_engine(url).dispose()
    with engine.begin() as connection:
        connection.execute(text("UPDATE schema_floor SET revision = '9998'"))
    with pytest.raises(DatabaseUnusable, match="newer"):
        schema.ready_engine(url)


def test_the_views_know_every_code(engine: Engine) -> None:
    views = inspect(engine)
    shown = "".join(views.get_view_definition(view) for view in ("request_lines", "call_lines"))
    every = (codes.TIERS, codes.KINDS, codes.STATUSES, codes.PRECISIONS, codes.OUTCOMES, codes.REASONS)
    for codes_of in (*every, codes.SIGNALS, codes.CAUSES):
        assert [member for member in codes_of if f"'{member}'" not in shown] == []
