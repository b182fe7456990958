"""Measures reports on the configured database: query time in a warm process, whole commands, memory, and exactness.

`--write` puts the table of this kind of database into docs/measured/reports-speed.md.
"""

import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC
from functools import partial
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo

import typer
from sqlalchemy import Engine, func, select

from router.commands.opening import open_books
from router.database.tables import Adjustment, Call, Request
from router.reports.page import MORE
from router.reports.queries import costs
from router.reports.standing import full_report
from router.reports.window import Window
from scripts.benchmarks.pages import circumstances, put

TIERWISE = Path(sys.executable).with_name("tierwise")
REPEAT, REPEAT_COMMAND = 7, 5
ALWAYS = Window(None, None, UTC)
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
COMMANDS = (("table", 2.0), ("json", 2.0), ("csv", 2.0), ("html", 4.0))
MOST_MB = 300


@dataclass(slots=True)
class Measures:
    """Rows of the table, printed as they come."""

    rows: list[tuple[str, str, str, str, str]] = field(default_factory=list)

    def took(self, what: str, bar_s: float, work: Callable[[], object], repeat: int = REPEAT) -> None:
        """Measure the median of several times, and the least CPU time."""
        walls, cpus = zip(*(_timed(work) for _ in range(repeat)), strict=True)
        wall = sorted(walls)[repeat // 2]
        self.add(what, f"{wall * 1000:.0f} ms", f"{min(cpus) * 1000:.0f} ms", f"{bar_s * 1000:.0f} ms", wall <= bar_s)

    def add(self, what: str, wall: str, cpu: str, bar: str, is_kept: bool) -> None:
        """Note a row."""
        row = (what, wall, cpu, bar, "yes" if is_kept else "**no**")
        self.rows.append(row)
        typer.echo(f"{row[0]:44} {row[1]:>10} {row[2]:>10}  bar {row[3]:>8}  {'ok' if is_kept else 'MISSED'}")


def bench(
    config: Annotated[Path | None, typer.Option(help="Configuration file.")] = None,
    write: Annotated[bool, typer.Option("--write", help="Put the table into docs/measured/reports-speed.md.")] = False,
) -> None:
    """Print a line per measure: what, the median, the least CPU time, its bar, and whether it held."""
    found, load = Measures(), os.getloadavg()[0]
    with open_books(config) as (_, engine):
        requests = _scalar(engine, select(func.count()).select_from(Request))
        name = engine.dialect.name
        typer.echo(f"{name}, {requests} requests, load {load:.1f}")
        _queries(found, engine)
        _exactness(found, engine)
    environ = dict(os.environ) | ({"TIERWISE_CONFIG": str(config)} if config else {})
    for form, bar in COMMANDS:
        found.took(f"command, --format {form}", bar, partial(_run, environ, "--format", form), REPEAT_COMMAND)
    for by in ("hour", "day,tier", "key"):
        found.took(f"command, --by {by}", 2.0, partial(_run, environ, "--by", by, "--format", "csv"), REPEAT_COMMAND)
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    found.add("memory of a command", f"{peak:.0f} MB", "", f"{MOST_MB} MB", peak <= MOST_MB)
    if write:
        _write(name, f"{requests:,} requests, {circumstances(load)}", found)


def _queries(found: Measures, engine: Engine) -> None:
    for by in (*((name,) for name in BY), *PAIRS):
        found.took(f"query --by {','.join(by)}", 0.2, partial(costs, engine, by, ALWAYS))
    for zone in ZONES:
        window = Window(None, None, ZoneInfo(zone))
        found.took(f"query --by day --zone {zone}", 0.2, partial(costs, engine, ["day"], window))
    found.took("query of the standing figures", 0.2, partial(full_report, engine, ["tier"], ALWAYS, {}))
    found.took("query of everything in a page", 0.8, partial(full_report, engine, ["tier"], ALWAYS, {}, MORE))


def _exactness(found: Measures, engine: Engine) -> None:
    lines = _scalar(engine, select(func.sum(Call.cost_nanousd)))
    lines += _scalar(engine, select(func.sum(Adjustment.amount_nanousd)))
    for zone in ("UTC", *ZONES):
        total = costs(engine, ["day"], Window(None, None, ZoneInfo(zone))).totals()
        apart = total.cost_nanousd - lines
        found.add(f"cost by day in {zone} against the lines", f"{apart} nano-$", "", "0 nano-$", apart == 0)


def _write(name: str, said: str, found: Measures) -> None:
    """Put the table where the page has a place for this database."""
    lines = [f"| {' | '.join(row)} |" for row in found.rows]
    head = ("| measure | median | CPU | bar | kept |", "| --- | ---: | ---: | ---: | --- |")
    put("reports-speed.md", name, "\n".join((f"{said}.", "", *head, *lines)))


def _run(environ: dict[str, str], *options: str) -> None:
    subprocess.run([str(TIERWISE), "report", *options], env=environ, stdout=subprocess.DEVNULL, check=True)


def _timed(work: Callable[[], object]) -> tuple[float, float]:
    """Seconds that went by, and of CPU in this process and its children."""
    began, before = time.perf_counter(), _cpu_s()
    work()
    return time.perf_counter() - began, _cpu_s() - before


def _cpu_s() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def _scalar(engine: Engine, query: object) -> int:
    with engine.connect() as connection:
        return int(connection.scalar(query) or 0)  # type: ignore[call-overload]


if __name__ == "__main__":
    typer.run(bench)
