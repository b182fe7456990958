"""Reads background jobs for the pages: page by page the newest first, and how many there are of each state."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Engine, func, select

from router.database.job_tables import JobRow
from router.database.tables import ApiKey
from router.jobs.facts import facts_of
from router.jobs.job import UNFINISHED, Job, JobStatus
from router.jobs.store import JobFilter, JobStore

JOBS_SHOWN = 50


@dataclass(frozen=True, slots=True)
class JobsPage:
    """A page of jobs; `older_us` is where the next one begins. Counts are of all jobs that are kept."""

    jobs: Sequence[dict[str, Any]]
    older_us: int | None
    counts: Mapping[str, int]
    held_nanousd: int
    segments: Sequence[str]


def read(engine: Engine, wanted: JobFilter, now_us: int) -> JobsPage:
    """Read one page. What is held is that of jobs which have not ended."""
    found = JobStore(engine).list(wanted, most=JOBS_SHOWN + 1)
    names = read_key_names(engine)
    totals = select(JobRow.status, func.count().label("jobs"), func.sum(JobRow.held_nanousd).label("held"))
    with engine.connect() as connection:
        rows = connection.execute(totals.group_by(JobRow.status)).all()
        segments = list(connection.scalars(select(JobRow.segment).distinct().order_by(JobRow.segment)))
    counts = {status.word: 0 for status in JobStatus} | {JobStatus(row.status).word: row.jobs for row in rows}
    held = sum(int(row.held or 0) for row in rows if JobStatus(row.status) in UNFINISHED)
    shown, rest = found[:JOBS_SHOWN], found[JOBS_SHOWN:]
    older_us = shown[-1].created_at if rest else None
    return JobsPage([describe(job, names, now_us) for job in shown], older_us, counts, held, segments)


def describe(job: Job, names: Mapping[int, str], now_us: int) -> dict[str, Any]:
    """Describe a job, with its age: until now, or until it ended."""
    ended_us = job.finished_at or now_us
    facts = {"age_s": max(ended_us - job.created_at, 0) / 1e6, "is_final": job.status.is_final}
    return facts_of(job, names) | facts | {"may_retry": may_be_retried(job)}


def may_be_retried(job: Job) -> bool:
    """Tell whether a job can be done again, as far as its row says without its texts."""
    is_lost = job.status.is_final and job.status is not JobStatus.COMPLETED
    return is_lost and job.deleted_at is None and "retried_as" not in job.progress


def read_key_names(engine: Engine) -> dict[int, str]:
    """Read the names of all keys by their ids."""
    with engine.connect() as connection:
        return {row.id: row.name for row in connection.execute(select(ApiKey.id, ApiKey.name))}


def only_of_key(wanted: JobFilter, names: Mapping[int, str], name: str) -> JobFilter | None:
    """Narrow a filter to the key of a name; None where there is none."""
    key_id = next((id_ for id_, known in names.items() if known == name), None)
    return None if key_id is None else replace(wanted, key_id=key_id)
