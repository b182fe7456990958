"""The tables of the bench: what was measured against each bar, with paired bootstrap intervals over questions."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from router.tiers.parallel.calibration import share_bin
from router.tiers.parallel.coverage import pass_at, selection_efficiency
from router.tiers.vote.checkers import CheckerPool
from router.tiers.vote.rates import worthwhile_samples
from router.tiers.vote.verifiers import (
    ArithmeticVerifier,
    CalculationVerifier,
    ProgramVerifier,
    PuzzleVerifier,
    SchemaVerifier,
    StatementVerifier,
)
from scripts.benchmarks.parallel_tier.pools import Item
from scripts.benchmarks.parallel_tier.replay import Run, a_tier, accept_only, clusters_of, orders, replay_all, selected

RESAMPLES = 2000


@dataclass(slots=True)
class Table:
    """A titled table; `curves` are points (samples, cost, accuracy) for the plots."""

    title: str
    note: str
    columns: list[str]
    rows: list[list[str]] = field(default_factory=list)


@dataclass(slots=True)
class Pool:
    """A loaded pool and its clusters, which the tier's own vote made."""

    name: str
    items: list[Item]
    most: int
    with_tests: bool
    clusters: list[list[int | None]] = field(default_factory=list)
    passed: list[list[int]] = field(default_factory=list)

    async def read(self, checkers: CheckerPool) -> None:
        """Read every sample once."""
        for item in self.items:
            clusters, passed = await clusters_of(item, checkers, with_tests=self.with_tests)
            self.clusters.append(clusters)
            self.passed.append(passed)

    def selected_at(self, k: int, shuffles: int) -> np.ndarray:
        """Return the mean accuracy of each item when all of k samples vote."""
        return np.array(
            [
                np.mean([bool(selected(item, order[:k], c, p)) for order in orders(item, self.most, shuffles)])
                for item, c, p in zip(self.items, self.clusters, self.passed, strict=True)
            ]
        )


def interval(differences: Sequence[float] | np.ndarray, scale: float = 100.0) -> str:
    """Write a mean with its bootstrap interval over questions."""
    values = np.asarray(differences, dtype=float) * scale
    rng = np.random.default_rng(0)
    means = values[rng.integers(0, len(values), (RESAMPLES, len(values)))].mean(axis=1)
    low, high = np.percentile(means, [2.5, 97.5])
    return f"{values.mean():+.2f} ({low:+.2f} to {high:+.2f})"


async def early_stop(pools: Sequence[Pool], checkers: CheckerPool, shuffles: int) -> tuple[Table, float]:
    """Measure the tier against voting on all samples."""
    table = Table(
        "Against voting on all samples",
        "Nothing escalates here, so that votes are compared with votes. Points are differences to the same shuffle's "
        "full vote.",
        ["pool", "N", "full vote", "tier", "points", "samples", "fewer"],
    )
    cpu = []
    for pool in pools:
        for n in sorted({min(8, pool.most), min(40, pool.most)}):
            tier = a_tier(n, checkers, escalates=False, with_tests=pool.with_tests)
            runs, ms = await replay_all(tier, pool.items, n, shuffles)
            full = [
                np.mean([bool(selected(item, order, c, p)) for order in orders(item, n, shuffles)])
                for item, c, p in zip(pool.items, pool.clusters, pool.passed, strict=True)
            ]
            tiers = [np.mean([r.right for r in of_item]) for of_item in runs]
            used = float(np.mean([r.samples for of_item in runs for r in of_item]))
            points = interval(np.array(tiers) - np.array(full))
            row = [pool.name, str(n), f"{np.mean(full):.3f}", f"{np.mean(tiers):.3f}", points]
            table.rows.append([*row, f"{used:.1f}", f"{n / used:.1f}x"])
            cpu.append(ms)
    return table, float(np.mean(cpu))


async def hopeless(pools: Sequence[Pool], checkers: CheckerPool, shuffles: int) -> Table:
    """Measure what futility saves against a rule that only accepts; both hand over what they could not accept."""
    table = Table(
        "Hopeless pools",
        "Both rules ask the strong tier (recorded tree search) for what they did not accept; points are the tier's "
        "accuracy minus the accept-only rule's. `learnt` is the same tier after 50 labelled queries from the other "
        "half of the pool.",
        ["pool", "N", "accept-only", "tier", "share", "handed over", "points", "learnt: share", "learnt: points"],
    )
    for pool in pools:
        for n in (8, 16, 40):
            tier = a_tier(n, checkers, escalates=True, with_tests=pool.with_tests)
            runs, _ = await replay_all(tier, pool.items, n, shuffles)
            only, accuracy = [], []
            for item, clusters in zip(pool.items, pool.clusters, strict=True):
                spent = [accept_only(order, clusters) for order in orders(item, n, shuffles)]
                only.append(float(np.mean([s for s, _ in spent])))
                strong = item.strong or 0.0
                marks = [strong if accepted is None else float(item.correct[accepted]) for _, accepted in spent]
                accuracy.append(float(np.mean(marks)))
            used = [float(np.mean([r.samples for r in of_item])) for of_item in runs]
            right = [float(np.mean([r.right for r in of_item])) for of_item in runs]
            learnt = await _after_labels(pool, checkers, n, shuffles)
            learnt_used = [float(np.mean([r.samples for r in of_item])) for of_item in learnt]
            learnt_right = [float(np.mean([r.right for r in of_item])) for of_item in learnt]
            handed = np.mean([r.escalated for of_item in runs for r in of_item])
            table.rows.append(
                [pool.name, str(n), f"{np.mean(only):.1f}", f"{np.mean(used):.1f}",
                 f"{np.mean(used) / np.mean(only):.2f}", f"{handed:.2f}",
                 interval(np.array(right) - np.array(accuracy)),
                 f"{np.mean(learnt_used) / np.mean(only):.2f}",
                 interval(np.array(learnt_right) - np.array(accuracy))]
            )  # fmt: skip
    return table


async def _after_labels(pool: Pool, checkers: CheckerPool, n: int, shuffles: int) -> list[list[Run]]:
    """Replay each half of a pool after labels of up to 50 queries of the other half, each seen once."""
    runs: dict[str, list[Run]] = {}
    for half in (0, 1):
        tier = a_tier(n, checkers, escalates=True, with_tests=pool.with_tests)
        for item in pool.items[1 - half :: 2][:50]:
            [[run]], _ = await replay_all(tier, [item], n, 1, learns=True)
            tier.calibration.learn(run.ending, run.right)
        found, _ = await replay_all(tier, pool.items[half::2], n, shuffles, learns=True)
        runs |= dict(zip((item.id for item in pool.items[half::2]), found, strict=True))
    return [runs[item.id] for item in pool.items]


async def cascade(pools: Sequence[Pool], checkers: CheckerPool, shuffles: int, ratio: float = 30.0) -> Table:
    """Measure the cascade at 30:1 against always asking the strong model."""
    table = Table(
        "Cascade cheap to strong, one strong call at the price of 30 samples",
        "Only scores are recorded here, not answers. Whether wrong answers agree is not known, so both bounds are "
        "shown. The last column says, with a label after each query, after how many queries `auto` stops sampling "
        "first (median of five orders of 400 queries; never: sampling kept paying).",
        ["pool", "confidence", "always strong", "cascade", "points", "cost", "cheaper", "stops after"],
    )
    for pool in pools:
        strong = np.array([item.strong or 0.0 for item in pool.items])
        for confidence in (0.95, 0.9, 0.8):
            tier = a_tier(8, checkers, escalates=True, price_ratio=ratio, confidence=confidence)
            runs, _ = await replay_all(tier, pool.items, 8, shuffles, p_strong=float(strong.mean()))
            right = np.array([np.mean([r.right for r in of_item]) for of_item in runs])
            cost = float(np.mean([r.samples + ratio * r.escalated for of_item in runs for r in of_item]))
            noticed = ""
            if confidence == 0.95:
                noticed = await _graded_until_noticed(pool, checkers, float(strong.mean()), ratio)
            table.rows.append(
                [pool.name, f"{confidence:g}", f"{strong.mean():.3f}", f"{right.mean():.3f}",
                 interval(right - strong), f"{cost / ratio:.2f}", f"{ratio / cost:.2f}x", noticed]
            )  # fmt: skip
    return table


async def checked(pools: Sequence[Pool], checkers: CheckerPool, shuffles: int) -> Table:
    """Show what an exact check adds to the same samples."""
    table = Table(
        "The same samples with an exact check",
        "The puzzle verifier reads numbers and target from the question and rules on every sample; nothing escalates.",
        ["pool", "N", "vote", "checked", "points", "samples voted", "samples checked"],
    )
    for pool in pools:
        for n in (8, 40):
            by_vote, _ = await replay_all(a_tier(n, checkers, escalates=False), pool.items, n, shuffles)
            tier = a_tier(n, checkers, escalates=False, verifiers=(PuzzleVerifier(),))
            by_check, _ = await replay_all(tier, pool.items, n, shuffles)
            vote = np.array([np.mean([r.right for r in of_item]) for of_item in by_vote])
            check = np.array([np.mean([r.right for r in of_item]) for of_item in by_check])
            used = [float(np.mean([r.samples for of_item in runs for r in of_item])) for runs in (by_vote, by_check)]
            table.rows.append(
                [pool.name, str(n), f"{vote.mean():.3f}", f"{check.mean():.3f}", interval(check - vote),
                 f"{used[0]:.1f}", f"{used[1]:.1f}"]
            )  # fmt: skip
    return table


async def _graded_until_noticed(
    pool: Pool, checkers: CheckerPool, p_strong: float, ratio: float, most: int = 400
) -> str:
    """Grade queries in a random order until the tier asks the strong model at once; the median of five orders."""
    needed = []
    for seed in range(5):
        tier = a_tier(8, checkers, escalates=True, price_ratio=ratio)
        order = np.random.default_rng(seed).permutation(len(pool.items))[:most]
        noticed = float("inf")
        for graded, at in enumerate(order):
            runs, _ = await replay_all(tier, [pool.items[at]], 8, 1, p_strong, learns=True)
            if runs[0][0].reason == "not_worth_sampling":
                noticed = graded
                break
            tier.calibration.learn(runs[0][0].ending, runs[0][0].right)
        needed.append(noticed)
    middle = float(np.median(needed))
    return "never" if middle == float("inf") else f"{middle:.0f}"


def growth(pools: Sequence[Pool], shuffles: int) -> tuple[Table, dict[str, list[tuple[float, float]]]]:
    """Measure selected accuracy as N grows; a fall is one whose paired interval excludes 0."""
    table = Table(
        "Selection as N grows",
        "All N samples vote. The last column names steps at which accuracy fell with an interval that excludes 0.",
        ["pool", "1", "2", "4", "8", "16", "32", "100", "falls"],
    )
    curves: dict[str, list[tuple[float, float]]] = {}
    for pool in pools:
        sizes = [k for k in (1, 2, 4, 8, 16, 32, 100) if k <= pool.most]
        at = {k: pool.selected_at(k, shuffles) for k in sizes}
        falls = []
        for few, many in pairwise(sizes):
            text = interval(at[many] - at[few])
            if float(text.split(" to ")[1].rstrip(")")) < 0:
                falls.append(f"{few}-{many}: {text}")
        cells = [f"{at[k].mean():.3f}" if k in at else "" for k in (1, 2, 4, 8, 16, 32, 100)]
        table.rows.append([pool.name, *cells, "; ".join(falls) or "none"])
        curves[pool.name] = [(k, float(at[k].mean())) for k in sizes]
    return table, curves


def coverage(pools: Sequence[Pool], shuffles: int) -> Table:
    """Show coverage next to selection."""
    table = Table(
        "Coverage next to selection",
        "Low efficiency with high coverage calls for a verifier; low coverage calls for a stronger model.",
        ["pool", "k", "acc@1", "selected@k", "pass@k", "efficiency", "invalid"],
    )
    for pool in pools:
        k = min(40, pool.most)
        at_1 = float(np.mean([np.mean(item.correct) for item in pool.items]))
        chosen = float(pool.selected_at(k, shuffles).mean())
        covered = float(np.mean([pass_at(k, sum(i.correct), len(i.correct)) for i in pool.items]))
        invalid = float(np.mean([c is None for clusters in pool.clusters for c in clusters]))
        efficiency = selection_efficiency(chosen, at_1, covered)
        shown = "" if efficiency is None else f"{efficiency:.2f}"
        table.rows.append(
            [pool.name, str(k), f"{at_1:.3f}", f"{chosen:.3f}", f"{covered:.3f}", shown, f"{invalid:.3f}"]
        )
    return table


def agreement_curves(pools: Sequence[Pool], shuffles: int, k: int = 8) -> Table:
    """Show what agreement means on each pool, and why no global number will do."""
    table = Table(
        f"What agreement means at {k} samples",
        "The table shows the share of questions that the leader answers right, by its share of the votes (with the "
        "number of questions in brackets).",
        ["pool", "to .4", "to .6", "to .8", "below 1", "all agree"],
    )
    for pool in pools:
        right, seen = [0.0] * 5, [0] * 5
        for item, clusters, passed in zip(pool.items, pool.clusters, pool.passed, strict=True):
            for order in orders(item, pool.most, shuffles):
                votes = [c for i in order[:k] if (c := clusters[i]) is not None]
                if votes:
                    b = share_bin(max(votes.count(v) for v in set(votes)) / len(votes))
                    right[b] += bool(selected(item, order[:k], clusters, passed))
                    seen[b] += 1
        cells = [f"{r / s:.2f} ({s / shuffles:.0f})" if s else "" for r, s in zip(right, seen, strict=True)]
        table.rows.append([pool.name, *cells])
    return table


def verifiers() -> Table:
    """Show what each verifier was measured to do, and how many samples that is worth at p = .1."""
    table = Table(
        "Verifiers on the labelled bank",
        "The bank has right, wrong and perturbed answers (tests/tiers/bank.py); the intervals are Wilson's. The last "
        "column is the number of samples at which the ceiling stops rising at p = .1, with the upper end of the "
        "false positive rate.",
        ["verifier", "true positive", "false positive", "samples worth taking"],
    )
    known = (
        SchemaVerifier,
        PuzzleVerifier,
        CalculationVerifier,
        StatementVerifier,
        ArithmeticVerifier,
        ProgramVerifier,
    )
    for verifier in known:
        tpr, fpr = verifier.rates.true_positive, verifier.rates.false_positive
        rates = [f"{rate.value:.2f} ({rate.low:.2f} to {rate.high:.2f})" for rate in (tpr, fpr)]
        table.rows.append([verifier.name, *rates, str(worthwhile_samples(0.1, tpr.value, fpr.high, 64))])
    return table
