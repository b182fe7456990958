"""Checks take turns: nobody waits for what somebody else's check costs, and what took too long is not tried again."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from router.tiers.vote.checkers import CheckBudget, CheckerPool

HOSTILE = "9^{9^{9^{9}}}"


@pytest.fixture
async def pool() -> AsyncIterator[CheckerPool]:
    pool = CheckerPool(timeout_s=1.5)
    pool.warm()
    yield pool
    await pool.close()


@pytest.mark.slow
async def test_an_expression_that_took_too_long_is_remembered(pool: CheckerPool) -> None:
    assert await pool.same_maths(HOSTILE, "x^2+1") is None
    budget = CheckBudget()
    assert await pool.same_maths(HOSTILE, "x^2+2", budget) is None
    assert budget.used_s == 0
    assert await pool.same_maths("(x+1)^2", "x^2+2x+1") is True


@pytest.mark.slow
async def test_a_request_has_a_budget_for_all_of_its_checks(pool: CheckerPool) -> None:
    budget = CheckBudget(2.0)
    for n in range(5):
        assert await pool.same_maths(f"{HOSTILE}+{n}", "x", budget) is None
    assert 2.0 <= budget.used_s < 3.0
    assert await pool.same_maths("y+1", "1+y", budget) is None
    assert await pool.same_maths("y+1", "1+y", CheckBudget()) is True


@pytest.mark.slow
async def test_an_ordinary_request_does_not_wait_for_a_hostile_one(pool: CheckerPool) -> None:
    assert await pool.same_maths("x+x", "2x") is True
    hostile = CheckBudget()

    async def attack() -> None:
        for n in range(20):
            await pool.same_maths(f"{HOSTILE}+{n}", "x", hostile)

    attacking = asyncio.create_task(attack())
    await asyncio.sleep(0.2)
    assert await asyncio.wait_for(pool.same_maths("(x+2)^2", "x^2+4x+4"), 10) is True
    assert not attacking.done()
    await attacking
    assert hostile.used_s >= hostile.total_s


async def test_a_pool_that_is_closed_while_a_process_starts_leaves_none() -> None:
    pool = CheckerPool()
    pool.warm()
    await asyncio.sleep(0)
    await pool.close()
