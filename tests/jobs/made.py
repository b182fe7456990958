"""Jobs laid out by hand, as a server would have stored them."""

from typing import Any

import msgspec

from classifier.types import AnswerType, Stakes
from router.clock import request_id
from router.jobs.job import EstimateKept, Job, JobStatus, JobWork
from router.ledger.job_calls import ID_PREFIX
from router.types import Decision, Reason, Tier
from tests.ledger.builders import NOON, an_opening

SECRET_TEXT = "What is the pin of my card, 4711?"
HELD = 2_000_000


def a_job(status: JobStatus = JobStatus.QUEUED, *, at_us: int = NOON, **changes: Any) -> Job:
    """A job of the parallel tier that asks something nobody else should read."""
    number = request_id(at_us)
    opening = an_opening(number, opened_at=at_us, is_job=True, first_tier=Tier.PARALLEL)
    estimate = EstimateKept(0.4, 0.8, 0.1, AnswerType.OPEN, Stakes.LOW, (10, 20, 40), (100, 200, 400), "test")
    work = JobWork(
        opening=opening,
        decision=Decision(Tier.PARALLEL, Reason.OVERRIDE, 0.5, None, 1),
        estimate=estimate,
        messages=[{"role": "user", "content": SECRET_TEXT}],
        params={},
        input_bound_tokens=30,
        reply=msgspec.Raw(b"{}"),
    )
    ended = {"started_at": at_us + 1_000_000, "finished_at": at_us + 61_000_000} if status.is_final else {}
    fields: dict[str, Any] = {
        "id": f"{ID_PREFIX}{number}",
        "key_id": None,
        "segment": "default",
        "status": status,
        "queue": "default",
        "priority": 50,
        "created_at": at_us,
        "expires_at": at_us + 30 * 86_400_000_000,
        "time_limit_s": 3_600,
        "quote": {"expected_cost_usd": "0.001", "seconds": {"median": 40.0, "low": 20.0, "high": 80.0}},
        "recipe": {"recipe": {"name": "vote"}, "bounds": {}, "opening": msgspec.to_builtins(opening)},
        "held_nanousd": HELD,
        "progress": {"done": 3, "planned": 16, "leader_share": 2 / 3, "stage": "sample"},
        "version": 1,
        "work": work,
    }
    return Job(**(fields | ended | changes))


def a_failed_job(**changes: Any) -> Job:
    """A job that came to nothing, with a trace of what it did."""
    action = {"action": "sample:0", "stage": "sample", "call_no": 0, "model": "scripted/solver", "status": "ok"}
    spent = {"said": "answer", "vote": "4711", "text": SECRET_TEXT, "cost_nanousd": 500, "seconds": 1.5}
    return a_job(
        JobStatus.FAILED,
        spent_nanousd=500,
        error={"code": "server_error", "message": "no answer came back"},
        trace={"verdict": "failed", "actions": [action | spent]},
        **changes,
    )
