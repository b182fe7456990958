"""Budgets in the database: limits, what is settled, and what is leased to workers by one conditional update.

Invariant of every period: settled + leased <= limit, where a lease holds everything its worker holds or has spent and
not yet booked. Booking a call moves its cost from the lease to settled in the transaction that writes the line, so a
killed worker's lease is exactly what its spool does not account for: it returns when the spool was adopted.
A soft budget is leased likewise; what is booked beyond its leases is over the limit.
A request counts where it was decided: its key, its segment, the tier chosen first, the UTC period it was opened in.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    Connection,
    Engine,
    and_,
    case,
    delete,
    func,
    insert,
    literal_column,
    select,
    text,
    tuple_,
    update,
)

from router.database import ids
from router.database.engine import AuditHook, writing
from router.database.tables import Adjustment, ApiKey, BudgetLease, BudgetPeriod, BudgetRow, Call, LabelText, Request
from router.database.upsert import insert_or_nothing, insert_or_update
from router.errors import InvalidRequest
from router.ledger.folding import RequestRecord
from router.money import round_half_even
from router.types import DAY_US, HOUR_US, Tier

BUDGET_LOCK = 0x7165_7279  # PostgreSQL advisory lock: shared to book, exclusive to set a budget
EVERY_BUDGET = select(BudgetRow.__table__).order_by(BudgetRow.id)
SHARED_LOCK, EXCLUSIVE_LOCK = (
    text(f"SELECT {name}(:lock)") for name in ("pg_advisory_xact_lock_shared", "pg_advisory_xact_lock")
)
ATTEMPTS = 5  # others may lease in between
JOB_OWNER = "job-"  # how the owner of a lease begins that is held for a background job
SLICES_OF_THE_REST = 16  # near its end a budget is leased in ever smaller slices, so that little of it lies idle


class BudgetScope(StrEnum):
    """Whose spending a budget limits."""

    TOTAL = "total"
    KEY = "key"
    SEGMENT = "segment"
    TIER = "tier"


class Period(StrEnum):
    """How long a budget lasts before it begins anew, in UTC."""

    HOUR = "hour"
    DAY = "day"
    MONTH = "month"

    def end_us(self, at_us: int) -> int:
        """Tell when the period of an instant ends: what surely lies in the next one tells where that begins."""
        longest = {Period.HOUR: HOUR_US, Period.DAY: DAY_US, Period.MONTH: 31 * DAY_US}[self]
        return self.start_us(self.start_us(at_us) + longest)

    def start_us(self, at_us: int) -> int:
        """Tell when the period of an instant began."""
        match self:
            case Period.HOUR:
                return at_us - at_us % HOUR_US
            case Period.DAY:
                return at_us - at_us % DAY_US
            case Period.MONTH:
                first = datetime.fromtimestamp(at_us // 1_000_000, UTC).replace(day=1, hour=0, minute=0, second=0)
                return int(first.timestamp()) * 1_000_000


class BudgetKind(StrEnum):
    """What happens when a budget is used up."""

    HARD = "hard"  # nothing more is spent: `auto` goes fast while fast fits, the rest is refused
    SOFT = "soft"  # `auto` and `fast` are served fast and booked over the limit, the rest is refused


@dataclass(frozen=True, slots=True)
class Payer:
    """Who and what a request is booked under."""

    key_id: int | None
    segment: str
    tier: Tier


@dataclass(frozen=True, slots=True)
class Budget:
    """One budget."""

    id: int
    scope: BudgetScope
    subject: str
    period: Period
    limit_nanousd: int
    kind: BudgetKind = BudgetKind.HARD

    @property
    def is_soft(self) -> bool:
        """Whether fast answers may go over it."""
        return self.kind is BudgetKind.SOFT

    def covers(self, payer: Payer) -> bool:
        """Tell whether a request counts against it."""
        match self.scope:
            case BudgetScope.TOTAL:
                return True
            case BudgetScope.KEY:
                return self.subject == str(payer.key_id)
            case BudgetScope.SEGMENT:
                return self.subject == payer.segment
            case BudgetScope.TIER:
                return self.subject == payer.tier

    def __str__(self) -> str:
        if self.subject:
            return f"{self.period} budget of {self.scope} {self.subject}"
        return {Period.HOUR: "hourly budget", Period.DAY: "daily budget", Period.MONTH: "monthly budget"}[self.period]


def in_force(connection: Connection) -> list[Budget]:
    """Read every budget."""
    return [
        Budget(row.id, BudgetScope(row.scope), row.subject, Period(row.period), row.limit_nanousd, BudgetKind(row.kind))
        for row in connection.execute(EVERY_BUDGET)
    ]


def put(
    engine: Engine,
    scope: BudgetScope,
    subject: str,
    period: Period,
    limit: int,
    author: str,
    note: str,
    now_us: int,
    hook: AuditHook | None = None,
    kind: BudgetKind | None = None,
) -> int:
    """Set a limit, from now on; what the period has cost so far counts. Returns the budget's id.

    Without a kind, a budget keeps the one it has, and a new one is hard.
    """
    values: dict[str, Any] = {"limit_nanousd": limit, "author": author, "note": note, "created_at": now_us}
    with writing(engine) as connection:
        _lock(connection, shared=False)
        known = _find(connection, scope, subject, period)
        values["kind"] = kind or (known.kind if known is not None else BudgetKind.HARD)
        if hook is not None:
            before = None if known is None else _for_audit(known.limit_nanousd, known.kind)
            hook(connection, before, _for_audit(limit, values["kind"]))
        if known is not None:
            connection.execute(update(BudgetRow).where(BudgetRow.id == known.id).values(**values))
            return int(known.id)
        row = {"scope": scope, "subject": subject, "period": period, **values}
        made = int(connection.execute(insert(BudgetRow).values(**row).returning(BudgetRow.id)).scalar_one())
        budget, start_us = Budget(made, scope, subject, period, limit), period.start_us(now_us)
        spent = _sum_spending(connection, budget, start_us)
        opened = {"budget_id": made, "start_us": start_us, "settled_nanousd": spent, "leased_nanousd": 0}
        connection.execute(insert(BudgetPeriod).values(**opened))
        return made


def drop(engine: Engine, scope: BudgetScope, subject: str, period: Period, hook: AuditHook | None = None) -> bool:
    """Take a budget away; False when there is none."""
    with writing(engine) as connection:
        _lock(connection, shared=False)
        known = _find(connection, scope, subject, period)
        if known is None:
            return False
        if hook is not None:
            hook(connection, _for_audit(known.limit_nanousd, known.kind), None)
        for table in (BudgetLease, BudgetPeriod):
            connection.execute(delete(table).where(table.budget_id == known.id))
        return connection.execute(delete(BudgetRow).where(BudgetRow.id == known.id)).rowcount > 0


def _find(connection: Connection, scope: BudgetScope, subject: str, period: Period) -> Any:
    where = (BudgetRow.scope == scope, BudgetRow.subject == subject, BudgetRow.period == period)
    columns = select(BudgetRow.id, BudgetRow.limit_nanousd, BudgetRow.kind)
    return connection.execute(columns.where(*where)).one_or_none()


def _for_audit(limit: int, kind: str | None) -> dict[str, Any]:
    """What the audit log says of a budget; one that is not called soft is hard."""
    return {"limit_nanousd": limit, "kind": "soft"} if kind == BudgetKind.SOFT else {"limit_nanousd": limit}


def subject_of(engine: Engine, scope: BudgetScope, name: str) -> str:
    """Check whom a budget names: a key's name becomes its id. Raises InvalidRequest."""
    if scope is BudgetScope.KEY:
        with engine.connect() as connection:
            key_id = connection.scalar(select(ApiKey.id).where(ApiKey.name == name))
        if key_id is None:
            raise InvalidRequest(f"there is no key named {name!r}")
        return str(key_id)
    if scope is BudgetScope.TIER and name not in list(Tier):
        raise InvalidRequest(f"{name!r} is no tier; one of {', '.join(Tier)}")
    return name


def lease(engine: Engine, budget: Budget, start_us: int, owner: str, least: int, wanted: int, now_us: int) -> int:
    """Lease up to `wanted`, at least `least` or nothing; returns the amount. Raises SQLAlchemyError.

    Beyond the least it is at most a sixteenth of what is still free.
    """
    for _ in range(ATTEMPTS):
        with writing(engine) as connection:
            amount, is_granted = _lease(connection, budget, start_us, owner, least, wanted, now_us)
        if is_granted or not amount:
            return amount
    return 0


def _lease(
    connection: Connection, budget: Budget, start_us: int, owner: str, least: int, wanted: int, now_us: int
) -> tuple[int, bool]:
    """Try once: the amount that there seemed to be, and whether it was granted."""
    place = {"budget_id": budget.id, "start_us": start_us}
    opened = {**place, "settled_nanousd": 0, "leased_nanousd": 0}
    limit = select(BudgetRow.limit_nanousd).where(BudgetRow.id == budget.id).scalar_subquery()
    taken = BudgetPeriod.settled_nanousd + BudgetPeriod.leased_nanousd
    here = and_(BudgetPeriod.budget_id == budget.id, BudgetPeriod.start_us == start_us)
    free = connection.scalar(select(limit - taken).where(here))
    if free is None:
        insert_or_nothing(connection, BudgetPeriod, [opened])
        free = connection.scalar(select(limit - taken).where(here)) or 0
    amount = max(least, min(wanted, int(free) // SLICES_OF_THE_REST))
    if amount > free or amount <= 0:
        return 0, False
    grown = BudgetPeriod.leased_nanousd + amount
    granted = update(BudgetPeriod).where(here, taken + amount <= limit).values(leased_nanousd=grown)
    if connection.execute(granted).rowcount != 1:
        return amount, False
    row = {**place, "owner": owner, "left_nanousd": amount, "renewed_at": now_us}
    more = {"left_nanousd": BudgetLease.left_nanousd + amount, "renewed_at": now_us}
    insert_or_update(connection, BudgetLease, row, ("budget_id", "start_us", "owner"), more)
    return amount, True


def free_of(engine: Engine, starts: Iterable[tuple[int, int]]) -> dict[tuple[int, int], int]:
    """Tell what of periods (a budget's id, a start) is neither settled nor leased; all of it where nothing was yet.

    Raises SQLAlchemyError.
    """
    wanted = list(starts)
    if not wanted:
        return {}
    taken = BudgetPeriod.settled_nanousd + BudgetPeriod.leased_nanousd
    place = tuple_(BudgetPeriod.budget_id, BudgetPeriod.start_us)
    with engine.connect() as connection:
        rows = connection.execute(select(BudgetRow.id, BudgetRow.limit_nanousd)).all()
        limits = {row.id: int(row.limit_nanousd) for row in rows}
        query = select(BudgetPeriod.budget_id, BudgetPeriod.start_us, taken).where(place.in_(wanted))
        begun = connection.execute(query).all()
        used = {(row[0], row[1]): int(row[2]) for row in begun}
    return {place: limits[place[0]] - used.get(place, 0) for place in wanted if place[0] in limits}


def give_back(engine: Engine, budget_id: int, start_us: int, owner: str, amount: int) -> None:
    """Return what a worker neither holds nor spent, as far as it is leased. Raises SQLAlchemyError.

    What was booked over a soft limit has eaten of the lease.
    """
    with writing(engine) as connection:
        left = connection.scalar(select(BudgetLease.left_nanousd).where(*_lease_at(budget_id, start_us, owner))) or 0
        _take_from_lease(connection, budget_id, start_us, owner, min(amount, left))


def release(engine: Engine, owner: str) -> int:
    """Return all that is left of an owner whose spool is wholly booked; returns the amount. Raises SQLAlchemyError."""
    with writing(engine) as connection:
        return release_within(connection, owner)


def release_within(connection: Connection, owner: str, *, keep: int = 0) -> int:
    """Return what is left of an owner's leases but for so much of each; returns the amount."""
    total = 0
    leases = connection.execute(
        select(BudgetLease.budget_id, BudgetLease.start_us, BudgetLease.left_nanousd)
        .where(BudgetLease.owner == owner)
        .order_by(BudgetLease.budget_id, BudgetLease.start_us)
    ).all()
    for budget_id, start_us, left in leases:
        _take_from_lease(connection, budget_id, start_us, owner, left - keep)
        total += max(left - keep, 0)
    if not keep:
        connection.execute(delete(BudgetLease).where(BudgetLease.owner == owner))
    return total


Charges = Mapping[tuple[int, int], int]  # nano-dollars by budget and start of the period


def charges(connection: Connection, records: Sequence[RequestRecord]) -> Charges:
    """Tell what the calls that are about to be booked cost each budget; calls that were booked before cost nothing."""
    _lock(connection, shared=True)
    budgets = in_force(connection)
    if not budgets:
        return {}
    due: dict[tuple[int, int], int] = {}
    payers = _payers(connection, records)
    booked = _find_booked(connection, [record.request_id for record in records])
    for record in records:
        payer, opened_at = payers.get(record.request_id, (None, 0))
        cost = sum(
            result.cost_nanousd or 0
            for intent, result in record.calls_with_results()
            if (record.request_id, intent.call_no) not in booked
        )
        for budget in budgets:
            if payer is not None and cost and budget.covers(payer):
                place = (budget.id, budget.period.start_us(opened_at))
                due[place] = due.get(place, 0) + cost
    return due


def settle(connection: Connection, due: Charges, owner: str) -> None:
    """Move what was booked in this transaction from the owner's leases to settled."""
    for (budget_id, start_us), cost in sorted(due.items()):
        _settle(connection, budget_id, start_us, owner, cost)


def correct(connection: Connection, rows: Iterable[Mapping[str, Any]]) -> None:
    """Let the budgets follow a run of adjustments: what it frees may be spent again, what it adds is spent.

    Rows that name a request count where it counted. Those of a day and a model count for each budget by its part of
    what the books hold of that day and model; what nothing was booked for counts for budgets of everything, by the day
    or the month.
    """
    budgets, rows = in_force(connection), list(rows)
    if not budgets:
        return
    rows = [part for row in rows for part in _parts(connection, row)]
    payers = _find_payers(connection, [row["request_id"] for row in rows if row["request_id"] is not None])
    due: dict[tuple[int, int], int] = {}
    for row in rows:
        payer, at_us = row.get("payer") or payers.get(row["request_id"]) or (None, int(row["effective_at"]))
        for budget in budgets:
            if _counts_for(budget, payer, row):
                place = (budget.id, budget.period.start_us(at_us))
                due[place] = due.get(place, 0) + int(row["amount_nanousd"])
    for (budget_id, start_us), amount in sorted(due.items()):
        after = BudgetPeriod.settled_nanousd + amount
        here = (BudgetPeriod.budget_id == budget_id, BudgetPeriod.start_us == start_us)
        settled = update(BudgetPeriod).where(*here).values(settled_nanousd=case((after < 0, 0), else_=after))
        connection.execute(settled)


def _counts_for(budget: Budget, payer: Payer | None, row: Mapping[str, Any]) -> bool:
    """Tell whether an adjustment, or a part of one, counts for a budget."""
    if payer is not None:
        return budget.covers(payer)
    return row["request_id"] is None and budget.scope is BudgetScope.TOTAL and budget.period is not Period.HOUR


def _parts(connection: Connection, row: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Split an adjustment of a day and a model over who paid for that day's calls, by the hour; others stay whole."""
    if row["request_id"] is not None:
        return [row]
    hour = Request.opened_at - Request.opened_at % literal_column(str(HOUR_US))
    begins = int(row["effective_at"])
    of_model = select(LabelText.id).where(LabelText.text == row["provider_model"]).scalar_subquery()
    query = (
        select(Request.key_id, LabelText.text, Request.first_tier, hour, func.sum(Call.cost_nanousd))
        .select_from(Call)
        .join(Request, Request.id == Call.request_id)
        .join(LabelText, LabelText.id == Request.segment_id)
        .where(Call.started_at >= begins, Call.started_at < begins + DAY_US)
        .where(Call.provider_model_id == of_model)
        .group_by(Request.key_id, LabelText.text, Request.first_tier, hour)
        .order_by(hour, LabelText.text, Request.first_tier, Request.key_id)
    )
    found = [(*one[:4], int(one[4])) for one in connection.execute(query) if one[4]]
    total = sum(one[4] for one in found)
    if not total:
        return [row]
    parts: list[Mapping[str, Any]] = []
    seen = given = 0
    for key_id, segment, tier, at_us, cost in found:  # what was given so far is what is due so far: nothing is left
        seen += cost
        due = round_half_even(int(row["amount_nanousd"]) * seen, total)
        parts.append({**row, "payer": (Payer(key_id, segment, tier), int(at_us)), "amount_nanousd": due - given})
        given = due
    return parts


def standing(engine: Engine, now_us: int) -> list[dict[str, Any]]:
    """Tell how every budget stands in the period under way; of what is leased, how much is held for jobs."""
    rows: list[dict[str, Any]] = []
    with engine.connect() as connection:
        names = {str(row.id): row.name for row in connection.execute(select(ApiKey.id, ApiKey.name))}
        for budget in in_force(connection):
            start_us = budget.period.start_us(now_us)
            here = (BudgetPeriod.budget_id == budget.id, BudgetPeriod.start_us == start_us)
            period = connection.execute(
                select(BudgetPeriod.settled_nanousd, BudgetPeriod.leased_nanousd).where(*here)
            ).one_or_none()
            settled, leased = period if period is not None else (0, 0)
            lease = (BudgetLease.budget_id == budget.id, BudgetLease.start_us == start_us)
            of_jobs = select(func.sum(BudgetLease.left_nanousd)).where(*lease, BudgetLease.owner.startswith(JOB_OWNER))
            is_key = budget.scope is BudgetScope.KEY
            rows.append(
                {
                    "scope": budget.scope,
                    "subject": names.get(budget.subject, budget.subject) if is_key else budget.subject or None,
                    "period": budget.period,
                    "kind": budget.kind,
                    "limit_nanousd": budget.limit_nanousd,
                    "settled_nanousd": settled,
                    "leased_nanousd": leased,
                    "jobs_nanousd": int(connection.scalar(of_jobs) or 0),
                    "start_us": start_us,
                }
            )
    return rows


def _settle(connection: Connection, budget_id: int, start_us: int, owner: str, cost: int) -> None:
    row = {"budget_id": budget_id, "start_us": start_us, "settled_nanousd": cost, "leased_nanousd": 0}
    more = {"settled_nanousd": BudgetPeriod.settled_nanousd + cost}
    keys = ("budget_id", "start_us")
    insert_or_update(connection, BudgetPeriod, row, keys, more)
    left = connection.scalar(select(BudgetLease.left_nanousd).where(*_lease_at(budget_id, start_us, owner))) or 0
    _take_from_lease(connection, budget_id, start_us, owner, min(cost, left))


def _take_from_lease(connection: Connection, budget_id: int, start_us: int, owner: str, amount: int) -> None:
    """Shrink a lease and what its period has leased; the period first, so that no two wait for each other."""
    if amount <= 0:
        return
    here = (BudgetPeriod.budget_id == budget_id, BudgetPeriod.start_us == start_us)
    less = {"leased_nanousd": BudgetPeriod.leased_nanousd - amount}
    connection.execute(update(BudgetPeriod).where(*here).values(**less))
    of_lease = update(BudgetLease).where(*_lease_at(budget_id, start_us, owner), BudgetLease.left_nanousd >= amount)
    if connection.execute(of_lease.values(left_nanousd=BudgetLease.left_nanousd - amount)).rowcount != 1:
        undone = {"leased_nanousd": BudgetPeriod.leased_nanousd + amount}
        connection.execute(update(BudgetPeriod).where(*here).values(**undone))


def _lease_at(budget_id: int, start_us: int, owner: str) -> tuple[Any, ...]:
    return BudgetLease.budget_id == budget_id, BudgetLease.start_us == start_us, BudgetLease.owner == owner


def _payers(connection: Connection, records: Iterable[RequestRecord]) -> Mapping[str, tuple[Payer, int]]:
    """Tell who pays for each request; late parts are looked up in the books."""
    payers = {}
    late = []
    for record in records:
        if opening := record.opening:
            payer = Payer(opening.key_id, opening.segment, opening.first_tier)
            payers[record.request_id] = (payer, opening.opened_at)
        else:
            late.append(record.request_id)
    return payers | _find_payers(connection, late)


def _find_payers(connection: Connection, request_ids: Sequence[str]) -> dict[str, tuple[Payer, int]]:
    """Look up in the books who pays for requests, and when they were opened."""
    payers: dict[str, tuple[Payer, int]] = {}
    for place in range(0, len(request_ids), 500):
        query = (
            select(Request.id, Request.key_id, LabelText.text, Request.first_tier, Request.opened_at)
            .join(LabelText, LabelText.id == Request.segment_id)
            .where(Request.id.in_(request_ids[place : place + 500]))
        )
        for id_, key_id, segment, tier, opened_at in connection.execute(query):
            payers[id_] = (Payer(key_id, segment, tier), opened_at)
    return payers


def _find_booked(connection: Connection, request_ids: Sequence[str]) -> set[tuple[str, int]]:
    """Tell which of these requests' calls are in the books already."""
    booked: set[tuple[str, int]] = set()
    for place in range(0, len(request_ids), 500):
        query = select(Call.request_id, Call.call_no).where(Call.request_id.in_(request_ids[place : place + 500]))
        booked |= {(id_, call_no) for id_, call_no in connection.execute(query)}
    return booked


def _sum_spending(connection: Connection, budget: Budget, start_us: int) -> int:
    """Add up what the books hold of a period so far."""
    query = (
        select(func.sum(Call.cost_nanousd))
        .select_from(Request)
        .join(Call, Call.request_id == Request.id)
        .where(Request.id >= ids.text_at((start_us - HOUR_US) // 1_000))
        .where(Request.opened_at >= start_us)
    )
    match budget.scope:
        case BudgetScope.TOTAL:
            pass
        case BudgetScope.KEY:
            query = query.where(Request.key_id == int(budget.subject))
        case BudgetScope.SEGMENT:
            of_segment = select(LabelText.id).where(LabelText.text == budget.subject).scalar_subquery()
            query = query.where(Request.segment_id == of_segment)
        case BudgetScope.TIER:
            query = query.where(Request.first_tier == Tier(budget.subject))
    corrections = query.with_only_columns(func.sum(Adjustment.amount_nanousd)).join(
        Adjustment, and_(Adjustment.request_id == Call.request_id, Adjustment.call_no == Call.call_no)
    )
    return (
        int(connection.scalar(query) or 0)
        + int(connection.scalar(corrections) or 0)
        + _sum_of_days(connection, budget, start_us)
    )


def _sum_of_days(connection: Connection, budget: Budget, start_us: int) -> int:
    """Add up a budget's part of the adjustments of days and models in a period so far."""
    table = Adjustment.__table__
    wanted = select(table).where(table.c.request_id.is_(None), table.c.effective_at >= start_us - start_us % DAY_US)
    total = 0
    for row in connection.execute(wanted).mappings():
        for part in _parts(connection, dict(row)):
            payer, at_us = part.get("payer") or (None, int(row["effective_at"]))
            if at_us >= start_us and _counts_for(budget, payer, part):
                total += int(part["amount_nanousd"])
    return total


def _lock(connection: Connection, *, shared: bool) -> None:
    if connection.dialect.name == "postgresql":
        connection.execute(SHARED_LOCK if shared else EXCLUSIVE_LOCK, {"lock": BUDGET_LOCK})
