"""What labels change: the cascade after fifty of them, and how far the confidence that is told holds."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from router.tiers.parallel.calibration import calibration_error
from router.tiers.vote.checkers import CheckerPool
from scripts.benchmarks.parallel_tier.pools import Item
from scripts.benchmarks.parallel_tier.replay import Run, a_tier, orders, replay, selected
from scripts.benchmarks.parallel_tier.tables import Pool, Table, interval

CASCADE_LABELS, TOLD_LABELS = 50, 100


async def after_labels(
    pool: Pool, checkers: CheckerPool, labels: int, shuffles: int, *, escalates: bool, p_strong: float = 0.9
) -> list[list[Run]]:
    """Replay each half of a pool after labels of as many queries, drawn from the other half.

    The table stands still while a half is replayed: what is measured is what so many labels are worth.
    """
    runs: dict[int, list[Run]] = {}
    places = np.random.default_rng(0).permutation(len(pool.items))
    for half in (0, 1):
        here, there = places[half::2], places[1 - half :: 2]
        tier = a_tier(pool.most, checkers, escalates=escalates, with_tests=pool.with_tests)
        for number in range(labels if len(there) else 0):
            item = pool.items[there[number % len(there)]]
            order = orders(item, pool.most, 1 + number // len(there))[-1]
            run = await replay(tier, item, order, p_strong)
            tier.calibration.saw(run.ending)
            tier.calibration.learn(run.ending, run.right)
        for place in here:
            item = pool.items[place]
            runs[place] = [await replay(tier, item, order, p_strong) for order in orders(item, pool.most, shuffles)]
    return [runs[place] for place in range(len(pool.items))]


async def cascade_after_labels(
    pools: Sequence[Pool], checkers: CheckerPool, shuffles: int, ratio: float = 30.0
) -> Table:
    """Measure the cascade beside both of its ends, without labels and with fifty."""
    table = Table(
        f"The cascade after {CASCADE_LABELS} labels",
        f"One strong call has the price of {ratio:g} samples; `always sample` votes on all of them. Labels are for "
        "queries from the other half of the pool; points are relative to the better end, and cost is in strong "
        "calls.",
        ["pool", "always strong", "always sample", "no labels", "cost", "points", "labels", "cost", "points"],
    )
    for pool in pools:
        strong = np.array([item.strong or 0.0 for item in pool.items])
        votes = np.array([_voted(pool, item, c, p, shuffles) for item, c, p in _read(pool)])
        better = strong if strong.mean() >= votes.mean() else votes
        row = [pool.name, f"{strong.mean():.3f}", f"{votes.mean():.3f}"]
        for labels in (0, CASCADE_LABELS):
            runs = await after_labels(pool, checkers, labels, shuffles, escalates=True, p_strong=float(strong.mean()))
            right = np.array([np.mean([run.right for run in of_item]) for of_item in runs])
            cost = np.mean([run.samples + ratio * run.escalated for of_item in runs for run in of_item]) / ratio
            row += [f"{right.mean():.3f}", f"{cost:.2f}", interval(right - better)]
        table.rows.append(row)
    return table


def _read(pool: Pool) -> list[tuple[Item, list[int | None], list[int]]]:
    return list(zip(pool.items, pool.clusters, pool.passed, strict=True))


def _voted(pool: Pool, item: Item, clusters: list[int | None], passed: list[int], shuffles: int) -> float:
    found = [bool(selected(item, order, clusters, passed)) for order in orders(item, pool.most, shuffles)]
    return float(np.mean(found))


async def told(voted: Sequence[Pool], cascades: Sequence[Pool], checkers: CheckerPool, shuffles: int) -> Table:
    """Measure the expected calibration error of `confidence`."""
    table = Table(
        "What confidence is worth",
        "`x_tierwise.confidence` is P(the answer is right). The table shows its expected calibration error over ten "
        f"bins of equal width, without any label and after {TOLD_LABELS} labels from the other half of the pool (half "
        "of a small pool is labelled more than once, in other orders). On games of 24 and programs a vote without "
        "its verifier is rarely right: no prior knows that, but labels do.",
        ["pool", "right", "told", "error", "told after labels", "error after labels"],
    )
    for pool in (*voted, *cascades):
        escalates = pool in cascades
        limited = replace(pool, most=min(pool.most, 8))
        p_strong = float(np.mean([item.strong or 0.0 for item in pool.items])) if escalates else 0.9
        cells: list[str] = []
        for labels in (0, TOLD_LABELS):
            found = await after_labels(limited, checkers, labels, shuffles, escalates=escalates, p_strong=p_strong)
            pairs = [(run.ending.confidence, run.right) for of_item in found for run in of_item]
            said, right = np.array(pairs).T
            cells += [f"{right.mean():.3f}"] if not labels else []
            cells += [f"{said.mean():.3f}", f"{calibration_error(pairs):.3f}"]
        table.rows.append([pool.name, *cells])
    return table
