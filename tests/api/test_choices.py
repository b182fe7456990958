"""How many choices one request may ask for: more than there may be is refused, never answered with fewer."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.api.service import CHAT, Service, a_chat, serving, settings_of


@pytest_asyncio.fixture(loop_scope="session")
async def narrow(tmp_path: Path) -> AsyncIterator[Service]:
    tiers = {
        "fast": {"model": "scripted/fast-echo"},
        "parallel": {"models": ["scripted/solver-40pct"], "max_samples": 4},
    }
    async with serving(settings_of(tmp_path, server={"max_n": 6}, tiers=tiers)) as running:
        yield running


@pytest.mark.parametrize("stream", [False, True])
async def test_more_choices_than_samples_are_refused_and_the_setting_named(narrow: Service, stream: bool) -> None:
    reply = await narrow.local.post(CHAT, json=a_chat("parallel", n=5, stream=stream))
    error = reply.json()["error"]
    assert (reply.status_code, error["param"]) == (400, "n")
    assert "tiers.parallel.max_samples" in error["message"]


@pytest.mark.parametrize("model", ["fast", "parallel", "auto"])
async def test_more_choices_than_the_server_allows_are_refused_in_every_tier(narrow: Service, model: str) -> None:
    reply = await narrow.local.post(CHAT, json=a_chat(model, n=7))
    assert (reply.status_code, reply.json()["error"]["param"]) == (400, "n")
    assert "server.max_n" in reply.json()["error"]["message"]


async def test_as_many_as_are_allowed_are_answered(narrow: Service) -> None:
    for model, n in (("fast", 6), ("parallel", 4)):
        reply = await narrow.local.post(CHAT, json=a_chat(model, n=n))
        assert (reply.status_code, len(reply.json()["choices"])) == (200, n)
