"""Serve the yardstick and Tierwise side by side, load them in turn, and print CPU per request and per chunk as ratios.

Rounds alternate; the best round of each counts, because other work on the machine only ever adds. `--before CHECKOUT`
puts the Tierwise of another checkout in the place of the yardstick: what a change costs.
"""

import argparse
import statistics
from collections import defaultdict
from contextlib import ExitStack
from pathlib import Path

from scripts.benchmarks.overhead.load import cost_of, idle_cost, median_ms
from scripts.benchmarks.overhead.servers import HERE, Servers
from scripts.benchmarks.overhead.upstream import CHUNKS
from scripts.benchmarks.pages import put

IDLE_S = 20.0
ALONE_REQUESTS = 200
WHOLE, STREAMED, IDLE, ALONE = "per request", "per 1000 streamed chunks", "per second without requests", "one at a time"
Costs = dict[str, dict[str, list[float]]]  # by measure and name: a figure a round


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
        put("speed.md", "cpu", "\n".join(lines))


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
        servers = Servers(stack)
        theirs = servers.reference() if before is None else servers.tierwise(other, before)
        ours, twice = servers.tierwise(), servers.tierwise("two workers", HERE, "--workers", "2")
        for turn in range(rounds):
            for served in (theirs, ours, twice) if turn % 2 else (twice, ours, theirs):
                costs[WHOLE][served.name].append(cost_of(served.port, served.pid, requests, stream=False))
                if served is not twice:
                    streamed = cost_of(served.port, served.pid, streams, stream=True) * 1000 / CHUNKS
                    costs[STREAMED][served.name].append(streamed)
            for name, url in (("provider", servers.provider_url), (other, theirs.url), ("tierwise", ours.url)):
                costs[ALONE][name].append(median_ms(url, ALONE_REQUESTS))
        for served in (theirs, ours):
            costs[IDLE][served.name].append(idle_cost(served.pid, IDLE_S))
    return costs


if __name__ == "__main__":
    main()
