"""Tells followers of the database whether anything has changed that they follow, so that they need not read it again.

Triggers count every change of what people set: keys, policies, canaries, classifiers, prices, assumptions, budgets, and
the salts of marks. One thread of a worker reads the number; everybody who follows compares it with the one before.
"""

import time
from collections.abc import Callable

from sqlalchemy import Engine, select

from router.database.books_tables import ChangeCount

NUMBER = select(ChangeCount.number)
AT_LEAST_EVERY_S = 30.0  # for what time alone changes, as a key that expired or a month that is about to begin


class Changes:
    """The count as it was read last; None where it is not known, and everything may have changed."""

    def __init__(self, engine: Engine) -> None:
        self.number: int | None = None
        self._engine = engine

    def refresh(self) -> None:
        """Read the count, by one statement. Raises SQLAlchemyError."""
        self.number = None
        with self._engine.connect() as connection:
            self.number = connection.scalar(NUMBER)

    def let_follow(self, refresh: Callable[[], None]) -> Callable[[], None]:
        """Make what calls `refresh` only where something has changed since it last did."""
        return OnChange(self, refresh).follow


class OnChange:
    """Lets one follower read the database where something has changed since it last did, and every so often."""

    def __init__(
        self, changes: Changes, refresh: Callable[[], None], monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._changes = changes
        self._refresh = refresh
        self._monotonic = monotonic
        self._seen: int | None = None
        self._due = 0.0

    def follow(self) -> None:
        """Refresh if there is reason to; one that failed is refreshed again the next time. Raises what it raises."""
        number = self._changes.number  # before what is read then: a change in between is seen the next time
        if number is not None and number == self._seen and self._monotonic() < self._due:
            return
        self._seen = None
        self._refresh()
        self._seen, self._due = number, self._monotonic() + AT_LEAST_EVERY_S
