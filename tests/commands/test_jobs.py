"""`tierwise jobs`, as an operator uses it."""

import json
import time
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert
from typer.testing import CliRunner, Result

from router.cli import app
from router.database.callback_tables import JobCallbackRow
from router.jobs.job import Job
from router.jobs.store import JobStore
from tests.builders.databases import open_books
from tests.jobs.made import SECRET_TEXT, a_failed_job, a_job


@pytest.fixture
def jobs(tmp_path: Path) -> tuple[Job, Job]:
    engine = open_books(f"sqlite:///{tmp_path}/books.db")
    made = a_job(segment="plus"), a_failed_job()
    for job in made:
        JobStore(engine).insert(job)
    engine.dispose()
    return made


def types(directory: Path, *arguments: str) -> Result:
    env = {"TIERWISE_DATABASE_URL": f"sqlite:///{directory}/books.db", "TIERWISE_STATE_DIR": str(directory)}
    return CliRunner().invoke(app, ["jobs", *arguments], env=env)


def test_jobs_are_listed_with_what_was_promised_and_spent(tmp_path: Path, jobs: tuple[Job, Job]) -> None:
    waiting, failed = jobs
    rows = {row["id"]: row for row in json.loads(types(tmp_path, "list", "--format", "json").stdout)}
    assert set(rows) == {waiting.id, failed.id}
    row = rows[failed.id]
    assert (row["status"], row["age_s"], row["quoted_usd"]) == ("failed", 61, "0.001")
    assert (row["held_usd"], row["spent_usd"]) == ("0.002000000", "0.000000500")
    [plus] = json.loads(types(tmp_path, "list", "--segment", "plus", "--status", "queued", "--format", "json").stdout)
    assert plus["id"] == waiting.id
    assert types(tmp_path, "list", "--format", "csv").stdout.startswith("id,status,segment,key,")


def test_a_job_is_shown_with_what_it_did_and_without_any_text(tmp_path: Path, jobs: tuple[Job, Job]) -> None:
    for form in ("table", "json", "csv"):
        shown = types(tmp_path, "show", jobs[1].id, "--format", form)
        assert shown.exit_code == 0, shown.output
        assert "sample:0" in shown.stdout
        assert "4711" not in shown.stdout
        assert SECRET_TEXT not in shown.stdout
    assert (
        json.loads(types(tmp_path, "show", jobs[1].request_id, "--format", "json").stdout)["actions"][0]["seconds"]
        == 1.5
    )


NOW_US = time.time_ns() // 1_000
MINUTE_US = 60_000_000


@pytest.mark.parametrize(
    ("row", "state"),
    [
        ({"due_at": None, "delivered_at": NOW_US, "attempts": 2, "last_error": None}, "delivered"),
        ({"due_at": NOW_US + MINUTE_US, "delivered_at": None, "attempts": 1, "last_error": "503"}, "due"),
        ({"due_at": None, "delivered_at": None, "attempts": 1, "last_error": "410"}, "given up"),
        ({"due_at": 2, "delivered_at": None, "attempts": 9, "last_error": "503", "created_at": 1}, "given up"),
    ],
)
def test_a_job_is_shown_with_who_was_told(
    tmp_path: Path, jobs: tuple[Job, Job], row: dict[str, Any], state: str
) -> None:
    engine = open_books(f"sqlite:///{tmp_path}/books.db")
    with engine.begin() as connection:
        noted = {"job_id": jobs[1].id, "way": "webhook", "created_at": NOW_US, **row}
        connection.execute(insert(JobCallbackRow), [noted])
    engine.dispose()
    [told] = json.loads(types(tmp_path, "show", jobs[1].id, "--format", "json").stdout)["callbacks"]
    assert (told["way"], told["state"], told["last_error"]) == ("webhook", state, row["last_error"])
    assert (told["delivered_at"] is not None, told["next_try_at"] is not None) == (state == "delivered", state == "due")
    assert state in types(tmp_path, "show", jobs[1].id).stdout


def test_a_job_is_cancelled_and_done_again(tmp_path: Path, jobs: tuple[Job, Job]) -> None:
    assert types(tmp_path, "cancel", jobs[0].id).exit_code == 0
    again = types(tmp_path, "retry", jobs[0].id).stdout.strip()
    states = {row["id"]: row["status"] for row in json.loads(types(tmp_path, "list", "--format", "json").stdout)}
    assert (states[jobs[0].id], states[again]) == ("cancelled", "queued")


def test_what_is_wrong_is_said(tmp_path: Path, jobs: tuple[Job, Job]) -> None:
    for arguments, why in (
        (("show", "resp_none"), "there is no job"),
        (("list", "--status", "done"), "queued, in_progress, completed"),
        (("list", "--key", "nobody"), "there is no key"),
        (("cancel", jobs[1].id), "has ended: failed"),
    ):
        result = types(tmp_path, *arguments)
        assert result.exit_code != 0
        assert why in str(result.exception or "") + result.output
