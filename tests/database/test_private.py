import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from router.admin.auth.secrets import AdminSecret
from router.database import private, schema
from router.database.engine import writing
from router.ledger.spool import Spool


@pytest.fixture
def loose_umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.usefixtures("loose_umask")
def test_nobody_else_may_read_what_is_made_whatever_the_umask_says(tmp_path: Path) -> None:
    state = tmp_path / "state"
    AdminSecret(state, {}).reset()
    spool = Spool.open(state / "spool")
    engine = schema.ready_engine(f"sqlite:///{state}/books.db")
    with writing(engine) as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = version_num"))
    for path in (state, *state.rglob("*")):
        assert mode_of(path) == (private.DIRECTORY_MODE if path.is_dir() else private.FILE_MODE), path
    engine.dispose()
    spool.close()


@pytest.mark.usefixtures("loose_umask")
def test_what_is_there_keeps_the_mode_that_it_was_given(tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir(mode=0o750)
    (shared / "books.db").touch(0o640)
    private.make_directory(shared)
    private.make_file(shared / "books.db")
    assert (mode_of(shared), mode_of(shared / "books.db")) == (0o750, 0o640)
