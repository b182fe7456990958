"""The page of jobs: what stands where, without a word of anybody, and what an operator may do about it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from router.database.engine import open_engine
from router.jobs.job import Job, JobStatus
from router.jobs.store import JobStore
from tests.admin.visitors import Visitor, plane
from tests.builders.databases import lay_out
from tests.jobs.made import SECRET_TEXT, a_failed_job, a_job


@pytest.fixture
def made() -> list[Job]:
    return [a_job(), a_job(JobStatus.IN_PROGRESS, segment="plus"), a_failed_job()]


@pytest.fixture
def visitor(tmp_path: Path, made: list[Job]) -> Iterator[Visitor]:
    engine = open_engine(lay_out(f"sqlite:///{tmp_path}/books.db"))
    for job in made:
        JobStore(engine).insert(job)
    engine.dispose()
    with plane(tmp_path, jobs={"enabled": False}) as running:
        visitor = Visitor(running)
        visitor.enter()
        yield visitor


def test_jobs_are_listed_filtered_and_counted(visitor: Visitor, made: list[Job]) -> None:
    everything = visitor.json("jobs")
    assert {job["id"] for job in everything["jobs"]} == {job.id for job in made}
    assert (everything["counts"]["queued"], everything["counts"]["failed"]) == (1, 1)
    assert everything["held_nanousd"] == 2 * (made[0].held_nanousd or 0)
    assert [job["id"] for job in visitor.json("jobs?status=in_progress&segment=plus")["jobs"]] == [made[1].id]
    page = visitor.get("/admin/jobs").text
    assert "3 of 16 samples" in page
    assert "is none of queued" in visitor.get("/admin/jobs?status=nonsense").text


def test_a_job_is_shown_without_what_was_asked_and_answered(visitor: Visitor, made: list[Job]) -> None:
    page = visitor.get(f"/admin/jobs?id={made[2].id}").text
    assert "no answer came back" in page
    assert "sample:0" in page
    told = str(visitor.json(f"jobs?id={made[2].request_id}"))
    for text in (SECRET_TEXT, "4711"):
        assert text not in page
        assert text not in told
    assert "there is no job" in visitor.get("/admin/jobs?id=nothing").text


def test_a_job_is_cancelled_and_done_again_and_both_are_in_the_log(visitor: Visitor, made: list[Job]) -> None:
    assert visitor.post("/admin/jobs/cancel", {"job": made[1].id}).status_code == 303
    assert visitor.post("/admin/jobs/retry", {"job": made[2].id}).status_code == 303
    assert [entry["act"] for entry in visitor.audit()[:2]] == ["job retried", "job cancelled"]
    states = {job["id"]: job["status"] for job in visitor.json("jobs")["jobs"]}
    assert (states[made[1].id], len(states)) == ("cancelled", 4)
    refused = visitor.post("/admin/jobs/cancel", {"job": made[1].id})
    assert (refused.status_code, "has ended: cancelled" in refused.text) == (422, True)


def test_a_viewer_and_a_form_without_its_token_change_nothing(visitor: Visitor, made: list[Job]) -> None:
    visitor.csrf = "0" * 64
    assert visitor.post("/admin/jobs/cancel", {"job": made[1].id}).status_code == 403
    visitor.enter("only looking")
    assert visitor.post("/admin/jobs/cancel", {"job": made[1].id}).status_code == 403
    assert "Cancel" not in visitor.get("/admin/jobs").text
    assert visitor.json("jobs?status=in_progress")["jobs"] != []
