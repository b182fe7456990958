"""A process that spends a budget as fast as it can: real spool, real shipping, holds larger than what calls cost.

Run as `python -m tests.ledger.hammering URL SPOOLS SEED SECONDS`; killed at any moment by the test that starts it.
"""

import asyncio
import random
import sys
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
from sqlalchemy import Engine

from router.clock import SystemClock, request_id
from router.database.engine import open_engine
from router.errors import QuotaExhausted
from router.ledger.budgets import Payer
from router.ledger.leases import BudgetLeases
from router.ledger.shipping import Shipper
from router.ledger.spool import Spool
from router.types import Tier
from tests.ledger.builders import a_closing, a_result, an_intent, an_opening
from tests.waiting import PATIENCE_S, soon

MOST = 900_000


class Hammer:
    """One worker: its spool, its shipper, its slices."""

    def __init__(self, engine: Engine, spools: Path, seed: int) -> None:
        self.clock = SystemClock()
        self.dice = random.Random(seed)
        self.spool = Spool.open(spools)
        self.shipper = Shipper(self.spool, engine, interval_s=0.02)
        self.leases = BudgetLeases(engine, self.spool.path.stem, self.clock.now_us)
        self.leases.load()
        self.shipper.follow(self.leases.refresh, "budgets")
        self.spent = self.refused = 0
        self._is_enough = False

    async def spend(self, least: int = 1_000, most: int = MOST) -> bool:
        """One request: hold, spool the intent, call for a while, settle. False when the budget had no room."""
        now_us = self.clock.now_us()
        budget_hold = self.leases.budget_hold(Payer(1, "default", Tier.FAST), now_us)
        assert budget_hold is not None
        bound = self.dice.randint(least, most)
        if await budget_hold.hold(bound) is not None:
            self.refused += 1
            return False
        id_ = request_id(now_us)
        try:
            budget_hold.take(bound)
        except QuotaExhausted:
            return False
        self.spool.write(
            [an_opening(id_, opened_at=now_us, key_id=1), an_intent(id_, hold_nanousd=bound, started_at=now_us)]
        )
        await asyncio.sleep(self.dice.random() * 0.01)
        cost = self.dice.randint(0, bound)
        budget_hold.settle(bound, cost)
        budget_hold.close()
        self.spent += cost
        self.spool.write([a_result(id_, cost_nanousd=cost), msgspec.structs.replace(a_closing(id_), closed_at=now_us)])
        return True

    async def many(self, tasks: int, is_enough: Callable[[], bool], smallest: int = 1_000) -> None:
        """Spend from so many tasks until it is enough; what is refused comes back for less, then for more."""

        async def one() -> None:
            most = MOST
            while not self._is_enough:
                if await self.spend(smallest, most):
                    most = min(most * 2, MOST)
                else:
                    most = max(most // 2, smallest)
                    await asyncio.sleep(0.05)

        spending = asyncio.gather(*(one() for _ in range(tasks)))
        await soon(is_enough)
        self._is_enough = True
        await spending

    def stop(self) -> None:
        """End in good order."""
        if self.shipper.stop(PATIENCE_S):
            self.leases.close()
        self.spool.close()


def main() -> None:
    url, spools, seed, seconds = sys.argv[1:]
    hammer = Hammer(open_engine(url), Path(spools), int(seed))
    hammer.shipper.start()
    until = time.monotonic() + float(seconds)
    asyncio.run(hammer.many(20, lambda: time.monotonic() > until))
    hammer.stop()


if __name__ == "__main__":
    main()
