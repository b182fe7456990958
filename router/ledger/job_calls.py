"""Calls of background jobs on their way into the books: several workers may have made them, at different times.

A job is one request. Its calls wait, as entries, until whoever ended the job has written its opening and closing; then
all of them are booked in one transaction with the request, and what budgets held for the job goes back. What comes
later still (a call that a dead machine had under way) is booked as a late part, as those of other requests are.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec
from sqlalchemy import ColumnElement, Connection, delete, select, update

from router.database.job_tables import JobBatchRow, JobCallRow, JobRow
from router.database.tables import PersonDay
from router.database.upsert import insert_or_nothing
from router.ledger import budgets
from router.ledger.entries import Entry
from router.ledger.folding import RequestRecord
from router.types import DAY_US

ID_PREFIX = "resp_"
CLAIMED = "claimed_nanousd"  # of its end user's day, beside a job's recipe: 0 where only answers are counted
TEXTS: Mapping[str, None] = dict.fromkeys(("request", "answer", "trace", "instructions", "callback"))
encode = msgspec.msgpack.Encoder().encode
decode = msgspec.msgpack.Decoder(list[Entry]).decode


class Sorted(NamedTuple):
    """Records to book now: ordinary ones, those that end a job, and late parts of jobs that are booked."""

    ordinary: Sequence[RequestRecord]
    closing: Sequence[RequestRecord]
    late: Sequence[RequestRecord]


def may_be_of_job(record: RequestRecord) -> bool:
    """Tell whether a record has to be looked up: it belongs to a job, or is a part without its request."""
    return record.opening is None or record.opening.is_job


def owner_of(request_id: str) -> str:
    """Name the lease that budgets hold for a job."""
    return f"{budgets.JOB_OWNER}{request_id}"


def sort(connection: Connection, records: Sequence[RequestRecord]) -> Sorted:
    """Keep the ended calls of open jobs for later, and give jobs that end now the calls of all their workers.

    The jobs stay locked until the transaction ends: none is closed while a call of it is put by.
    """
    asked = [record for record in records if may_be_of_job(record)]
    if not asked:
        return Sorted(records, (), ())
    query = select(JobRow.id, JobRow.booked_at).where(JobRow.id.in_([ID_PREFIX + r.request_id for r in asked]))
    found = connection.execute(query.order_by(JobRow.id).with_for_update()).all()
    jobs = {row.id.removeprefix(ID_PREFIX): row.booked_at is not None for row in found}
    ordinary, closing, late = [], [], []
    for record in records:
        is_booked = jobs.get(record.request_id) if may_be_of_job(record) else None
        if record.opening is not None and record.opening.is_job and record.closing is not None:
            _gather(connection, record)
            closing.append(record)
        elif is_booked is None:
            ordinary.append(record)
        elif is_booked:
            late.append(record)
        else:
            _put_by(connection, record)
    return Sorted(ordinary, closing, late)


def close(connection: Connection, record: RequestRecord, now_us: int) -> None:
    """Note that a job is booked and give back what is held for it, but for calls that are still to come."""
    job_id = ID_PREFIX + record.request_id
    connection.execute(delete(JobCallRow).where(JobCallRow.job_id == job_id))
    booked = update(JobRow).where(JobRow.id == job_id, JobRow.booked_at.is_(None)).values(booked_at=now_us)
    row = connection.execute(
        booked.returning(JobRow.spent_nanousd, JobRow.recipe, JobRow.user_mark, JobRow.created_at)
    ).one_or_none()
    if row is None:
        return
    known = sum(result.cost_nanousd or 0 for _, result in record.calls_with_results())
    budgets.release_within(connection, owner_of(record.request_id), keep=max(row.spent_nanousd - known, 0))
    claimed = row.recipe.get(CLAIMED)
    if claimed is not None and row.user_mark is not None:
        unused = {"deep": PersonDay.deep - (not record.intents)}
        if claimed:
            unused["taken_nanousd"] = PersonDay.taken_nanousd - (claimed - row.spent_nanousd)
        of_day = PersonDay.day == row.created_at // DAY_US, PersonDay.user_mark == row.user_mark
        connection.execute(update(PersonDay).where(*of_day).values(**unused))


def _gather(connection: Connection, record: RequestRecord) -> None:
    query = select(JobCallRow.entries).where(JobCallRow.job_id == ID_PREFIX + record.request_id)
    for entries in connection.scalars(query):
        for entry in decode(entries):
            record.add(entry)


def _put_by(connection: Connection, record: RequestRecord) -> None:
    job_id = ID_PREFIX + record.request_id
    rows = [
        {"job_id": job_id, "call_no": intent.call_no, "entries": encode([intent, result])}
        for intent, result in record.calls_with_results()
    ]
    if rows:
        insert_or_nothing(connection, JobCallRow, rows)


def forget(connection: Connection, where: ColumnElement[bool], now_us: int) -> int:
    """Take the texts of jobs away; a worker that runs one calls it off. Returns how many there were."""
    return delete_texts(connection, where & JobRow.deleted_at.is_(None), {"deleted_at": now_us, "user_mark": None})


def delete_texts(connection: Connection, where: ColumnElement[bool], changes: Mapping[str, int | None]) -> int:
    """Take the texts of jobs and of their batches away, and make more changes; returns how many jobs it were."""
    found = list(connection.scalars(select(JobRow.id).where(where).with_for_update()))
    connection.execute(update(JobRow).where(JobRow.id.in_(found)).values(**TEXTS, **changes))
    connection.execute(update(JobBatchRow).where(JobBatchRow.job_id.in_(found)).values(answers=None))
    return len(found)
