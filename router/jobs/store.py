"""The table of jobs. Blocking; call it off the event loop. Everything may raise SQLAlchemyError.

What changes a running job names the stretch (`claim`) that it belongs to: a worker that was taken over from changes
nothing any more.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Connection, Engine, RowMapping, and_, delete, func, insert, or_, select, update

from router.database.engine import AuditHook, writing
from router.database.job_tables import JobRow, JobWorkerRow
from router.database.upsert import insert_or_nothing
from router.jobs.calibration import PastJob, past_job
from router.jobs.job import UNFINISHED, Ending, Instruction, Job, JobStatus, JobWork, Wishes
from router.ledger import job_calls
from router.ledger.job_calls import ID_PREFIX
from router.tiers.base import Answer

TEXTS = {"work": "request", "answer": "answer", "trace": "trace", "instructions": "instructions"}
PLAIN = tuple(name for name in Job.__struct_fields__ if name not in TEXTS)
MOST_INSTRUCTIONS = 32
IS_UNFINISHED = JobRow.status.in_([int(status) for status in UNFINISHED])
ANY_UNFINISHED = select(JobRow.id).where(IS_UNFINISHED).limit(1)


class CallRefused(Enum):
    """Why a call of a job may not be made."""

    LOST = "another worker runs the job"
    ENDED = "the job has ended"
    NO_ROOM = "what is held for the job does not cover it"


@dataclass(frozen=True, slots=True)
class JobFilter:
    """Which jobs are wanted: of these states, and None is any; those accepted before an instant."""

    statuses: Sequence[JobStatus] = ()
    segment: str | None = None
    key_id: int | None = None
    before_us: int | None = None


ANY_JOB = JobFilter()


class JobStore:
    """Inserts, finds and changes jobs."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def insert(self, job: Job) -> None:
        """Keep a job that was accepted."""
        with writing(self._engine) as connection:
            self.insert_within(connection, job)

    @staticmethod
    def insert_within(connection: Connection, job: Job) -> None:
        """Keep a job, in a transaction that does more."""
        row = {name: getattr(job, name) for name in PLAIN} | {"status": int(job.status)}
        row |= {column: _encode(getattr(job, name) or None) for name, column in TEXTS.items()}
        connection.execute(insert(JobRow), row)

    def get(self, job_id: str) -> Job | None:
        """Read a job, whoever's it is."""
        return self._read(JobRow.id == job_id)

    def find(self, job_id: str, key_id: int | None, now_us: int) -> Job | None:
        """Read a job of this key, unless it was deleted or has expired."""
        return self._read(_of_key(job_id, key_id, now_us))

    def list(self, wanted: JobFilter = ANY_JOB, *, most: int = 100) -> Sequence[Job]:
        """List jobs without their texts, the newest first."""
        where: list[ColumnElement[bool]] = []
        if wanted.statuses:
            where.append(JobRow.status.in_([int(status) for status in wanted.statuses]))
        if wanted.segment is not None:
            where.append(JobRow.segment == wanted.segment)
        if wanted.key_id is not None:
            where.append(JobRow.key_id == wanted.key_id)
        if wanted.before_us is not None:
            where.append(JobRow.created_at < wanted.before_us)
        columns = [getattr(JobRow, name) for name in PLAIN]
        query = select(*columns).where(*where).order_by(JobRow.created_at.desc()).limit(most)
        with self._engine.connect() as connection:
            return [_job_of(row) for row in connection.execute(query).mappings()]

    def count_before(self, job: Job) -> int:
        """Count the jobs of its queue that wait in front of it."""
        earlier = and_(JobRow.priority == job.priority, JobRow.created_at < job.created_at)
        waiting = JobRow.status == int(JobStatus.QUEUED)
        query = select(func.count()).where(waiting, JobRow.queue == job.queue)
        with self._engine.connect() as connection:
            return int(connection.scalar(query.where(or_(JobRow.priority < job.priority, earlier))) or 0)

    def count_waiting(self) -> int:
        """Count the jobs that wait for a place."""
        query = select(func.count()).where(JobRow.status == int(JobStatus.QUEUED))
        with self._engine.connect() as connection:
            return int(connection.scalar(query) or 0)

    def list_past(self, most: int) -> Sequence[PastJob]:
        """List what jobs that came to an end by themselves were told and came to, the latest first."""
        by_themselves = (int(JobStatus.COMPLETED), int(JobStatus.INCOMPLETE))
        columns = (JobRow.recipe, JobRow.started_at, JobRow.finished_at, JobRow.spent_nanousd)
        query = (
            select(*columns)
            .where(JobRow.status.in_(by_themselves), JobRow.answer_asked_at.is_(None), JobRow.started_at.is_not(None))
            .order_by(JobRow.created_at.desc())
            .limit(most)
        )
        with self._engine.connect() as connection:
            found = [
                past_job(row.recipe.get("told"), (row.finished_at - row.started_at) / 1e6, row.spent_nanousd)
                for row in connection.execute(query)
            ]
        return [past for past in found if past is not None]

    def has_unfinished(self) -> bool:
        """Tell whether anything is left to do."""
        with self._engine.connect() as connection:
            return connection.scalar(ANY_UNFINISHED) is not None

    def list_undispatched(self, most: int) -> Sequence[Job]:
        """List the jobs that were not handed to the engine yet, the most urgent first."""
        where = (JobRow.status == int(JobStatus.QUEUED), JobRow.dispatched_at.is_(None))
        columns = [getattr(JobRow, name) for name in PLAIN]
        query = select(*columns).where(*where).order_by(JobRow.priority, JobRow.created_at).limit(most)
        with self._engine.connect() as connection:
            return [_job_of(row) for row in connection.execute(query).mappings()]

    def mark_dispatched(self, job_id: str, now_us: int) -> None:
        """Note that the engine has a job."""
        self._update(JobRow.id == job_id, {"dispatched_at": now_us})

    def begin(self, job_id: str, worker: str, now_us: int) -> int | None:
        """Begin a stretch: returns its number, None where the job has ended."""
        values = {
            "claim": JobRow.claim + 1,
            "worker": worker,
            "status": int(JobStatus.IN_PROGRESS),
            "started_at": func.coalesce(JobRow.started_at, now_us),
        }
        begun = update(JobRow).where(JobRow.id == job_id, IS_UNFINISHED).values(**values).returning(JobRow.claim)
        with writing(self._engine) as connection:
            claim: int | None = connection.execute(begun).scalar()
            return claim

    def reserve(self, job_id: str, claim: int, bound: int | None, count: int = 1) -> int | CallRefused:
        """Reserve the numbers of calls that cost `bound` at most, out of what is held for the job.

        Returns the first; it is the statement that keeps a worker that was taken over from from sending anything.
        """
        with writing(self._engine) as connection:
            return self.reserve_within(connection, job_id, claim, bound, count)

    @staticmethod
    def reserve_within(
        connection: Connection, job_id: str, claim: int, bound: int | None, count: int
    ) -> int | CallRefused:
        """Reserve them in a transaction that does more."""
        known = bound or 0
        mine = and_(JobRow.id == job_id, JobRow.claim == claim, JobRow.status == int(JobStatus.IN_PROGRESS))
        fits = or_(JobRow.held_nanousd.is_(None), JobRow.spent_nanousd + known <= JobRow.held_nanousd)
        values = {"next_call": JobRow.next_call + count, "spent_nanousd": JobRow.spent_nanousd + known}
        number = connection.execute(update(JobRow).where(mine, fits).values(**values).returning(JobRow.next_call))
        if (taken := number.scalar()) is not None:
            return int(taken) - count
        match connection.scalar(select(JobRow.status).where(JobRow.id == job_id, JobRow.claim == claim)):
            case None:
                return CallRefused.LOST
            case JobStatus.IN_PROGRESS:
                return CallRefused.NO_ROOM
            case _:
                return CallRefused.ENDED

    def give_back(self, job_id: str, amount: int) -> None:
        """Free what calls did not cost of the bounds that were reserved for them."""
        self._update(JobRow.id == job_id, {"spent_nanousd": JobRow.spent_nanousd - amount})

    def note_progress(self, job_id: str, claim: int, progress: Mapping[str, Any]) -> None:
        """Say how far a job is."""
        mine = and_(JobRow.id == job_id, JobRow.claim == claim, IS_UNFINISHED)
        self._update(mine, {"progress": dict(progress)})

    def finish(self, job_id: str, claim: int | None, ending: Ending, now_us: int, keep_us: int) -> bool:
        """End a job and keep its answer for so long from now; False where it had ended, or another worker runs it."""
        mine = and_(JobRow.id == job_id, IS_UNFINISHED)
        if claim is not None:
            mine = and_(mine, JobRow.claim == claim)
        plain = {
            "status": int(ending.status),
            "finished_at": now_us,
            "expires_at": now_us + keep_us,
            "error": ending.error,
        }
        texts = {"answer": _encode(ending.answer), "trace": _encode(ending.trace)}
        is_kept = self._update(and_(mine, JobRow.deleted_at.is_(None)), {**plain, **texts})
        return is_kept or self._update(mine, plain)

    def request_cancel(self, job_id: str, key_id: int | None, now_us: int, keep_us: int) -> bool:
        """Cancel a job of this key; False where it had ended."""
        return self._update(and_(_of_key(job_id, key_id, now_us), IS_UNFINISHED), _cancellation(now_us, keep_us))

    def cancel(self, job_id: str, now_us: int, keep_us: int, hook: AuditHook | None = None) -> bool:
        """Cancel a job for an operator, whoever's it is; False where it had ended."""
        here = and_(JobRow.id == job_id, IS_UNFINISHED)
        with writing(self._engine) as connection:
            status = connection.scalar(select(JobRow.status).where(here).with_for_update())
            if status is None:
                return False
            connection.execute(update(JobRow).where(here).values(**_cancellation(now_us, keep_us)))
            if hook is not None:
                hook(connection, {"status": JobStatus(status).word}, {"status": JobStatus.CANCELLED.word})
            return True

    def request_answer(self, job_id: str, key_id: int | None, now_us: int) -> bool:
        """Ask for the answer as it stands; False where the job had ended."""
        values = {"answer_asked_at": func.coalesce(JobRow.answer_asked_at, now_us)}
        return self._update(and_(_of_key(job_id, key_id, now_us), IS_UNFINISHED), values)

    def add_instruction(self, job_id: str, key_id: int | None, now_us: int, text: str) -> bool | None:
        """Add an instruction for the next wave; False where the job had ended, None where it has as many as it may."""
        here = and_(_of_key(job_id, key_id, now_us), IS_UNFINISHED)
        with writing(self._engine) as connection:
            row = connection.execute(select(JobRow.instructions).where(here).with_for_update()).one_or_none()
            if row is None:
                return False
            given = _instructions_of(row.instructions)
            if len(given) >= MOST_INSTRUCTIONS:
                return None
            said = _encode([*given, Instruction(now_us, text)])
            return connection.execute(update(JobRow).where(here).values(instructions=said)).rowcount == 1

    def read_wishes(self, job_ids: Iterable[str]) -> dict[str, Wishes]:
        """Read what was asked of jobs since they began."""
        columns = (JobRow.id, JobRow.status, JobRow.answer_asked_at, JobRow.instructions)
        with self._engine.connect() as connection:
            rows = connection.execute(select(*columns).where(JobRow.id.in_(list(job_ids)))).all()
        return {
            row.id: Wishes(
                JobStatus(row.status).is_final, row.answer_asked_at is not None, len(_instructions_of(row.instructions))
            )
            for row in rows
        }

    def delete(self, job_id: str, key_id: int | None, now_us: int, keep_us: int) -> bool:
        """Take a job's texts away; one that is at work is cancelled. Tells whether it was there."""
        self.request_cancel(job_id, key_id, now_us, keep_us)
        with writing(self._engine) as connection:
            return job_calls.delete_texts(connection, _of_key(job_id, key_id, now_us), {"deleted_at": now_us}) > 0

    def expire(self, now_us: int) -> Sequence[str]:
        """Remove the jobs whose time is over; returns their ids."""
        over = and_(JobRow.expires_at <= now_us, ~IS_UNFINISHED)
        with writing(self._engine) as connection:
            return list(connection.execute(delete(JobRow).where(over).returning(JobRow.id)).scalars())

    def beat(self, worker: str, version: int, now_us: int) -> bool:
        """Say that a worker is alive; False where it was not on the list, as when others hold it for dead."""
        row = {"id": worker, "version": version, "seen_at": now_us}
        with writing(self._engine) as connection:
            alive = update(JobWorkerRow).where(JobWorkerRow.id == worker).values(seen_at=now_us)
            if connection.execute(alive).rowcount:
                return True
            insert_or_nothing(connection, JobWorkerRow, [row])
            return False

    def mark_dead(self, worker: str) -> None:
        """Note that a worker is dead: others take over what it ran at once."""
        with writing(self._engine) as connection:
            connection.execute(update(JobWorkerRow).where(JobWorkerRow.id == worker).values(seen_at=0))

    def void_claims(self, worker: str) -> None:
        """Void what a worker still believes to run: it may not book a call any more."""
        self._update(and_(JobRow.worker == worker, IS_UNFINISHED), {"claim": JobRow.claim + 1, "worker": None})

    def list_silent(self, before_us: int) -> Sequence[str]:
        """List the workers that were last seen before an instant."""
        with self._engine.connect() as connection:
            return list(connection.scalars(select(JobWorkerRow.id).where(JobWorkerRow.seen_at < before_us)))

    def drop_worker(self, worker: str) -> None:
        """Strike a worker off: it ended, or was taken over from."""
        with writing(self._engine) as connection:
            connection.execute(delete(JobWorkerRow).where(JobWorkerRow.id == worker))

    def list_stranded(self, version: int) -> Sequence[Job]:
        """List unfinished jobs of other versions of the workflow that no living worker runs."""
        living = select(JobWorkerRow.version)
        where = (IS_UNFINISHED, JobRow.version != version, JobRow.version.not_in(living))
        columns = [getattr(JobRow, name) for name in PLAIN]
        with self._engine.connect() as connection:
            return [_job_of(row) for row in connection.execute(select(*columns).where(*where)).mappings()]

    def list_unsettled(self, before_us: int, most: int) -> Sequence[str]:
        """List the jobs that were cancelled before an instant and before any worker began them, and are not booked."""
        where = (JobRow.status == int(JobStatus.CANCELLED), JobRow.started_at.is_(None), JobRow.booked_at.is_(None))
        with self._engine.connect() as connection:
            return list(connection.scalars(select(JobRow.id).where(*where, JobRow.finished_at < before_us).limit(most)))

    def restart(self, job_id: str, version: int) -> None:
        """Have a job that never began be handed over anew, by the steps of this version."""
        self._update(
            and_(JobRow.id == job_id, JobRow.started_at.is_(None)), {"version": version, "dispatched_at": None}
        )

    def list_done_with(self, booked_before_us: int, most: int) -> Sequence[str]:
        """List the jobs that are booked, and of which the engine still keeps its steps."""
        where = (JobRow.booked_at < booked_before_us, JobRow.dispatched_at.is_not(None))
        with self._engine.connect() as connection:
            return list(connection.scalars(select(JobRow.id).where(*where).limit(most)))

    def note_swept(self, job_ids: Sequence[str]) -> None:
        """Note that the engine keeps nothing of jobs any more."""
        if job_ids:
            self._update(JobRow.id.in_(job_ids), {"dispatched_at": None})

    def find_by_request(self, request_id: str) -> Job | None:
        """Read the job that a request in the books is."""
        return self.get(f"{ID_PREFIX}{request_id}")

    def _read(self, where: ColumnElement[bool]) -> Job | None:
        with self._engine.connect() as connection:
            row = connection.execute(select(JobRow.__table__).where(where)).mappings().one_or_none()
        return None if row is None else _job_of(row)

    def _update(self, where: ColumnElement[bool], values: Mapping[str, Any]) -> bool:
        with writing(self._engine) as connection:
            return connection.execute(update(JobRow).where(where).values(**values)).rowcount > 0


def _cancellation(now_us: int, keep_us: int) -> dict[str, int]:
    return {
        "status": int(JobStatus.CANCELLED),
        "cancelled_at": now_us,
        "finished_at": now_us,
        "expires_at": now_us + keep_us,
    }


def _of_key(job_id: str, key_id: int | None, now_us: int) -> ColumnElement[bool]:
    alive = or_(JobRow.expires_at > now_us, IS_UNFINISHED)
    return and_(JobRow.id == job_id, JobRow.key_id == key_id, JobRow.deleted_at.is_(None), alive)


def _encode(value: Any) -> str | None:
    return None if value is None else msgspec.json.encode(value).decode()


def _instructions_of(text: str | None) -> Sequence[Instruction]:
    return () if text is None else msgspec.json.decode(text, type=list[Instruction])


def _job_of(row: RowMapping) -> Job:
    """Make a job of its row, which may come without the texts."""
    plain = {name: row[name] for name in PLAIN} | {"status": JobStatus(row["status"])}
    request, answer, trace = (row.get(name) for name in ("request", "answer", "trace"))
    return Job(
        **plain,
        work=None if request is None else msgspec.json.decode(request, type=JobWork),
        answer=None if answer is None else msgspec.json.decode(answer, type=Answer),
        trace=None if trace is None else msgspec.json.decode(trace),
        instructions=_instructions_of(row.get("instructions")),
    )
