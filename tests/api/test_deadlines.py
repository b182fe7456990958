"""The deadline of a whole request, end to end: what the client sees, and what the books say."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio

from tests.api.service import CHAT, Service, a_chat, events, serving, settings_of

SLOW = "scripted/steady-1ms-200gap"


@pytest_asyncio.fixture(loop_scope="session")
async def hurried(tmp_path: Path) -> AsyncIterator[Service]:
    models = {"hang": {"model": "scripted/hang"}, "slow": {"model": SLOW}}
    settings = settings_of(tmp_path, server={"request_timeout_s": 0.5}, models=models)
    async with serving(settings) as running:
        yield running


async def test_where_nothing_went_out_the_deadline_is_an_error_with_its_cause(hurried: Service) -> None:
    for stream in (False, True):
        response = await hurried.local.post(CHAT, json=a_chat("hang", stream=stream))
        assert (response.status_code, response.json()["error"]["code"]) == (504, "request_timeout")
        [call] = await hurried.calls(response.headers["x-request-id"])
        assert (call["status"], call["precision"]) == ("error", "estimated")
        assert (await hurried.booked(response.headers["x-request-id"]))["outcome"] == "error"


async def test_where_something_went_out_it_is_the_last_event(hurried: Service) -> None:
    words = [{"role": "user", "content": "say " * 50}]
    response = await hurried.local.post(CHAT, json=a_chat("slow", messages=words, stream=True))
    sent = events(response.text)
    assert response.status_code == 200
    assert sent[0]["choices"]
    assert sent[-1]["error"]["code"] == "request_timeout"


async def test_an_answer_in_time_is_whole(hurried: Service) -> None:
    response = await hurried.local.post(CHAT, json=a_chat())
    assert response.status_code == 200
