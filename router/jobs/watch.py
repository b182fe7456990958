"""The thread that keeps jobs going: starts the engine, hands jobs over, hears wishes, takes over from dead workers.

A worker that runs jobs says every second that it is alive. One that has not for `LEASE_S` is taken over from: first its
claims are made void, then what it ran goes back into the queue. It may act itself only while its last sign of life is
so fresh that nobody can have done so.
"""

import asyncio
import logging
import threading
from collections.abc import Callable, Mapping
from time import monotonic

from sqlalchemy.exc import SQLAlchemyError

from router.clock import Clock, Timetable
from router.database.engine import cause
from router.jobs.batch_keeper import BatchKeeper
from router.jobs.engine import STEPS_VERSION, JobEngine
from router.jobs.job import Wishes
from router.jobs.store import JobStore
from router.jobs.workflow import JobRunner
from router.ledger.entries import CallResult

log = logging.getLogger(__name__)

TICK_S, IDLE_TICK_S = 0.25, 1.0
BEAT_EVERY_S = 1.0
LEASE_S = 6.0
ACTS_FOR_S = 4.0  # after a sign of life; well below the lease, as clocks of machines differ
SWEEP_EVERY_S = 30.0
STRANDED_EVERY_S = 10.0
BATCHES_EVERY_S = 2.0
UNSETTLED_EVERY_S, SETTLED_AFTER_US = 5.0, 5_000_000
RETRY_S = 5.0
HOME_WITHIN_S = 60.0
SWEPT_AFTER_US = 60_000_000
MOST_AT_ONCE = 200
OTHER_VERSION = (
    "this job was begun by another version of Tierwise, whose steps this one does not know; submit it again."
    " What it had spent is booked"
)


class JobWatch:
    """Runs in a thread of each worker, next to its event loop."""

    def __init__(
        self, store: JobStore, engine: JobEngine, runner: JobRunner, keeper: BatchKeeper, clock: Clock
    ) -> None:
        self._keeper = keeper
        self._store = store
        self._engine = engine
        self._runner = runner
        self._clock = clock
        self._home: asyncio.AbstractEventLoop | None = None
        self._has_home = threading.Event()
        self._woken = threading.Event()
        self._stopping = False
        self._launching = threading.Lock()
        self._timetable = Timetable(self._clock)
        self._acts_until = 0.0
        self._last_error: str | None = None
        self._thread = threading.Thread(target=self._run, name="jobs", daemon=True)

    def start(self) -> None:
        """Begin to watch, from within the event loop that jobs are to run in."""
        self._home = asyncio.get_running_loop()
        self._has_home.set()
        self._thread.start()

    def wake(self) -> None:
        """Look at once: something was submitted or asked for."""
        self._woken.set()

    def may_act(self) -> bool:
        """Tell whether nobody can have taken over from this worker."""
        return monotonic() < self._acts_until

    def stop(self, timeout_s: float = 10.0) -> None:
        """End; what this worker ran is there for others at once."""
        self._stopping = True
        self._woken.set()
        if self._thread.ident is not None:
            self._thread.join(timeout_s)
        if self._engine.is_running:
            self._at_home(self._runner.leave_all)
            self._engine.stop()
            try:
                self._store.mark_dead(self._engine.worker)
            except SQLAlchemyError as error:
                log.warning("jobs of this worker are taken over a little later: %s", cause(error))

    def results_of(self, request_id: str) -> list[CallResult]:
        """Return the results of a job's calls that are checkpointed, for the spool of a dead worker.

        Raises SQLAlchemyError.
        """
        job = self._store.find_by_request(request_id)
        if job is None:
            return []
        self._has_home.wait(HOME_WITHIN_S)  # a spool may be adopted before the server has begun to listen
        try:
            self._launch()
            return self._runner.results_of(self._engine.read_steps(job.id))
        except SQLAlchemyError:
            raise
        except Exception as error:  # the engine's own errors: the spool is adopted later
            raise SQLAlchemyError(f"the steps of jobs cannot be read: {error}") from error

    def note_dead(self, worker: str) -> None:
        """Note that a worker is surely dead; its jobs are taken over without waiting. Raises SQLAlchemyError."""
        self._store.mark_dead(worker)

    def turn(self) -> None:
        """Do what is due. Raises SQLAlchemyError."""
        if self._timetable.is_due("unsettled", UNSETTLED_EVERY_S):
            self._settle_cancelled()
        if self._home is not None and self._timetable.is_due("batches", BATCHES_EVERY_S):
            self._keeper.look_after(self._home)
        if not self._engine.is_running:
            if not self._store.has_unfinished():
                return
            self._launch()
        if self._timetable.is_due("beat", BEAT_EVERY_S):
            self._beat()
            self._take_over()
        self._hand_over()
        if self._runner.running:
            wishes = self._store.read_wishes(list(self._runner.running))
            self._at_home(lambda: self._hear(wishes))
        if self._timetable.is_due("stranded", STRANDED_EVERY_S):
            self._fail_stranded()
        if self._timetable.is_due("sweep", SWEEP_EVERY_S):
            self._sweep()

    def _run(self) -> None:
        while not self._stopping:
            wait_s = TICK_S if self._engine.is_running else IDLE_TICK_S
            try:
                self.turn()
                self._last_error = None
            except Exception as error:  # whatever happens to one turn, the next one may do better
                says = cause(error)
                if says != self._last_error:
                    log.warning("background jobs wait: %s", says)
                self._last_error, wait_s = says, wait_s if isinstance(error, SQLAlchemyError) else RETRY_S
            self._woken.wait(wait_s)
            self._woken.clear()

    def _launch(self) -> None:
        with self._launching:
            if not self._engine.is_running and self._home is not None and not self._stopping:
                self._beat()
                self._engine.launch(self._home, self._runner.run)

    def _beat(self) -> None:
        """Say that this worker is alive; one that was taken over from meanwhile lets go of all that it ran."""
        before = monotonic()
        if not self._store.beat(self._engine.worker, STEPS_VERSION, self._clock.now_us()):
            self._at_home(self._runner.leave_all)
        self._acts_until = before + ACTS_FOR_S

    def _take_over(self) -> None:
        silent = self._store.list_silent(self._clock.now_us() - int(LEASE_S * 1e6))
        if dead := [worker for worker in silent if worker != self._engine.worker]:
            for worker in dead:
                self._store.void_claims(worker)
            self._engine.take_over(dead)
            for worker in dead:
                self._store.drop_worker(worker)
            log.info("took over the jobs of %d dead workers", len(dead))

    def _hand_over(self) -> None:
        for job in self._store.list_undispatched(MOST_AT_ONCE):
            self._engine.hand_over(job.id, job.segment, job.priority)
            self._store.mark_dispatched(job.id, self._clock.now_us())

    def _hear(self, wishes: Mapping[str, Wishes]) -> None:
        for job_id, wish in wishes.items():
            self._runner.hear(job_id, wish)

    def _settle_cancelled(self) -> None:
        """Book what was called off before anybody began it, as by a command: what is held for it goes back."""
        if (home := self._home) is None:
            return
        for job_id in self._store.list_unsettled(self._clock.now_us() - SETTLED_AFTER_US, MOST_AT_ONCE):
            asyncio.run_coroutine_threadsafe(self._runner.settle_ended(job_id), home).result()

    def _fail_stranded(self) -> None:
        for job in self._store.list_stranded(STEPS_VERSION):
            if job.started_at is None:
                self._engine.forget([job.id])
                self._store.restart(job.id, STEPS_VERSION)
            elif self._home is not None:
                asyncio.run_coroutine_threadsafe(self._runner.fail(job, OTHER_VERSION), self._home).result()

    def _sweep(self) -> None:
        now_us = self._clock.now_us()
        done_with = self._store.list_done_with(now_us - SWEPT_AFTER_US, MOST_AT_ONCE)
        self._engine.forget(done_with)
        self._store.note_swept(done_with)
        self._engine.forget(self._store.expire(now_us))

    def _at_home(self, work: Callable[[], None]) -> None:
        if self._home is not None:
            self._home.call_soon_threadsafe(work)
