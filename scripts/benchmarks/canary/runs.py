"""One run: a canary is looked at every so many of its requests until it is rolled back or enough were seen."""

import math
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial

import numpy as np

from router.canary.guards import judge
from router.canary.verdicts import Guard, GuardStatus, HarmLimits
from scripts.benchmarks.canary.simulated import ALIKE, CAP, Counting, Harm, World, requests

LIMITS = HarmLimits()
CONVERSATIONS = 1.2  # room for a canary that happens to get few conversations


@dataclass(frozen=True)
class Run:
    """After how many of its requests the canary was rolled back, and by which guard; None where it was not.

    `beside`: how many requests of the control had come by then. `peeked` and `fixed`: whether an ordinary z test of
    the margin would have rolled it back at any of the looks, or at the last one alone.
    """

    requests: int | None
    guard: Guard | None
    beside: int
    peeked: bool = False
    fixed: bool = False


def run(world: World, share: float, harm: Harm, most: int, every: int, seed: int, compare: bool = False) -> Run:
    """Live through one canary."""
    made = requests(world, int(CONVERSATIONS * most / share) + 500, share, harm, np.random.default_rng(seed))
    counting, at = Counting(made, world.earned_usd), np.flatnonzero(made.is_canary)
    peeked = [False]
    if compare:
        cost = made.nanousd / (world.earned_usd * 1e9)
        peeked = [_z(cost, made.is_canary, int(at[k - 1]) + 1) for k in range(every, min(most, len(at)) + 1, every)]
    beside = 0
    for seen in range(every, min(most, len(at)) + 1, every):
        end = int(at[seen - 1]) + 1
        verdict = judge(counting.read(end), CAP, LIMITS)
        beside = verdict.control_requests
        if verdict.standing is GuardStatus.BREACHED and verdict.breached is not None:
            return Run(seen, verdict.breached.guard, beside, any(peeked), peeked[-1])
    return Run(None, None, beside, any(peeked), peeked[-1])


def _z(cost: np.ndarray, is_canary: np.ndarray, end: int) -> bool:
    """What a test for one look at a fixed number of requests says, at the same share of false alarms."""
    ours, theirs = cost[:end][is_canary[:end]], cost[:end][~is_canary[:end]]
    spread = math.sqrt(ours.var() / len(ours) + theirs.var() / len(theirs))
    return bool((ours.mean() - theirs.mean()) / spread > 1.7507)  # 4 % above it


def many(
    pool: ProcessPoolExecutor, world: World, share: float, harm: Harm, number: int, most: int, every: int
) -> list[Run]:
    """Live through many canaries."""
    compare = harm == ALIKE
    one: Callable[[int], Run] = partial(run, world, share, harm, most, every, compare=compare)
    offset = 10_000 if compare else 0
    return list(pool.map(one, range(offset, offset + number), chunksize=5))


def first_by(runs: Sequence[Run]) -> str:
    """Which guards were first, and how often."""
    counts = {guard: sum(run.guard is guard for run in runs) for guard in Guard}
    ordered = sorted(counts.items(), key=lambda item: -item[1])
    return ", ".join(f"{guard.value.replace('_', ' ')} {count}" for guard, count in ordered if count) or "none"
