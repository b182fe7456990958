"""What operators do with jobs of all keys: told in their terms, held in the budgets, audited with the change."""

from collections.abc import Mapping
from typing import Any

import msgspec
import pytest
from sqlalchemy import Connection, Engine, select

from router import keys
from router.database.tables import BudgetLease
from router.errors import QuotaExhausted
from router.jobs import operators
from router.jobs.facts import facts_of
from router.jobs.job import Job, JobStatus, WrongJob
from router.jobs.store import JobFilter, JobStore
from router.ledger import budgets
from router.ledger.budgets import BudgetScope, Period
from router.ledger.job_calls import CLAIMED, owner_of
from router.types import Tier
from tests.jobs.made import HELD, a_failed_job, a_job
from tests.ledger.builders import NOON

KEEP_US = 1_000_000_000
LATER = NOON + 3_600_000_000
Told = list[tuple[Mapping[str, Any] | None, Mapping[str, Any] | None]]


def stored(engine: Engine, job: Job) -> Job:
    JobStore(engine).insert(job)
    return job


def noting(told: Told) -> Any:
    def hook(connection: Connection, before: Mapping[str, Any] | None, after: Mapping[str, Any] | None) -> None:
        told.append((before, after))

    return hook


def test_jobs_are_listed_by_state_segment_and_key(engine: Engine) -> None:
    first = stored(engine, a_job(at_us=NOON))
    second = stored(engine, a_job(JobStatus.FAILED, at_us=NOON + 5_000, segment="plus", key_id=None))
    store = JobStore(engine)
    assert [job.id for job in store.list()] == [second.id, first.id]
    assert [job.id for job in store.list(JobFilter((JobStatus.FAILED,)))] == [second.id]
    assert [job.id for job in store.list(JobFilter(segment="default"))] == [first.id]
    assert [job.id for job in store.list(JobFilter(before_us=NOON + 5_000))] == [first.id]
    assert store.list(JobFilter(key_id=7)) == []


def test_a_job_is_found_by_its_id_or_that_of_its_request(engine: Engine) -> None:
    job = stored(engine, a_job())
    assert operators.find(engine, job.request_id).id == operators.find(engine, f" {job.id} ").id == job.id
    with pytest.raises(WrongJob, match="there is no job 'resp_nothing'"):
        operators.find(engine, "resp_nothing")


def test_a_job_is_called_off_once(engine: Engine) -> None:
    job, told = stored(engine, a_job(JobStatus.IN_PROGRESS)), Told()
    assert operators.cancel(engine, job.id, LATER, KEEP_US, noting(told)).status is JobStatus.CANCELLED
    with pytest.raises(WrongJob, match="has ended: cancelled"):
        operators.cancel(engine, job.id, LATER, KEEP_US, noting(told))
    assert told == [({"status": "in_progress"}, {"status": "cancelled"})]


def test_what_is_called_off_before_it_began_is_found_by_whoever_books_it(engine: Engine) -> None:
    job = stored(engine, a_job())
    operators.cancel(engine, job.id, LATER, KEEP_US)
    assert JobStore(engine).list_unsettled(LATER, 10) == []
    assert JobStore(engine).list_unsettled(LATER + 1, 10) == [job.id]


def test_a_job_is_done_again_for_the_same_caller_under_an_id_of_its_own(engine: Engine) -> None:
    job, told = stored(engine, a_failed_job()), Told()
    again = operators.retry(engine, job.id, LATER, KEEP_US, noting(told))
    kept = operators.find(engine, again.id)
    assert (kept.status, kept.held_nanousd, kept.spent_nanousd, kept.key_id) == (JobStatus.QUEUED, HELD, 0, job.key_id)
    assert kept.work is not None
    assert job.work is not None
    assert (kept.work.messages, kept.work.opening.request_id) == (job.work.messages, kept.request_id)
    assert facts_of(kept, {})["retry_of"] == job.id
    assert facts_of(operators.find(engine, job.id), {})["retried_as"] == again.id
    assert told == [({"status": "failed"}, {"retried_as": again.id})]
    with pytest.raises(WrongJob, match=f"done again already, as {again.id}"):
        operators.retry(engine, job.id, LATER, KEEP_US)


def test_what_an_operator_does_again_takes_nothing_of_an_end_users_day(sqlite_engine: Engine) -> None:
    made = a_failed_job(user_mark=7)
    job = stored(sqlite_engine, msgspec.structs.replace(made, recipe={**made.recipe, CLAIMED: HELD}))
    again = operators.retry(sqlite_engine, job.id, LATER, KEEP_US)
    assert (again.user_mark, CLAIMED in again.recipe) == (7, False)


@pytest.mark.parametrize(
    ("job", "why"),
    [
        (a_job(JobStatus.IN_PROGRESS), "has not ended: in_progress"),
        (a_job(JobStatus.COMPLETED), "is completed"),
        (a_failed_job(work=None), "is not stored any more"),
        (a_failed_job(key_id=99), "revoked or expired"),
    ],
)
def test_what_cannot_be_done_again_says_why(sqlite_engine: Engine, job: Job, why: str) -> None:
    stored(sqlite_engine, job)
    with pytest.raises(WrongJob, match=why):
        operators.retry(sqlite_engine, job.id, LATER, KEEP_US)
    assert len(JobStore(sqlite_engine).list()) == 1


def test_a_budget_holds_what_it_may_cost_again_or_refuses_it(engine: Engine) -> None:
    given: Any = {"segment": "default", "scopes": keys.NEW_KEY_SCOPES, "allowed_tiers": list(Tier), "now_us": 1}
    keys.create(engine, "app", **given)
    job = stored(engine, a_failed_job(key_id=1))
    budgets.put(engine, BudgetScope.TOTAL, "", Period.DAY, HELD, "test", "", LATER)
    again = operators.retry(engine, job.id, LATER, KEEP_US)
    other = stored(engine, a_failed_job(at_us=NOON + 1_000))
    with pytest.raises(QuotaExhausted, match="does not cover what this job may cost"):
        operators.retry(engine, other.id, LATER, KEEP_US)
    with engine.connect() as connection:
        leases = connection.execute(select(BudgetLease.owner, BudgetLease.left_nanousd)).all()
    assert [tuple(lease) for lease in leases] == [(owner_of(again.request_id), HELD)]
    assert facts_of(operators.find(engine, other.id), {})["retried_as"] is None
