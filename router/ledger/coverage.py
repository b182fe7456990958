"""Keeps what whole votes looked like until the shipping thread writes them into the books, and what they may cost.

Evidence, not money: what does not fit into memory while the database is away is left out, and counted.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from dataclasses import asdict, dataclass

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from router.database.coverage_tables import CoverageDay, CoverageRow
from router.database.engine import writing
from router.database.upsert import insert_or_nothing
from router.ledger.allowance import DayAllowance

log = logging.getLogger(__name__)

MOST_WAITING = 10_000
AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Observed:
    """One query sampled to the end, as counts of its samples."""

    request_id: str
    samples: int
    valid: int
    selected: int
    largest: int
    used: int


class CoverageBook:
    """Takes observations in the event loop, writes them in the shipping thread."""

    def __init__(self, engine: Engine, now_us: Callable[[], int]) -> None:
        self._engine = engine
        self._now_us = now_us
        self._waiting: deque[Observed] = deque()
        self.left_out = 0

    def note(self, observed: Observed) -> None:
        """Remember an observation until it is written."""
        if len(self._waiting) >= MOST_WAITING:
            self.left_out += 1
        else:
            self._waiting.append(observed)

    def follow(self) -> None:
        """Write what is waiting; raises SQLAlchemyError and keeps it."""
        while self._waiting:
            chosen = [self._waiting[place] for place in range(min(AT_ONCE, len(self._waiting)))]
            rows = [asdict(observed) | {"recorded_at": self._now_us()} for observed in chosen]
            with writing(self._engine) as connection:
                insert_or_nothing(connection, CoverageRow, rows)
            for _ in chosen:
                self._waiting.popleft()


class CoverageBudget:
    """What sampling to the end may cost a day, over all workers; while the database is away nothing is sampled on."""

    def __init__(self, engine: Engine, nanousd_per_day: int, now_us: Callable[[], int]) -> None:
        self._allowance = DayAllowance(engine, CoverageDay, nanousd_per_day)
        self._now_us = now_us

    async def take(self, bound_nanousd: int) -> int | None:
        """Take the most that samples may cost; the day it is taken from, None where it does not fit."""
        try:
            return await asyncio.to_thread(self._allowance.take, bound_nanousd, self._now_us())
        except SQLAlchemyError:
            return None

    async def give_back(self, unspent_nanousd: int, day: int) -> None:
        """Return what was not spent."""
        try:
            await asyncio.to_thread(self._allowance.give_back, unspent_nanousd, day)
        except SQLAlchemyError:
            log.warning("%d nano-dollars of the day's coverage stay taken: the database is away", unspent_nanousd)
