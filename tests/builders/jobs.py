"""Background jobs as they stand in the books."""

from typing import Any

from router.jobs.job import Job, JobStatus
from tests.ledger.builders import NOON

REQUEST_ID = "0199aa00000070008000000000000001"


def a_job(request_id: str = REQUEST_ID, **changes: Any) -> Job:
    """A job that waits, of nobody's key, for which 1,000 nano-dollars are held."""
    wanted: dict[str, Any] = {
        "id": f"resp_{request_id}",
        "key_id": None,
        "segment": "default",
        "status": JobStatus.QUEUED,
        "queue": "default",
        "priority": 50,
        "created_at": NOON,
        "expires_at": NOON + 10**12,
        "time_limit_s": 60,
        "quote": {},
        "recipe": {},
        "held_nanousd": 1_000,
        "version": 1,
    }
    return Job(**(wanted | changes))
