"""What one request may cost, end to end: by header, key, policy and segment; the least of them counts."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.api.service import CHAT, HARD, Service, a_chat, serving, settings_of

CAP = "x-tierwise-max-cost-usd"
PRICE = {"input": 1, "output": 10}  # a token of output costs ten micro-dollars
NAMES = ("fast-echo", "deep", "solver-40pct")
SUM = [{"role": "user", "content": "What is 17 + 25?"}]
DOLLARS = 1e-9


@pytest_asyncio.fixture(loop_scope="session")
async def capped(tmp_path: Path) -> AsyncIterator[Service]:
    changes: dict[str, Any] = {
        "tiers": {
            "fast": {"model": "scripted/fast-echo"},
            "reasoning": {"model": "scripted/deep"},
            "parallel": {"models": ["scripted/solver-40pct"]},
        },
        "prices": {f"scripted/{name}": PRICE for name in NAMES},
        "policy": {"explore": 0, "shadow": 0, "segments": {"cheap": {"max_cost_usd": 0.002}}},
    }
    async with serving(settings_of(tmp_path, **changes)) as running:
        running.local = running.with_key("unlimited", peer="127.0.0.1")
        async with running.local:
            yield running


async def test_a_header_shortens_the_answer_to_what_it_covers(capped: Service) -> None:
    long = a_chat(messages=[{"role": "user", "content": "word " * 900}], max_tokens=4_000)
    whole = await capped.local.post(CHAT, json=long)
    short = await capped.local.post(CHAT, json=long, headers={CAP: "0.005"})
    assert (whole.json()["choices"][0]["finish_reason"], short.json()["choices"][0]["finish_reason"]) == (
        "stop", "length",
    )  # fmt: skip
    assert (
        short.json()["x_tierwise"]["cost_nanousd"] * DOLLARS
        <= 0.005
        < whole.json()["x_tierwise"]["cost_nanousd"] * DOLLARS
    )


@pytest.mark.parametrize("stream", [False, True])
async def test_samples_stay_under_the_cap(capped: Service, stream: bool) -> None:
    body = a_chat("parallel", messages=SUM, max_tokens=200, stream=stream)
    reply = await capped.local.post(CHAT, json=body, headers={CAP: "0.02"})
    assert reply.status_code == 200
    calls = await capped.calls(reply.headers["x-request-id"])
    assert len(calls) >= 4
    assert sum(int(call["cost_nanousd"]) for call in calls) * DOLLARS <= 0.02


async def test_the_cap_of_a_key_counts_and_a_header_cannot_raise_it(capped: Service) -> None:
    client = capped.with_key("thrifty", max_cost_nanousd=1_000_000)
    for header in ({}, {CAP: "1"}):
        reply = await client.post(CHAT, json=a_chat("reasoning", messages=SUM), headers=header)
        assert (reply.status_code, reply.json()["error"]["code"]) == (429, "insufficient_quota")
        assert "max_cost_usd" in reply.json()["error"]["message"]
    fast = await client.post(CHAT, json=a_chat("fast", messages=SUM))
    assert fast.status_code == 200


async def test_the_cap_of_a_segment_counts(capped: Service) -> None:
    for segment, status in (("default", 200), ("cheap", 429)):
        client = capped.with_key(f"of-{segment}", segment=segment)
        assert (await client.post(CHAT, json=a_chat("reasoning", messages=SUM))).status_code == status


async def test_auto_goes_fast_where_the_cap_pays_for_no_more(capped: Service) -> None:
    body = a_chat("auto", messages=[{"role": "user", "content": HARD}], reasoning_effort="high")
    assert (await capped.local.post(CHAT, json=body)).headers["x-tierwise-tier"] == "reasoning"
    reply = await capped.local.post(CHAT, json=body, headers={CAP: "0.004"})
    assert reply.status_code in (200, 429)
    if reply.status_code == 200:
        assert reply.headers["x-tierwise-tier"] == "fast"


@pytest.mark.parametrize("wrong", ["much", "-1", "0", "1e400", "nan", ""])
async def test_a_header_that_is_no_amount_is_refused_by_its_name(capped: Service, wrong: str) -> None:
    reply = await capped.local.post(CHAT, json=a_chat(), headers={CAP: wrong})
    assert (reply.status_code, reply.json()["error"]["param"]) == (400, CAP)
