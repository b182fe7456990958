"""Two replicas on one database: what feedback says to one of them, both tell their clients soon."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Any

import pytest_asyncio

from tests.api.service import CHAT, Service, a_chat, serving, settings_of
from tests.waiting import soon

SUM = "Tom has some apples. What is 17 + 25 of them?"
WIRED: dict[str, Any] = {
    "tiers": {
        "fast": {"model": "scripted/fast-echo"},
        "reasoning": {"model": "scripted/deep"},
        "parallel": {"models": ["scripted/solver"], "escalate_to": "", "coverage_share": 0},
    },
}


@pytest_asyncio.fixture(loop_scope="session")
async def replicas(tmp_path: Path) -> AsyncIterator[tuple[Service, Service]]:
    url = f"sqlite:///{tmp_path}/books.db"
    async with AsyncExitStack() as stack:
        made = []
        for name in ("one", "two"):
            (tmp_path / name).mkdir()
            settings = settings_of(tmp_path / name, database_url=url, **WIRED)
            made.append(await stack.enter_async_context(serving(settings)))
        yield made[0], made[1]


async def ask(service: Service) -> dict[str, Any]:
    return await service.explained(SUM, "parallel")


async def test_labels_given_to_one_replica_move_what_both_say(replicas: tuple[Service, Service]) -> None:
    one, two = replicas
    first = [await ask(one) for _ in range(8)]
    for explained in first:
        await one.booked(explained["request_id"])
    given = await asyncio.gather(
        *(two.local.post("/v1/feedback", json={"request_id": e["request_id"], "rating": -1}) for e in first)
    )
    assert {reply.status_code for reply in given} == {200}

    async def moved(service: Service) -> dict[str, Any] | None:
        said = await ask(service)
        return said if said["confidence"] <= first[0]["confidence"] - 0.3 else None

    for service in (one, two):
        said = await soon(partial(moved, service))
        assert said["agreement"] == first[0]["agreement"]


async def test_a_configured_judge_is_on_trial_and_paid_as_shadow(tmp_path: Path) -> None:
    """Without labels it decides nothing: what it would have chosen is booked beside the vote."""
    sampled = {"models": ["scripted/solver-30pct"], "escalate_to": "", "judge": {"model": "scripted/echo"}}
    tiers = {**WIRED["tiers"], "parallel": {**sampled, "coverage_share": 0}}
    async with serving(settings_of(tmp_path, tiers=tiers)) as service:
        found = []
        for number in range(12):
            asked = [{"role": "user", "content": f"Tom has some apples. What is {number} + 25 of them?"}]
            reply = await service.local.post(CHAT, json=a_chat("parallel", messages=asked))
            calls = await service.calls(reply.headers["x-request-id"])
            found += [call for call in calls if call["provider_model"] == "scripted/echo"]
            if found:
                break
    assert {call["kind"] for call in found} == {"shadow"}
    assert len(found) == 2  # in both orders
