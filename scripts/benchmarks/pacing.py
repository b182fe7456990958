"""How much of a day's best value the pacing controller keeps, and that its budget is never exceeded.

A day is 100,000 queries drawn from the recorded ones, arriving with the seasons of a day. A query's value is what was
recorded that deep thinking gains at the shipped classifier's score (isotonic); its cost is as recorded. The estimate
of that cost is noisy and 6 % too low; settlement comes 50 queries late; each call is held at three times its estimate.
Price and plan come from five days before. The yardstick is the best fixed price in hindsight: of all prices that kept
the budget on this very day the one that gained most.
"""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from sklearn.isotonic import IsotonicRegression

from classifier.training.corpus import CorpusMissing
from router.pacing.controller import Pace, Rule, due_usd, next_pace
from router.tuning.traffic import Floats, Ints
from scripts.benchmarks.pages import put
from scripts.benchmarks.solver import DEFAULT, Pool, pool_of

QUERIES, INTERVALS, LATE = 100_000, 288, 50  # an interval is five minutes
SEEDS, HISTORY = 10, 5
DEEP_SHARE = 0.10  # what the budget pays for
BIAS, NOISE = 0.94, 0.3
HOLD = 3.0
RULE = Rule()


@dataclass(frozen=True, slots=True)
class Day:
    """Queries in the order of their arrival: score, value, cost and its estimate, the interval."""

    scores: Floats
    values: Floats
    costs: Floats
    estimates: Floats
    interval: Ints
    by_threshold: bool

    @property
    def worth(self) -> Floats:
        """The price up to which each query is bought; the server's is a threshold on the score."""
        if self.by_threshold:
            return self.scores
        worth: Floats = self.values / self.estimates
        return worth

    def per_interval(self, rows: Ints, amounts: Floats) -> Floats:
        """Sums by interval."""
        sums: Floats = np.bincount(self.interval[rows], amounts, INTERVALS).astype(np.float64)
        return sums


def valued(pool: Pool) -> Floats:
    """What deep thinking gained, by score: never less at a higher one."""
    gains = pool.correct[:, 1] - pool.correct[:, 0]
    found: Floats = IsotonicRegression(y_min=0.0).fit_transform(pool.scores, gains)
    return found


def a_day(pool: Pool, values: Floats, seed: int, harder_from: float | None, by_threshold: bool) -> Day:
    """Draw a day; from some hour on (a fraction of the day) every third query is one of the neediest quarter."""
    dice = np.random.default_rng(seed)
    hours = (np.arange(INTERVALS) + 0.5) / INTERVALS
    season = 1.0 + 0.6 * np.sin(2 * np.pi * (hours - 0.4))
    rates = season * np.repeat(dice.lognormal(0.0, 0.1, 24), INTERVALS // 24)
    interval = np.sort(dice.choice(INTERVALS, QUERIES, p=rates / rates.sum()))
    drawn = dice.integers(0, len(pool), QUERIES)
    if harder_from is not None:
        needy = np.flatnonzero(pool.scores >= np.quantile(pool.scores, 0.75))
        is_harder = (interval >= harder_from * INTERVALS) & (dice.random(QUERIES) < 1 / 3)
        drawn[is_harder] = dice.choice(needy, int(is_harder.sum()))
    costs = pool.cost_usd[drawn, 1] - pool.cost_usd[drawn, 0]
    estimates = costs * BIAS * dice.lognormal(-(NOISE**2) / 2, NOISE, QUERIES)
    return Day(np.maximum(pool.scores[drawn], 0.0), values[drawn], costs, estimates, interval, by_threshold)


def best_fixed(day: Day, budget: float) -> tuple[float, float, Ints]:
    """The best price in hindsight: what it gains, the price, and what it buys."""
    order = np.argsort(-day.worth, kind="stable")
    most = int(np.searchsorted(np.cumsum(day.costs[order]), budget, side="right"))
    gained = np.cumsum(day.values[order[:most]])
    count = int(gained.argmax()) + 1
    return float(gained[count - 1]), float(day.worth[order[count - 1]]), order[:count]


def oracle(day: Day, budget: float) -> float:
    """What somebody gains who knows the day and every query's true cost before."""
    order = np.argsort(-day.values / day.costs)
    most = int(np.searchsorted(np.cumsum(day.costs[order]), budget, side="right"))
    return float(day.values[order[:most]].sum())


@dataclass(frozen=True, slots=True)
class Lived:
    """What a day gained and cost, and the price of each interval."""

    gained: float
    spent: float
    prices: Floats


Follow = Callable[[int, float, float], float]  # interval, settled so far, price -> the next price


def lived(day: Day, budget: float, price: float, follow: Follow) -> Lived:
    """Live through a day: buy what is worth the price as long as its hold fits; settle late; move the price."""
    settled, gained, held = 0.0, 0.0, 0.0
    under_way: list[tuple[int, float, float]] = []
    prices = np.empty(INTERVALS)
    ends = np.searchsorted(day.interval, np.arange(INTERVALS), side="right")
    worth, begin = day.worth, 0
    for interval, end in enumerate(ends.tolist()):
        prices[interval] = price
        for row in (np.flatnonzero(worth[begin:end] > price) + begin).tolist():
            while under_way and under_way[0][0] <= row - LATE:
                _, hold, cost = under_way.pop(0)
                settled, held = settled + cost, held - hold
            hold = max(HOLD * float(day.estimates[row]), float(day.costs[row]))
            if settled + held + hold <= budget:
                held += hold
                under_way.append((row, hold, float(day.costs[row])))
                gained += float(day.values[row])
        while under_way and under_way[0][0] <= end - LATE:
            _, hold, cost = under_way.pop(0)
            settled, held = settled + cost, held - hold
        price, begin = follow(interval, settled, price), end
    return Lived(gained, settled + sum(cost for *_, cost in under_way), prices)


class Controller:
    """The shipped controller: settled spending against the plan from history."""

    def __init__(self, plan: Floats, budget: float, first: float) -> None:
        self._plan, self._budget, self._first = plan, budget, first
        self._pace, self._seen = Pace(), 0.0

    def __call__(self, interval: int, settled: float, price: float) -> float:
        """Move the price after an interval."""
        due = due_usd(float(self._plan[interval]), self._budget - self._seen, float(self._plan[interval:].sum()))
        self._pace = next_pace(self._pace, settled - self._seen, due, RULE)
        self._seen = settled
        return self._first * self._pace.multiplier


def naive(budget: float) -> Follow:
    """What one writes first: five percent dearer when more is spent than the share of the day gone by, else cheaper."""

    def follow(interval: int, settled: float, price: float) -> float:
        return price * (1.05 if settled / budget > (interval + 1) / INTERVALS else 0.95)

    return follow


def fixed(interval: int, settled: float, price: float) -> float:
    """Yesterday's price, whatever happens."""
    return price


def history(days: Sequence[Day], budget: float) -> tuple[float, Floats]:
    """The price and the plan that past days suggest: medians of their best prices, means of what those spent."""
    found = [best_fixed(day, budget) for day in days]
    spent = np.mean([day.per_interval(rows, day.costs[rows]) for day, (_, _, rows) in zip(days, found, strict=True)], 0)
    smooth = np.convolve(np.pad(spent, 6, "edge"), np.ones(13) / 13, "valid")  # about an hour
    return float(np.median([price for _, price, _ in found])), smooth


SCENARIOS = {
    "steady": (None, None),
    "harder queries from noon on, as on the days before": (0.5, 0.5),
    "harder queries from noon on, for the first time": (None, 0.5),
}


def table(pool: Pool, seeds: int) -> list[str]:
    """The measured table, a row per scenario and way of pacing."""
    lines = [
        "| bought by | day | price | value, mean (least) | spent of the budget, mean (most) |",
        "| --- | --- | --- | --- | --- |",
    ]
    values = valued(pool)
    budget = DEEP_SHARE * QUERIES * float((pool.cost_usd[:, 1] - pool.cost_usd[:, 0]).mean())
    for by_threshold in (False, True):
        rule = "score above price" if by_threshold else "score per estimated dollar"
        for name, (before, today) in SCENARIOS.items():
            runs = [_ways(pool, values, seed, before, today, by_threshold, budget) for seed in range(seeds)]
            for way in runs[0]:
                gained, spent = np.array([run[way] for run in runs]).T
                kept = f"{gained.mean():.3f} ({gained.min():.3f}) | {spent.mean():.3f} ({spent.max():.4f})"
                lines.append(f"| {rule} | {name} | {way} | {kept} |")
    return lines


def _ways(
    pool: Pool, values: Floats, seed: int, before: float | None, today: float | None, by_threshold: bool, budget: float
) -> dict[str, tuple[float, float]]:
    """One day under every way of pacing: value and spending, both as parts of what could be had."""
    days = [a_day(pool, values, 1_000 * (seed + 1) + past, before, by_threshold) for past in range(HISTORY)]
    price, plan = history(days, budget)
    day = a_day(pool, values, seed, today, by_threshold)
    best = best_fixed(day, budget)[0]
    ways: dict[str, Follow] = {
        "**paced**": Controller(plan, budget, price),
        "naive": naive(budget),
        "fixed, from history": fixed,
    }
    found = {}
    for way, follow in ways.items():
        run = lived(day, budget, price, follow)
        found[way] = (run.gained / best, run.spent / budget)
    found["oracle: true costs, known before"] = (oracle(day, budget) / best, 1.0)
    return found


def main() -> None:
    """Measure, print a table, and put it into the page where it is asked for."""
    parser = argparse.ArgumentParser(prog="scripts/bench_pacing", description=__doc__)
    parser.add_argument("--data", type=Path, default=os.environ.get("TIERWISE_BENCH_OUTCOMES", DEFAULT))
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--write", action="store_true", help="write the table into docs/measured/pacing.md")
    options = parser.parse_args()
    try:
        pool = pool_of(Path(options.data))
    except CorpusMissing as error:
        sys.exit(f"{error}; pass --data DIR")
    lines = table(pool, options.seeds)
    sys.stdout.write("\n".join([*lines, ""]))
    if options.write:
        put("pacing.md", "made by scripts/bench_pacing", "\n".join(lines))


if __name__ == "__main__":
    main()
