"""How soon is a canary that hurts rolled back, and how often one that does not? Simulated from recorded outcomes."""

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np

from classifier.training.corpus import CorpusMissing
from router.tiers.vote.rates import wilson
from scripts.benchmarks.canary.runs import Run, first_by, many
from scripts.benchmarks.canary.simulated import ALIKE, Harm, World, requests, world_of
from scripts.benchmarks.pages import RECORDED, put

DEFAULT = RECORDED / "outcomes"
SHARES = (0.05, 0.20)
MOST, MOST_ALIKE = 500, 2_000
EVERY, EVERY_ALIKE = 10, 25


def lost_margin(world: World, harm: Harm) -> float:
    """By how much the canary's margin is below the control's one half, over very many requests."""
    costs = requests(world, 400_000, 1.0, harm, np.random.default_rng(1)).nanousd
    return float(costs.mean()) / 1e9 / world.earned_usd - 0.5


def deeper(world: World, lost: float) -> float:
    """The deep share that loses so much margin."""
    low, high = ALIKE.deep_share, 0.6
    for _ in range(12):
        middle = (low + high) / 2
        low, high = (low, middle) if lost_margin(world, replace(ALIKE, deep_share=middle)) > lost else (middle, high)
    return round(middle, 4)


def deep_dearer(world: World, lost: float) -> float:
    """By what the cost of deep answers has to be multiplied to lose so much margin."""
    each = lost_margin(world, replace(ALIKE, deep_dearer=2.0)) - lost_margin(world, ALIKE)
    return 1 + lost / each


def losing_margin(world: World) -> Iterator[Harm]:
    """Canaries that lose 20 points of margin, or a fifth of it."""
    for lost, means in ((0.2, "margin .50 to .30"), (0.1, "margin .50 to .40")):
        share = deeper(world, lost)
        yield replace(ALIKE, name=f"more deep answers, {means}", deep_share=share)
        yield replace(ALIKE, name=f"every answer dearer, {means}", dearer=1 + 2 * lost)
        yield replace(ALIKE, name=f"deep answers dearer, {means}", deep_dearer=deep_dearer(world, lost))
        unknown = replace(ALIKE, deep_share=share, decisions_known=False)
        yield replace(unknown, name=f"more deep answers, decisions not recorded, {means}")


def other_harms() -> Iterator[Harm]:
    """What the other guards are there for."""
    yield replace(ALIKE, name="errors 1 % to 6 %", failed=0.06)
    yield replace(ALIKE, name="errors 1 % to 11 %", failed=0.11)
    yield replace(ALIKE, name="half as slow again", slower=1.5)
    yield replace(ALIKE, name="twice as slow", slower=2.0)
    yield replace(ALIKE, name="regenerates 4 % to 9 %", asked_again=0.09)
    yield replace(ALIKE, name="regenerates 4 % to 14 %", asked_again=0.14)
    yield replace(ALIKE, name="thumbs down 1 % to 6 %", thumbs_down=0.06)
    yield replace(ALIKE, name="deep share .20 at a cap of .10", deep_share=0.155)


def rows(world: World, runs: int, alike: int, pool: ProcessPoolExecutor) -> Iterator[str]:
    """Measure; yields the lines of two tables."""
    yield f"Rolled back within {MOST} requests of the canary, looked at every {EVERY}, {runs} runs each:\n"
    yield "| the canary | share | rolled back | 95 % interval | after, median (95 %) | control by then | guard |"
    yield "| --- | --- | --- | --- | --- | --- | --- |"
    for harm in (*losing_margin(world), *other_harms()):
        for share in SHARES:
            found = many(pool, world, share, harm, runs, MOST, EVERY)
            after = [run.requests for run in found if run.requests is not None]
            when = f"{np.median(after):.0f} ({np.quantile(after, 0.95):.0f})" if after else "-"
            beside = f"{np.median([run.beside for run in found]):,.0f}"
            yield (
                f"| {harm.name} | {share:.0%} | **{len(after)} of {runs}** | {_interval(len(after), runs)} | {when} "
                f"| {beside} | {first_by(found)} |"
            )
    yield f"\nRolled back although nothing is different, {MOST_ALIKE:,} requests of the canary, {alike} runs each:\n"
    yield "| test | share | rolled back | 95 % interval |"
    yield "| --- | --- | --- | --- |"
    for share in SHARES:
        for known, name in ((True, "the guards"), (False, "the guards, decisions not recorded")):
            harm = ALIKE if known else replace(ALIKE, decisions_known=False)
            found = many(pool, world, share, harm, alike, MOST_ALIKE, EVERY_ALIKE)
            yield _alike(
                f"{name}, a look every {EVERY_ALIKE}", share, sum(r.requests is not None for r in found), alike
            )
            if known:
                yield _alike(
                    f"control: z test of the margin, a look every {EVERY_ALIKE}", share, _count(found, "peeked"), alike
                )
                yield _alike("control: z test of the margin, one look at the end", share, _count(found, "fixed"), alike)


def _count(found: Sequence[Run], name: str) -> int:
    return sum(bool(getattr(run, name)) for run in found)


def _alike(name: str, share: float, hits: int, number: int) -> str:
    return f"| {name} | {share:.0%} | **{hits} of {number}** ({hits / number:.1%}) | {_interval(hits, number)} |"


def _interval(hits: int, number: int) -> str:
    share = wilson(hits, number)
    return f"{share.low:.1%} to {share.high:.1%}"


def main() -> None:
    """Measure and print, or prove it on a served instance."""
    parser = argparse.ArgumentParser(prog="scripts/bench_canary", description=__doc__)
    parser.add_argument("--data", type=Path, default=os.environ.get("TIERWISE_BENCH_OUTCOMES", DEFAULT))
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--alike", type=int, default=500)
    parser.add_argument("--write", action="store_true", help="put the tables into docs/measured/canary.md")
    parser.add_argument("--live", action="store_true", help="instead: canaries on a served instance, slow")
    options = parser.parse_args()
    if options.live:
        from scripts.benchmarks.canary import live

        sys.exit(live.main())
    try:
        world = world_of(Path(options.data))
    except CorpusMissing as error:
        sys.exit(f"{error}; pass --data DIR")
    lines = []
    with ProcessPoolExecutor(2) as pool:
        for line in rows(world, options.runs, options.alike, pool):
            lines.append(line)
            sys.stdout.write(f"{line}\n")
            sys.stdout.flush()
    if options.write:
        put("canary.md", "measured by scripts/bench_canary", "\n".join(("", *lines, "")))


if __name__ == "__main__":
    main()
