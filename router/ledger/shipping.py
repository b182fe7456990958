"""The shipping thread: moves what is settled from a worker's spool into the books, again and again until it is there.

It adopts the spools of dead workers, settles what they left open, waits out a database that is away, and sets aside
(never drops) what the database refuses for good. Nothing here runs in the event loop.
"""

import logging
import sqlite3
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import msgspec
from sqlalchemy import Engine
from sqlalchemy.exc import DataError, IntegrityError, SQLAlchemyError

from router.clock import Clock, SystemClock, Timetable
from router.database.engine import BooksReplaced, cause, is_away
from router.ledger import budgets, recovery, retention
from router.ledger.entries import CallResult
from router.ledger.feed import SpoolReader
from router.ledger.folding import RequestRecord
from router.ledger.spool import Spool
from router.ledger.store import Store

log = logging.getLogger(__name__)

SHIP_EVERY_S = 0.5
LONGEST_WAIT_S = 5.0
BATCH_REQUESTS = 1_000
READ_ROWS = 2_000
FOLLOW_EVERY_S = 1.0
ADOPT_EVERY_S = 15.0
CHECKPOINT_EVERY_S = 2.0
PURGE_EVERY_S = 3_600.0
EXPIRE_AFTER_S = 7_200.0  # no request lives that long; one that seems to was lost by its own worker


@dataclass(frozen=True, slots=True)
class ShippingState:
    """How shipping stands: for readiness, metrics and `doctor`. `last_error` carries no secret."""

    database_ok: bool = True
    lag_entries: int = 0
    lag_seconds: float = 0.0
    open_requests: int = 0
    shipped_requests: int = 0
    recovered_requests: int = 0
    expired_requests: int = 0
    rejected_requests: int = 0
    stray_results: int = 0
    low_on_space: bool = False
    is_replaced: bool = False  # the database is not the one that was opened: nothing leaves the spool
    failing: tuple[str, ...] = ()  # what follows the database and fails though the database is there
    last_error: str | None = None
    known_at_us: int | None = None  # a start without the database: what is served from was known then


class Shipper:
    """Ships one worker's spool. `follow` adds what should be refreshed from the database now and then.

    Of all workers the one that `leads` deletes what is past its time.
    """

    def __init__(
        self,
        spool: Spool,
        engine: Engine,
        *,
        interval_s: float = SHIP_EVERY_S,
        expire_after_s: float = EXPIRE_AFTER_S,
        feature_days: int = retention.FEATURE_DAYS,
        mark_months: int = retention.MARK_MONTHS,
        clock: Clock | None = None,
        leads: Callable[[], bool] = lambda: True,
    ) -> None:
        self.state = ShippingState()
        self._spool = spool
        self._engine = engine
        self._store = Store(engine)
        self._reader = SpoolReader(spool)
        self._clock: Clock = clock or SystemClock()
        self._interval_s = interval_s
        self._expire_after_us = int(expire_after_s * 1e6)
        self._feature_days = feature_days
        self._mark_months = mark_months
        self._leads = leads
        self._refreshes: list[tuple[str, Callable[[], None]]] = []
        self._results_of: Callable[[str], Iterable[CallResult]] = lambda request_id: ()
        self._tell_adopted: Callable[[str], None] = lambda owner: None
        self._failures: dict[str, str] = {}
        self._is_back: Callable[[], None] | None = None
        self._timetable = Timetable(self._clock)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="ledger-shipper", daemon=True)

    def follow(self, refresh: Callable[[], None], name: str) -> None:
        """Call `refresh` about every second from the shipping thread, in the order of these calls.

        It may raise SQLAlchemyError. One that fails does not keep the next from being called, and is reported by name.
        """
        self._refreshes.append((name, refresh))

    def follow_jobs(
        self, results_of: Callable[[str], Iterable[CallResult]], tell_adopted: Callable[[str], None]
    ) -> None:
        """Settle what dead workers left open of background jobs by what the jobs know of it.

        `results_of` returns the results of calls that a request's job has seen, and may raise SQLAlchemyError;
        `tell_adopted` is told the name of a dead worker once its spool is booked.
        """
        self._results_of, self._tell_adopted = results_of, tell_adopted

    def begin_away(self, known_at_us: int, is_back: Callable[[], None]) -> None:
        """Say that the start was one without the database; `is_back` is called before anything is shipped.

        It raises SQLAlchemyError as long as the database is not there, or not the one that was known.
        """
        self._is_back = is_back
        self.state = replace(self.state, database_ok=False, known_at_us=known_at_us)

    def start(self) -> None:
        """Begin shipping; spools of dead workers are adopted at once."""
        try:
            self._store.remember_books()
        except SQLAlchemyError as error:  # it is away: the first books that are found are ours
            log.warning("shipping begins without the database: %s", cause(error))
        self._thread.start()

    def stop(self, timeout: float = 10.0) -> bool:
        """Ship what is settled and end; False when something stays in the spool (the next start ships it)."""
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join(timeout)
        return self.is_done

    def ship_once(self) -> bool:
        """Ship what is settled in this spool and nothing else, for a process that ends then; False where some stays.

        What stays is shipped by the next server.
        """
        try:
            self._store.remember_books()
            self._ship(self._spool, self._reader)
        except (SQLAlchemyError, sqlite3.Error) as error:
            log.warning("what was spooled waits for the next server: %s", cause(error))
        return self.is_done

    @property
    def is_done(self) -> bool:
        """Whether shipping has ended and nothing is left in the spool."""
        return not self._thread.is_alive() and not self._reader.ready and self._reader.open_requests == 0

    def turn(self) -> bool:
        """Do what is due; False when the database is away and waiting is in order."""
        try:
            self._spool.look_at_disk()
            self._spool.pay()
            self._reader.acknowledge()
            if self._timetable.is_due("checkpoint", CHECKPOINT_EVERY_S):
                self._spool.checkpoint()
            if self._is_back is not None:
                self._is_back()
                self._is_back = None
                self.state = replace(self.state, known_at_us=None)
            self._ship(self._spool, self._reader)
            if self._timetable.is_due("adopt", ADOPT_EVERY_S):
                self._adopt()
                expired = self._reader.settle_open(self._clock.now_us(), self._is_expired)
                self.state = replace(self.state, expired_requests=self.state.expired_requests + expired)
            if self._timetable.is_due("follow", FOLLOW_EVERY_S):
                self._refresh()
            if self._leads() and self._timetable.is_due("purge", PURGE_EVERY_S):
                retention.purge(self._engine, self._clock.now_us(), self._feature_days, self._mark_months)
            self._note(database_ok=True, last_error="; ".join(self._failures.values()) or None)
        except BooksReplaced as error:
            if str(error) != self.state.last_error:
                log.error("nothing leaves the spool any more: %s", error)
            self._note(database_ok=False, is_replaced=True, last_error=str(error))
        except SQLAlchemyError as error:
            says = cause(error, self._engine.url.render_as_string(hide_password=False))
            if says != self.state.last_error:
                log.warning("the books' database is away, the spool keeps everything: %s", says)
            self._note(database_ok=False, last_error=says)
        except (sqlite3.Error, OSError) as error:
            says = f"spool: {error}"
            if says != self.state.last_error:
                log.exception("the spool cannot be worked on")
            self._note(database_ok=self.state.database_ok, last_error=says)
        return self.state.database_ok

    def _run(self) -> None:
        wait_s = self._interval_s
        while True:
            is_last = self._stopping.is_set()
            try:
                is_well = self.turn()
            except Exception as error:  # a bug must not end the only thread that ships
                log.exception("shipping failed")
                self._note(database_ok=False, last_error=f"{type(error).__name__}: {error}")
                is_well = False
            wait_s = self._interval_s if is_well else min(wait_s * 2, LONGEST_WAIT_S)
            if is_last:
                return
            self._stopping.wait(wait_s)

    def _ship(self, spool: Spool, reader: SpoolReader) -> None:
        while True:
            count = reader.pull(READ_ROWS) if len(reader.ready) < BATCH_REQUESTS else 0
            while reader.ready:
                self._record(reader, list(islice(reader.ready, BATCH_REQUESTS)))
            if count < READ_ROWS and not reader.ready:
                return

    def _record(self, reader: SpoolReader, batch: Sequence[RequestRecord]) -> None:
        try:
            self._store.record(batch, self._clock.now_us(), reader.owner)
        except (DataError, IntegrityError, OverflowError) as error:
            if len(batch) > 1:  # somebody in it is refused for good: find out who
                for record in batch:
                    self._record(reader, [record])
                return
            self._set_aside(batch[0], cause(error))
        else:
            self.state = replace(self.state, shipped_requests=self.state.shipped_requests + len(batch))
        for record in batch:
            reader.ready.popleft()
            record.is_queued = False
        reader.acknowledge(batch)

    def _set_aside(self, record: RequestRecord, why: str) -> None:
        recovery.set_aside(self._spool.path.parent, record, why)
        self.state = replace(self.state, rejected_requests=self.state.rejected_requests + 1)
        log.error("request %s was refused by the database and set aside: %s", record.request_id, why)

    def _adopt(self) -> None:
        for orphan in recovery.orphans(self._spool.path.parent):
            try:
                reader = SpoolReader(orphan)
                while reader.pull(READ_ROWS):
                    self._ship(orphan, reader)
                reader.take_results(self._results_of)
                recovered = reader.settle_open(self._clock.now_us(), lambda record: True)
                self._ship(orphan, reader)
                budgets.release(self._engine, reader.owner)  # all that it spent is booked
                self.state = replace(self.state, recovered_requests=self.state.recovered_requests + recovered)
                self._tell_adopted(reader.owner)
                log.info("adopted the spool of a dead worker: %s (%d left open)", orphan.path.name, recovered)
            except (sqlite3.DatabaseError, msgspec.DecodeError, msgspec.ValidationError) as error:
                recovery.quarantine(orphan.path)
                self._note(database_ok=self.state.database_ok, last_error=f"{orphan.path.name} is damaged: {error}")
                log.error("the spool %s is damaged and was put aside: %s", orphan.path.name, error)
            finally:
                orphan.close()

    def _refresh(self) -> None:
        for name, refresh in self._refreshes:
            try:
                refresh()
            except SQLAlchemyError as error:
                if is_away(error):
                    raise
                self._note_failure(name, f"{name}: {cause(error)}")
            except Exception as error:  # what a follower makes of the database must not keep the books waiting
                self._note_failure(name, f"{name}: {type(error).__name__}: {error}")
            else:
                if self._failures.pop(name, None):
                    log.warning("%s follows the database again", name)

    def _note_failure(self, name: str, says: str) -> None:
        if self._failures.get(name) != says:
            log.exception("%s cannot follow the database", name)
        self._failures[name] = says

    def _is_expired(self, record: RequestRecord) -> bool:
        began = [record.opening.opened_at] if record.opening else [i.started_at for i in record.intents.values()]
        return bool(began) and max(began) + self._expire_after_us < self._clock.now_us()

    def _note(self, *, database_ok: bool, last_error: str | None = None, is_replaced: bool = False) -> None:
        ready = self._reader.ready
        oldest = ready[0].closing.closed_at if ready and ready[0].closing else None
        self.state = replace(
            self.state,
            database_ok=database_ok,
            is_replaced=is_replaced,
            failing=tuple(self._failures),
            last_error=last_error,
            lag_entries=max(self._spool.rows_waiting - self._reader.open_rows, 0),
            lag_seconds=max(self._clock.now_us() - oldest, 0) / 1e6 if oldest else 0.0,
            open_requests=self._reader.open_requests,
            stray_results=self._reader.strays,
            low_on_space=self._spool.is_low,
        )


def spool_directory(state_dir: Path) -> Path:
    """Return the directory of the spools within a state directory."""
    return state_dir / "spool"
