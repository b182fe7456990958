"""What budgets hold for a job while it lives: the most that it can cost, leased under the job's own name.

A lease under the name of a worker would return with that worker's spool; a job outlives its workers. It is given back
in the transaction that books the job (`router.ledger.job_calls`).
"""

from collections.abc import Sequence

from sqlalchemy import Engine

from router.errors import AllowanceSpent, QuotaExhausted
from router.jobs.job import Job
from router.ledger import budgets
from router.ledger.budgets import Budget, Payer
from router.ledger.job_calls import owner_of
from router.ledger.persons import Claim, PersonAllowances, PersonLimit
from router.types import DAY_US

DAY_SPENT = "this user's allowance for today does not cover what this job may cost; x-tierwise-max-cost-usd lowers that"
UNPRICED = "a model without a price cannot be used within a budget"


def hold(engine: Engine, request_id: str, payer: Payer, amount: int | None, now_us: int) -> None:
    """Hold an amount of every budget that covers a job, or of none. Blocking.

    Raises QuotaExhausted naming the budget that has too little, SQLAlchemyError where the database is away.
    """
    with engine.connect() as connection:
        covering = [budget for budget in budgets.in_force(connection) if budget.covers(payer)]
    if covering and amount is None:
        raise QuotaExhausted(UNPRICED)
    if amount and (short := _lease(engine, owner_of(request_id), covering, amount, now_us)) is not None:
        release(engine, request_id)
        seconds = max(-((now_us - short.period.end_us(now_us)) // 1_000_000), 1)
        raise QuotaExhausted(f"the {short} does not cover what this job may cost", retry_after_seconds=seconds)


def claim_day(persons: PersonAllowances, job: Job, limit: PersonLimit) -> Claim:
    """Claim a deep answer of an end user's day, and what it may cost where dollars are limited.

    What the job did not cost is given back when it is booked. Raises AllowanceSpent. Blocking.
    """
    if limit.nanousd_per_day is not None and job.held_nanousd is None:
        raise QuotaExhausted("a model without a price cannot be used within an allowance of dollars")
    nanousd = (job.held_nanousd or 0) if limit.nanousd_per_day is not None else 0
    claim = None if job.user_mark is None else persons.try_claim(job.user_mark, limit, nanousd, job.created_at)
    if claim is None:
        seconds = -(-(DAY_US - job.created_at % DAY_US) // 1_000_000)
        raise AllowanceSpent(DAY_SPENT, retry_after_seconds=seconds)
    return claim


def release(engine: Engine, request_id: str) -> None:
    """Give back what is held for a job that was not accepted after all."""
    budgets.release(engine, owner_of(request_id))


def _lease(engine: Engine, owner: str, covering: Sequence[Budget], amount: int, now_us: int) -> Budget | None:
    for budget in covering:
        start_us = budget.period.start_us(now_us)
        if budgets.lease(engine, budget, start_us, owner, amount, amount, now_us) < amount:
            return budget
    return None
