"""Serve the yardstick and Tierwise side by side, load them in turn, and print CPU per request and per chunk as ratios.

Rounds alternate; the best round of each counts, because other work on the machine only ever adds. `--before CHECKOUT`
puts the Tierwise of another checkout in the place of the yardstick: what a change costs.
"""

import argparse
import os
import statistics
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from scripts.benchmarks.overhead.load import UVICORN, cost_of, free_port, serve
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
Costs = dict[str, tuple[list[float], list[float]]]  # by name: CPU ms per request and per 1000 chunks, a figure a round


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
    lines = [f"| CPU ms, best of rounds | {other} | Tierwise | ratio |", "| --- | --- | --- | --- |"]
    for at, label in enumerate(("per request", "per 1000 streamed chunks")):
        theirs, ours = costs[other][at], costs["tierwise"][at]
        lines.append(f"| {label} | {min(theirs):.3f} | {min(ours):.3f} | {min(ours) / min(theirs):.2f} |")
        ratios = sorted(mine / its for mine, its in zip(ours, theirs, strict=True))
        print(f"{label}: ratio by round {statistics.median(ratios):.3f} (median), {ratios[0]:.3f} to {ratios[-1]:.3f}")
    print("\n".join(lines))
    if chosen.write and not chosen.before:
        PAGE.write_text(INTRODUCTION + "\n".join(lines) + "\n")


def _measure(other: str, before: Path | None, rounds: int, requests: int, streams: int) -> Costs:
    """Serve both beside one provider and load them in turn."""
    costs: Costs = {name: ([], []) for name in (other, "tierwise")}
    with ExitStack() as stack:
        provider = free_port()
        upstream = f"http://127.0.0.1:{provider}/v1"
        env = {**os.environ, "SPEED_UPSTREAM": f"{upstream}/chat/completions"}
        stack.enter_context(serve([*UVICORN, str(provider), "scripts.benchmarks.overhead.upstream:app"], provider, env))
        served: list[tuple[str, int, int]] = []
        for name, checkout in ((other, before), ("tierwise", HERE)):
            port = free_port()
            if checkout is None:
                command, own = [*UVICORN, str(port), "scripts.benchmarks.overhead.reference:app"], env
            else:
                directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tierwise-speed-")))
                config = directory / "tierwise.toml"
                config.write_text(CONFIG.format(directory=directory, upstream=upstream))
                command = [str(Path(sys.executable).with_name("tierwise")), "serve", "--config", str(config)]
                command, own = [*command, "--port", str(port)], {**env, "PYTHONPATH": str(checkout.resolve())}
            served.append((name, port, stack.enter_context(serve(command, port, own))))
        for turn in range(rounds):
            for name, port, pid in served if turn % 2 else served[::-1]:
                whole, streamed = costs[name]
                whole.append(cost_of(port, pid, requests, stream=False))
                streamed.append(cost_of(port, pid, streams, stream=True) * 1000 / CHUNKS)
    return costs


if __name__ == "__main__":
    main()
