"""Two workers on one database: both follow what is put on trial and in force, and agree on who gets it."""

import asyncio
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pytest_asyncio

from router.policies import canary_lifecycle, lifecycle
from router.policies.lifecycle import Actor
from tests.api.service import CHAT, HELLO, Service, serving, settings_of
from tests.waiting import soon

ADA = Actor("ada", "", 7)
SLOW = {"slow": {"model": "scripted/slow-700ms"}}
ACTIVE, TRIED = "1", "2"
Workers = tuple[Service, Service]


@pytest_asyncio.fixture(loop_scope="session")
async def workers(empty_url: str, tmp_path: Path) -> AsyncIterator[Workers]:
    first, second = (
        settings_of(tmp_path / name, database_url=empty_url, state_dir=tmp_path / name, models=SLOW)
        for name in ("first", "second")
    )
    async with serving(first) as one, serving(second) as other:
        yield one, other


def propose(worker: Service) -> int:
    return lifecycle.propose(worker.engine, {"reasoning_threshold": 0.5}, worker.settings.tiers, ADA)


def try_it(worker: Service, share: float, mode: str = "canary") -> None:
    canary_lifecycle.start(worker.engine, propose(worker), share, worker.settings.tiers, ADA, mode=mode)


async def version_for(worker: Service, conversation: str) -> str:
    """The version that decides about a conversation, named in the metadata."""
    named = {"metadata": {"conversation_id": conversation}}
    reply = await worker.local.post(CHAT, json={"model": "auto", "messages": HELLO, **named})
    return str(reply.headers["x-tierwise-policy"])


async def version_by_header(worker: Service, conversation: str) -> str:
    """The same, named in a header."""
    named = {"x-tierwise-conversation": conversation}
    reply = await worker.local.post(CHAT, json={"model": "auto", "messages": HELLO}, headers=named)
    return str(reply.headers["x-tierwise-policy"])


async def follow(workers: Workers, versions: set[str], conversations: list[str]) -> None:
    """Wait until both workers decide about these conversations by all of these versions."""

    async def decides(worker: Service) -> bool:
        return {await version_for(worker, name) for name in conversations} == versions

    for worker in workers:
        await soon(partial(decides, worker))


async def test_both_workers_try_a_version_on_the_same_conversations(workers: Workers) -> None:
    one, other = workers
    try_it(one, 0.5)
    names = [f"c{number}" for number in range(30)]
    await follow(workers, {ACTIVE, TRIED}, names)
    here = [await version_for(one, name) for name in names]
    assert here == [await version_for(other, name) for name in names]
    assert here == [await version_by_header(other, name) for name in names]
    assert set(here) == {ACTIVE, TRIED}


async def test_what_is_under_way_is_booked_under_the_version_that_decided_it(workers: Workers) -> None:
    one, other = workers
    slow = asyncio.create_task(one.local.post(CHAT, json={"model": "slow", "messages": HELLO}))
    await one.until(one.spooled)  # it is decided, and its provider was asked
    lifecycle.activate(other.engine, propose(other), other.settings.tiers, ADA)
    await follow(workers, {TRIED}, ["any"])
    reply = await slow
    assert reply.headers["x-tierwise-policy"] == ACTIVE
    assert (await one.booked(reply.headers["x-request-id"]))["policy_version"] == 1


async def test_a_shadow_is_recorded_and_changes_nothing(workers: Workers) -> None:
    one, _ = workers
    try_it(one, 1.0, "shadow")
    for _ in range(200):
        reply = await one.local.post(CHAT, json={"model": "auto", "messages": HELLO})
        row = await one.booked(reply.headers["x-request-id"])
        if row["shadow_version"] is not None:
            break
    assert (row["policy_version"], row["shadow_version"], row["shadow_tier"]) == (1, 2, "fast")
