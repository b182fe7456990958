"""Live pacing: once an interval one worker moves each segment's multiplier in the books, and all workers follow it.

What a step comes to is in `router.pacing.steps`. Every step is a row, kept 90 days. In a dry run steps are written and
nobody follows them. A new version of the policy begins at 1. What a single query earns is not known here:
only sums over all requests of a segment are.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence

from sqlalchemy import Connection, Engine, delete, func, select

from router.database.engine import writing
from router.database.pace_tables import PaceStep
from router.database.upsert import insert_or_nothing
from router.decision.policy import Policy
from router.ledger import budgets
from router.ledger.budgets import Budget
from router.pacing.controller import Rule, apply_multiplier, pressure
from router.pacing.steps import LIVE, Step, Stepping, budgets_covering
from router.types import DAY_US

INTERVAL_US = 60_000_000
LAG_US = 5_000_000  # what was settled is in the books by then
FORGOTTEN_US, KEPT_US = 7 * DAY_US, 90 * DAY_US
MOST_READ = 20_000
COLUMNS = tuple(Step.__dataclass_fields__)


class Multipliers:
    """The multiplier of each segment, stored as `price`, as every worker follows it."""

    def __init__(
        self,
        engine: Engine,
        policy: Callable[[], Policy],
        now_us: Callable[[], int],
        *,
        rule: Rule = LIVE,
        interval_us: int = INTERVAL_US,
        leads: Callable[[], bool] = lambda: True,
    ) -> None:
        self._engine = engine
        self._policy = policy
        self._now_us = now_us
        self._rule = rule
        self._interval_us = interval_us
        self._leads = leads
        self._looked_at = -1
        self._newest: int | None = None
        self._steps: Sequence[Step] = ()
        self._multipliers: Mapping[str, float] = {}

    def multiplier(self, segment: str) -> float:
        """By how much a segment's thresholds are multiplied now; 1 unless pacing is on and it has a target."""
        return self._multipliers.get(segment, 1.0)

    def pace(self, policy: Policy, segment: str) -> Policy:
        """Return the policy with its thresholds multiplied as the segment's multiplier asks."""
        multiplier = self._multipliers.get(segment)
        return policy if multiplier is None else apply_multiplier(policy, multiplier)

    def pressure(self, segment: str) -> float:
        """How much pacing presses the parallel tier in a segment, from 0 to 1."""
        multiplier = self._multipliers.get(segment)
        return 0.0 if multiplier is None else pressure(multiplier)

    def follow(self) -> None:
        """Take the step that is due, if it is ours, and read the multipliers; blocks. Raises SQLAlchemyError."""
        policy = self._policy()
        if self._leads() and policy.pacing != "off":
            interval = (self._now_us() - LAG_US) // self._interval_us - 1
            if interval > self._looked_at:
                self._step(policy, interval)
                self._looked_at = interval
        if policy.pacing != "on":
            self._multipliers = {}
            return
        with self._engine.connect() as connection:
            newest = connection.scalar(select(func.max(PaceStep.id)))
            if newest != self._newest:
                self._steps, self._newest = latest(connection, FORGOTTEN_US // self._interval_us), newest
            limits = budgets.in_force(connection)
        self._multipliers = {step.segment: step.price for step in _standing(self._steps, policy, limits)}

    def _step(self, policy: Policy, interval: int) -> None:
        with self._engine.connect() as connection:
            if connection.scalar(select(PaceStep.id).where(PaceStep.interval >= interval).limit(1)) is not None:
                return
            last = latest(connection, FORGOTTEN_US // self._interval_us)
            steps = Stepping(connection, policy, interval, self._interval_us, self._rule).steps(last)
        if not steps:
            return
        with writing(self._engine) as connection:
            insert(connection, steps)
            if interval * self._interval_us % DAY_US < self._interval_us:
                connection.execute(delete(PaceStep).where(PaceStep.interval < interval - KEPT_US // self._interval_us))


def current(engine: Engine, policy: Policy) -> list[Step]:
    """The steps at which the multipliers stand under a policy."""
    with engine.connect() as connection:
        return _standing(latest(connection, FORGOTTEN_US // INTERVAL_US), policy, budgets.in_force(connection))


def _standing(steps: Iterable[Step], policy: Policy, limits: Sequence[Budget]) -> list[Step]:
    """Those of this version whose segments still have a target."""
    return [
        step
        for step in steps
        if step.goes_on(policy)
        and (policy.for_segment(step.segment).min_margin is not None or budgets_covering(limits, step.segment))
    ]


def latest(connection: Connection, within: int) -> list[Step]:
    """The last step of each segment, as long as it is within so many intervals of the last of all."""
    last = select(func.max(PaceStep.interval)).scalar_subquery()
    newest = (
        select(PaceStep.segment, func.max(PaceStep.interval).label("interval"))
        .where(PaceStep.interval > last - within)
        .group_by(PaceStep.segment)
        .subquery()
    )
    table = PaceStep.__table__
    query = select(table).join(newest, (table.c.segment == newest.c.segment) & (table.c.interval == newest.c.interval))
    return [_step_of(row) for row in connection.execute(query.order_by(table.c.segment))]


def moves(engine: Engine, most: int, segment: str | None = None, *, every: bool = False) -> list[Step]:
    """The last steps that moved a multiplier or froze it (or every one), the newest first."""
    table = PaceStep.__table__
    query = select(table).order_by(table.c.interval.desc(), table.c.segment).limit(MOST_READ)
    if segment is not None:
        query = query.where(table.c.segment == segment)
    with engine.connect() as connection:
        steps = [_step_of(row) for row in connection.execute(query)]
    moves, later = [], dict[str, Step]()
    for step in steps:
        before = later.get(step.segment)
        if before is not None and (every or before.price != step.price or before.is_frozen):
            moves.append(before)
        later[step.segment] = step
    moves += later.values()  # the first that is known of each segment
    return sorted(moves, key=lambda step: (-step.interval, step.segment))[:most]


def _step_of(row: object) -> Step:
    return Step(**{name: getattr(row, name) for name in COLUMNS})


def insert(connection: Connection, steps: Iterable[Step]) -> None:
    """Write steps; of two workers at once the second changes nothing."""
    insert_or_nothing(connection, PaceStep, [{name: getattr(step, name) for name in COLUMNS} for step in steps])
