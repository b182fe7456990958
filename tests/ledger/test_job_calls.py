"""Calls of a background job: made by several workers, booked once with its one request."""

from sqlalchemy import Engine, select

from router.database.job_tables import JobCallRow, JobRow
from router.database.tables import BudgetLease, BudgetPeriod, Call, Request
from router.jobs.holds import hold
from router.jobs.store import JobStore
from router.ledger import budgets
from router.ledger.budgets import BudgetScope, Payer, Period
from router.ledger.entries import Entry
from router.ledger.folding import RequestRecord, settlement
from router.ledger.store import Store
from router.types import CallStatus, Tier
from tests.builders.jobs import REQUEST_ID, a_job
from tests.ledger.builders import NOON, a_closing, a_result, an_intent, an_opening


def a_record(*entries: Entry) -> RequestRecord:
    """What one worker wrote of the job."""
    record = RequestRecord(REQUEST_ID)
    for entry in entries:
        record.add(entry)
    return record


def lost(call_no: int) -> RequestRecord:
    """A call that was under way when its worker died, as adoption settles it."""
    record = a_record(an_intent(REQUEST_ID, call_no, hold_nanousd=700))
    for entry in settlement(record, NOON):
        record.add(entry)
    return record


def ended() -> RequestRecord:
    """The opening and the closing of the job, as whoever ended it writes them."""
    return a_record(an_opening(REQUEST_ID, is_job=True, opened_at=NOON), a_closing(REQUEST_ID, answer_call_no=1))


def test_calls_wait_for_the_end_and_are_booked_with_the_request(engine: Engine) -> None:
    JobStore(engine).insert(a_job())
    store, other = Store(engine), Store(engine)
    store.record([lost(0)], NOON)
    other.record([a_record(an_intent(REQUEST_ID, 1), a_result(REQUEST_ID, 1))], NOON)
    with engine.connect() as connection:
        assert connection.execute(select(Call.call_no)).all() == []
    for _ in range(2):  # a closing that comes twice changes nothing
        store.record([ended()], NOON)
    other.record([a_record(an_intent(REQUEST_ID, 2), a_result(REQUEST_ID, 2))], NOON)  # a machine that came back
    with engine.connect() as connection:
        assert list(connection.scalars(select(Request.id))) == [REQUEST_ID]
        statuses = {row.call_no: row.status for row in connection.execute(select(Call.call_no, Call.status))}
        assert statuses == {0: CallStatus.UNKNOWN, 1: CallStatus.OK, 2: CallStatus.OK}
        assert connection.execute(select(JobCallRow.call_no)).all() == []
        assert connection.scalar(select(JobRow.booked_at)) == NOON


def test_what_is_held_for_a_job_goes_back_with_its_booking_but_for_calls_that_are_still_to_come(
    engine: Engine,
) -> None:
    budgets.put(engine, BudgetScope.TOTAL, "", Period.DAY, 10_000_000, "test", "", NOON)
    hold(engine, REQUEST_ID, Payer(None, "default", Tier.PARALLEL), 1_000_000, NOON)
    cost = a_result(REQUEST_ID).cost_nanousd or 0
    JobStore(engine).insert(a_job(spent_nanousd=cost + 700))  # one call is under way somewhere else
    Store(engine).record([a_record(an_intent(REQUEST_ID, 1), a_result(REQUEST_ID, 1))], NOON)
    Store(engine).record([ended()], NOON)
    with engine.connect() as connection:
        assert connection.scalar(select(BudgetLease.left_nanousd)) == 700
        period = connection.execute(select(BudgetPeriod.settled_nanousd, BudgetPeriod.leased_nanousd)).one()
        assert tuple(period) == (cost, 700)
    Store(engine).record([lost(0)], NOON)
    with engine.connect() as connection:
        period = connection.execute(select(BudgetPeriod.settled_nanousd, BudgetPeriod.leased_nanousd)).one()
        assert tuple(period) == (cost + 700, 0)
