"""Books that were deleted or replaced under a running server are noticed before anything leaves the spool."""

import shutil
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from router.database import schema
from router.database.engine import BooksReplaced, is_away, writing
from router.ledger.shipping import Shipper
from router.ledger.spool import Spool
from tests.ledger.builders import FakeClock, spool_requests


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "own" / "books.db"


@pytest.fixture
def own(path: Path) -> Engine:
    return schema.ready_engine(f"sqlite:///{path}")


def requests_in(path: Path) -> int:
    engine = schema.ready_engine(f"sqlite:///{path}")
    with engine.connect() as connection:
        found = connection.scalar(text("SELECT COUNT(*) FROM requests"))
    engine.dispose()
    return int(found or 0)


def test_a_deleted_file_keeps_the_spool_and_is_not_made_anew(path: Path, own: Engine, spool: Spool) -> None:
    shipper = Shipper(spool, own, clock=FakeClock())
    assert shipper.turn()
    for file in path.parent.glob("books.db*"):
        file.unlink()
    spool_requests(spool, 2)
    assert not shipper.turn()
    assert (shipper.state.is_replaced, spool.rows_waiting) == (True, 4)
    assert "was deleted" in str(shipper.state.last_error)
    assert not path.exists()


def test_what_was_put_back_gets_what_waited(path: Path, own: Engine, spool: Spool) -> None:
    shipper = Shipper(spool, own, clock=FakeClock())
    aside = path.with_name("aside")
    path.rename(aside)
    spool_requests(spool, 2)
    shipper.turn()
    aside.rename(path)
    assert shipper.turn()
    assert (shipper.state.is_replaced, spool.rows_waiting, requests_in(path)) == (False, 0, 2)


def test_a_file_in_its_place_gets_nothing(path: Path, own: Engine, spool: Spool, tmp_path: Path) -> None:
    shipper = Shipper(spool, own, clock=FakeClock())
    assert shipper.turn()
    other = tmp_path / "other.db"
    schema.ready_engine(f"sqlite:///{other}").dispose()
    own.dispose()
    other.rename(path)
    spool_requests(spool, 1)
    assert not shipper.turn()
    assert spool.rows_waiting == 2
    assert "replaced by another file" in str(shipper.state.last_error)
    assert requests_in(path) == 0


def test_a_file_replaced_while_a_batch_is_written_keeps_the_spool(
    path: Path, own: Engine, spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    shipper = Shipper(spool, own, clock=FakeClock())
    assert shipper.turn()
    booking = shipper._store.record

    def replaced_meanwhile(*args: object) -> None:
        with writing(own) as connection:  # what is under way goes on in the old file
            shutil.move(path, path.with_name("gone"))
            connection.execute(text("UPDATE alembic_version SET version_num = version_num"))
        booking(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(shipper._store, "record", replaced_meanwhile)
    spool_requests(spool, 1)
    assert not shipper.turn()
    assert spool.rows_waiting == 2


def test_other_books_under_the_same_address_get_nothing(engine: Engine, spool: Spool) -> None:
    shipper = Shipper(spool, engine, clock=FakeClock())
    spool_requests(spool, 1)
    assert shipper.turn()
    with engine.begin() as connection:
        connection.execute(text("UPDATE books_id SET id = 'another'"))
    spool_requests(spool, 1)
    assert not shipper.turn()
    assert (shipper.state.is_replaced, spool.rows_waiting) == (True, 2)


def test_one_failing_follower_never_starves_the_next(sqlite_engine: Engine, spool: Spool) -> None:
    shipper = Shipper(spool, sqlite_engine, clock=FakeClock())
    called: list[str] = []

    def overflows() -> None:
        with sqlite_engine.connect() as connection:
            connection.execute(text("SELECT SUM(n) FROM (SELECT 9223372036854775807 AS n UNION ALL SELECT 9)")).all()

    shipper.follow(overflows, "sums")
    shipper.follow(lambda: called.append("next"), "next")
    assert shipper.turn()
    assert (called, shipper.state.failing, shipper.state.database_ok) == (["next"], ("sums",), True)
    assert "sums: integer overflow" in str(shipper.state.last_error)


def test_books_that_were_replaced_count_as_away() -> None:
    assert is_away(BooksReplaced("gone"))
