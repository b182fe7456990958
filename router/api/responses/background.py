"""A background job as a client sees it: the Response object, and its events, which are numbered for good.

Events follow from the job alone: what was told of its progress is only ever added to, and the answer comes whole. So a
stream can be gone on with after any number, on any worker.
"""

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import msgspec

from router.api.chat.response import encode_body
from router.api.responses.events import Events
from router.api.responses.output import Output
from router.api.responses.response import INCOMPLETE, ResponseBody, usage_body
from router.api.responses.store import StoredResponse
from router.jobs.ending import describe_progress
from router.jobs.job import Job, JobStatus
from router.jobs.store import JobStore
from router.providers.base import Choice, Delta
from router.types import Usage

CANCELLED = "cancelled"


class KeptReply(msgspec.Struct):
    """What the endpoint keeps with a job: the response as it was begun, and the items that it answers."""

    response: dict[str, Any]
    input: list[Any]
    ignored: list[str] = []
    dropped: list[str] = []


class JobView(NamedTuple):
    """A job, and how many wait in front of it (None: it does not wait)."""

    job: Job
    position: int | None = None


def begin_reply(response: ResponseBody, items: list[Any], ignored: list[str], dropped: list[str]) -> bytes:
    """Write what is kept with a job."""
    response.background, response.store = True, True
    kept: dict[str, Any] = msgspec.to_builtins(response)
    return msgspec.json.encode(KeptReply(kept, items, ignored, dropped))


def read_reply(job: Job) -> KeptReply:
    """Read what was kept with a job."""
    assert job.work is not None
    return msgspec.json.decode(job.work.reply, type=KeptReply)


def response_of(view: JobView) -> dict[str, Any]:
    """Write a job as the Response object."""
    body = _plain(view)
    body["output"] = msgspec.to_builtins(_output(view.job, Output(view.job.request_id)).items)
    return body


def events_of(view: JobView) -> list[bytes]:
    """Write all events of a job so far, each at the place of its sequence number."""
    job, events = view.job, Events()
    begun = {**_plain(view), "status": JobStatus.QUEUED.word, "output": [], "completed_at": None, "error": None}
    events.emit("response.created", response=begun)
    events.emit("response.queued", response=begun)
    if job.started_at is not None:
        events.emit("response.in_progress", response={**begun, "status": JobStatus.IN_PROGRESS.word})
    output = _output(job, Output(job.request_id, events.emit))
    if job.status.is_final:
        body = {**_plain(view), "output": msgspec.to_builtins(output.items)}
        end = "response.incomplete" if job.status is JobStatus.CANCELLED else f"response.{body['status']}"
        events.emit(end, response=body)
    return events.take_each()


def _plain(view: JobView) -> dict[str, Any]:
    """The Response object without its output."""
    job, kept = view.job, read_reply(view.job)
    begun = {"id": job.id, "created_at": job.created_at // 1_000_000}  # of a job that is done again, not as it was kept
    body = {**kept.response, **begun, "status": _status(job), "output": []}
    trace = job.trace or {}
    body["usage"] = usage_body(msgspec.convert(trace["usage"], Usage)) if "usage" in trace else None
    body["error"] = job.error if job.status is JobStatus.FAILED else None
    body["incomplete_details"] = _incomplete(job)
    if job.status is JobStatus.COMPLETED and job.finished_at is not None:
        body["completed_at"] = job.finished_at // 1_000_000
    body["x_tierwise"] = _explanation(view, kept)
    return body


def _explanation(view: JobView, kept: KeptReply) -> dict[str, Any]:
    """Say why it is answered as it is, what was promised, and how far it is."""
    job, position = view
    assert job.work is not None
    opening, decision, estimate = job.work.opening, job.work.decision, job.work.estimate
    trace, answer = job.trace or {}, job.answer
    progress = {name: value for name, value in job.progress.items() if name != "log"}
    fields: dict[str, Any] = {
        "request_id": job.request_id,
        "tier": decision.tier,
        "reason": decision.reason,
        "score": round(decision.score, 4),
        "worth": round(decision.worth, 4),
        "policy": decision.policy_version,
        "p_fast": round(estimate.p_fast, 4),
        "p_reasoning": round(estimate.p_reasoning, 4),
        "answer_type": estimate.answer_type,
        "stakes": estimate.stakes,
        "effort": opening.effort,
        "recipe": job.recipe["recipe"]["name"],
        "quote": job.quote,
        "progress": {**progress, "sentence": describe_progress(job.progress)},
        "queue_position": position,
        "priority": job.priority,
        "time_limit_s": job.time_limit_s,
        "instructions": len(job.instructions),
        "cost_nanousd": job.spent_nanousd,
        "largest_cost_nanousd": job.held_nanousd,
        "ignored": kept.ignored,
        "dropped": list(dict.fromkeys([*kept.dropped, *(answer.dropped if answer else ())])),
    }
    if answer is not None:
        fields |= {"final_tier": answer.final_tier, "reported_model": answer.provider_model}
    if answer is not None and answer.confidence is not None:
        fields["confidence"] = answer.confidence
    return fields | {"trace": trace} if trace else fields


def _status(job: Job) -> str:
    if job.status is JobStatus.COMPLETED and _finish_reason(job) in INCOMPLETE:
        return JobStatus.INCOMPLETE.word
    return job.status.word


def _incomplete(job: Job) -> dict[str, str] | None:
    if job.status is JobStatus.COMPLETED and (reason := _finish_reason(job)) in INCOMPLETE:
        return {"reason": INCOMPLETE[reason]}
    if job.status is JobStatus.INCOMPLETE and job.error is not None:
        return {"reason": str(job.error["code"])}
    return None


def _finish_reason(job: Job) -> str:
    return job.answer.choices[0].finish_reason if job.answer and job.answer.choices else "stop"


def _output(job: Job, output: Output) -> Output:
    """Write what was told of the progress as thinking, and the answer once it is there."""
    for line in job.progress.get("log", ()):
        output.add(Delta(reasoning=f"{line}\n"))
    if not job.status.is_final:
        return output
    if job.answer is not None and job.answer.choices:
        choice: Choice = job.answer.choices[0]
        output.add_whole(msgspec.structs.replace(choice, reasoning=None))
        output.finish("incomplete" if choice.finish_reason in INCOMPLETE else "completed")
    else:
        _close(output, "incomplete")
    return output


def _close(output: Output, status: Literal["incomplete"]) -> None:
    """Close what was told of the progress, where no answer follows."""
    if output.items:
        output.finish(status)


def find_stored_job(store: JobStore, now_us: Callable[[], int]) -> Callable[[str, int | None], StoredResponse | None]:
    """Return what finds an answered job as a stored response that a later request may go on from. Blocking."""

    def find(response_id: str, key_id: int | None) -> StoredResponse | None:
        job = store.find(response_id, key_id, now_us())
        if job is None or job.answer is None:
            return None
        return StoredResponse(msgspec.Raw(encode_body(response_of(JobView(job)))), read_reply(job).input)

    return find
