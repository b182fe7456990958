"""The spool: durable when `write` returns, all or none, and never taken for an orphan while its worker lives."""

import multiprocessing
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import msgspec
import pytest

from router.errors import Unavailable
from router.ledger import recovery
from router.ledger.entries import Entry, Opening
from router.ledger.spool import Spool, decode, lock
from tests.ledger.builders import a_closing, a_request, a_result, abandon, an_id, an_intent, an_opening, spool_requests


def test_what_was_written_is_read_in_order(spool: Spool) -> None:
    writes = a_request(an_id())
    for entries in writes:
        spool.write(entries)
    assert [row.entries for row in spool.read(0, 10)] == writes


def test_numbers_are_not_used_again_when_the_spool_was_emptied(spool: Spool) -> None:
    spool_requests(spool, 1)
    rows = spool.read(0, 10)
    spool.delete([row.id for row in rows])
    spool_requests(spool, 1)
    assert [row.id > rows[-1].id for row in spool.read(0, 10)] == [True, True]


def test_a_killed_process_loses_nothing_it_wrote(spool_dir: Path) -> None:
    script = f"""
        import os, signal
        from pathlib import Path
        from router.ledger.spool import Spool
        from tests.ledger.builders import spool_requests
        spool = Spool.open(Path({str(spool_dir)!r}))
        spool_requests(spool, 50)
        os.kill(os.getpid(), signal.SIGKILL)
    """
    root = Path(__file__).parents[2]
    died = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], cwd=root, check=False)
    assert died.returncode == -signal.SIGKILL
    (orphan,) = recovery.orphans(spool_dir)
    assert len(orphan.read(0, 1000)) == 100
    orphan.close()


def test_a_living_workers_spool_is_no_orphan(spool: Spool, spool_dir: Path) -> None:
    spool_requests(spool, 1)
    assert list(recovery.orphans(spool_dir)) == []


def test_a_forked_child_does_not_keep_a_dead_workers_spool(spool_dir: Path) -> None:
    spool = Spool.open(spool_dir)
    spool_requests(spool, 1)
    forking = multiprocessing.get_context("fork")
    ours, theirs = forking.Pipe()

    def live() -> None:
        theirs.send("born")
        theirs.recv()

    child = forking.Process(target=live, daemon=True)
    child.start()
    ours.recv()
    abandon(spool)
    assert lock(spool.path) is not None
    ours.send("die")
    child.join()


def test_an_emptied_spool_leaves_nothing_behind(spool_dir: Path) -> None:
    spool = Spool.open(spool_dir)
    spool_requests(spool, 1)
    spool.delete([row.id for row in spool.read(0, 10)])
    spool.close()
    assert list(spool_dir.iterdir()) == []


def test_a_spool_with_entries_stays(spool_dir: Path) -> None:
    spool = Spool.open(spool_dir)
    spool_requests(spool, 1)
    spool.close()
    assert spool.path.exists()


def test_intents_are_refused_before_the_disk_is_full(spool: Spool) -> None:
    request_id = an_id()
    spool.write([an_opening(request_id), an_intent(request_id)])
    spool.free_bytes = 1_000_000
    with pytest.raises(Unavailable):
        spool.write(a_request(an_id())[0])
    spool.write([a_result(request_id), a_closing(request_id)])
    assert spool.is_low
    assert spool.rows_waiting == 2


def test_results_that_find_no_room_are_written_when_there_is(spool: Spool) -> None:
    request_id = an_id()
    spool.write([an_opening(request_id), an_intent(request_id)])
    _fill(spool)
    settling: list[Entry] = [a_result(request_id, raw_usage={"filler": "x" * 5_000}), a_closing(request_id)]
    with pytest.raises(Unavailable):
        spool.write(settling)
    spool._writer.execute("PRAGMA max_page_count=1000000")
    spool.pay()
    assert spool.read(1, 10)[-1].entries == settling


def test_a_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(Unavailable, match="file"):
        Spool.open(tmp_path / "file" / "spool")


def test_entries_of_two_requests_do_not_share_a_write(spool: Spool) -> None:
    with pytest.raises(ValueError, match="one request"):
        spool.write([an_opening(an_id()), an_opening(an_id())])


def _fill(spool: Spool) -> None:
    pages = spool._writer.execute("PRAGMA page_count").fetchone()[0]
    spool._writer.execute(f"PRAGMA max_page_count={pages}")


def test_full_durability_writes_too(spool_dir: Path) -> None:
    spool = Spool.open(spool_dir, durability="full")
    spool_requests(spool, 1)
    assert len(spool.read(0, 10)) == 2
    spool.close()


def test_an_opening_of_an_older_version_is_still_read() -> None:
    whole = msgspec.to_builtins(an_opening(an_id()))
    older = whole[: 1 + Opening.__struct_fields__.index("shadow_version")]  # the tag comes first
    assert decode(msgspec.msgpack.encode([older])) == [an_opening(whole[1])]
