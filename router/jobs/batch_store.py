"""The table of batches that jobs buy. Blocking; call it off the event loop. Everything may raise SQLAlchemyError.

A batch is kept with the numbers and bounds of its calls before its provider hears of it, and settled in one
transaction with what its job has spent.
"""

from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Engine, RowMapping, and_, delete, or_, select, update

from router.database.engine import writing
from router.database.job_tables import JobBatchRow, JobCallRow, JobRow
from router.database.upsert import insert_or_nothing
from router.jobs.batch_calls import BatchAnswer, BatchCall, KeptBatch, savings_of
from router.jobs.store import IS_UNFINISHED, CallRefused, JobStore
from router.ledger.job_calls import encode

COLUMNS = tuple(name for name in KeptBatch.__struct_fields__ if name not in ("calls", "answers"))


class BatchStore:
    """Keeps batches."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def get(self, job_id: str, name: str) -> KeptBatch | None:
        """Read a batch."""
        with self._engine.connect() as connection:
            row = connection.execute(select(JobBatchRow.__table__).where(_of(job_id, name))).mappings().one_or_none()
        return None if row is None else _batch_of(row)

    def open(
        self, batch: KeptBatch, claim: int, bound: int, count: int, make: Callable[[int], Sequence[BatchCall]]
    ) -> KeptBatch | CallRefused:
        """Reserve the numbers and the bound of a batch's calls and keep it; `make` is told the first number.

        Where what is held does not cover it, that is kept: its samples are never asked for in a batch later.
        """
        with writing(self._engine) as connection:
            number = JobStore.reserve_within(connection, batch.job_id, claim, bound, count)
            if isinstance(number, int):
                batch = msgspec.structs.replace(batch, calls=make(number))
            elif number is CallRefused.NO_ROOM:
                batch = msgspec.structs.replace(batch, settled_at=batch.created_at)
            else:
                return number
            row = {name: getattr(batch, name) for name in COLUMNS} | {"calls": _text(batch.calls)}
            insert_or_nothing(connection, JobBatchRow, [row])
            return number if isinstance(number, CallRefused) else batch

    def note_file(self, job_id: str, name: str, file_id: str) -> bool:
        """Keep which file was uploaded, before a batch is made of it; False where the batch is settled."""
        return self._update(_of_open(job_id, name), {"file_id": file_id})

    def note_batch(self, job_id: str, name: str, batch_id: str) -> bool:
        """Keep the provider's id of a batch; False where it is settled, by who held it for not begun."""
        return self._update(_of_open(job_id, name), {"batch_id": batch_id})

    def settle(self, batch: KeptBatch, now_us: int) -> bool:
        """Settle the calls of a batch, which has their results, once: they wait for the job's end to be booked.

        The answers are kept while the job needs them.
        """
        here = _of_open(batch.job_id, batch.name)
        wanted = select(JobRow.id).where(JobRow.id == batch.job_id, IS_UNFINISHED, JobRow.deleted_at.is_(None))
        with writing(self._engine) as connection:
            is_needed = connection.scalar(wanted.with_for_update()) is not None
            values = {"settled_at": now_us, "calls": _text(batch.calls), "looks": 0}
            values["answers"] = _text(batch.answers) if is_needed else None
            if not connection.execute(update(JobBatchRow).where(here).values(**values)).rowcount:
                return False
            rows = [
                {"job_id": batch.job_id, "call_no": call.intent.call_no, "entries": encode([call.intent, call.result])}
                for call in batch.calls
            ]
            insert_or_nothing(connection, JobCallRow, rows)
            spent = {"spent_nanousd": JobRow.spent_nanousd - savings_of(batch.calls)}
            connection.execute(update(JobRow).where(JobRow.id == batch.job_id).values(**spent))
            return True

    def give_up(self, job_id: str, name: str, now_us: int) -> None:
        """Note that a job goes on without a batch: it is called off, and settled when it has ended."""
        self._update(_of_open(job_id, name), {"unwanted_at": now_us})

    def has_unsettled(self, job_id: str) -> bool:
        """Tell whether calls of a job may still come to something."""
        query = select(JobBatchRow.name).where(JobBatchRow.job_id == job_id, JobBatchRow.settled_at.is_(None)).limit(1)
        with self._engine.connect() as connection:
            return connection.scalar(query) is not None

    def list_left(self, now_us: int, most: int) -> Sequence[KeptBatch]:
        """List the batches that no job looks after any more and that are due to be looked at."""
        is_left = or_(JobRow.id.is_(None), ~IS_UNFINISHED, JobBatchRow.unwanted_at.is_not(None))
        query = (
            select(JobBatchRow.__table__)
            .join(JobRow, JobRow.id == JobBatchRow.job_id, isouter=True)
            .where(JobBatchRow.look_at <= now_us, is_left)
            .order_by(JobBatchRow.look_at)
            .limit(most)
        )
        with self._engine.connect() as connection:
            return [_batch_of(row) for row in connection.execute(query).mappings()]

    def take(self, batch: KeptBatch, next_look_us: int) -> bool:
        """Take it upon this worker to look after a batch; False where another one did so first."""
        here = and_(_of(batch.job_id, batch.name), JobBatchRow.look_at == batch.look_at)
        return self._update(here, {"look_at": next_look_us, "looks": JobBatchRow.looks + 1})

    def drop(self, batch: KeptBatch) -> None:
        """Forget a batch whose job is booked."""
        with writing(self._engine) as connection:
            connection.execute(delete(JobBatchRow).where(_of(batch.job_id, batch.name)))

    def _update(self, where: ColumnElement[bool], values: dict[str, Any]) -> bool:
        with writing(self._engine) as connection:
            return connection.execute(update(JobBatchRow).where(where).values(**values)).rowcount > 0


def _of(job_id: str, name: str) -> ColumnElement[bool]:
    return and_(JobBatchRow.job_id == job_id, JobBatchRow.name == name)


def _of_open(job_id: str, name: str) -> ColumnElement[bool]:
    return and_(_of(job_id, name), JobBatchRow.settled_at.is_(None))


def _text(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def _batch_of(row: RowMapping) -> KeptBatch:
    plain = {name: row[name] for name in COLUMNS}
    answers = row["answers"]
    return KeptBatch(
        **plain,
        calls=msgspec.json.decode(row["calls"], type=list[BatchCall]),
        answers={} if answers is None else msgspec.json.decode(answers, type=dict[str, BatchAnswer]),
    )
