"""Keeps what whole votes looked like until the shipping thread writes them into the books.

Evidence, not money: what does not fit into memory while the database is away is left out, and counted.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import asdict, dataclass

from sqlalchemy import Engine

from router.database.coverage_tables import CoverageRow
from router.database.engine import writing
from router.database.upsert import insert_or_nothing

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
