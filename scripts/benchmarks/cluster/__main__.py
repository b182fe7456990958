"""Run the fault table and measure what requests cost: `scripts/cluster_demo [--only faults|cost] [--write]`."""

import argparse
import asyncio
import os
import sys
import tempfile
from pathlib import Path

from scripts.benchmarks.cluster.cost import Cost, measure
from scripts.benchmarks.cluster.events import FAULTS
from scripts.benchmarks.cluster.faults import Table, play
from scripts.benchmarks.cluster.parts import NotInstalled, nginx_command, redis_command
from scripts.benchmarks.cluster.tables import (
    are_bars_met,
    describe_costs,
    describe_faults,
    describe_limits,
    describe_scaling,
)
from scripts.benchmarks.faults.__main__ import postgresql
from scripts.benchmarks.pages import circumstances, put

PAGE, SCALING_PAGE = "cluster.md", "../past-one-database.md"


def main() -> int:
    """Return 0 when every bar is met, 2 where a server is missing."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--only", choices=("faults", "cost"), help="only one of the two")
    arguments.add_argument("--replicas", type=int, default=3)
    arguments.add_argument(
        "--requests", type=int, default=3_000, help="whose cost is measured, for each number of replicas"
    )
    arguments.add_argument(
        "--write", action="store_true", help="write docs/measured/cluster.md and what follows from it"
    )
    given = arguments.parse_args()
    try:
        nginx_command(), redis_command()
    except NotInstalled as error:
        print(error, file=sys.stderr)
        return 2
    is_met, load = True, os.getloadavg()[0]
    if given.only != "cost":
        table = _play(given.replicas)
        is_met = are_bars_met(table)
        _show(given.write, {(PAGE, "faults"): f"{circumstances(load)}\n\n{describe_faults(table)}"})
    if given.only != "faults":
        costs = [_measure(count, given.requests) for count in (1, given.replicas)]
        pages = {
            (PAGE, "cost"): f"{circumstances(load)}\n\n{describe_costs(costs)}",
            (PAGE, "limits"): describe_limits(costs),
            (SCALING_PAGE, "arithmetic"): describe_scaling(costs),
        }
        _show(given.write, pages)
    return 0 if is_met else 1


def _play(replicas: int) -> Table:
    with (
        tempfile.TemporaryDirectory(prefix="tierwise-cluster") as folder,
        postgresql(Path(folder) / "pg") as (url, server),
    ):
        return asyncio.run(play(Path(folder) / "served", url, server, count=replicas, faults=FAULTS))


def _measure(replicas: int, requests: int) -> Cost:
    with (
        tempfile.TemporaryDirectory(prefix="tierwise-cluster") as folder,
        postgresql(Path(folder) / "pg") as (url, server),
    ):
        return asyncio.run(measure(Path(folder) / "served", url, server, replicas, requests))


def _show(is_written: bool, pages: dict[tuple[str, str], str]) -> None:
    for (page, place), text in pages.items():
        print(f"{text}\n", flush=True)
        if is_written:
            put(page, place, text)


if __name__ == "__main__":
    sys.exit(main())
