"""What budgets hold for a job while it lives: the most that it can cost, leased under the job's own name.

A lease under the name of a worker would return with that worker's spool; a job outlives its workers. It is given back
in the transaction that books the job (`router.ledger.job_calls`).
"""

from collections.abc import Sequence

from sqlalchemy import Engine

from router.errors import QuotaExhausted
from router.ledger import budgets
from router.ledger.budgets import Budget, Payer
from router.ledger.job_calls import owner_of

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


def release(engine: Engine, request_id: str) -> None:
    """Give back what is held for a job that was not accepted after all."""
    budgets.release(engine, owner_of(request_id))


def _lease(engine: Engine, owner: str, covering: Sequence[Budget], amount: int, now_us: int) -> Budget | None:
    for budget in covering:
        start_us = budget.period.start_us(now_us)
        if budgets.lease(engine, budget, start_us, owner, amount, amount, now_us) < amount:
            return budget
    return None
