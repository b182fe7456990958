"""A worker's leases on the budgets: holding and settling touches memory only, leasing more goes off the loop.

A `BudgetHold` belongs to one request. What the request may cost at most is held before anything is sent; each provider
call then takes its own bound from that, and gives back what it did not cost.
"""

import asyncio
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from router.database.changes import Changes
from router.database.engine import cause
from router.errors import QuotaExhausted, Unavailable
from router.ledger import budgets
from router.ledger.budgets import Budget, BudgetScope, Payer

log = logging.getLogger(__name__)

LEASES_PER_BUDGET = 256  # small, so that what workers keep idle is little
PLENTY = 4  # a quarter of a budget that is still free is plenty
REFUSED_FOR_S = 0.25  # do not ask the database again for what it just refused

Place = tuple[int, int]  # a budget and the start of a period


@dataclass(slots=True)
class Lease:
    """What this worker may still spend of one budget in one period; `held` is promised to requests under way.

    `least_free` is the least that was free since the last refresh. What the database refused, `refused` or more, is
    not asked for again before `refused_until`.
    """

    budget: Budget
    start_us: int
    free: int = 0
    held: int = 0
    least_free: int = 0
    used: bool = True
    refused: int = 0
    refused_until: float = 0.0
    leasing: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def slice_nanousd(self) -> int:
        """How much is leased at a time, and kept at most without need."""
        return self.budget.limit_nanousd // LEASES_PER_BUDGET

    def take_idle(self, *, is_over: bool, is_plenty: bool) -> int:
        """Take out what lay idle since the last time: what is above a slice, or all where nothing was spent.

        While there is plenty an idle worker keeps a slice: should the database go away, it can answer on.
        """
        keeps = (self.used or is_plenty) and not is_over
        needed = self.slice_nanousd + self.free - min(self.free, self.least_free) if keeps else 0
        idle = max(self.free - needed, 0)
        if self.free < 0 and not self.held:  # what went over a soft limit is booked, or soon will be
            self.free = 0
        self.free -= idle
        self.least_free, self.used = self.free, False
        return idle


class BudgetLeases:
    """All leases of one worker; in the database they stand under the name of its spool."""

    def __init__(
        self,
        engine: Engine,
        owner: str,
        now_us: Callable[[], int],
        monotonic: Callable[[], float] = time.monotonic,
        changes: Changes | None = None,
    ) -> None:
        self._load_changed = self.load if changes is None else changes.let_follow(self.load)
        self._engine = engine
        self._owner = owner
        self._now_us = now_us
        self._monotonic = monotonic
        self._mutex = threading.Lock()  # the shipping thread gives idle leases back
        self._budgets: tuple[Budget, ...] = ()
        self._leases: dict[Place, Lease] = {}

    def load(self, engine: Engine | None = None) -> None:
        """Read which budgets there are, in the books or elsewhere; raises SQLAlchemyError."""
        with (engine or self._engine).connect() as connection:
            self._budgets = tuple(budgets.in_force(connection))

    def refresh(self) -> None:
        """Follow the database and give back what lay idle since the last time; raises SQLAlchemyError.

        Of what limits everybody a first slice is leased before anybody asks.
        """
        self._load_changed()
        known, now_us = {budget.id for budget in self._budgets}, self._now_us()
        with self._mutex:
            for budget in self._budgets:
                if budget.scope is BudgetScope.TOTAL:
                    self._lease_of(budget, budget.period.start_us(now_us))
        free = budgets.free_of(self._engine, list(self._leases))
        for place, one in list(self._leases.items()):
            with self._mutex:
                is_over = one.budget.period.start_us(now_us) > one.start_us
                is_plenty = free.get(place, 0) >= one.budget.limit_nanousd // PLENTY
                idle = one.take_idle(is_over=is_over, is_plenty=is_plenty)
                is_first = is_plenty and not (is_over or one.free or one.held or one.budget.is_soft)
                if place[0] not in known or (is_over and not one.held and not one.free):
                    self._leases.pop(place, None)
            self._give_back(one, idle)
            if is_first:
                self._lease_or_give_back(one, 1)

    def close(self) -> None:
        """Give everything back, once all that was spent is booked; what cannot be given now returns by adoption."""
        with self._mutex:
            self._leases.clear()
        try:
            budgets.release(self._engine, self._owner)
        except SQLAlchemyError as error:
            log.warning("leases of %s stay until the next start: %s", self._owner, cause(error))

    def budget_hold(self, payer: Payer, opened_at: int, *, may_go_over: bool = False) -> "BudgetHold | None":
        """Make what a request holds of its budgets; None when no budget covers it.

        `may_go_over`: soft budgets are no limit to it.
        """
        covering = [budget for budget in self._budgets if budget.covers(payer)]
        if not covering:
            return None
        with self._mutex:
            leases = [self._lease_of(budget, budget.period.start_us(opened_at)) for budget in covering]
        return BudgetHold(self, leases, may_go_over=may_go_over)

    def take(self, leases: list[Lease], amount: int, *, may_go_over: bool = False) -> Lease | None:
        """Hold an amount of every lease or of none; returns the one that has too little."""
        with self._mutex:
            for one in leases:
                if one.free < amount and not (may_go_over and one.budget.is_soft):
                    return one
            for one in leases:
                one.used = True
                one.free -= amount
                one.held += amount
                one.least_free = min(one.least_free, one.free)
            return None

    def settle(self, leases: list[Lease], hold: int, cost: int) -> None:
        """Let go of a hold: what it cost is spent, the rest is free again."""
        with self._mutex:
            for one in leases:
                one.held -= hold
                one.free += hold - cost

    async def lease(self, one: Lease, needed: int) -> bool:
        """Get at least so much free in a lease; False when the budget has no more. Raises Unavailable.

        A worker that is refused gives back all that it has free: too little for each of several workers may be enough
        for the one that asks next, this one included.
        """
        async with one.leasing:
            if one.free >= needed:
                return True
            if needed >= one.refused and self._monotonic() < one.refused_until:
                return False
            try:
                is_leased = await asyncio.to_thread(self._lease_or_give_back, one, needed)
            except SQLAlchemyError:
                raise Unavailable(
                    f"the {one.budget} cannot be checked now: the database is away", code="budget_unavailable"
                ) from None
            if not is_leased:
                one.refused, one.refused_until = needed, self._monotonic() + REFUSED_FOR_S
            return is_leased

    def _lease_or_give_back(self, one: Lease, needed: int) -> bool:
        least = max(needed - one.free, 1)
        wanted = max(least, one.slice_nanousd)
        granted = budgets.lease(self._engine, one.budget, one.start_us, self._owner, least, wanted, self._now_us())
        with self._mutex:
            one.free += granted
            scraps = 0 if granted else max(one.free, 0)
            one.free -= scraps
        self._give_back(one, scraps)
        return granted > 0

    def _give_back(self, one: Lease, amount: int) -> None:
        """Give back what was taken out of a lease before: if this fails it stays leased, and is never spent twice."""
        if amount > 0:
            budgets.give_back(self._engine, one.budget.id, one.start_us, self._owner, amount)

    def _lease_of(self, budget: Budget, start_us: int) -> Lease:
        place = (budget.id, start_us)
        lease = self._leases.get(place)
        if lease is None:
            lease = self._leases[place] = Lease(budget, start_us)
        lease.budget = budget
        return lease

    def error_of(self, budget: Budget) -> QuotaExhausted:
        """Make the error that says that a budget is used up, and until when."""
        now_us = self._now_us()
        seconds = max(-((now_us - budget.period.end_us(now_us)) // 1_000_000), 1)
        return QuotaExhausted(f"the {budget} is used up", retry_after_seconds=seconds)


class BudgetHold:
    """What one request holds of the budgets that cover it; `is_over` where it goes over a soft one."""

    def __init__(self, leases: BudgetLeases, covering: list[Lease], *, may_go_over: bool = False) -> None:
        self.is_over = False
        self._may_go_over = may_go_over
        self._leases = leases
        self._covering = covering
        self._left = 0  # held, and not taken by a call
        self._is_open = True

    async def hold(self, amount: int) -> Budget | None:
        """Hold what the request may cost; returns the budget that has too little. Raises Unavailable.

        Who may go over a soft budget no longer holds anything of it. A soft one that cannot be checked counts as spent.
        """
        while (short := self._leases.take(self._covering, amount)) is not None:
            try:
                is_leased = await self._leases.lease(short, amount)
            except Unavailable:
                if not short.budget.is_soft:
                    raise
                is_leased = False
            if is_leased:
                continue
            if not (self._may_go_over and short.budget.is_soft):
                return short.budget
            self._covering.remove(short)
            self.is_over = True
        self._left += amount
        return None

    def take(self, bound: int | None) -> None:
        """Take the bound of calls that go out now; raises QuotaExhausted, also where no price bounds them."""
        if bound is None:
            raise QuotaExhausted("a model without a price cannot be used within a budget")
        if (more := bound - self._left) > 0:
            if short := self._leases.take(self._covering, more, may_go_over=self._may_go_over):
                raise self._leases.error_of(short.budget)
            self._left += more
        self._left -= bound

    def settle(self, bound: int, cost: int) -> None:
        """Replace a call's bound by what it cost."""
        if self._is_open:
            self._leases.settle(self._covering, cost, cost)
            self._left += bound - cost
        else:
            self._leases.settle(self._covering, bound, cost)

    def close(self) -> None:
        """Let go of what no call took; calls still under way settle on their own."""
        if self._is_open:
            self._is_open = False
            self._leases.settle(self._covering, self._left, 0)
            self._left = 0
