"""How far a job is, and what it came to: its answer, its trace, its status. Pure."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from router.errors import RouterError
from router.jobs.job import Ending, JobStatus
from router.jobs.next_step import step_after
from router.jobs.steps import JobBounds, JobDone, JobStage, JobVerdict
from router.jobs.stretch import ActionRecord, JobStretch
from router.jobs.trail import AnswerCame, AnswerWanted, Trail
from router.providers.base import Choice
from router.tiers.base import Answer
from router.types import Usage

SHORT = {JobVerdict.OUT_OF_MONEY: "max_cost", JobVerdict.OUT_OF_TIME: "max_time"}
WHY = {
    JobVerdict.OUT_OF_MONEY: "what is held for the job did not cover one answer",
    JobVerdict.OUT_OF_TIME: "the job's time was over before an answer came",
}
DOING = {
    "judge": "comparing answers",
    "verify": "looking for faults",
    "revise": "revising",
    "synthesise": "writing the answer from several",
}
LONGEST_TEXT = 4_000  # of an answer that was tried, in the trace


def ending_of(stretch: JobStretch, done: JobDone) -> Ending:
    """Write the end of a job: the answer that was chosen, or why there is none."""
    if done.answer is None and (said := next((n for n, r in stretch.records.items() if r.choice), None)):
        done = msgspec.structs.replace(done, answer=said)  # nothing else came
    if done.answer is not None and done.verdict is JobVerdict.FAILED:
        done = msgspec.structs.replace(done, verdict=JobVerdict.UNDECIDED)
    trace = trace_of(stretch, done)
    if done.answer is None:
        errors = [record.error for record in stretch.records.values() if record.error]
        why = WHY.get(done.verdict) or (errors[-1] if errors else "no answer came back")
        is_short = done.verdict in SHORT
        status = JobStatus.INCOMPLETE if is_short else JobStatus.FAILED
        code = SHORT[done.verdict] if is_short else "server_error"
        return Ending(status, trace=trace, error={"code": code, "message": why})
    record = stretch.records[done.answer]
    answer = Answer(
        choices=_choices(stretch, done),
        final_tier=stretch.work.decision.tier,
        provider_model=record.provider_model or record.model,
        call_no=record.call_no or 0,
        dropped=record.dropped,
        service_tier=record.service_tier,
        confidence=None,
        trace=None,
    )
    return Ending(JobStatus.COMPLETED, answer, trace)


def end_without_money(trail: Trail, bounds: JobBounds) -> JobDone:
    """End a job for which not enough is held to go on: with its leader, where there is one."""
    ended = Trail.of(trail.recipe, [*trail.events, AnswerWanted(trail.at_s)])
    done = step_after(ended, bounds)
    answer = done.answer if isinstance(done, JobDone) else None
    return JobDone(JobVerdict.OUT_OF_MONEY, answer)


def error_of(error: RouterError) -> dict[str, Any]:
    """Write an error as a job keeps it."""
    return {"code": error.code or error.type, "message": error.message}


def progress_of(stretch: JobStretch, trail: Trail, *, is_told: bool) -> dict[str, Any]:
    """Say how far a job is: samples that ended, samples planned at most, and the leader's share of the votes.

    What `is_told` stays in the log of sentences, from which events follow. A job that was taken over comes by what it
    was before, and says nothing of that again.
    """
    done = sum(name[0] == JobStage.SAMPLE[0] for name in trail.ended)
    if done < stretch.told.get("done", 0):
        return stretch.told
    v1, _ = trail.top
    progress: dict[str, Any] = {"stage": JobStage.SAMPLE, "done": done, "planned": stretch.recipe.samples}
    if trail.finishes:
        progress["stage"] = _last_stage(stretch)
    if batches := {purchase.name: purchase for purchase in stretch.purchases.values() if purchase.total}.values():
        progress["batch"] = {"done": sum(b.done for b in batches), "of": sum(b.total for b in batches)}
    if trail.voters:
        progress["leader_share"] = round(v1 / trail.voters, 4)
    lines, said = stretch.told.get("log", []), describe_progress(progress)
    progress["log"] = lines if said in lines or not is_told else [*lines, said]
    return progress


def describe_progress(progress: Mapping[str, Any]) -> str:
    """Say how far a job is, in one sentence."""
    planned, done, leader = progress.get("planned", 0), progress.get("done", 0), progress.get("leader_share")
    if not planned:
        return "Waiting for a place."
    said = f"{done} of {planned} samples"
    said = said if leader is None else f"{said}, leader {leader:.0%}"
    doing = DOING.get(progress.get("stage", ""))
    if not doing and (batch := progress.get("batch")) is not None:
        doing = f"{batch['done']} of {batch['of']} of a batch are done"
    return f"{said}; {doing}." if doing else f"{said}."


def trace_of(stretch: JobStretch, done: JobDone) -> dict[str, Any]:
    """Tell what was tried: every action with its vote and its cost, and how the votes fell."""
    trail = stretch.trail
    fates = Counter(str(record.status) for record in stretch.records.values())
    return {
        "verdict": done.verdict,
        "answer": done.answer,
        "recipe": stretch.recipe.name,
        "rounds": trail.round + 1,
        "stretches": stretch.claim,
        "actions": [_line(name, record) for name, record in stretch.records.items()],
        "votes": [{"answer": c.key.value[:200], "votes": len(c.members)} for c in trail.tally.ranked[:5]],
        "valid": trail.voters,
        "winner_share": round(trail.top[0] / trail.voters, 4) if trail.voters else None,
        "statuses": dict(fates),
        "usage": msgspec.to_builtins(usage_of(stretch.records.values())),
    }


def usage_of(records: Iterable[ActionRecord]) -> Usage:
    """Add up what all calls used."""
    used = [result.usage for record in records for result in record.results if result.usage is not None]
    return sum(used, Usage())


def _line(name: str, record: ActionRecord) -> dict[str, Any]:
    event = record.event
    key = event.key if isinstance(event, AnswerCame) else None
    return {
        "action": name,
        "stage": record.stage,
        "call_no": record.call_no,
        "model": record.model,
        "form": record.form,
        "status": record.status,
        "said": event.said if isinstance(event, AnswerCame) else None,
        "vote": key.value[:200] if key else None,
        "cost_nanousd": event.cost_nanousd,
        "seconds": record.seconds,
        "text": (record.choice.content or "")[:LONGEST_TEXT] if record.choice else None,
        "error": record.error,
    }


def _last_stage(stretch: JobStretch) -> str:
    stages = [record.stage for record in stretch.records.values() if record.stage is not JobStage.SAMPLE]
    return stages[-1] if stages else JobStage.SAMPLE


def _choices(stretch: JobStretch, done: JobDone) -> list[Choice]:
    names = [done.answer, *done.others][: stretch.recipe.least]
    choices: list[Choice] = []
    for name in names:
        choice = stretch.records[name].choice if name is not None else None
        if choice is not None:
            choices.append(msgspec.structs.replace(choice, index=len(choices)))
    return choices
