"""The next step of every segment's multiplier: what was settled, held against what its targets had due.

Decides from one reading of the books and writes nothing. A target that too little is known of freezes it; of
several targets the strictest wins. The multiplier never falls below 1: thresholds are what an operator would buy at
most, and a target is a limit, not a sum to be spent.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from sqlalchemy import Connection, select

from router.database.pace_tables import PaceStep
from router.decision.policy import Policy
from router.ledger import budgets
from router.ledger.budgets import Budget, BudgetScope, Period
from router.pacing import controller, spending
from router.pacing.controller import Pace, Rule, WeekPlan
from router.pacing.spending import Cell, Settled
from router.types import HOUR_US, Tier

LONGEST_WINDOW_US = HOUR_US  # what few requests leave undecided is carried on so long
LEAST_REQUESTS = 20
MOST_UNKNOWN = 0.02
SAVED_US, OVERSPENT_US = HOUR_US // 4, HOUR_US  # of what is usually due: as much is carried on at most
LIVE = Rule(least_multiplier=1.0, most_multiplier=50.0)
MARGIN = "min_margin"
DEEP = frozenset({Tier.REASONING, Tier.PARALLEL})
NANO = 1e9


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a segment's multiplier, which is stored as `price`; None is unknown.

    In a dry run `spent` is what would have been.
    """

    segment: str
    interval: int
    until: int
    policy_version: int
    is_dry: bool
    is_frozen: bool
    price: float
    error: float
    target: str
    spent_nanousd: int | None
    due_nanousd: int | None
    overspent_nanousd: int
    requests: int

    def goes_on(self, policy: Policy) -> bool:
        """Tell whether it is of this version, and was as real (or as dry) as steps are now."""
        return self.policy_version == policy.version and self.is_dry == (policy.pacing != "on")


@dataclass(frozen=True, slots=True)
class _Due:
    """What one target had due, and what was spent under it; None is not known."""

    target: str
    spent_usd: float | None
    due_usd: float | None


class Stepping:
    """One step of all segments, from one reading of the books."""

    def __init__(
        self, connection: Connection, policy: Policy, interval: int, interval_us: int, rule: Rule = LIVE
    ) -> None:
        self._connection = connection
        self._policy = policy
        self._rule = rule
        self._interval = interval
        self._until = (interval + 1) * interval_us
        self._interval_us = interval_us
        self._budgets = budgets.in_force(connection)
        self._read: dict[int, dict[Cell, Settled]] = {}

    def steps(self, last: Iterable[Step]) -> list[Step]:
        """The steps of all segments that have a target and queries, after the last ones."""
        before = {step.segment: step for step in last if step.goes_on(self._policy)}
        since = {segment: self._since(step) for segment, step in before.items()}
        recent = self._cells(self._until - self._interval_us)
        steps = []
        for segment in sorted({segment for segment, _ in recent}):
            first = since.get(segment, self._until - self._interval_us)
            if step := self._next_step(segment, before.get(segment), first):
                steps.append(step)
        return steps

    def _since(self, step: Step) -> int:
        """From when on nothing was decided yet: what frozen steps saw is looked at again."""
        query = select(PaceStep.until, PaceStep.is_frozen).where(
            PaceStep.segment == step.segment,
            PaceStep.policy_version == step.policy_version,
            PaceStep.is_dry == step.is_dry,
            PaceStep.interval >= self._interval - LONGEST_WINDOW_US // self._interval_us,
        )
        since = self._until - self._interval_us
        for until, is_frozen in self._connection.execute(query.order_by(PaceStep.interval.desc())):
            since = until - self._interval_us if is_frozen else until
            if not is_frozen:
                break
        return max(since, self._until - LONGEST_WINDOW_US)

    def _next_step(self, segment: str, before: Step | None, since: int) -> Step | None:
        own = self._policy.for_segment(segment)
        pace = Pace() if before is None else Pace(before.price, before.error, before.is_frozen)
        mine = spending.total(
            c for (name, _), c in self._spending_since(since, pace.multiplier).items() if name == segment
        )
        window, overspent = self._until - since, before.overspent_nanousd if before is not None else 0
        dues = []
        for budget in budgets_covering(self._budgets, segment):
            dues.append(self._due(budget, since, pace.multiplier, is_known=mine.requests >= LEAST_REQUESTS))
        if own.min_margin is not None:
            dues.append(_margin_due(mine, own.min_margin, overspent, window))
        if not dues:
            return None
        paces = [(controller.next_pace(pace, due.spent_usd, due.due_usd, self._rule), due) for due in dues]
        after = controller.stricter(*(pace for pace, _ in paces))
        due = next(due for pace, due in paces if pace == after)
        if own.min_margin is not None and not after.is_frozen:
            overspent = _carry_over(mine, own.min_margin, overspent, window)
        return Step(
            segment=segment,
            interval=self._interval,
            until=self._until,
            policy_version=self._policy.version,
            is_dry=self._policy.pacing != "on",
            is_frozen=after.is_frozen,
            price=after.multiplier,
            error=after.error,
            target=due.target,
            spent_nanousd=_nano(due.spent_usd),
            due_nanousd=_nano(due.due_usd),
            overspent_nanousd=overspent,
            requests=mine.requests,
        )

    def _due(self, budget: Budget, since: int, multiplier: float, *, is_known: bool) -> _Due:
        """What a budget had due, in proportion to what is left of it and of its plan."""
        start = budget.period.start_us(self._until - 1)
        since = max(since, start)
        spent = spending.sum_under(budget, self._spending_since(since, multiplier))
        if not is_known or _is_vague(spent.unpriced, spent.calls):
            return _Due(str(budget), None, None)
        left = spending.remaining_nanousd(self._connection, budget, start) + spent.cost_nanousd
        plan = WeekPlan.of(spending.hours_of_week(self._connection, self._until, budget.scope, budget.subject))
        planned = plan.between(since, self._until)
        due = controller.due_usd(planned, left / NANO, plan.between(since, _end_us(budget.period, start)))
        return _Due(str(budget), spent.cost_nanousd / NANO, due)

    def _spending_since(self, since: int, multiplier: float) -> Mapping[Cell, Settled]:
        """What was spent since an instant; in a dry run what would have been, were prices acted on."""
        cells = self._cells(since)
        if self._policy.pacing == "on":
            return cells
        return {
            (segment, tier): replace(
                cell, cost_nanousd=round(cell.cost_nanousd / (multiplier if tier in DEEP else 1.0))
            )
            for (segment, tier), cell in cells.items()
        }

    def _cells(self, since: int) -> dict[Cell, Settled]:
        if since not in self._read:
            self._read[since] = spending.sum_settled(self._connection, since, self._until)
        return self._read[since]


def budgets_covering(limits: Iterable[Budget], segment: str) -> list[Budget]:
    """The budgets that a segment's deep answers are paid from; those of keys hold themselves."""
    return [
        budget
        for budget in limits
        if budget.scope is BudgetScope.TOTAL
        or (budget.scope is BudgetScope.SEGMENT and budget.subject == segment)
        or (budget.scope is BudgetScope.TIER and budget.subject in DEEP)
    ]


def _margin_due(mine: Settled, min_margin: float, overspent_nanousd: int, window_us: int) -> _Due:
    """What keeps the margin, less an hour's part of what was overspent; not known of too few requests."""
    if mine.requests < LEAST_REQUESTS or _is_vague(mine.unpriced, mine.calls):
        return _Due(MARGIN, None, None)
    if _is_vague(mine.unearning, mine.requests):
        return _Due(MARGIN, mine.cost_nanousd / NANO, None)
    repaid = overspent_nanousd * min(window_us / OVERSPENT_US, 1.0)
    due = controller.due_for_margin_usd(mine.expected_nanousd / NANO, min_margin, repaid / NANO)
    return _Due(MARGIN, mine.cost_nanousd / NANO, due)


def _carry_over(mine: Settled, min_margin: float, overspent_nanousd: int, window_us: int) -> int:
    """What was spent above the margin so far, within bounds: what is older than an hour is written off."""
    allowed = mine.expected_nanousd * (1.0 - min_margin)
    usual = max(allowed, 0.0) / max(window_us, 1)
    carried = overspent_nanousd + mine.cost_nanousd - allowed
    return round(min(max(carried, -usual * SAVED_US), usual * OVERSPENT_US))


def _is_vague(unknown: int, of: int) -> bool:
    return unknown > MOST_UNKNOWN * of


def _nano(usd: float | None) -> int | None:
    return None if usd is None else round(usd * NANO)


def _end_us(period: Period, start_us: int) -> int:
    """When a period ends that began at an instant."""
    match period:
        case Period.HOUR:
            return start_us + HOUR_US
        case Period.DAY:
            return start_us + 24 * HOUR_US
        case Period.MONTH:
            return period.start_us(start_us + 31 * 24 * HOUR_US)
