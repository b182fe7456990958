"""Background responses: accepted, watched, hurried, called off, and booked as one request each."""

import asyncio
import json
import threading
import time
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from typing import Any

import httpx
import msgspec
import pytest
import pytest_asyncio
from openai import AsyncOpenAI
from sqlalchemy import select
from sqlalchemy.exc import OperationalError

from router.database.job_tables import JobCallRow, JobRow
from router.database.tables import BudgetLease
from router.jobs import operators
from router.jobs.callbacks import callback_key
from router.jobs.job import Job, JobStatus
from router.jobs.store import JobStore
from router.jobs.stretch import Interrupt
from router.ledger import budgets
from router.ledger.budgets import BudgetScope, Period
from router.ledger.verify import verify
from router.notifications.signatures import key_of, write_secret
from router.reports.queries import costs
from router.reports.window import window
from router.types import DAY_US
from tests.api.service import HELLO, Service, a_chat, serving, settings_of
from tests.jobs.made import a_job
from tests.notifications.test_webhooks import receiving
from tests.waiting import soon

RESPONSES = "/v1/responses"
SLOW = "scripted/steady-400ms"
PRICE: dict[str, Any] = {"input": 1, "output": 2}
SERVED_LATER = {"services": {"flex": {"input": 0.5, "output": 1}}}
SECRET = write_secret(bytes(range(32)))


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def working(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Service]:
    """A service of its own: whoever runs jobs loads the engine, of which a process has one."""
    settings = settings_of(
        tmp_path_factory.mktemp("working"),
        models={"hang": {"model": "scripted/hang"}, "slow": {"model": SLOW}},
        prices=dict.fromkeys(("scripted/solver", "scripted/deep", "scripted/fast-echo", "scripted/hang"), PRICE)
        | {SLOW: PRICE | SERVED_LATER},
        jobs={"background_after_s": 0.05, "webhooks": {"secret": SECRET, "private": True}},
    )
    async with serving(settings) as running:
        running.local = running.with_key("local", peer="127.0.0.1")
        async with running.local:
            yield running


def the_client(service: Service) -> AsyncOpenAI:
    """OpenAI's own client."""
    return AsyncOpenAI(api_key=service.key("openai"), base_url="http://127.0.0.1:8080/v1", http_client=service.client())


def asked(model: str = "parallel", **changes: Any) -> dict[str, Any]:
    return {"model": model, "input": "What is 7 + 8?", "background": True, "store": True, **changes}


async def begun(client: httpx.AsyncClient, **changes: Any) -> dict[str, Any]:
    response = await client.post(RESPONSES, json=asked(**changes))
    assert response.status_code == 202, response.text
    found: dict[str, Any] = response.json()
    return found


async def until(client: httpx.AsyncClient, response_id: str, *statuses: str) -> dict[str, Any]:
    """The response once it has one of these states."""

    async def there() -> Any:
        found = (await client.get(f"{RESPONSES}/{response_id}")).json()
        return found if found["status"] in statuses else None

    found: dict[str, Any] = await soon(there)
    return found


async def test_an_answer_nobody_waits_for_comes_by_the_clients_own_polling(working: Service) -> None:
    async with the_client(working) as client:
        first = await client.responses.create(model="auto", input="What is 7 + 8?", background=True, store=True)
        assert (first.status, first.background) == ("queued", True)
        last = first
        while last.status in ("queued", "in_progress"):
            last = await client.responses.retrieve(first.id)
        assert last.output_text.endswith("Answer: 15")
        assert last.usage is not None
        assert last.usage.output_tokens > 0


async def test_a_job_is_one_request_in_the_books_with_all_its_calls(working: Service) -> None:
    first = await begun(working.local, x_tierwise={"samples": 6})
    done = await until(working.local, first["id"], "completed")
    request_id = first["x_tierwise"]["request_id"]
    booked = await working.booked(request_id)
    calls = await working.calls(request_id)
    assert (booked["outcome"], booked["requested_model"]) == ("ok", "parallel")
    assert sum(call["cost_nanousd"] for call in calls) == done["x_tierwise"]["cost_nanousd"] > 0
    assert len({call["call_no"] for call in calls}) == len(calls)
    assert verify(working.engine).is_sound
    with working.engine.connect() as connection:
        assert connection.execute(select(JobCallRow).where(JobCallRow.job_id == first["id"])).all() == []


async def test_reports_tell_what_jobs_answered_from_what_was_answered_at_once(working: Service) -> None:
    job = await begun(working.local)
    await until(working.local, job["id"], "completed")
    await working.booked(job["x_tierwise"]["request_id"])
    at_once = await working.local.post("/v1/chat/completions", json=a_chat())
    await working.booked(at_once.headers["x-request-id"])
    found = costs(working.engine, ["background"], window(None, None, "UTC", datetime.now(UTC)))
    assert {name: sums.requests > 0 for (name,), sums in found.rows.items()} == {"yes": True, "no": True}


async def test_what_was_reserved_for_a_call_that_is_called_off_meanwhile_is_given_back(
    working: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    reserve, call_off, is_called_off = JobStore.reserve, Interrupt.call_off, threading.Event()

    def reserve_late(self: JobStore, *asked: Any) -> Any:
        number = reserve(self, *asked)
        if number == 3:
            assert is_called_off.wait(60)
        return number

    def tell(self: Interrupt, names: Sequence[str] | None = None) -> None:
        call_off(self, names)
        if names:
            asyncio.get_running_loop().call_soon(call_off, self, names)  # more than once, as other answers come
            asyncio.get_running_loop().call_soon(is_called_off.set)

    monkeypatch.setattr(JobStore, "reserve", reserve_late)
    monkeypatch.setattr(Interrupt, "call_off", tell)
    done = await until(working.local, (await begun(working.local, x_tierwise={"samples": 6}))["id"], "completed")
    told = done["x_tierwise"]
    assert sum(action["cost_nanousd"] for action in told["trace"]["actions"]) == told["cost_nanousd"] > 0
    assert "cancelled" in [action["status"] for action in told["trace"]["actions"]]


async def test_chat_completions_begin_the_same_object(working: Service) -> None:
    body = {"model": "fast", "messages": HELLO, "background": True, "store": True}
    response = await working.local.post("/v1/chat/completions", json=body)
    assert response.status_code == 202
    done = await until(working.local, response.json()["id"], "completed")
    assert done["object"] == "response"
    assert done["output"][-1]["content"][0]["text"]


async def test_what_is_not_stored_cannot_run_in_the_background(working: Service) -> None:
    for path, changes in (
        (RESPONSES, asked()),
        ("/v1/chat/completions", {"model": "fast", "messages": HELLO, "background": True}),
    ):
        refused = await working.local.post(path, json={**changes, "store": False})
        assert refused.status_code == 400
        assert refused.json()["error"]["param"] == "background"
        assert "store: true" in refused.json()["error"]["message"]


async def test_a_cancel_ends_the_work_and_may_come_twice(working: Service) -> None:
    first = await begun(working.local, model="hang")
    await until(working.local, first["id"], "in_progress")
    for _ in range(2):
        response = await working.local.post(f"{RESPONSES}/{first['id']}/cancel")
        assert (response.status_code, response.json()["status"]) == (200, "cancelled")
    assert (await working.booked(first["x_tierwise"]["request_id"]))["outcome"] == "cancelled"


async def test_an_operator_calls_one_off_and_has_it_done_again(working: Service) -> None:
    first = await begun(working.local, model="slow")
    await until(working.local, first["id"], "in_progress")
    now_us = time.time_ns() // 1_000
    await asyncio.to_thread(operators.cancel, working.engine, first["id"], now_us, DAY_US)
    assert (await working.booked(first["x_tierwise"]["request_id"]))["outcome"] == "cancelled"
    again = await asyncio.to_thread(operators.retry, working.engine, first["id"], now_us, DAY_US)
    done = await until(working.local, again.id, "completed")
    assert done["output"][-1]["content"][0]["text"]
    assert (await working.booked(again.request_id))["outcome"] == "ok"
    stood = (await working.local.get(f"{RESPONSES}/{first['id']}")).json()
    assert stood["x_tierwise"]["progress"]["retried_as"] == again.id
    assert verify(working.engine).is_sound


async def test_what_a_command_calls_off_before_it_began_is_booked_too(working: Service) -> None:
    row = a_job(at_us=time.time_ns() // 1_000 - 60_000_000)
    cancelled = {"status": JobStatus.CANCELLED, "cancelled_at": row.created_at, "finished_at": row.created_at}
    JobStore(working.engine).insert(msgspec.structs.replace(row, **cancelled))
    assert (await working.booked(row.request_id))["outcome"] == "cancelled"


async def test_answer_now_takes_the_answer_that_leads(working: Service) -> None:
    first = await begun(working.local, model="parallel", input="Write a poem.", x_tierwise={"samples": 64})
    response = await working.local.post(f"{RESPONSES}/{first['id']}/answer_now")
    assert response.json()["status"] == "completed"
    assert response.json()["output"][-1]["content"][0]["text"]


async def test_instructions_reach_the_samples_that_follow(working: Service) -> None:
    first = await begun(working.local, model="slow")
    sent = await working.local.post(f"{RESPONSES}/{first['id']}/instructions", json={"instructions": "Be short."})
    assert (sent.status_code, sent.json()["x_tierwise"]["instructions"]) == (200, 1)
    done = await until(working.local, first["id"], "completed")
    assert done["x_tierwise"]["trace"]["rounds"] == 2
    late = await working.local.post(f"{RESPONSES}/{first['id']}/instructions", json={"instructions": "Again."})
    assert (late.status_code, late.json()["error"]["code"]) == (400, "response_ended")


async def test_events_can_be_gone_on_with_after_any_number(working: Service) -> None:
    async with the_client(working) as client:
        stream = await client.responses.create(
            model="parallel", input="What is 7 + 8?", background=True, store=True, stream=True
        )
        events = [event async for event in stream]
        assert [event.sequence_number for event in events] == list(range(len(events)))
        assert (events[0].type, events[-1].type) == ("response.created", "response.completed")
        response_id = events[0].response.id  # type: ignore[union-attr]
        again = await client.responses.retrieve(response_id, stream=True, starting_after=2)
        rest = [event async for event in again]
        assert [event.type for event in rest] == [event.type for event in events[3:]]


async def test_nobody_else_finds_a_job(working: Service) -> None:
    first = await begun(working.local)
    async with working.with_key("other") as other:
        assert (await other.get(f"{RESPONSES}/{first['id']}")).status_code == 404
        assert (await other.post(f"{RESPONSES}/{first['id']}/cancel")).status_code == 404


async def test_a_conversation_goes_on_from_an_answered_job_until_it_is_deleted(working: Service) -> None:
    first = await begun(working.local, model="fast", input="Call me Ada.")
    await until(working.local, first["id"], "completed")
    body = {"model": "fast", "input": "Who am I?", "previous_response_id": first["id"]}
    assert (await working.local.post(RESPONSES, json=body)).status_code == 200
    gone = await working.local.delete(f"{RESPONSES}/{first['id']}")
    assert gone.json() == {"id": first["id"], "object": "response", "deleted": True}
    assert (await working.local.get(f"{RESPONSES}/{first['id']}")).status_code == 404
    assert (await working.local.post(RESPONSES, json=body)).status_code == 404
    with working.engine.connect() as connection:
        texts = select(JobRow.request, JobRow.answer, JobRow.trace).where(JobRow.id == first["id"])
        assert connection.execute(texts).all() == [(None, None, None)]


async def test_the_most_a_job_may_cost_is_held_while_it_lives(working: Service) -> None:
    secret = working.with_key("saver", segment="saver")
    limit = 10**12
    budgets.put(working.engine, BudgetScope.SEGMENT, "saver", Period.MONTH, limit, "test", "", 1)

    def leased() -> int:
        with working.engine.connect() as connection:
            return sum(connection.scalars(select(BudgetLease.left_nanousd).where(BudgetLease.owner.like("job-%"))))

    async with secret as client:
        first = await begun(client, model="hang")
        assert leased() == first["x_tierwise"]["largest_cost_nanousd"] > 0
        await client.post(f"{RESPONSES}/{first['id']}/cancel")
        await soon(lambda: leased() == 0)
        budgets.put(working.engine, BudgetScope.SEGMENT, "saver", Period.MONTH, 1_000, "test", "", 1)
        refused = await client.post(RESPONSES, json=asked(model="hang"))
        assert (refused.status_code, refused.json()["error"]["code"]) == (429, "insufficient_quota")
        assert leased() == 0


async def test_a_job_is_quoted_before_it_begins_and_never_costs_more(working: Service) -> None:
    first = await begun(working.local, x_tierwise={"recipe": "deep", "samples": 8})
    quote = first["x_tierwise"]["quote"]
    low, high = (float(quote["cost_usd"][end]) for end in ("low", "high"))
    assert 0 < low <= float(quote["expected_cost_usd"]) <= high < float(quote["largest_cost_usd"])
    assert 0 < quote["seconds"]["low"] < quote["seconds"]["median"] < quote["seconds"]["high"]
    assert quote["p_correct_now_interval"]["low"] <= quote["p_correct_now"] <= quote["p_correct"]
    assert (quote["tier"], quote["recipe"], list(quote["windows"])) == ("parallel", "deep", ["soonest"])
    assert quote["evidence"]["jobs"] == 0
    done = await until(working.local, first["id"], "completed")
    assert done["x_tierwise"]["quote"] == quote
    assert done["x_tierwise"]["cost_nanousd"] < float(quote["largest_cost_usd"]) * 1e9


async def test_a_window_that_no_price_names_is_refused(working: Service) -> None:
    window = {"completion_window": "8h"}
    for name in ("x_tierwise", "background_options"):
        refused = await working.local.post(RESPONSES, json=asked() | {name: window})
        assert refused.status_code == 400
        assert "nobody sells 8h for scripted/solver" in refused.json()["error"]["message"]


async def test_who_gives_a_job_time_asks_for_the_cheaper_service(working: Service) -> None:
    first = await begun(working.local, model="slow", x_tierwise={"completion_window": "8h"})
    windows = first["x_tierwise"]["quote"]["windows"]
    assert list(windows) == ["soonest", "2h", "8h"]
    assert float(windows["8h"]["expected_cost_usd"]) < 0.6 * float(windows["soonest"]["expected_cost_usd"])
    assert first["x_tierwise"]["quote"]["expected_cost_usd"] == windows["8h"]["expected_cost_usd"]
    await until(working.local, first["id"], "completed")
    with working.engine.connect() as connection:
        answer = connection.scalar(select(JobRow.answer).where(JobRow.id == first["id"]))
    assert '"service_tier":"default"' in str(answer)  # what the double says it used, where a service was asked for


ALLOWED = {"x-tierwise-allow-background": "true"}
WAITED_FOR = {"model": "auto", "input": "What is 7 + 8?", "store": True}


async def test_auto_answers_later_whoever_allows_that_where_it_would_take_long(working: Service) -> None:
    response = await working.local.post(RESPONSES, json=WAITED_FOR, headers=ALLOWED)
    assert response.status_code == 202, response.text
    begun = response.json()
    assert (begun["status"], begun["background"]) == ("queued", True)
    assert begun["x_tierwise"]["quote"]["seconds"]["median"] > 0.05
    done = await until(working.local, begun["id"], "completed")
    assert done["output"]
    assert done["x_tierwise"]["reason"] != "override"


async def test_chat_completions_offer_it_as_well_and_it_is_read_as_a_response(working: Service) -> None:
    body = {"model": "auto", "messages": [{"role": "user", "content": "What is 7 + 8?"}], "store": True}
    response = await working.local.post("/v1/chat/completions", json=body, headers=ALLOWED)
    assert (response.status_code, response.json()["object"]) == (202, "response")
    await until(working.local, response.json()["id"], "completed")


@pytest.mark.parametrize(
    ("changes", "headers"),
    [
        ({}, {}),
        ({}, {"x-tierwise-allow-background": "false"}),
        ({"store": False}, ALLOWED),
        ({"model": "fast"}, ALLOWED),
    ],
)
async def test_who_does_not_allow_it_or_keeps_nothing_or_named_a_tier_waits(
    working: Service, changes: dict[str, Any], headers: dict[str, str]
) -> None:
    response = await working.local.post(RESPONSES, json=WAITED_FOR | changes, headers=headers)
    assert (response.status_code, response.json()["status"]) == (200, "completed")
    assert not response.json()["background"]


async def test_a_stream_stays_a_stream(working: Service) -> None:
    response = await working.local.post(RESPONSES, json=WAITED_FOR | {"stream": True}, headers=ALLOWED)
    assert (response.status_code, "response.completed" in response.text) == (200, True)


async def test_a_job_that_cannot_be_accepted_keeps_nobody_from_an_answer(working: Service) -> None:
    one_answer_and_no_job = 400_000_000
    budgets.put(working.engine, BudgetScope.SEGMENT, "thrifty", Period.MONTH, one_answer_and_no_job, "test", "", 1)
    async with working.with_key("thrifty", segment="thrifty") as client:
        response = await client.post(RESPONSES, json=WAITED_FOR, headers=ALLOWED)
    assert (response.status_code, response.json()["status"]) == (200, "completed")


async def test_what_is_neither_true_nor_false_is_refused_by_name(working: Service) -> None:
    refused = await working.local.post(RESPONSES, json=WAITED_FOR, headers={"x-tierwise-allow-background": "maybe"})
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "x-tierwise-allow-background")


async def test_a_job_is_one_of_its_users_deep_answers_of_the_day(working: Service) -> None:
    async with working.with_key("homes", limits={"user_deep_per_day": 1}) as client:
        first = await begun(client, model="parallel", safety_identifier="ada")
        refused = await client.post(RESPONSES, json=asked(safety_identifier="ada"))
        assert (refused.status_code, refused.json()["error"]["code"]) == (429, "insufficient_quota")
        await until(client, first["id"], "completed")


async def test_a_job_that_could_not_be_stored_takes_nothing_of_the_day(
    working: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(store: JobStore, job: Job) -> None:
        raise OperationalError("INSERT", {}, Exception("the disk is full"))

    async with working.with_key("disk", limits={"user_deep_per_day": 1}) as client:
        with monkeypatch.context() as patched:
            patched.setattr(JobStore, "insert", fail)
            refused = await client.post(RESPONSES, json=asked(safety_identifier="grace"))
        assert refused.status_code == 503

        async def accepted() -> bool:
            return (await client.post(RESPONSES, json=asked(safety_identifier="grace"))).status_code == 202

        assert await soon(accepted)


async def test_whoever_asked_for_it_is_called_back_and_can_check_who_calls(working: Service) -> None:
    with receiving() as receiver:
        notify = {"webhook": receiver.url, "include_answer": True}
        first = await begun(working.local, x_tierwise={"notify": notify})
        await soon(lambda: receiver.got)
    [(headers, body)] = receiver.got
    key_id = (await working.booked(first["id"].removeprefix("resp_")))["key_id"]
    client = AsyncOpenAI(api_key="none", webhook_secret=write_secret(callback_key(key_of(SECRET), key_id)))
    event = client.webhooks.unwrap(body, headers)
    assert (event.type, event.data.id) == ("response.completed", first["id"])  # type: ignore[union-attr]
    assert json.loads(body)["data"]["output_text"].endswith("Answer: 15")


async def test_of_a_job_that_never_began_it_is_told_that_it_was_called_off(working: Service) -> None:
    job = JobRow.__table__
    with receiving() as receiver:
        first = await begun(working.local, model="hang", x_tierwise={"notify": {"webhook": receiver.url}})
        await working.local.post(f"{RESPONSES}/{first['id']}/cancel")
        await soon(lambda: receiver.got)
    assert json.loads(receiver.got[0][1])["type"] == "response.cancelled"
    with working.engine.connect() as connection:
        assert connection.execute(select(job.c.callback).where(job.c.id == first["id"])).scalar_one() is not None


@pytest.mark.parametrize(
    ("notify", "param"),
    [
        ({}, "x_tierwise.notify"),
        ({"mail": "ada@example.org"}, "x_tierwise.notify.mail"),
        ({"webhook": "ftp://example.org"}, "x_tierwise.notify.webhook"),
        ({"webhook": 7}, "x_tierwise.notify.webhook"),
        ({"sms": "+351"}, "x_tierwise.notify"),
    ],
)
async def test_what_cannot_be_told_is_refused_before_anything_is_bought(
    working: Service, notify: dict[str, Any], param: str
) -> None:
    for path, body in (
        (RESPONSES, asked()),
        ("/v1/chat/completions", {"model": "fast", "messages": HELLO, "background": True, "store": True}),
    ):
        refused = await working.local.post(path, json={**body, "x_tierwise": {"notify": notify}})
        assert (refused.status_code, refused.json()["error"]["param"]) == (400, param)


@pytest.mark.parametrize("stream", [False, True])
async def test_a_job_is_begun_once_for_each_idempotency_key(working: Service, stream: bool) -> None:
    once = {"Idempotency-Key": f"job-{stream}"}
    first, again = [await working.local.post(RESPONSES, json=asked(stream=stream), headers=once) for _ in range(2)]
    assert first.status_code == again.status_code
    assert again.content == first.content
    assert again.headers["idempotent-replayed"] == "true"


async def test_nothing_is_ever_unpickled_whatever_a_row_says(working: Service) -> None:
    first = await begun(working.local, model="fast")
    await until(working.local, first["id"], "completed")
    from dbos import _serialization

    assert not isinstance(_serialization.DBOSDefaultSerializer, _serialization.DefaultSerializer)
    with pytest.raises(TypeError, match="not available"):
        _serialization.deserialize_value("gARLAS4=", "py_pickle", _serialization.DBOSPortableJSON)
