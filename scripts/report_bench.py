"""Measures reports on the configured database: query time in a warm process, whole commands, memory, and exactness."""

import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo

import typer
from sqlalchemy import Engine, func, select

from router.commands.opening import opened
from router.ledger.tables import Adjustment, Call, Request
from router.reports.page import MORE
from router.reports.queries import costs
from router.reports.standing import full_report
from router.reports.window import Window

TIERWISE = Path(sys.executable).with_name("tierwise")
REPEAT = 5
BY = (
    "tier",
    "model",
    "provider",
    "segment",
    "country",
    "language",
    "answer_type",
    "day",
    "hour",
    "policy",
    "turn",
    "key",
)
PAIRS = (("day", "tier"), ("tier", "segment"), ("segment", "country"), ("tier", "model"))
ZONES = ("Asia/Kolkata", "Europe/Lisbon")


def bench(config: Annotated[Path | None, typer.Option(help="Configuration file.")] = None) -> None:
    """Print a line per measure: what, its bar, the median of five, and whether it held."""
    always = Window(None, None, UTC)
    with opened(config) as (_, engine):
        requests = _scalar(engine, select(func.count()).select_from(Request))
        typer.echo(f"{engine.dialect.name}, {requests} requests, load {os.getloadavg()[0]:.1f}")
        for by in (*((name,) for name in BY), *PAIRS):
            _line(f"query --by {','.join(by)}", 0.2, _median(lambda by=by: costs(engine, by, always)))  # type: ignore[misc]
        for zone in ZONES:
            window = Window(None, None, ZoneInfo(zone))
            _line(f"query --by day --zone {zone}", 0.2, _median(lambda w=window: costs(engine, ["day"], w)))  # type: ignore[misc]
        _line("query of the standing figures", 0.2, _median(lambda: full_report(engine, ["tier"], always, {})))
        _line("query of a whole page", 0.8, _median(lambda: full_report(engine, ["tier"], always, {}, MORE)))
        total = costs(engine, ["tier"], always).totals()
        lines = _scalar(engine, select(func.sum(Call.cost_nanousd)))
        lines += _scalar(engine, select(func.sum(Adjustment.amount_nanousd)))
        same = total.cost_nanousd == lines
        typer.echo(
            f"{'cost against the sum over lines':44} {total.cost_nanousd - lines} nano-dollars apart  {_mark(same)}"
        )
    environ = dict(os.environ) | ({"TIERWISE_CONFIG": str(config)} if config else {})
    for form, bar in (("table", 2.0), ("json", 2.0), ("csv", 2.0), ("html", 4.0)):
        _line(f"command, --format {form}", bar, _median(lambda form=form: _run(form, environ)))  # type: ignore[misc]
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    typer.echo(f"{'memory of a command':44} {peak:8.0f} MB  bar  300 MB  {_mark(peak <= 300)}")


def _run(form: str, environ: dict[str, str]) -> None:
    command = [str(TIERWISE), "report", "--format", form]
    subprocess.run(command, env=environ, stdout=subprocess.DEVNULL, check=True)


def _median(work: Callable[[], object]) -> float:
    took = []
    for _ in range(REPEAT):
        began = time.perf_counter()
        work()
        took.append(time.perf_counter() - began)
    return sorted(took)[REPEAT // 2]


def _line(what: str, bar_s: float, took_s: float) -> None:
    typer.echo(f"{what:44} {took_s * 1000:8.0f} ms  bar {bar_s * 1000:5.0f} ms  {_mark(took_s <= bar_s)}")


def _mark(is_good: bool) -> str:
    return "ok" if is_good else "MISSED"


def _scalar(engine: Engine, query: object) -> int:
    with engine.connect() as connection:
        return int(connection.scalar(query) or 0)  # type: ignore[call-overload]


if __name__ == "__main__":
    typer.run(bench)
