"""`tierwise jobs`: background jobs of all keys: how they stand, and what an operator may do with one."""

import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from router.commands.auditing import hook
from router.commands.output import ConfigOption, Format, FormatOption, format_time, show

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from router.jobs.job import Job

app = typer.Typer(help="Background jobs: how they stand; call one off, or have it done again.", no_args_is_help=True)

COLUMNS = (
    "id",
    "status",
    "segment",
    "key",
    "priority",
    "created_at",
    "age_s",
    "done",
    "planned",
    "quoted_usd",
    "held_usd",
    "spent_usd",
)
FACTS = (
    *COLUMNS,
    "request_id",
    "queue",
    "recipe",
    "started_at",
    "finished_at",
    "expires_at",
    "time_limit_s",
    "leader_share",
    "progress",
    "quoted_seconds",
    "worker",
    "stretches",
    "error",
    "retry_of",
    "retried_as",
)
ACTIONS = ("action", "stage", "model", "call_no", "status", "said", "cost_usd", "seconds", "error")
CALLBACKS = ("way", "state", "attempts", "delivered_at", "next_try_at", "last_error")
TIMES = ("created_at", "started_at", "finished_at", "expires_at")
JobArgument = Annotated[str, typer.Argument(help="The job's id (resp_...), or that of its request.")]


@app.command("list")
def list_jobs(
    status: Annotated[
        list[str] | None,
        typer.Option(help="queued, in_progress, completed, failed, cancelled or incomplete; repeat for more."),
    ] = None,
    segment: Annotated[str | None, typer.Option(help="Only jobs of this segment.")] = None,
    key: Annotated[str | None, typer.Option(help="Only jobs of the key of this name.")] = None,
    most: Annotated[int, typer.Option(help="Largest number to list, the newest first.", min=1, max=10_000)] = 50,
    config: ConfigOption = None,
    form: FormatOption = Format.TABLE,
) -> None:
    """List jobs, the newest first; never what was asked or answered."""
    from router.commands.opening import existing_books
    from router.jobs.operators import read_status
    from router.jobs.store import JobFilter, JobStore

    with existing_books(config) as (_, engine):
        names = _key_names(engine)
        key_id = None if key is None else _key_id(names, key)
        wanted = JobFilter([read_status(text) for text in status or ()], segment, key_id)
        found = JobStore(engine).list(wanted, most=most)
    show([_row(job, names) for job in found], COLUMNS, form)


@app.command("show")
def show_job(job_id: JobArgument, config: ConfigOption = None, form: FormatOption = Format.TABLE) -> None:
    """Show a job, what it tried and who was told, without any text: as tables or JSON, as CSV what it tried."""
    from router.clock import SystemClock
    from router.commands.opening import existing_books
    from router.jobs.callback_state import list_callbacks
    from router.jobs.facts import list_actions
    from router.jobs.operators import find

    with existing_books(config) as (_, engine):
        job, names = find(engine, job_id), _key_names(engine)
        callbacks = list_callbacks(engine, job.id, SystemClock().now_us())
    callbacks = [line | _times(line, ("delivered_at", "next_try_at")) for line in callbacks]
    row = _row(job, names)
    actions = [{**line, "cost_usd": _usd(line["cost_nanousd"])} for line in list_actions(job)]
    match form:
        case Format.JSON:
            _print_json({**{name: row[name] for name in FACTS}, "actions": actions, "callbacks": callbacks})
        case Format.CSV:
            show(actions, ACTIONS, form)
        case Format.TABLE:
            show([{"what": name, "is": row[name]} for name in FACTS if row[name] is not None], ("what", "is"), form)
            for lines, columns in ((actions, ACTIONS), (callbacks, CALLBACKS)):
                if lines:
                    show(lines, columns, form)


@app.command()
def cancel(job_id: JobArgument, config: ConfigOption = None) -> None:
    """Call a job off; what ran of it is paid. The worker that runs it stops within a second."""
    from router.clock import SystemClock
    from router.commands.opening import existing_books
    from router.jobs import operators
    from router.types import DAY_US

    with existing_books(config) as (settings, engine):
        keep_us = settings.jobs.retention_days * DAY_US
        job = operators.cancel(engine, job_id, SystemClock().now_us(), keep_us, hook("job cancelled", job_id))
    sys.stderr.write(f"{job.id} is cancelled\n")


@app.command()
def retry(job_id: JobArgument, config: ConfigOption = None) -> None:
    """Have a job that failed, was cancelled or came to no answer done again, as a new job of the same key."""
    from router.clock import SystemClock
    from router.commands.opening import existing_books
    from router.jobs import operators
    from router.types import DAY_US

    with existing_books(config) as (settings, engine):
        keep_us = settings.jobs.retention_days * DAY_US
        again = operators.retry(engine, job_id, SystemClock().now_us(), keep_us, hook("job retried", job_id))
    print(again.id)


def _row(job: "Job", names: Mapping[int, str]) -> dict[str, Any]:
    from router.clock import SystemClock
    from router.jobs.facts import facts_of

    facts = facts_of(job, names)
    ended_us = job.finished_at or SystemClock().now_us()
    return facts | {
        **_times(facts, TIMES),
        "age_s": max(ended_us - job.created_at, 0) // 1_000_000,
        "held_usd": _usd(job.held_nanousd),
        "spent_usd": _usd(job.spent_nanousd),
    }


def _times(line: Mapping[str, Any], names: Sequence[str]) -> dict[str, str | None]:
    return {name: None if line[name] is None else format_time(line[name]) for name in names}


def _usd(nano: int | None) -> str | None:
    from router.money import usd_text

    return None if nano is None else usd_text(nano)


def _key_names(engine: "Engine") -> dict[int, str]:
    from router import keys

    return {int(str(row["id"])): str(row["name"]) for row in keys.list_keys(engine)}


def _key_id(names: Mapping[int, str], wanted: str) -> int:
    found = next((id_ for id_, name in names.items() if name == wanted), None)
    if found is None:
        raise typer.BadParameter(f"there is no key {wanted!r}", param_hint="--key")
    return found


def _print_json(value: Mapping[str, Any]) -> None:
    import json

    print(json.dumps(value, indent=2, default=str))
