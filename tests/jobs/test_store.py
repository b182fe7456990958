"""The table of jobs: who may book calls, how much they may cost, and who is taken over from."""

from sqlalchemy import Engine

from router.jobs.job import Ending, JobStatus
from router.jobs.store import CallRefused, JobStore
from tests.builders.jobs import a_job
from tests.ledger.builders import NOON

HERE, THERE = "worker-1", "worker-2"


def test_only_the_worker_that_runs_a_job_reserves_calls_and_no_number_comes_twice(engine: Engine) -> None:
    store, job = JobStore(engine), a_job()
    store.insert(job)
    first = store.begin(job.id, HERE, NOON)
    assert first is not None
    assert [store.reserve(job.id, first, 10), store.reserve(job.id, first, 10, 2)] == [0, 1]
    store.void_claims(HERE)
    assert store.reserve(job.id, first, 10) is CallRefused.LOST
    second = store.begin(job.id, THERE, NOON)
    assert second is not None
    assert store.reserve(job.id, second, 10) == 3
    assert not store.finish(job.id, first, Ending(JobStatus.COMPLETED), NOON, 1)
    assert store.finish(job.id, second, Ending(JobStatus.COMPLETED), NOON, 1)
    assert store.reserve(job.id, second, 10) is CallRefused.ENDED
    assert store.begin(job.id, HERE, NOON) is None


def test_bounds_in_flight_and_what_is_spent_never_add_up_to_more_than_is_held(engine: Engine) -> None:
    store, job = JobStore(engine), a_job(held_nanousd=100)
    store.insert(job)
    claim = store.begin(job.id, HERE, NOON) or 0
    assert store.reserve(job.id, claim, 60) == 0
    assert store.reserve(job.id, claim, 60) is CallRefused.NO_ROOM
    store.give_back(job.id, 50)
    assert store.reserve(job.id, claim, 60) == 1
    found = store.get(job.id)
    assert found is not None
    assert found.spent_nanousd == 70


def test_a_worker_that_is_silent_is_found_and_learns_that_it_was_struck_off(engine: Engine) -> None:
    store = JobStore(engine)
    assert not store.beat(HERE, 1, NOON)
    assert store.beat(HERE, 1, NOON + 1)
    store.beat(THERE, 1, NOON + 9)
    assert list(store.list_silent(NOON + 5)) == [HERE]
    store.drop_worker(HERE)
    assert not store.beat(HERE, 1, NOON + 10)


def test_jobs_of_another_version_are_stranded_once_no_worker_of_it_lives(engine: Engine) -> None:
    store = JobStore(engine)
    store.insert(a_job(version=1))
    store.beat(HERE, 1, NOON)
    assert list(store.list_stranded(2)) == []
    store.drop_worker(HERE)
    assert [job.version for job in store.list_stranded(2)] == [1]


def test_jobs_wait_in_the_order_of_their_priority_and_age(engine: Engine) -> None:
    store = JobStore(engine)
    ids = [f"0199aa0000007000800000000000000{n}" for n in range(3)]
    jobs = [a_job(ids[0], created_at=NOON + 1), a_job(ids[1], created_at=NOON), a_job(ids[2], priority=1)]
    for job in jobs:
        store.insert(job)
    assert [job.request_id for job in store.list_undispatched(9)] == [ids[2], ids[1], ids[0]]
    assert store.count_before(jobs[0]) == 2
