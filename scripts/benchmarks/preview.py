"""Measures the preview behind the Thresholds page: made-up traffic, the real command, one worker, one operator."""

import os
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import httpx
import numpy as np
import typer

from router.database import schema
from router.decision.policy import Policy, SegmentDials
from router.policies.versions import in_force
from router.reports.window import window
from router.tuning.past import read_past
from router.tuning.preview.cache import thresholds_of
from router.tuning.preview.preview import Preview
from scripts.showcase.tour import SECRET, Served, served

BAR_MS = 200.0
SPAN = "90d"
DAYS = 90


def bench(
    requests: Annotated[
        int, typer.Option(help="How many requests are made up; some 8 % are not decided by a score.")
    ] = 1_000_000,
    times: Annotated[int, typer.Option(help="How often each figure is asked for.")] = 100,
    keep: Annotated[Path | None, typer.Option(help="A directory for the ledger, which then stays.")] = None,
) -> None:
    """Print a line per measure."""
    with ExitStack() as stack:
        place = keep or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tierwise-bench-")))
        place.mkdir(parents=True, exist_ok=True)
        server = stack.enter_context(served(place, 0 if (place / "books.db").exists() else requests, DAYS))
        over_http(server, times)
        inside(f"sqlite:///{place}/books.db", times)


def inside(database_url: str, times: int) -> None:
    """Read, build and ask in this process."""
    engine = schema.ready_engine(database_url)
    today = in_force(engine)
    before = _peak_mb()
    began = time.process_time()
    past = read_past(engine, window(SPAN, None, "UTC", datetime.now(UTC)))
    traffic, total = past.traffic, past.wholes.total
    read = f"{len(traffic)} of {total.decided} scores, {total.requests} requests"
    said("read from the books", f"{time.process_time() - began:8.1f} s of CPU   {read}")
    columns = sum(
        column.nbytes for name in traffic.__slots__ if isinstance(column := getattr(traffic, name), np.ndarray)
    )
    said(
        "memory of the reading, gone afterwards", f"{columns / 1e6:8.0f} MB   {columns / len(traffic):.0f} bytes a row"
    )
    began = time.process_time()
    preview = Preview.of(traffic, exact=thresholds_of(today))
    said("put into cells", f"{time.process_time() - began:8.1f} s of CPU")
    kept = preview.nbytes()
    said("memory that a preview keeps", f"{kept / 1e6:8.1f} MB   {kept / len(traffic):.0f} bytes a row")
    said("memory of this process at its peak", f"{_peak_mb():8.0f} MB   {before:.0f} MB before")
    own = {name: SegmentDials(reasoning_threshold=0.2 + at / 100) for at, name in enumerate(preview.segment_names)}
    for name, policy in (("one pair of thresholds", today), ("a pair for every segment", replace(today, segments=own))):
        work = [lambda at=at, policy=policy: _ask(preview, today, policy, at) for at in range(times)]
        _spread(f"figures, quality, controls: {name}", [_timed(one) for one in work])
        _spread("    of that, CPU", [_timed(one, time.process_time) for one in work])


def _ask(preview: Preview, today: Policy, policy: Policy, at: int) -> None:
    """What one move of a line computes: the dials, today, their difference, two controls, quality of all four."""
    moved = replace(policy, reasoning_threshold=0.15 + at % 40 / 100)
    mix = preview.mix(moved)
    preview.outcome(mix).above(preview.standing(today))
    preview.standing(None)
    preview.outcome(preview.shuffle(mix)).figures()


def over_http(server: Served, times: int) -> None:
    """Sign in, wait until the worker has read, and move a line."""
    with httpx.Client(base_url=server.url, timeout=120) as client:
        client.post("/admin/sign-in", data={"secret": SECRET, "name": "bench"})
        csrf = client.get("/admin/thresholds").text.partition('name="csrf" content="')[2].partition('"')[0]
        headers = {"x-csrf-token": csrf}

        def ask(at: int) -> dict[str, object]:
            dials = {"reasoning_threshold": str(0.15 + at % 40 / 100)}
            reply = client.post("/admin/api/thresholds/preview", json={"span": SPAN, "dials": dials}, headers=headers)
            reply.raise_for_status()
            found: dict[str, object] = reply.json()
            return found

        began = time.perf_counter()
        client.get(f"/admin/thresholds?span={SPAN}")
        said("the page, with what happened to the margin", f"{time.perf_counter() - began:8.1f} s")
        while (found := ask(0))["stage"] != "ready":
            time.sleep(0.1)
        said("until first figures of dials", f"{time.perf_counter() - began:8.1f} s    {found['replayed']} scores")
        while (found := ask(0))["is_under_way"]:
            time.sleep(0.1)
        said("until all figures", f"{time.perf_counter() - began:8.1f} s    {found['replayed']} scores")
        for feed, body in (
            ("solve", {"span": SPAN, "targets": {"max_deep_share": "5 %"}}),
            ("backtest", {"span": SPAN, "dials": {"reasoning_threshold": "0.3"}}),
        ):
            began, before = time.perf_counter(), _cpu_ms(server.pid)
            client.post(f"/admin/api/thresholds/{feed}", json=body, headers=headers).raise_for_status()
            took, cpu = time.perf_counter() - began, (_cpu_ms(server.pid) - before) / 1e3
            said(f"{feed}, the whole answer", f"{took:8.1f} s    {cpu:.1f} s of CPU")
        before = _cpu_ms(server.pid)
        _spread("over HTTP, the whole answer", [_timed(lambda at=at: ask(at)) for at in range(times)], BAR_MS)  # type: ignore[misc]
        said("    of that, CPU of the server", f"mean {(_cpu_ms(server.pid) - before) / times:5.1f} ms")


def said(what: str, figure: str) -> None:
    """Write a line at once."""
    sys.stdout.write(f"{what:58} {figure}\n")
    sys.stdout.flush()


def _timed(work: Callable[[], object], clock: Callable[[], float] = time.perf_counter) -> float:
    began = clock()
    work()
    return (clock() - began) * 1e3


def _spread(what: str, took: list[float], bar_ms: float | None = None) -> None:
    cuts = statistics.quantiles(took, n=20)
    bar = "" if bar_ms is None else f"   bar {bar_ms:.0f} ms {'ok' if cuts[18] < bar_ms else 'MISSED'}"
    said(what, f"p50 {statistics.median(took):6.1f} ms, p95 {cuts[18]:6.1f} ms{bar}   load {os.getloadavg()[0]:.1f}")


def _cpu_ms(pid: int) -> float:
    """What a process has used of the processors so far (Linux)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * 1e3 / os.sysconf("SC_CLK_TCK")


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    typer.run(bench)
