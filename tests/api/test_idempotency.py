"""`Idempotency-Key`: the same key and body get the same answer and one bill."""

import json
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from sqlalchemy import text, update

from router.api import idempotency
from router.clock import SystemClock
from router.database.engine import writing
from router.database.replay_tables import ReplayRow
from tests.api.service import CHAT, HELLO, JSON, Connection, Service, a_chat, serving, settings_of

RESPONSES = "/v1/responses"
HEADER = "Idempotency-Key"
BODIES = {CHAT: a_chat(), RESPONSES: {"model": "fast", "input": "Say hello"}}


async def ask(service: Service, key: str, path: str = CHAT, **changes: Any) -> httpx.Response:
    return await service.local.post(path, json=BODIES[path] | changes, headers={HEADER: key})


async def booked(service: Service, answered: httpx.Response) -> list[dict[str, Any]]:
    """All requests that are booked, once one of them is."""
    await service.booked(answered.headers["x-request-id"])
    return service.requests()


def kept(service: Service) -> list[Any]:
    with service.engine.connect() as connection:
        return list(connection.execute(text("SELECT * FROM replays")))


@pytest.mark.parametrize("path", BODIES)
@pytest.mark.parametrize("stream", [False, True])
async def test_the_same_key_and_body_get_the_same_answer_and_one_bill(fresh: Service, path: str, stream: bool) -> None:
    first, again = [await ask(fresh, "a", path, stream=stream) for _ in range(2)]
    assert first.status_code == again.status_code == 200, first.text
    assert again.content == first.content
    assert again.headers["x-request-id"] == first.headers["x-request-id"]
    assert again.headers["content-type"] == first.headers["content-type"]
    assert (first.headers.get("idempotent-replayed"), again.headers["idempotent-replayed"]) == (None, "true")
    assert again.headers["x-tierwise-tier"] == "fast"
    assert len(await booked(fresh, first)) == 1


async def test_openais_client_reads_a_replayed_stream_chunk_by_chunk(service: Service) -> None:
    client = openai.AsyncOpenAI(api_key="none", base_url="http://127.0.0.1:8080/v1", http_client=service.client())

    async def chunks() -> list[Any]:
        stream = await client.chat.completions.create(
            model="fast", messages=[{"role": "user", "content": "Say hello"}], stream=True, extra_headers={HEADER: "s"}
        )
        return [chunk async for chunk in stream]

    first = await chunks()
    assert len(first) > 2
    assert await chunks() == first


@pytest.mark.parametrize("other", [{"max_tokens": 9}, {"model": "auto"}])
async def test_another_body_is_refused_for_good(service: Service, other: dict[str, Any]) -> None:
    await ask(service, f"b-{other}".replace(" ", ""))
    refused = await ask(service, f"b-{other}".replace(" ", ""), **other)
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "idempotency_key_reused")
    assert refused.headers["x-should-retry"] == "false"


async def test_another_path_or_header_of_ours_is_another_request_and_other_headers_are_not(service: Service) -> None:
    await ask(service, "c")
    elsewhere = await service.local.post(RESPONSES, json=BODIES[CHAT], headers={HEADER: "c"})
    capped = await service.local.post(CHAT, json=BODIES[CHAT], headers={HEADER: "c", "x-tierwise-max-cost-usd": "1"})
    retried = await service.local.post(CHAT, json=BODIES[CHAT], headers={HEADER: "c", "x-stainless-retry-count": "1"})
    assert [elsewhere.status_code, capped.status_code, retried.status_code] == [409, 409, 200]


async def test_while_it_is_under_way_others_wait(fresh: Service) -> None:
    body = a_chat("hang", stream=True)
    slow = Connection(fresh, body, headers=[(b"idempotency-key", b"d")])
    await fresh.until(lambda: kept(fresh))
    refused = await fresh.local.post(CHAT, content=json.dumps(body), headers={HEADER: "d", **JSON})
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "idempotency_key_in_use")
    assert int(refused.headers["retry-after"]) >= 1
    slow.task.cancel()


async def test_nothing_bought_means_the_key_is_free_again(fresh: Service) -> None:
    wrong = [await ask(fresh, "e", temperature=9), await ask(fresh, "e", model="none")]
    assert [answer.status_code for answer in wrong] == [400, 404]
    refused = await ask(fresh, "e", model="fail-500")
    assert refused.status_code == 502
    assert (await ask(fresh, "e")).status_code == 200


async def test_an_error_that_was_paid_for_is_what_the_key_gets(fresh: Service) -> None:
    first, again = [await ask(fresh, "f", model="fail-midstream-5c", stream=True) for _ in range(2)]
    assert "error" in first.text
    assert again.content == first.content
    assert again.headers["idempotent-replayed"] == "true"
    assert len(await booked(fresh, first)) == 1


async def test_who_left_finds_the_answer_when_it_comes_back(fresh: Service) -> None:
    body = a_chat("steady-think", stream=True)
    connection = Connection(fresh, body, headers=[(b"idempotency-key", b"g")])
    await connection.arrived(3)
    await connection.leave()
    again = await fresh.local.post(CHAT, content=json.dumps(body), headers={HEADER: "g", **JSON})
    assert again.headers["idempotent-replayed"] == "true"
    assert again.text.endswith("data: [DONE]\n\n")
    [request] = await booked(fresh, again)
    assert request["outcome"] == "ok"


async def test_a_worker_that_is_gone_leaves_its_keys_to_the_next_request(fresh: Service) -> None:
    """What a killed worker leaves behind: a claim without an answer, which nobody renews."""
    first = await ask(fresh, "h")
    left = {"status": None, "body": None, "head": None}
    with writing(fresh.engine) as connection:
        connection.execute(update(ReplayRow).values(**left, lease_until=SystemClock().now_us() + 60_000_000))
    waiting = await ask(fresh, "h")
    assert (waiting.status_code, waiting.json()["error"]["code"]) == (409, "idempotency_key_in_use")
    assert 1 <= int(waiting.headers["retry-after"]) <= 10
    with writing(fresh.engine) as connection:
        connection.execute(update(ReplayRow).values(lease_until=SystemClock().now_us()))
    anew = await ask(fresh, "h")
    assert anew.status_code == 200
    assert anew.headers["x-request-id"] != first.headers["x-request-id"]


async def test_keys_belong_to_their_callers(keyed: Service) -> None:
    async with keyed.with_key("mine") as mine, keyed.with_key("theirs") as theirs:
        answers = [await client.post(CHAT, json=a_chat(), headers={HEADER: "i"}) for client in (mine, theirs, mine)]
    ids = [answer.headers["x-request-id"] for answer in answers]
    assert ids[0] == ids[2] != ids[1]


@pytest.mark.parametrize("key", ["", "x" * 256, "with space", "grüße"], ids=ascii)
async def test_what_is_no_key_is_named(service: Service, key: str) -> None:
    given = [(HEADER.encode(), key.encode("latin-1"))]
    refused = await service.local.post(CHAT, json=a_chat(), headers=given)
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, HEADER)


async def test_two_keys_are_none(service: Service) -> None:
    refused = await service.local.post(CHAT, json=a_chat(), headers=[(HEADER, "a"), (HEADER, "b")])
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, HEADER)


async def test_without_the_database_nothing_is_bought_for_a_key(fresh: Service) -> None:
    with fresh.engine.begin() as connection:
        connection.execute(text("DROP TABLE replays"))
    assert (await ask(fresh, "j")).status_code == 503
    assert (await fresh.local.post(CHAT, json=a_chat())).status_code == 200


async def test_an_answer_that_is_too_large_is_not_kept_and_not_bought_again(
    fresh: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(idempotency, "MOST_BYTES", 10)
    first, again = [await ask(fresh, "k") for _ in range(2)]
    assert (first.status_code, again.status_code) == (200, 409)
    assert again.json()["error"]["code"] == "idempotent_answer_not_kept"
    assert len(await booked(fresh, first)) == 1


async def test_a_key_costs_nothing_where_none_is_sent(fresh: Service) -> None:
    await fresh.local.post(CHAT, json=a_chat())
    assert kept(fresh) == []


async def test_what_is_kept_does_not_show_key_or_question(tmp_path: Path) -> None:
    async with serving(settings_of(tmp_path)) as service:
        await service.local.post(CHAT, json=a_chat(messages=HELLO), headers={HEADER: "order-4711"})
        [row] = kept(service)
    stored = b"".join(value if isinstance(value, bytes) else str(value).encode() for value in row)
    assert b"4711" not in stored
    assert b"hello" not in stored
