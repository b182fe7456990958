"""How much of a hard budget several workers can spend: requests by turns, until nothing more is admitted anywhere.

Each request holds the same part of the budget and costs up to half of it; a worker has up to eight under way. Every
second the workers give back what lies idle, as their shipping threads do. The books are a SQLite file.
"""

import argparse
import asyncio
import random
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import Engine

from router.database import schema
from router.ledger import budgets
from router.ledger.budgets import BudgetScope, Payer, Period
from router.ledger.leases import BudgetHold, BudgetLeases
from router.types import Tier
from scripts.benchmarks.pages import put

NOW_US = 1_800_000_000_000_000
LIMIT = 1_000_000_000
PAYER = Payer(None, "default", Tier.FAST)
STEP_S, REFRESH_EVERY = 0.05, 20
ENOUGH_REFUSED = 200
PAGE, PLACE = "workers.md", "made by scripts/bench_workers: budgets"
WORKERS, HOLDS, SEEDS = (1, 2, 4, 8), (20, 50, 100, 400), range(3)


@dataclass(slots=True)
class Spenders:
    """Workers that share one budget of a month; `spent` is in nano-dollars, as settled in the books."""

    engine: Engine
    workers: int
    dice: random.Random
    spent: int = 0
    _budget_id: int = 0
    _now_s: float = 0.0
    _start_us: int = Period.MONTH.start_us(NOW_US)
    _leases: list[BudgetLeases] = field(default_factory=list)
    _under_way: list[tuple[int, BudgetHold]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._budget_id = budgets.put(self.engine, BudgetScope.TOTAL, "", Period.MONTH, LIMIT, "bench", "", NOW_US)
        for number in range(self.workers):
            leases = BudgetLeases(self.engine, f"worker-{number}", lambda: NOW_US, lambda: self._now_s)
            leases.load()
            self._leases.append(leases)

    async def spend_all(self, bound: int, most_under_way: int) -> None:
        """Send requests that hold `bound` to any worker until a long run of them was refused."""
        refused = steps = 0
        while refused < ENOUGH_REFUSED:
            steps += 1
            self._now_s += STEP_S
            worker = self.dice.randrange(self.workers)
            hold = self._leases[worker].budget_hold(PAYER, NOW_US)
            assert hold is not None
            is_refused = await hold.hold(bound) is not None
            if is_refused:
                refused += 1
            else:
                hold.take(bound)
                self._under_way.append((worker, hold))
                refused = 0
            if len(self._under_way) > most_under_way or (is_refused and self._under_way):
                self._settle_oldest(bound)
            if steps % REFRESH_EVERY == 0:
                for leases in self._leases:
                    leases.refresh()

    def _settle_oldest(self, bound: int) -> None:
        worker, hold = self._under_way.pop(0)
        cost = self.dice.randint(0, bound // 2)
        hold.settle(bound, cost)
        hold.close()
        self.spent += cost
        with self.engine.begin() as connection:
            budgets.settle(connection, {(self._budget_id, self._start_us): cost}, f"worker-{worker}")


def spendable_share(engine: Engine, workers: int, holds: int, seed: int, most_under_way: int) -> float:
    """Tell which share of a budget of so many holds the workers spend before all of them refuse."""
    spenders = Spenders(engine, workers, random.Random(seed))
    asyncio.run(spenders.spend_all(LIMIT // holds, most_under_way))
    return spenders.spent / LIMIT


def _measure(workers: int, holds: int) -> str:
    shares = []
    for seed in SEEDS:
        for most_under_way in (1, 8):
            with tempfile.TemporaryDirectory() as directory:
                engine = schema.ready_engine(f"sqlite:///{Path(directory) / 'books.db'}")
                shares.append(spendable_share(engine, workers, holds, seed, most_under_way))
                engine.dispose()
    return f"{100 * min(shares):.1f} - {100 * max(shares):.1f} %"


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table, and put it into the page if asked to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="put the table into docs/measured")
    options = parser.parse_args(arguments)
    rows = ["| workers | " + " | ".join(f"budget of {holds} holds" for holds in HOLDS) + " |"]
    rows.append("|---" * (len(HOLDS) + 1) + "|")
    for workers in WORKERS:
        rows.append(f"| {workers} | " + " | ".join(_measure(workers, holds) for holds in HOLDS) + " |")
    table = "\n".join(rows)
    print(table)
    if options.write:
        put(PAGE, PLACE, table)


if __name__ == "__main__":
    main()
