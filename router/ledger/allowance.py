"""What something may cost a day, over all workers and replicas: taken by one conditional update, given back if unspent.

What a killed worker took and never gave back stays taken until the day (UTC) ends: the cap errs on the safe side.
"""

from typing import Any

from sqlalchemy import Engine, update

from router.database.coverage_tables import CoverageDay
from router.database.engine import writing
from router.database.learning_tables import DuelDay
from router.database.upsert import insert_or_nothing
from router.types import DAY_US


class DayAllowance:
    """The allowance of one day after the other; its methods wait for the database and belong off the event loop."""

    def __init__(self, engine: Engine, days: type[DuelDay | CoverageDay], nanousd_per_day: int) -> None:
        self.nanousd_per_day = nanousd_per_day
        self._engine = engine
        self._days = days

    def take(self, nanousd: int, now_us: int) -> int | None:
        """Take an upper bound from today's allowance; the day, or None when it is used up. Raises SQLAlchemyError."""
        day = now_us // DAY_US
        if nanousd > self.nanousd_per_day:
            return None
        days: Any = self._days
        with writing(self._engine) as connection:
            insert_or_nothing(connection, self._days, [{"day": day, "taken_nanousd": 0}])
            taken = days.taken_nanousd + nanousd
            fits = update(days).where(days.day == day, taken <= self.nanousd_per_day)
            return day if connection.execute(fits.values(taken_nanousd=taken)).rowcount == 1 else None

    def give_back(self, nanousd: int, day: int) -> None:
        """Return what was taken and not spent. Raises SQLAlchemyError."""
        days: Any = self._days
        with writing(self._engine) as connection:
            connection.execute(update(days).where(days.day == day).values(taken_nanousd=days.taken_nanousd - nanousd))
