"""Serve the yardstick and Tierwise side by side, load them in turn, and print CPU per request and per chunk as ratios.

Rounds alternate; the best round of each counts, because other work on the machine only ever adds. `--before CHECKOUT`
puts the Tierwise of another checkout in the place of the yardstick: what a change costs.
"""

import argparse
import os
import statistics
import sys
import tempfile
from collections import defaultdict
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

from scripts.benchmarks.overhead.load import UVICORN, cost_of, free_port, idle_cost, median_ms, serve
from scripts.benchmarks.overhead.upstream import CHUNKS
from scripts.benchmarks.pages import MEASURED

PAGE = MEASURED / "speed.md"
INTRODUCTION = """<!-- made by scripts/bench_speed --write -->
# What a request costs in CPU

`auto` with everything on (keyless rule, estimate, decision, intent and settlement in the spool, shipping into SQLite)
is compared with a bare Starlette and aiohttp pass-through that decides, counts and books nothing. Both are measured in
one run, and the best of alternating rounds counts. On a shared machine only the ratio means anything. Tierwise's figure
includes the shipping thread, which runs off the request path: answers do not wait for it.

Streams meet the bar of 3; whole requests do not. The time of a whole request (sampled by py-spy under load, threads by
the kernel's count) is spent as follows: the provider's call 22 %, the classifier 15 %, conversation and policy 9 %, the
shipping and following threads 9 %, the two writes of the spool 8 %, sending the answer 7 %, expected revenue (whether
ads may be shown, language, revenue) 6 %, and the rest of the edge, rendering and the event loop 24 %. No single part
stands out; each would have to be halved.

"""
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


HERE = Path(__file__).resolve().parents[3]
IDLE_S = 20.0
WHOLE, STREAMED, IDLE, ALONE = "per request", "per 1000 streamed chunks", "per second without requests", "one at a time"
Costs = dict[str, dict[str, list[float]]]  # by measure and name: a figure a round


class Served(NamedTuple):
    """A server under load."""

    name: str
    port: int
    pid: int

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self.port}/v1/chat/completions"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--requests", type=int, default=1500)
    parser.add_argument("--streams", type=int, default=60)
    parser.add_argument("--before", type=Path, metavar="CHECKOUT", help="another checkout instead of the yardstick")
    parser.add_argument("--write", action="store_true", help="write docs/measured/speed.md")
    chosen = parser.parse_args()
    other = "before" if chosen.before else "reference"
    costs = _measure(other, chosen.before, chosen.rounds, chosen.requests, chosen.streams)
    for measure in (WHOLE, STREAMED):
        mine, its = costs[measure]["tierwise"], costs[measure][other]
        ratios = sorted(our / their for our, their in zip(mine, its, strict=True))
        print(
            f"{measure}: ratio by round {statistics.median(ratios):.3f} (median), {ratios[0]:.3f} to {ratios[-1]:.3f}"
        )
    lines = _tables(costs, other)
    print("\n".join(lines))
    if chosen.write and not chosen.before:
        PAGE.write_text(INTRODUCTION + "\n".join(lines) + "\n")


def _tables(costs: Costs, other: str) -> list[str]:
    best = {measure: {name: min(figures) for name, figures in by.items()} for measure, by in costs.items()}
    lines = [f"| CPU ms, best of rounds | {other} | Tierwise | ratio |", "| --- | --- | --- | --- |"]
    for measure in (WHOLE, STREAMED):
        theirs, ours = best[measure][other], best[measure]["tierwise"]
        lines.append(f"| {measure} | {theirs:.3f} | {ours:.3f} | {ours / theirs:.2f} |")
    lines.append(f"| {IDLE} | {best[IDLE][other]:.1f} | {best[IDLE]['tierwise']:.1f} | |")
    alone, twice = best[ALONE], best[WHOLE]["two workers"]
    return [
        *lines,
        "",
        f"| one request at a time | provider alone | {other} | Tierwise |",
        "| --- | --- | --- | --- |",
        f"| median ms of an answer | {alone['provider']:.2f} | {alone[other]:.2f} | {alone['tierwise']:.2f} |",
        f"| added to the provider's | | {alone[other] - alone['provider']:.2f} "
        f"| {alone['tierwise'] - alone['provider']:.2f} |",
        "",
        f"Two workers take {twice:.3f} ms of CPU per request, one takes {best[WHOLE]['tierwise']:.3f}: with a core for",
        f"each, two answer {2 * best[WHOLE]['tierwise'] / twice:.2f} times as many.",
    ]


def _measure(other: str, before: Path | None, rounds: int, requests: int, streams: int) -> Costs:
    """Serve both beside one provider and load them in turn."""
    costs: Costs = defaultdict(lambda: defaultdict(list))
    with ExitStack() as stack:
        provider = free_port()
        upstream = f"http://127.0.0.1:{provider}/v1"
        env = {**os.environ, "SPEED_UPSTREAM": f"{upstream}/chat/completions"}
        stack.enter_context(serve([*UVICORN, str(provider), "scripts.benchmarks.overhead.upstream:app"], provider, env))
        if before is None:
            port = free_port()
            command = [*UVICORN, str(port), "scripts.benchmarks.overhead.reference:app"]
            theirs = Served(other, port, stack.enter_context(serve(command, port, env)))
        else:
            theirs = _serve_tierwise(stack, other, before, upstream, env)
        ours = _serve_tierwise(stack, "tierwise", HERE, upstream, env)
        twice = _serve_tierwise(stack, "two workers", HERE, upstream, env, "--workers", "2")
        for turn in range(rounds):
            for served in (theirs, ours, twice) if turn % 2 else (twice, ours, theirs):
                costs[WHOLE][served.name].append(cost_of(served.port, served.pid, requests, stream=False))
                if served is not twice:
                    streamed = cost_of(served.port, served.pid, streams, stream=True) * 1000 / CHUNKS
                    costs[STREAMED][served.name].append(streamed)
            for name, url in (("provider", env["SPEED_UPSTREAM"]), (other, theirs.url), ("tierwise", ours.url)):
                costs[ALONE][name].append(median_ms(url, 200))
        for served in (theirs, ours):
            costs[IDLE][served.name].append(idle_cost(served.pid, IDLE_S))
    return costs


def _serve_tierwise(
    stack: ExitStack, name: str, checkout: Path, upstream: str, env: Mapping[str, str], *options: str
) -> Served:
    port = free_port()
    directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tierwise-speed-")))
    config = directory / "tierwise.toml"
    config.write_text(CONFIG.format(directory=directory, upstream=upstream))
    command = [str(Path(sys.executable).with_name("tierwise")), "serve", "--config", str(config), *options]
    own = {**env, "PYTHONPATH": str(checkout.resolve())}
    return Served(name, port, stack.enter_context(serve([*command, "--port", str(port)], port, own)))


if __name__ == "__main__":
    main()
