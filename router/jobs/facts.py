"""A job as operators see it: how it stands, what was promised, what was spent and tried. No text of anybody. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

from router.jobs.ending import describe_progress
from router.jobs.job import Job

RETRIED_AS, RETRY_OF = "retried_as", "retry_of"
TRIED = ("action", "stage", "call_no", "model", "form", "status", "said", "cost_nanousd", "seconds", "error")


def facts_of(job: Job, key_names: Mapping[int, str]) -> dict[str, Any]:
    """Describe a job. Times in microseconds, costs in nano-dollars or exact dollars; None is unknown."""
    progress, quote = job.progress, job.quote
    return {
        "id": job.id,
        "request_id": job.request_id,
        "status": job.status.word,
        "segment": job.segment,
        "key": None if job.key_id is None else key_names.get(job.key_id, str(job.key_id)),
        "queue": job.queue,
        "priority": job.priority,
        "created_at": job.created_at,
        "started_at": job.started_at,
        "finished_at": job.finished_at,
        "expires_at": job.expires_at,
        "time_limit_s": job.time_limit_s,
        "recipe": job.recipe["recipe"]["name"],
        "done": progress.get("done", 0),
        "planned": progress.get("planned"),
        "leader_share": progress.get("leader_share"),
        "progress": describe_progress(progress) if not job.status.is_final else None,
        "quoted_usd": quote.get("expected_cost_usd"),
        "quoted_seconds": (quote.get("seconds") or {}).get("median"),
        "held_nanousd": job.held_nanousd,
        "spent_nanousd": job.spent_nanousd,
        "worker": job.worker,
        "stretches": job.claim,
        "is_deleted": job.deleted_at is not None,
        "error": None if job.error is None else job.error.get("message"),
        RETRY_OF: job.recipe.get(RETRY_OF),
        RETRIED_AS: progress.get(RETRIED_AS),
    }


def list_actions(job: Job) -> Sequence[dict[str, Any]]:
    """List what a job that ended did, without the texts and votes, which are what somebody was told."""
    return [{name: line.get(name) for name in TRIED} for line in (job.trace or {}).get("actions", ())]
