"""Jobs: background work of all keys, how it stands beside what was promised; call one off, or have it done again.

Never what was asked or answered.
"""

from collections.abc import Mapping, Sequence

from router.admin.page import Done, FormAction, JsonFeed, NotDone, Page, Visit
from router.admin.queries import jobs
from router.jobs import operators
from router.jobs.facts import list_actions
from router.jobs.job import JobStatus, WrongJob
from router.jobs.store import JobFilter
from router.types import DAY_US

FILTERS = ("status", "segment", "key")


def show(visit: Visit) -> Mapping[str, object]:
    """Show a page of jobs, or one of them."""
    engine, now_us = visit.services.engine, visit.services.now_us()
    names, wanted = jobs.read_key_names(engine), JobFilter()
    problem, job = None, None
    actions: Sequence[Mapping[str, object]] = ()
    try:
        wanted = _read_filter(visit, names)
        if asked := visit.query.get("id", "").strip():
            found = operators.find(engine, asked)
            job, actions = jobs.describe(found, names, now_us), list_actions(found)
    except (NotDone, WrongJob) as error:
        problem = str(error)
    return {
        "found": jobs.read(engine, wanted, now_us),
        "job": job,
        "actions": actions,
        "problem": problem,
        "own": {name: visit.query[name] for name in FILTERS if visit.query.get(name)},
        "statuses": [status.word for status in JobStatus],
        "keys": sorted(names.values()),
    }


def feed(visit: Visit) -> object:
    """Return a page of jobs as JSON; of one that is asked for by its id, also what it did."""
    engine, now_us = visit.services.engine, visit.services.now_us()
    names = jobs.read_key_names(engine)
    if asked := visit.query.get("id", "").strip():
        job = operators.find(engine, asked)
        return {"job": jobs.describe(job, names, now_us), "actions": list_actions(job)}
    page = jobs.read(engine, _read_filter(visit, names), now_us)
    return {"jobs": page.jobs, "counts": page.counts, "held_nanousd": page.held_nanousd, "older_us": page.older_us}


def cancel(visit: Visit) -> Done:
    """Call a job off."""
    job_id, services = visit.text("job", 64), visit.services
    hook = visit.hook("job cancelled", job_id)
    job = operators.cancel(services.engine, job_id, services.now_us(), _keep_us(visit), hook)
    return Done(f"{job.id} is cancelled. What ran of it is paid.", f"jobs?id={job.id}")


def retry(visit: Visit) -> Done:
    """Have a job done again."""
    job_id, services = visit.text("job", 64), visit.services
    hook = visit.hook("job retried", job_id)
    again = operators.retry(services.engine, job_id, services.now_us(), _keep_us(visit), hook)
    return Done(f"It is done again as {again.id}.", f"jobs?id={again.id}")


def _read_filter(visit: Visit, names: Mapping[int, str]) -> JobFilter:
    """Read the filters of an address; raises NotDone or WrongJob."""
    query = visit.query
    status, before = query.get("status", ""), query.get("before", "")
    wanted = JobFilter(
        (operators.read_status(status),) if status else (),
        query.get("segment") or None,
        before_us=int(before) if before.isdecimal() and len(before) < 18 else None,
    )
    if name := query.get("key", ""):
        narrowed = jobs.only_of_key(wanted, names, name)
        if narrowed is None:
            raise NotDone(f"there is no key {name[:64]!r}")
        return narrowed
    return wanted


def _keep_us(visit: Visit) -> int:
    return visit.services.settings.jobs.retention_days * DAY_US


PAGE = Page(
    "jobs",
    "Jobs",
    show,
    acts=(FormAction("cancel", cancel), FormAction("retry", retry)),
    feeds=(JsonFeed("jobs", feed),),
)
