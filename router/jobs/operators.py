"""What operators do with jobs, whoever's they are: list them, call one off, have one done again. Blocking.

All of it is a matter of the database: a worker that runs the job hears of it within a second, and where none runs, the
next one that starts. Texts of callers are never shown. Each change is told to its hook in its own transaction.
"""

import msgspec
from sqlalchemy import Engine, select, update
from sqlalchemy.exc import SQLAlchemyError

from router import keys
from router.clock import request_id
from router.database.engine import AuditHook, writing
from router.database.job_tables import JobRow
from router.jobs import holds
from router.jobs.engine import STEPS_VERSION
from router.jobs.facts import RETRIED_AS, RETRY_OF
from router.jobs.job import Job, JobStatus, WrongJob
from router.jobs.store import JobStore
from router.ledger.budgets import Payer
from router.ledger.entries import Opening
from router.ledger.job_calls import CLAIMED, ID_PREFIX


def read_status(text: str) -> JobStatus:
    """Read a status as it is written; raises WrongJob naming all."""
    found = next((status for status in JobStatus if status.word == text), None)
    if found is None:
        raise WrongJob(f"{text[:40]!r} is none of {', '.join(status.word for status in JobStatus)}")
    return found


def find(engine: Engine, job_id: str) -> Job:
    """Return a job by its id, which may also be that of its request; raises WrongJob."""
    asked = job_id.strip()
    job = JobStore(engine).get(asked if asked.startswith(ID_PREFIX) else f"{ID_PREFIX}{asked.replace('-', '')}")
    if job is None:
        raise WrongJob(f"there is no job {asked[:64]!r}; it may have expired")
    return job


def cancel(engine: Engine, job_id: str, now_us: int, keep_us: int, hook: AuditHook | None = None) -> Job:
    """Call a job off; what ran is paid. Raises WrongJob where it has ended."""
    job = find(engine, job_id)
    if job.status.is_final or not JobStore(engine).cancel(job.id, now_us, keep_us, hook):
        raise WrongJob(f"{job.id} has ended: {find(engine, job.id).status.word}")
    return find(engine, job.id)


def retry(engine: Engine, job_id: str, now_us: int, keep_us: int, hook: AuditHook | None = None) -> Job:
    """Have the request of a job that brought no answer done again, as a new job of the same caller.

    It holds as much as the first one did and names it; the first one names it too. Raises WrongJob, and QuotaExhausted
    where a budget does not cover it.
    """
    job = find(engine, job_id)
    _require_retriable(engine, job, now_us)
    again = _again(job, now_us, keep_us)
    payer = Payer(job.key_id, job.segment, _opening_of(again).first_tier)
    holds.hold(engine, again.request_id, payer, again.held_nanousd, now_us)
    try:
        _replace(engine, job, again, hook)
    except (WrongJob, SQLAlchemyError):
        holds.release(engine, again.request_id)
        raise
    return again


def _require_retriable(engine: Engine, job: Job, now_us: int) -> None:
    if not job.status.is_final:
        raise WrongJob(f"{job.id} has not ended: {job.status.word}; cancel it first")
    if job.status is JobStatus.COMPLETED:
        raise WrongJob(f"{job.id} is completed: there is nothing to do again")
    if (successor := job.progress.get(RETRIED_AS)) is not None:
        raise WrongJob(f"{job.id} is done again already, as {successor}")
    if job.work is None or job.deleted_at is not None:
        raise WrongJob(f"what {job.id} asked is not stored any more")
    if job.key_id is not None and job.key_id not in {key.id for key in keys.valid_keys(engine, now_us).values()}:
        raise WrongJob(f"the key that sent {job.id} is revoked or expired")


def _again(job: Job, now_us: int, keep_us: int) -> Job:
    """Make the job that does the same anew. It takes nothing of its end user's day: it was not the user who asked."""
    assert job.work is not None
    recipe = {name: value for name, value in job.recipe.items() if name != CLAIMED}
    number = request_id(now_us)
    opening = msgspec.structs.replace(_opening_of(job), request_id=number, opened_at=now_us)
    return Job(
        id=f"{ID_PREFIX}{number}",
        key_id=job.key_id,
        segment=job.segment,
        status=JobStatus.QUEUED,
        queue=job.queue,
        priority=job.priority,
        created_at=now_us,
        expires_at=now_us + keep_us,
        time_limit_s=job.time_limit_s,
        quote=job.quote,
        recipe={**recipe, "opening": msgspec.to_builtins(opening), RETRY_OF: job.id},
        held_nanousd=job.held_nanousd,
        user_mark=job.user_mark,
        version=STEPS_VERSION,
        callback=job.callback,
        work=msgspec.structs.replace(job.work, opening=opening),
    )


def _replace(engine: Engine, job: Job, again: Job, hook: AuditHook | None) -> None:
    """Insert the new job and name it in the old one; raises WrongJob where somebody was faster."""
    with writing(engine) as connection:
        here = select(JobRow.progress).where(JobRow.id == job.id).with_for_update()
        progress = connection.execute(here).scalar_one()
        if RETRIED_AS in progress:
            raise WrongJob(f"{job.id} is done again already, as {progress[RETRIED_AS]}")
        JobStore.insert_within(connection, again)
        named = update(JobRow).where(JobRow.id == job.id).values(progress={**progress, RETRIED_AS: again.id})
        connection.execute(named)
        if hook is not None:
            hook(connection, {"status": job.status.word}, {RETRIED_AS: again.id})


def _opening_of(job: Job) -> Opening:
    return msgspec.convert(job.recipe["opening"], Opening)
