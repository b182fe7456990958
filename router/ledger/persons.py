"""What deep answers of one person may be and cost a day (UTC), over all workers and replicas.

An answer that would go deep claims its place, and the most that it may cost, by one conditional statement on the row of
its person and day; what it did not cost comes back afterwards, from the shipping thread. A claim that nobody gives
back, as after a kill, stays taken until the day ends, and while the database is away every allowance counts as spent:
it errs on the safe side.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from time import monotonic
from typing import Protocol

from sqlalchemy import Engine, and_, bindparam, delete, update
from sqlalchemy.exc import SQLAlchemyError

from router.database.engine import cause, writing
from router.database.tables import PersonDay
from router.database.upsert import insert_or_update_where
from router.errors import AllowanceSpent, QuotaExhausted
from router.types import DAY_US

log = logging.getLogger(__name__)

KEEP_DAYS = 35  # whoever asks how often allowances are spent looks back a month
RETURNS_AT_ONCE = 500
NO_LIMIT = 2**62
PATIENCE_S, REST_S = 2.0, 1.0
GIVE_BACK = (
    update(PersonDay)
    .where(PersonDay.day == bindparam("of_day"), PersonDay.user_mark == bindparam("of_mark"))
    .values(
        deep=PersonDay.deep - bindparam("unused"),
        taken_nanousd=PersonDay.taken_nanousd - bindparam("unspent"),
    )
)


@dataclass(frozen=True, slots=True)
class PersonLimit:
    """What one person may have of deep answers a day; None is no limit."""

    deep_per_day: int | None = None
    nanousd_per_day: int | None = None


@dataclass(frozen=True, slots=True)
class Claim:
    """What one answer took of its person's day: its place, and the most that it may cost."""

    user_mark: int
    day: int
    nanousd: int


@dataclass(frozen=True, slots=True)
class _Return:
    user_mark: int
    day: int
    deep: int
    nanousd: int  # below 0 where it cost more


class InnerHold(Protocol):
    """What a request holds of budgets besides."""

    def take(self, bound: int | None) -> None: ...

    def settle(self, bound: int, cost: int) -> None: ...

    def close(self) -> None: ...


class PersonAllowances:
    """Claims of this worker, and what of them is to be given back."""

    def __init__(self, engine: Engine, now_us: Callable[[], int]) -> None:
        self._engine = engine
        self._now_us = now_us
        self._returns: deque[_Return] = deque()
        self._purged_day = 0
        self._rests_until_s = 0.0
        self.patience_s = PATIENCE_S

    async def claim(self, user_mark: int | None, limit: PersonLimit, nanousd: int, at_us: int) -> Claim | None:
        """Claim a deep answer that costs no more than an amount; None where the person's day is spent or unknown."""
        if user_mark is None or monotonic() < self._rests_until_s:
            return None
        claimed = asyncio.ensure_future(asyncio.to_thread(self.try_claim, user_mark, limit, nanousd, at_us))
        try:
            async with asyncio.timeout(self.patience_s):
                return await asyncio.shield(claimed)
        except (TimeoutError, asyncio.CancelledError) as error:
            claimed.add_done_callback(self._return_unused)
            if isinstance(error, asyncio.CancelledError):
                raise
            self._rest(f"no answer within {self.patience_s:.0f} s")
            return None

    def try_claim(self, user_mark: int, limit: PersonLimit, nanousd: int, at_us: int) -> Claim | None:
        """Claim at once, on this thread; blocks until the database has answered."""
        most_deep = NO_LIMIT if limit.deep_per_day is None else limit.deep_per_day
        most_nanousd = NO_LIMIT if limit.nanousd_per_day is None else limit.nanousd_per_day
        if most_deep < 1 or nanousd > most_nanousd:
            return None
        claim = Claim(user_mark, at_us // DAY_US, nanousd)
        row = {"day": claim.day, "user_mark": user_mark, "deep": 1, "taken_nanousd": nanousd}
        more = {"deep": PersonDay.deep + 1, "taken_nanousd": PersonDay.taken_nanousd + nanousd}
        fits = and_(PersonDay.deep < most_deep, PersonDay.taken_nanousd <= most_nanousd - nanousd)
        try:
            with writing(self._engine) as connection:
                is_taken = insert_or_update_where(connection, PersonDay, row, ("day", "user_mark"), more, fits)
        except SQLAlchemyError as error:
            self._rest(cause(error))
            return None
        return claim if is_taken else None

    def _rest(self, why: str) -> None:
        """Leave a database that is away alone for a moment: threads that wait for it are missing elsewhere."""
        self._rests_until_s = monotonic() + REST_S
        log.warning("allowances of persons count as spent, the database is away: %s", why)

    def give_back(self, claim: Claim, *, deep: int, nanousd: int) -> None:
        """Give back what was not used; it is in the database with the next turn of the shipping thread."""
        if deep or nanousd:
            self._returns.append(_Return(claim.user_mark, claim.day, deep, nanousd))

    def follow(self) -> None:
        """Write what is to be given back; raises SQLAlchemyError and keeps what surely was not written."""
        while batch := list(islice(self._returns, RETURNS_AT_ONCE)):
            rows = [{"of_day": r.day, "of_mark": r.user_mark, "unused": r.deep, "unspent": r.nanousd} for r in batch]
            with writing(self._engine) as connection:
                connection.execute(GIVE_BACK, rows)
                # Before it is committed: what may have been written is never given back twice.
                for _ in batch:
                    self._returns.popleft()
        if (today := self._now_us() // DAY_US) != self._purged_day:
            with writing(self._engine) as connection:
                connection.execute(delete(PersonDay).where(PersonDay.day < today - KEEP_DAYS))
            self._purged_day = today

    def _return_unused(self, claimed: "asyncio.Future[Claim | None]") -> None:
        """Give back what was claimed for a client that went away meanwhile."""
        if not claimed.cancelled() and claimed.exception() is None and (claim := claimed.result()) is not None:
            self.give_back(claim, deep=1, nanousd=claim.nanousd)


class PersonHold:
    """What one deep answer holds of its person's allowance, around what it holds of budgets."""

    def __init__(
        self,
        allowances: PersonAllowances,
        user_mark: int | None,
        limit: PersonLimit,
        at_us: int,
        budget_hold: InnerHold | None,
    ) -> None:
        self._allowances = allowances
        self._user_mark = user_mark
        self._limit = limit
        self._at_us = at_us
        self._inner = budget_hold
        self._claim: Claim | None = None
        self._left = 0  # claimed, and not taken by a call
        self._is_open = True
        self._unused = 0

    async def claim(self, nanousd: int) -> bool:
        """Claim the answer, and the most that it may cost where dollars are limited."""
        nanousd = nanousd if self._is_limited else 0
        try:
            self._claim = await self._allowances.claim(self._user_mark, self._limit, nanousd, self._at_us)
        finally:
            if self._claim is None:
                self.close()
        self._left = nanousd
        return self._claim is not None

    def refusal(self) -> AllowanceSpent:
        """Make the error that says that the allowance is used up, and until when."""
        seconds = -(-(DAY_US - self._at_us % DAY_US) // 1_000_000)
        return AllowanceSpent("this user's allowance of deep answers is used up for today", retry_after_seconds=seconds)

    def mark_unused(self) -> None:
        """Note that no answer came of it: its place is given back when it is closed."""
        self._unused = 1

    def take(self, bound: int | None) -> None:
        """Take the bound of calls that go out now; raises QuotaExhausted where it is more than was claimed."""
        if self._is_limited and bound is None:
            raise QuotaExhausted("a model without a price cannot be used within an allowance of dollars")
        if self._is_limited and (bound or 0) > self._left:
            raise self.refusal()
        if self._inner is not None:
            self._inner.take(bound)
        self._left -= bound or 0

    def settle(self, bound: int, cost: int) -> None:
        """Replace a call's bound by what it cost."""
        if self._inner is not None:
            self._inner.settle(bound, cost)
        if self._is_open:
            self._left += bound - cost
        elif self._claim is not None and self._is_limited:
            self._allowances.give_back(self._claim, deep=0, nanousd=bound - cost)

    def close(self) -> None:
        """Give back what no call took; calls still under way settle on their own."""
        if self._inner is not None:
            self._inner.close()
        if self._is_open:
            self._is_open = False
            if self._claim is not None:
                unspent = self._left if self._is_limited else 0
                self._allowances.give_back(self._claim, deep=self._unused, nanousd=unspent)

    @property
    def _is_limited(self) -> bool:
        """Whether dollars are limited: else nothing is held of them."""
        return self._limit.nanousd_per_day is not None
