from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select, text, update
from starlette.types import Message

from router.clock import SystemClock
from router.database.engine import writing
from router.database.tables import StoredResponseRow
from router.keys import Scope
from router.ledger.retention import purge
from router.types import DAY_US
from tests.api.responses.test_endpoint import RESPONSES, a_request, answered
from tests.api.responses.test_stream import events_in
from tests.api.service import Connection, Service, serving, settings_of


def drop_table(service: Service) -> None:
    with service.engine.begin() as connection:
        connection.execute(text("DROP TABLE stored_responses"))


def kept(service: Service) -> int:
    with service.engine.connect() as connection:
        return connection.execute(select(func.count()).select_from(StoredResponseRow)).scalar_one()


async def test_nothing_is_kept_unless_it_is_asked_for(fresh: Service) -> None:
    body = await answered(fresh)
    assert body["store"] is False
    assert kept(fresh) == 0
    assert (await fresh.local.get(f"{RESPONSES}/{body['id']}")).status_code == 404


@pytest.mark.parametrize("stream", [False, True])
async def test_a_stored_response_is_read_as_it_went_out(service: Service, stream: bool) -> None:
    response = await service.local.post(RESPONSES, json=a_request(store=True, stream=stream))
    found = await service.local.get(f"{RESPONSES}/resp_{response.headers['x-request-id']}")
    assert found.json()["output"][0]["content"][0]["text"] == "Say hello"
    assert found.json()["store"] is True
    assert found.text in response.text


async def test_only_the_key_that_stored_it_can_read_or_delete_it(keyed: Service) -> None:
    async with keyed.with_key("mine") as mine, keyed.with_key("theirs") as theirs:
        path = f"{RESPONSES}/{(await mine.post(RESPONSES, json=a_request(store=True))).json()['id']}"
        for stranger in (theirs, keyed.local):
            assert (await stranger.get(path)).status_code == 404
            assert (await stranger.delete(path)).status_code == 404
        assert (await mine.get(path)).status_code == 200


async def test_a_deleted_response_is_gone(service: Service) -> None:
    path = f"{RESPONSES}/{(await answered(service, store=True))['id']}"
    assert (await service.local.delete(path)).json()["deleted"] is True
    assert (await service.local.get(path)).status_code == 404
    assert (await service.local.delete(path)).json()["error"]["param"] == "response_id"


async def test_a_conversation_goes_on_from_what_was_stored(service: Service) -> None:
    first = await answered(service, input="My name is Ada", instructions="Shout", store=True)
    second = await answered(service, input="And now?", previous_response_id=first["id"], store=True)
    third = await answered(service, input="Still there?", previous_response_id=second["id"])
    inputs = [turn["usage"]["input_tokens"] for turn in (first, second, third)]
    assert inputs == sorted(set(inputs))
    assert third["previous_response_id"] == second["id"]


async def test_a_stored_item_can_be_named_instead_of_sent(service: Service) -> None:
    first = await answered(service, store=True)
    named = {"type": "item_reference", "id": first["output"][0]["id"]}
    again = await answered(service, input=[named, {"role": "user", "content": "More"}])
    alone = await answered(service, input=[{"role": "user", "content": "More"}])
    assert again["usage"]["input_tokens"] > alone["usage"]["input_tokens"]


@pytest.mark.parametrize(
    ("changes", "param"),
    [
        ({"previous_response_id": "resp_" + "0" * 32}, "previous_response_id"),
        ({"previous_response_id": "../x"}, "previous_response_id"),
        ({"input": [{"type": "item_reference", "id": "msg_" + "0" * 34}]}, "input[0].id"),
        ({"input": [{"id": "nobody"}]}, "input[0].id"),
    ],
)
async def test_what_is_not_stored_is_not_found(service: Service, changes: dict[str, Any], param: str) -> None:
    response = await service.local.post(RESPONSES, json=a_request(**changes))
    assert (response.status_code, response.json()["error"]["param"]) == (404, param)


async def test_a_conversation_whose_beginning_was_deleted_is_not_found(service: Service) -> None:
    first = await answered(service, store=True)
    second = await answered(service, previous_response_id=first["id"], store=True)
    await service.local.delete(f"{RESPONSES}/{first['id']}")
    response = await service.local.post(RESPONSES, json=a_request(previous_response_id=second["id"]))
    assert response.json()["error"]["code"] == "previous_response_not_found"


async def test_a_stored_response_expires(fresh: Service) -> None:
    path = f"{RESPONSES}/{(await answered(fresh, store=True))['id']}"
    with writing(fresh.engine) as connection:
        left_us = connection.execute(select(StoredResponseRow.expires_at)).scalar_one() - SystemClock().now_us()
        connection.execute(update(StoredResponseRow).values(expires_at=SystemClock().now_us()))
    assert 29 * DAY_US < left_us <= 30 * DAY_US
    assert (await fresh.local.get(path)).status_code == 404
    purge(fresh.engine, SystemClock().now_us())  # or the shipping thread was there first
    with fresh.engine.connect() as connection:
        assert connection.execute(select(StoredResponseRow)).all() == []


async def test_the_retention_is_a_setting(tmp_path: Path) -> None:
    async with serving(settings_of(tmp_path, server={"stored_response_days": 1})) as service:
        await answered(service, store=True)
        with service.engine.connect() as connection:
            expires_us = connection.execute(select(StoredResponseRow.expires_at)).scalar_one()
    assert expires_us <= SystemClock().now_us() + DAY_US


async def test_while_the_database_is_away_storing_is_refused_and_costs_nothing(fresh: Service) -> None:
    drop_table(fresh)
    response = await fresh.local.post(RESPONSES, json=a_request(store=True))
    assert (response.status_code, response.json()["error"]["code"]) == (503, "unavailable")
    assert response.headers["retry-after"]
    assert fresh.spooled() == 0
    assert (await fresh.local.post(RESPONSES, json=a_request())).status_code == 200


class LosingTheTable(Connection):
    """A client that sees the first piece of its stream in the moment in which the table goes away."""

    def __init__(self, service: Service, body: Any, path: str) -> None:
        self._service = service
        super().__init__(service, body, path)

    async def _send(self, message: Message) -> None:
        if len(self.sent) == 1:
            drop_table(self._service)
        await super()._send(message)


async def test_an_answer_that_could_not_be_stored_goes_out_and_says_so(fresh: Service) -> None:
    connection = LosingTheTable(fresh, a_request(store=True, stream=True), RESPONSES)
    await connection.task
    last = events_in(b"".join(message.get("body", b"") for message in connection.sent).decode())[-1]
    assert (last["type"], last["response"]["store"]) == ("response.completed", False)
    assert "not_stored" in last["response"]["x_tierwise"]
    assert (await fresh.booked(connection.headers["x-request-id"]))["outcome"] == "ok"


async def test_a_stored_response_is_not_streamed_again(service: Service) -> None:
    path = f"{RESPONSES}/{(await answered(service, store=True))['id']}"
    assert (await service.local.get(path, params={"stream": "true"})).json()["error"]["param"] == "stream"


async def test_a_key_without_the_scope_reads_nothing(keyed: Service) -> None:
    async with keyed.with_key("feedback", Scope.FEEDBACK) as client:
        assert (await client.get(f"{RESPONSES}/resp_{'0' * 32}")).status_code == 403


async def test_a_chain_counts_whole_against_the_size_of_a_body(tmp_path: Path) -> None:
    async with serving(settings_of(tmp_path, server={"max_body_bytes": 4_000})) as service:
        last = await answered(service, input="x" * 900, store=True)
        for _ in range(8):
            body = a_request(input="x" * 900, previous_response_id=last["id"], store=True)
            response = await service.local.post(RESPONSES, json=body)
            if response.status_code != 200:
                break
            last = response.json()
        error = response.json()["error"]
        assert (response.status_code, error["param"]) == (413, "previous_response_id")


async def test_a_named_item_counts_as_often_as_it_is_named(tmp_path: Path) -> None:
    async with serving(settings_of(tmp_path, server={"max_body_bytes": 4_000})) as service:
        first = await answered(service, input="x" * 900, store=True)
        named = {"id": first["output"][0]["id"]}
        assert (await service.local.post(RESPONSES, json=a_request(input=[named]))).status_code == 200
        response = await service.local.post(RESPONSES, json=a_request(input=[named] * 20))
        assert (response.status_code, response.json()["error"]["param"]) == (413, "input")


async def test_a_chain_has_a_longest(tmp_path: Path) -> None:
    async with serving(settings_of(tmp_path, server={"max_chain_responses": 2})) as service:
        first = await answered(service, store=True)
        second = await answered(service, previous_response_id=first["id"], store=True)
        third = await answered(service, previous_response_id=second["id"], store=True)
        response = await service.local.post(RESPONSES, json=a_request(previous_response_id=third["id"]))
        assert (response.status_code, response.json()["error"]["param"]) == (413, "previous_response_id")


async def test_a_key_stores_no_more_than_its_quota_and_may_ask_on_without(tmp_path: Path) -> None:
    async with serving(settings_of(tmp_path, server={"max_stored_bytes_per_key": 20_000})) as service:
        for _ in range(20):
            response = await service.local.post(RESPONSES, json=a_request(input="x" * 2_000, store=True))
            if response.status_code != 200:
                break
        assert (response.status_code, response.json()["error"]["code"]) == (429, "insufficient_quota")
        assert (await service.local.post(RESPONSES, json=a_request())).status_code == 200
