"""What duels may cost a day, over all workers and replicas: taken by one conditional update, given back when settled.

What a killed worker took and never gave back stays taken until the day (UTC) ends: the cap errs on the safe side.
"""

from sqlalchemy import Engine, update

from router.database.engine import writing
from router.database.learning_tables import DuelDay
from router.database.upsert import insert_or_nothing
from router.types import DAY_US


class DuelAllowance:
    """The allowance of one day after the other; its methods wait for the database and belong off the event loop."""

    def __init__(self, engine: Engine, nanousd_per_day: int) -> None:
        self.nanousd_per_day = nanousd_per_day
        self._engine = engine

    def take(self, nanousd: int, now_us: int) -> int | None:
        """Take an upper bound from today's allowance; the day, or None when it is used up. Raises SQLAlchemyError."""
        day = now_us // DAY_US
        if nanousd > self.nanousd_per_day:
            return None
        with writing(self._engine) as connection:
            insert_or_nothing(connection, DuelDay, [{"day": day, "taken_nanousd": 0}])
            taken = DuelDay.taken_nanousd + nanousd
            fits = update(DuelDay).where(DuelDay.day == day, taken <= self.nanousd_per_day)
            return day if connection.execute(fits.values(taken_nanousd=taken)).rowcount == 1 else None

    def give_back(self, nanousd: int, day: int) -> None:
        """Return what was taken and not spent. Raises SQLAlchemyError."""
        with writing(self._engine) as connection:
            less = DuelDay.taken_nanousd - nanousd
            connection.execute(update(DuelDay).where(DuelDay.day == day).values(taken_nanousd=less))
