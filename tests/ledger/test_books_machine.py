"""The law of the books: whatever happens, every announced call is booked once, with its amount or with its hold."""

import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, multiple, rule
from sqlalchemy import select

from router.database.tables import Call, Request
from router.ledger.entries import CallResult, Entry
from router.ledger.shipping import EXPIRE_AFTER_S, Shipper
from router.ledger.spool import Spool
from router.types import CallStatus, Outcome, Precision
from tests.builders.databases import open_books
from tests.ledger.builders import USAGE, FakeClock, a_closing, a_result, abandon, an_id, an_intent, an_opening

MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None  # crashes of a process, not of a disk: no need to sync one
amounts = st.integers(min_value=0, max_value=10**15)


class Books(RuleBasedStateMachine):
    """One worker after another writes into one database; workers die, databases go away, entries come twice."""

    open_requests = Bundle("open_requests")
    closed_requests = Bundle("closed_requests")

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory(prefix="tierwise-machine", dir=MEMORY)
        self.directory = Path(self.folder.name)
        self.clock = FakeClock()
        self.engine = open_books(f"sqlite:///{self.directory}/books.db")
        self.holds: dict[tuple[str, int], int | None] = {}
        self.results: dict[tuple[str, int], CallResult] = {}
        self.opened: dict[str, int] = {}
        self.closed: set[str] = set()
        self.generation: dict[str, int] = {}
        self.worker = 0
        self.written: list[list[Entry]] = []

    @initialize()
    def begin(self) -> None:
        self._start_worker()

    def _start_worker(self) -> None:
        self.worker += 1
        self.spool = Spool.open(self.directory / "spool")
        self.shipper = Shipper(self.spool, self.engine, clock=self.clock)

    def _write(self, *entries: Entry) -> None:
        self.spool.write(list(entries))
        self.written.append(list(entries))

    def _lives(self, request_id: str) -> bool:
        return self.generation[request_id] == self.worker

    @rule(target=open_requests, holds=st.lists(st.none() | amounts, min_size=1, max_size=4))
    def open(self, holds: list[int | None]) -> str:
        request_id = an_id()
        intents = [
            an_intent(request_id, n, hold_nanousd=hold, started_at=self.clock.now) for n, hold in enumerate(holds)
        ]
        self._write(an_opening(request_id, opened_at=self.clock.now), *intents)
        self.opened[request_id] = self.clock.now
        self.generation[request_id] = self.worker
        self.holds.update({(request_id, n): hold for n, hold in enumerate(holds)})
        return request_id

    @rule(request_id=open_requests | closed_requests, hold=st.none() | amounts)
    def call_again(self, request_id: str, hold: int | None) -> None:
        """A retry or the next wave; after the closing, a shadow."""
        if self._lives(request_id):
            call_no = sum(key[0] == request_id for key in self.holds)
            self.holds[request_id, call_no] = hold
            self._write(an_intent(request_id, call_no, hold_nanousd=hold, started_at=self.clock.now))

    @rule(
        request_id=open_requests | closed_requests,
        pick=st.integers(0, 10),
        cost=st.none() | amounts,
        status=st.sampled_from(CallStatus),
    )
    def end_call(self, request_id: str, pick: int, cost: int | None, status: CallStatus) -> None:
        waiting = [key for key in self.holds if key[0] == request_id and key not in self.results]
        if self._lives(request_id) and waiting:
            key = waiting[pick % len(waiting)]
            precision = Precision.EXACT if status is CallStatus.OK else Precision.ESTIMATED
            result = a_result(*key, status=status, precision=precision, cost_nanousd=cost, usage=USAGE)
            self.results[key] = result
            self._write(result)

    @rule(target=closed_requests, request_id=consumes(open_requests), outcome=st.sampled_from(Outcome))
    def close(self, request_id: str, outcome: Outcome) -> object:
        if not self._lives(request_id):
            return multiple()
        self._write(a_closing(request_id, outcome=outcome, closed_at=self.clock.now, answer_call_no=None))
        self.closed.add(request_id)
        return request_id

    @rule(pick=st.integers(0, 1000))
    def replay(self, pick: int) -> None:
        """A crash after a write and before its mark: the same entries come again, from the worker that wrote them."""
        if self.written:
            entries = self.written[pick % len(self.written)]
            if self._lives(entries[0].request_id):
                self.spool.write(entries)

    @rule(pick=st.integers(0, 1000), cost=amounts)
    def contradict(self, pick: int, cost: int) -> None:
        """A second result that says something else: the first one stands."""
        ended = [key for key in self.results if self._lives(key[0])]
        if ended:
            self.spool.write([a_result(*ended[pick % len(ended)], cost_nanousd=cost, status=CallStatus.ERROR)])

    @rule()
    def ship(self) -> None:
        assert self.shipper.turn()

    @rule()
    def ship_without_noticing(self) -> None:
        """The database took it, the worker died before it could delete the rows: everything is shipped again."""
        self.shipper._reader = type(self.shipper._reader)(self.spool)
        assert self.shipper.turn()

    @rule()
    def crash(self) -> None:
        abandon(self.spool)
        self._start_worker()

    @rule()
    def stop_and_start(self) -> None:
        self.shipper.turn()
        self.spool.close()
        self._start_worker()

    @rule(hours=st.integers(1, 3))
    def wait(self, hours: int) -> None:
        """Long enough, and what is open expires, a call of a closed request as well: a lost hold never stays open."""
        self.clock.advance(hours * 3600)
        self.shipper.turn()
        unfinished = {request_id for request_id, _ in self.holds.keys() - self.results.keys()}
        for request_id in (self.opened.keys() - self.closed) | unfinished:
            if self.opened[request_id] + EXPIRE_AFTER_S * 1e6 < self.clock.now:
                self.generation[request_id] = -1

    @invariant()
    def nothing_is_booked_that_was_not_announced(self) -> None:
        with self.engine.connect() as connection:
            booked = {
                (row.request_id, row.call_no) for row in connection.execute(select(Call.request_id, Call.call_no))
            }
            requests = set(connection.scalars(select(Request.id)))
        assert booked <= self.holds.keys()
        assert requests <= self.opened.keys()

    def teardown(self) -> None:
        """At the end every worker is dead and its heir has shipped: now everything is booked, each thing once."""
        if self.worker:
            abandon(self.spool)
            self._start_worker()
            assert self.shipper.turn()
            self._everything_is_booked_once()
            self.spool.close()
        self.engine.dispose()
        self.folder.cleanup()

    def _everything_is_booked_once(self) -> None:
        with self.engine.connect() as connection:
            calls = {(row.request_id, row.call_no): row for row in connection.execute(select(Call.__table__))}
            requests = set(connection.scalars(select(Request.id)))
        assert requests == self.opened.keys()
        assert calls.keys() == self.holds.keys()
        for key, line in calls.items():
            if line.precision is Precision.UNKNOWN:
                assert (line.status, line.cost_nanousd) == (CallStatus.UNKNOWN, self.holds[key])
                assert key not in self.results
            else:
                result = self.results[key]
                assert (line.status, line.cost_nanousd) == (result.status, result.cost_nanousd)


Books.TestCase.settings = settings(max_examples=25, stateful_step_count=30, deadline=None)
TestBooks = Books.TestCase
