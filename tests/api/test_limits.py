"""Limits of keys and persons, end to end: what a client is told, and what it costs."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from sqlalchemy import select

from router.database.tables import PersonDay
from tests.api.service import CHAT, Service, a_chat, serving, settings_of

DEEP = "reasoning"


@pytest_asyncio.fixture(loop_scope="session")
async def limited(tmp_path: Path) -> AsyncIterator[Service]:
    wired = settings_of(tmp_path, limits={"user_deep_per_day": 1, "user_requests_per_minute": 50})
    async with serving(wired) as running:
        yield running


async def ask(client: httpx.AsyncClient, model: str = "fast", **changes: Any) -> httpx.Response:
    return await client.post(CHAT, json=a_chat(model, **changes))


async def test_requests_of_a_minute_are_told_and_held(keyed: Service) -> None:
    async with keyed.with_key("two a minute", limits={"requests_per_minute": 2}) as client:
        answers = [await ask(client) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert [answer.headers["x-ratelimit-remaining-requests"] for answer in answers] == ["1", "0", "0"]
    refused = answers[-1]
    assert refused.json()["error"]["code"] == "rate_limit_exceeded"
    assert 0 < int(refused.headers["retry-after"]) <= 60
    assert refused.headers["x-ratelimit-limit-requests"] == "2"


async def test_tokens_of_a_minute_are_told_and_held(keyed: Service) -> None:
    async with keyed.with_key("few tokens", limits={"tokens_per_minute": 60}) as client:
        first = await ask(client, stream=True)
        assert first.headers["x-ratelimit-limit-tokens"] == "60"
        statuses = [(await ask(client)).status_code for _ in range(5)]
    assert statuses[-1] == 429


async def test_one_request_at_once(keyed: Service) -> None:
    async with keyed.with_key("one at once", limits={"concurrency": 1}) as client:
        hanging = asyncio.ensure_future(ask(client, "hang"))

        async def is_refused() -> bool:
            return (await ask(client)).status_code == 429

        await keyed.until(is_refused)
        hanging.cancel()
        with pytest.raises(asyncio.CancelledError):
            await hanging


@pytest.mark.parametrize(("asked", "param"), [({"n": 3}, "n"), ({"max_tokens": 51}, "max_tokens")])
async def test_more_than_a_key_may_ask_for_is_refused(keyed: Service, asked: dict[str, Any], param: str) -> None:
    async with keyed.with_key(f"bounds {param}", limits={"max_n": 2, "max_tokens": 50}) as client:
        refused = await ask(client, **asked)
        assert (refused.status_code, refused.json()["error"]["param"]) == (400, param)
        assert (await ask(client)).status_code == 200


async def test_a_key_without_limits_is_told_of_none(keyed: Service) -> None:
    answer = await ask(keyed.local)
    assert "x-ratelimit-limit-tokens" not in answer.headers
    assert int(answer.headers["x-ratelimit-limit-requests"]) > 100


async def test_a_person_s_second_deep_answer_of_the_day_is_refused_by_name(limited: Service) -> None:
    first = await ask(limited.local, DEEP, user="ann")
    assert first.status_code == 200
    second = await ask(limited.local, DEEP, user="ann")
    assert (second.status_code, second.json()["error"]["code"]) == (429, "insufficient_quota")
    assert 0 < int(second.headers["retry-after"]) <= 86_400
    assert second.headers["x-should-retry"] == "false"
    assert (await ask(limited.local, DEEP, user="bob")).status_code == 200
    assert (await ask(limited.local, DEEP)).status_code == 200


async def test_auto_degrades_to_fast_for_the_allowance_and_the_books_say_so(limited: Service) -> None:
    await ask(limited.local, DEEP, user="cleo")
    answer = await ask(limited.local, "auto", user="cleo", reasoning_effort="high")
    assert (answer.headers["x-tierwise-tier"], answer.headers["x-tierwise-reason"]) == ("fast", "user_allowance")
    assert (await limited.booked(answer.headers["x-request-id"]))["reason"] == "user_allowance"


async def test_fast_answers_touch_no_allowance(limited: Service) -> None:
    assert (await ask(limited.local, user="dan")).status_code == 200
    with limited.engine.connect() as connection:
        assert connection.execute(select(PersonDay.__table__)).all() == []
