"""Checks take turns: nobody waits for what somebody else's check costs, and what took too long is not tried again."""

import asyncio
import itertools
from collections.abc import AsyncIterator

import pytest

from router.tiers.vote.checkers import CheckBudget, CheckerPool
from tests.waiting import soon

HOSTILE = "9^{9^{9^{9}}}"


@pytest.fixture
async def pool() -> AsyncIterator[CheckerPool]:
    pool = CheckerPool(timeout_s=1.5)
    pool.warm()
    yield pool
    await pool.close()


async def checks_something(pool: CheckerPool) -> None:
    """Wait until an ordinary request's check is decided; on a busy machine one may take longer than a check may."""
    shifts = itertools.count(1)

    async def is_decided() -> bool:
        n = next(shifts)
        return await pool.same_maths(f"(x+{n})^2", f"x^2+{2 * n}x+{n * n}") is True

    await soon(is_decided)


@pytest.mark.slow
async def test_an_expression_that_took_too_long_is_remembered(pool: CheckerPool) -> None:
    assert await pool.same_maths(HOSTILE, "x^2+1") is None
    budget = CheckBudget()
    assert await pool.same_maths(HOSTILE, "x^2+2", budget) is None
    assert budget.used_s == 0
    await checks_something(pool)


@pytest.mark.slow
async def test_a_request_has_a_budget_for_all_of_its_checks(pool: CheckerPool) -> None:
    budget = CheckBudget(2.0)
    for n in range(5):
        assert await pool.same_maths(f"{HOSTILE}+{n}", "x", budget) is None
    assert budget.used_s >= 2.0
    assert await pool.same_maths("y+1", "1+y", budget) is None
    await checks_something(pool)


@pytest.mark.slow
async def test_an_ordinary_request_does_not_wait_for_a_hostile_one(pool: CheckerPool) -> None:
    async def attack() -> None:
        for n in itertools.count():
            await pool.same_maths(f"{HOSTILE}+{n}", "x", CheckBudget())

    attacking = asyncio.create_task(attack())
    await asyncio.sleep(0.2)
    await checks_something(pool)
    assert not attacking.done()
    attacking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await attacking


async def test_a_pool_that_is_closed_while_a_process_starts_leaves_none() -> None:
    pool = CheckerPool()
    pool.warm()
    await asyncio.sleep(0)
    await pool.close()
