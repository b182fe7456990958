"""Count the instructions of a request under callgrind: what a request costs, on a machine on which time says little.

Valgrind runs a server some fifty times slower, so that its threads do more for each request than they would: what they
do without requests is counted by itself and taken off.
"""

import argparse
import asyncio
import re
import subprocess
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

import aiohttp

from scripts.benchmarks.overhead.load import send
from scripts.benchmarks.overhead.servers import Served, Servers
from scripts.benchmarks.pages import put

WARM_REQUESTS = 60
SETTLING_S, IDLE_S = 3.0, 10.0
START_S = 300
TOTAL = re.compile(r"^totals: (\d+)", re.MULTILINE)


def main() -> None:
    """Count and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=150)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument(
        "--before", type=Path, metavar="CHECKOUT", help="count the Tierwise of another checkout as well"
    )
    parser.add_argument("--write", action="store_true", help="write docs/measured/speed.md")
    chosen = parser.parse_args()
    counted: dict[str, list[float]] = {}
    for _ in range(chosen.rounds):
        for name in ("reference", "tierwise", *(["before"] if chosen.before else [])):
            counted.setdefault(name, []).append(_count(name, chosen.before, chosen.requests))
    reference = min(counted["reference"])
    lines = ["| thousand instructions per request | least of rounds | most | ratio |", "| --- | --- | --- | --- |"]
    for name, found in counted.items():
        lines.append(f"| {name} | {min(found):,.0f} | {max(found):,.0f} | {min(found) / reference:.2f} |")
    print("\n".join(lines))
    if chosen.write and not chosen.before:
        put("speed.md", "instructions", "\n".join(lines))


def _count(name: str, before: Path | None, requests: int) -> float:
    """Count a server's instructions per request, in thousands."""
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tierwise-callgrind-")))
        counter = ["valgrind", "-q", "--tool=callgrind", "--instr-atstart=no"]
        servers = Servers(stack, [*counter, f"--callgrind-out-file={directory}/counts.%p"])
        if name == "reference":
            served = servers.reference()
        else:
            served = servers.tierwise() if before is None or name == "tierwise" else servers.tierwise(name, before)
        _wait_for(served)
        asyncio.run(send(served.url, WARM_REQUESTS, stream=False))
        time.sleep(SETTLING_S)
        _control(served, "-i", "on")
        _control(served, "-z")
        began = time.monotonic()
        asyncio.run(send(served.url, requests, stream=False))
        time.sleep(SETTLING_S)
        took = time.monotonic() - began
        busy = _total(served, directory)
        _control(served, "-z")
        began = time.monotonic()
        time.sleep(IDLE_S)
        idle = _total(served, directory) / (time.monotonic() - began)
        return (busy - idle * took) / requests / 1_000


def _wait_for(served: Served) -> None:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        try:
            asyncio.run(send(served.url, 1, stream=False))
            return
        except (aiohttp.ClientError, AssertionError):
            time.sleep(1)
    raise SystemExit(f"{served.name} did not answer within {START_S} seconds")


def _control(served: Served, *what: str) -> None:
    subprocess.run(["callgrind_control", *what, str(served.pid)], stdout=subprocess.DEVNULL, check=True)


def _total(served: Served, directory: Path) -> int:
    """Return how many instructions were counted since the counts were set to zero."""
    _control(served, "-d")
    time.sleep(1)
    dumps = directory.glob(f"counts.{served.pid}.*")
    newest = max(dumps, key=lambda path: int(path.suffix[1:]))
    found = TOTAL.search(newest.read_text(errors="replace"))
    if found is None:
        raise SystemExit(f"{newest.name} has no total")
    return int(found[1])


if __name__ == "__main__":
    main()
