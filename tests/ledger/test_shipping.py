"""Shipping: what is settled arrives, once, whatever happens to the database or to the worker."""

import sqlite3
from collections.abc import Iterable
from pathlib import Path

import pytest
from sqlalchemy import Engine, select, text

from router.database.engine import writing
from router.database.tables import Call, RawUsage, Request
from router.errors import Cause, Unavailable
from router.ledger import recovery, store
from router.ledger.shipping import SHIP_EVERY_S, Shipper
from router.ledger.spool import Spool
from router.types import CallKind, CallStatus, Outcome, Precision, Signal, Tier
from tests.ledger.builders import (
    NOON,
    FakeClock,
    a_closing,
    a_request,
    a_result,
    abandon,
    an_id,
    an_intent,
    an_opening,
    spool_requests,
)


@pytest.fixture
def shipper(spool: Spool, engine: Engine, clock: FakeClock) -> Shipper:
    return Shipper(spool, engine, clock=clock)


@pytest.fixture
def sqlite_shipper(spool: Spool, sqlite_engine: Engine, clock: FakeClock) -> Shipper:
    return Shipper(spool, sqlite_engine, clock=clock)


@pytest.fixture
def dying(spool_dir: Path) -> Spool:
    return Spool.open(spool_dir)


def requests_in(engine: Engine) -> list[str]:
    with engine.connect() as connection:
        return list(connection.scalars(select(Request.id).order_by(Request.id)))


def calls_in(engine: Engine) -> list[tuple[str, int, CallStatus, Precision, int | None]]:
    query = select(Call.request_id, Call.call_no, Call.status, Call.precision, Call.cost_nanousd)
    with engine.connect() as connection:
        return [tuple(row) for row in connection.execute(query.order_by(Call.request_id, Call.call_no))]  # type: ignore[misc]


def test_a_settled_request_arrives_and_leaves_the_spool(shipper: Shipper, spool: Spool, engine: Engine) -> None:
    ids = spool_requests(spool, 3)
    assert shipper.turn()
    assert requests_in(engine) == sorted(ids)
    assert len(calls_in(engine)) == 3
    assert spool.rows_waiting == 0


def test_what_arrives_is_what_was_written(shipper: Shipper, spool: Spool, engine: Engine) -> None:
    (request_id,) = spool_requests(spool, 1, cost_nanousd=183_500, raw_usage={"prompt_tokens": 1500})
    shipper.turn()
    with engine.connect() as connection:
        request = connection.execute(select(Request.__table__)).one()
        line = connection.execute(text("SELECT * FROM call_lines")).one()
        raw = connection.execute(select(RawUsage.__table__)).one()
    assert (request.id, request.first_tier, request.outcome) == (request_id, Tier.FAST, Outcome.OK)
    assert (request.score, request.total_ms) == (pytest.approx(0.1), 1200)
    assert (line.request_id, line.kind, line.provider_model, line.segment) == (
        request_id,
        "answer",
        "scripted/steady",
        "default",
    )
    assert (line.cost_nanousd, line.input_cached, line.output_visible) == (183_500, 700, 350)
    assert raw.body == '{"prompt_tokens":1500}'


@pytest.mark.parametrize("view", ["call_lines", "v_calls"])
def test_why_a_call_failed_stands_beside_it(shipper: Shipper, spool: Spool, engine: Engine, view: str) -> None:
    spool_requests(spool, 1, status=CallStatus.ERROR, cause=Cause.NO_CREDIT, http_status=402)
    spool_requests(spool, 1)
    shipper.turn()
    with engine.connect() as connection:
        found = connection.execute(text(f"SELECT status, cause, http_status FROM {view}"))  # noqa: S608
        assert sorted(map(tuple, found)) == [("error", "no_credit", 402), ("ok", None, None)]


def test_an_open_request_waits(shipper: Shipper, spool: Spool, engine: Engine) -> None:
    request_id = an_id()
    spool.write([an_opening(request_id), an_intent(request_id)])
    shipper.turn()
    assert requests_in(engine) == []
    assert shipper.state.open_requests == 1
    spool.write([a_result(request_id), a_closing(request_id)])
    shipper.turn()
    assert requests_in(engine) == [request_id]


def test_writing_the_same_entries_again_changes_nothing(shipper: Shipper, spool: Spool, engine: Engine) -> None:
    request_id = an_id()
    for cost in (100, 999):
        for entries in a_request(request_id, cost_nanousd=cost):
            spool.write(entries)
        shipper.turn()
    assert [line[4] for line in calls_in(engine)] == [100]


def test_a_call_that_ends_after_the_closing_is_booked(shipper: Shipper, spool: Spool, engine: Engine) -> None:
    request_id = an_id()
    shadow = an_intent(request_id, 1, kind=CallKind.SHADOW)
    spool.write([an_opening(request_id), an_intent(request_id), shadow])
    spool.write([a_result(request_id), a_closing(request_id)])
    shipper.turn()
    assert [line[1] for line in calls_in(engine)] == [0]
    spool.write([a_result(request_id, 1)])
    shipper.turn()
    assert [line[1] for line in calls_in(engine)] == [0, 1]
    assert spool.rows_waiting == 0


def test_a_call_that_begins_after_the_closing_is_booked(shipper: Shipper, spool: Spool, engine: Engine) -> None:
    (request_id,) = spool_requests(spool, 1)
    shipper.turn()
    spool.write([an_intent(request_id, 1, kind=CallKind.SHADOW)])
    shipper.turn()
    spool.write([a_result(request_id, 1)])
    shipper.turn()
    assert [line[1] for line in calls_in(engine)] == [0, 1]


def test_a_database_that_is_away_loses_nothing(sqlite_shipper: Shipper, spool: Spool, sqlite_engine: Engine) -> None:
    with sqlite_engine.begin() as connection:
        connection.execute(text("ALTER TABLE calls RENAME TO gone"))
    ids = spool_requests(spool, 3)
    assert not sqlite_shipper.turn()
    assert not sqlite_shipper.state.database_ok
    assert sqlite_shipper.state.lag_entries == 6
    assert requests_in(sqlite_engine) == []
    with sqlite_engine.begin() as connection:
        connection.execute(text("ALTER TABLE gone RENAME TO calls"))
    assert sqlite_shipper.turn()
    assert requests_in(sqlite_engine) == sorted(ids)
    assert sqlite_shipper.state.lag_entries == 0


def test_a_request_that_the_database_refuses_is_set_aside_and_the_others_arrive(
    shipper: Shipper, spool: Spool, engine: Engine, spool_dir: Path
) -> None:
    before, after = an_id(), an_id()
    bad = an_id()
    for request_id in (before, bad, after):
        score = float("nan") if request_id == bad else 0.1
        spool.write([an_opening(request_id, score=score), an_intent(request_id)])
        spool.write([a_result(request_id), a_closing(request_id)])
    assert shipper.turn()
    assert requests_in(engine) == sorted([before, after])
    assert shipper.state.rejected_requests == 1
    assert recovery.count_rejected(spool_dir) == 1
    assert spool.rows_waiting == 0


def test_the_open_call_of_a_dead_worker_keeps_its_hold_and_is_unknown(
    shipper: Shipper, dying: Spool, engine: Engine
) -> None:
    request_id = an_id()
    dying.write([an_opening(request_id), an_intent(request_id), an_intent(request_id, 1)])
    dying.write([a_result(request_id, cost_nanousd=5)])
    abandon(dying)
    shipper.turn()
    assert calls_in(engine) == [
        (request_id, 0, CallStatus.OK, Precision.EXACT, 5),
        (request_id, 1, CallStatus.UNKNOWN, Precision.UNKNOWN, 1_000_000),
    ]
    with engine.connect() as connection:
        assert connection.scalar(select(Request.outcome)) is Outcome.UNKNOWN
    assert shipper.state.recovered_requests == 1
    assert not dying.path.exists()


def test_the_spool_of_a_dead_worker_stays_while_the_database_is_away(
    sqlite_shipper: Shipper, dying: Spool, sqlite_engine: Engine, clock: FakeClock
) -> None:
    ids = spool_requests(dying, 2)
    abandon(dying)
    with sqlite_engine.begin() as connection:
        connection.execute(text("ALTER TABLE calls RENAME TO gone"))
    assert not sqlite_shipper.turn()
    assert dying.path.exists()
    with sqlite_engine.begin() as connection:
        connection.execute(text("ALTER TABLE gone RENAME TO calls"))
    clock.advance(60)
    assert sqlite_shipper.turn()
    assert requests_in(sqlite_engine) == sorted(ids)
    assert not dying.path.exists()


def test_a_damaged_spool_is_put_aside(sqlite_shipper: Shipper, dying: Spool, spool_dir: Path) -> None:
    abandon(dying)
    dying.path.with_name(dying.path.name + "-wal").unlink(missing_ok=True)
    dying.path.write_bytes(b"this is no database" * 100)
    assert sqlite_shipper.turn()
    assert len(recovery.list_damaged(spool_dir)) == 1


def test_a_request_nobody_ends_expires(shipper: Shipper, spool: Spool, engine: Engine, clock: FakeClock) -> None:
    request_id = an_id()
    spool.write([an_opening(request_id), an_intent(request_id)])
    shipper.turn()
    clock.advance(7_300)
    shipper.turn()
    shipper.turn()
    assert calls_in(engine) == [(request_id, 0, CallStatus.UNKNOWN, Precision.UNKNOWN, 1_000_000)]
    spool.write([a_result(request_id, cost_nanousd=5), a_closing(request_id)])
    shipper.turn()
    assert calls_in(engine)[0][4] == 1_000_000
    assert shipper.state.stray_results == 1


def test_it_ships_often_enough() -> None:
    assert 2 * SHIP_EVERY_S < 2


def test_stopping_ships_the_rest(spool: Spool, sqlite_engine: Engine) -> None:
    shipper = Shipper(spool, sqlite_engine)
    shipper.start()
    ids = spool_requests(spool, 20)
    assert shipper.stop()
    assert requests_in(sqlite_engine) == sorted(ids)


def test_followers_are_called(sqlite_shipper: Shipper, clock: FakeClock) -> None:
    called: list[int] = []
    sqlite_shipper.follow(lambda: called.append(1), "calls")
    sqlite_shipper.turn()
    clock.advance(1.5)
    sqlite_shipper.turn()
    assert len(called) == 2


def test_a_request_with_one_call_takes_at_most_400_bytes(
    spool: Spool, postgresql_engine: Engine, clock: FakeClock
) -> None:
    shipper = Shipper(spool, postgresql_engine, clock=clock)
    for n in range(3_000):
        for entries in a_request(an_id(NOON + n * 20_000), price_id=1, cost_nanousd=183_500):
            spool.write(entries)
    shipper.turn()
    with postgresql_engine.connect() as connection:
        size = connection.scalar(text("SELECT pg_total_relation_size('requests') + pg_total_relation_size('calls')"))
    assert size is not None
    assert size / 3_000 <= 400


def test_too_many_labels_become_one(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "MOST_LABELS", 2)
    with writing(engine) as connection:
        first = store.labels(connection, ["a", "b"])
        later = store.labels(connection, ["a", "c", "d"])
    assert later["a"] == first["a"]
    assert later["c"] == later["d"] not in first.values()


def test_a_follower_that_fails_does_not_keep_the_books_waiting(
    shipper: Shipper, spool: Spool, engine: Engine, clock: FakeClock
) -> None:
    def fail() -> None:
        raise ValueError("no such dial")

    shipper.follow(fail, "failure")
    ids = spool_requests(spool, 1)
    assert shipper.turn()
    assert requests_in(engine) == ids


def test_the_log_of_a_busy_spool_does_not_grow_for_ever(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("router.ledger.spool.LONGEST_LOG_BYTES", 10_000)
    spool_requests(spool, 20)
    spool.checkpoint()
    assert spool.path.with_name(spool.path.name + "-wal").stat().st_size == 0
    assert len(spool.read(0, 100)) == 40


class FullOnce(Spool):
    """A spool whose disk is, for a moment, too full even to delete."""

    is_full = True

    def delete(self, ids: Iterable[int]) -> None:
        if self.is_full:
            self.is_full = False
            raise sqlite3.OperationalError("database or disk is full")
        super().delete(ids)


def test_rows_that_could_not_be_deleted_are_deleted_later(
    spool_dir: Path, sqlite_engine: Engine, clock: FakeClock
) -> None:
    spool = FullOnce.open(spool_dir)
    shipper = Shipper(spool, sqlite_engine, clock=clock)
    ids = spool_requests(spool, 2)
    shipper.turn()
    assert spool.rows_waiting == 4
    shipper.turn()
    assert (spool.rows_waiting, requests_in(sqlite_engine)) == (0, sorted(ids))
    spool.close()


def test_what_is_owed_is_written_without_another_request(shipper: Shipper, spool: Spool, engine: Engine) -> None:
    request_id = an_id()
    spool.write([an_opening(request_id), an_intent(request_id)])
    spool._writer.execute("PRAGMA max_page_count=1")
    with pytest.raises(Unavailable):
        spool.write([a_result(request_id, raw_usage={"filler": "x" * 5_000}), a_closing(request_id)])
    spool._writer.execute("PRAGMA max_page_count=1000000")
    shipper.turn()
    assert requests_in(engine) == [request_id]
    assert not spool.is_low


def test_what_a_request_says_of_the_one_before_it_is_booked(shipper: Shipper, spool: Spool, engine: Engine) -> None:
    earlier, later = an_id(), an_id()
    said = {"signal": Signal.DEEPER, "previous_id": earlier, "shadow_version": 7, "shadow_tier": Tier.PARALLEL}
    spool.write([an_opening(later, **said), an_intent(later)])
    spool.write([a_result(later), a_closing(later)])
    shipper.turn()
    columns = (Request.signal, Request.previous_id, Request.shadow_version, Request.shadow_tier)
    with engine.connect() as connection:
        row = connection.execute(select(*columns)).one()
    assert (row.signal, row.previous_id) == (Signal.DEEPER, earlier)
    assert (row.shadow_version, row.shadow_tier) == (7, Tier.PARALLEL)
