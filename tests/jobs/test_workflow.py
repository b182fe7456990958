"""What a run does that finds its job ended, as after a kill between the end and its telling."""

from collections.abc import Awaitable, Callable
from typing import Any, cast

import msgspec
import pytest
from sqlalchemy import Engine

from router.jobs.actions import JobActor
from router.jobs.batch_store import BatchStore
from router.jobs.job import Job, JobStatus
from router.jobs.store import JobStore
from router.jobs.workflow import JobRunner
from router.ledger.entries import Closing, Entry, Opening
from tests.builders.jobs import REQUEST_ID, a_job
from tests.ledger.builders import NOON, FakeClock, an_opening


class NoSteps:
    """Checkpoints of a run that may not come to any step."""

    async def step(self, name: str, work: Callable[[], Awaitable[dict[str, Any]]]) -> dict[str, Any]:
        raise AssertionError(f"the step {name} was recorded in no earlier run")


class Books:
    """Keeps what is spooled."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []

    def write(self, entries: Any) -> None:
        self.entries += entries


@pytest.mark.parametrize("booked_at", [None, NOON])
async def test_a_job_that_ended_is_booked_and_told_by_whoever_finds_it(engine: Engine, booked_at: int | None) -> None:
    told: list[Job] = []

    async def tell_end(job: Job) -> None:
        told.append(job)

    store, books = JobStore(engine), Books()
    opening = msgspec.to_builtins(an_opening(REQUEST_ID, is_job=True))
    job = a_job(status=JobStatus.FAILED, finished_at=NOON, booked_at=booked_at, recipe={"opening": opening})
    store.insert(job)
    runner = JobRunner(
        store, cast(JobActor, None), books, FakeClock(), "worker-1", 1, tell_end, BatchStore(engine).has_unsettled
    )
    await runner.run(job.id, NoSteps())
    assert [one.id for one in told] == [job.id]
    assert [type(entry) for entry in books.entries] == ([] if booked_at else [Opening, Closing])
