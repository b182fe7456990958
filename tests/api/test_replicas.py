"""Two replicas on one PostgreSQL, each with a state directory of its own: nothing else is shared."""

import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import pytest_asyncio

from router import refresher
from router.ledger import budgets, pricelist
from router.ledger.budgets import BudgetScope, Period
from router.ledger.pricelist import OPERATOR, Quote
from router.ledger.prices import Rates
from router.policies import lifecycle
from router.policies.lifecycle import Actor
from tests.api.service import CHAT, HARD, Service, a_chat, serving, settings_of
from tests.waiting import soon

ADA = Actor("ada", "", 7)
Replicas = tuple[Service, Service]


@pytest_asyncio.fixture(loop_scope="session")
async def running(empty_postgresql_url: str, tmp_path: Path) -> AsyncIterator[tuple[Replicas, AsyncExitStack]]:
    """Two replicas, and what stops the first."""
    first, second = (
        settings_of(tmp_path / name, database_url=empty_postgresql_url, state_dir=tmp_path / name)
        for name in ("first", "second")
    )
    async with serving(second) as other, AsyncExitStack() as stack:
        yield (await stack.enter_async_context(serving(first)), other), stack


@pytest.fixture
def replicas(running: tuple[Replicas, AsyncExitStack]) -> Replicas:
    return running[0]


async def leads(replica: Service) -> bool:
    return "tierwise_leader 1.0" in (await replica.local.get("/metrics")).text


async def test_what_is_changed_at_one_replica_the_other_follows(replicas: Replicas) -> None:
    one, other = replicas
    assert refresher.INTERVAL_S <= 1  # all three by the same thread, which nothing of the books keeps waiting
    secret = one.key()
    elsewhere = other.client("10.0.0.9", authorization=f"Bearer {secret}")
    await other.until_status(elsewhere, 200)
    version = lifecycle.propose(one.engine, {"reasoning_threshold": 0.5}, one.settings.tiers, ADA)
    lifecycle.activate(one.engine, version, one.settings.tiers, ADA)
    rates = (Rates(input=1_000_000, output=2_000_000),)
    pricelist.put(one.engine, Quote("scripted/fast-echo", OPERATOR, "test", rates), time.time_ns() // 1_000)
    budgets.put(one.engine, BudgetScope.TIER, "reasoning", Period.MONTH, 0, "ada", "", time.time_ns() // 1_000)

    async def follows() -> bool:
        reply = await elsewhere.post(CHAT, json=a_chat("auto"))
        lines = await other.calls(reply.headers["x-request-id"])
        return reply.headers["x-tierwise-policy"] == str(version) and lines[0]["cost_nanousd"] not in ("", "0", 0, None)

    async def refuses() -> bool:
        return (await elsewhere.post(CHAT, json=a_chat("reasoning"))).status_code == 429

    await soon(follows)
    await soon(refuses)


async def test_what_one_replica_stored_the_other_finds(replicas: Replicas) -> None:
    one, other = replicas
    client = one.with_key()
    stored = (await client.post("/v1/responses", json={"model": "fast", "input": HARD, "store": True})).json()
    elsewhere = other.client("10.0.0.9", authorization=client.headers["authorization"])
    assert (await elsewhere.get(f"/v1/responses/{stored['id']}")).json() == stored


async def test_one_replica_leads_and_the_other_after_it(running: tuple[Replicas, AsyncExitStack]) -> None:
    (one, other), stack = running

    async def has_a_leader() -> bool:
        return [await leads(one), await leads(other)].count(True) == 1

    await soon(has_a_leader)
    await stack.aclose()
    await soon(lambda: leads(other))
