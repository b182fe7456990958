from pathlib import Path
from typing import Any

import pytest

from tests.api.responses.test_endpoint import RESPONSES, a_request
from tests.api.service import CHAT, Connection, Service, a_chat, serving, settings_of

BOTH = pytest.mark.parametrize(
    ("path", "body"), [(CHAT, a_chat()), (RESPONSES, a_request())], ids=["chat", "responses"]
)


@BOTH
async def test_the_places_are_told_as_rate_limits(service: Service, path: str, body: dict[str, Any]) -> None:
    headers = (await service.local.post(path, json=body)).headers
    limit = service.settings.server.max_concurrent_requests
    assert headers["x-ratelimit-limit-requests"] == str(limit)
    assert headers["x-ratelimit-remaining-requests"] == str(limit - 1)
    assert headers["x-ratelimit-reset-requests"] == "0s"
    assert int(headers["openai-processing-ms"]) >= 0


@BOTH
async def test_the_clients_own_id_comes_back_beside_ours(service: Service, path: str, body: dict[str, Any]) -> None:
    for sent in (body, {**body, "model": "gpt-9"}):
        headers = (await service.local.post(path, json=sent, headers={"X-Client-Request-Id": "mine-1"})).headers
        assert headers["x-client-request-id"] == "mine-1"
        assert headers["x-request-id"] != "mine-1"


async def test_a_clients_id_that_is_too_long_is_not_repeated(service: Service) -> None:
    response = await service.local.post(CHAT, json=a_chat(), headers={"X-Client-Request-Id": "x" * 513})
    assert response.status_code == 200
    assert "x-client-request-id" not in response.headers


async def test_whoever_finds_no_place_is_told_that_none_is_left(tmp_path: Path) -> None:
    one = {"max_concurrent_requests": 1, "max_queued_requests": 0}
    async with serving(settings_of(tmp_path, server=one)) as service:
        inside = Connection(service, a_chat("hang"))
        await service.until(service.spooled)
        refused = await service.local.post(RESPONSES, json=a_request())
        await inside.leave()
    assert refused.status_code == 429
    assert refused.headers["x-ratelimit-remaining-requests"] == "0"
    assert refused.headers["x-ratelimit-reset-requests"] == f"{refused.headers['retry-after']}s"


async def test_a_deep_answer_that_failed_is_not_to_be_bought_again(tmp_path: Path) -> None:
    deep = {"deep": {"model": "scripted/fail-500", "effort": "high"}}
    async with serving(settings_of(tmp_path, models=deep)) as service:
        for path, body in ((CHAT, a_chat("deep")), (RESPONSES, a_request("deep"))):
            assert (await service.local.post(path, json=body)).headers["x-should-retry"] == "false"


async def test_whoever_leaves_before_there_is_a_place_is_counted_and_not_booked(tmp_path: Path) -> None:
    one = {"max_concurrent_requests": 1, "max_queued_requests": 1}
    async with serving(settings_of(tmp_path, server=one)) as service:
        inside = Connection(service, a_chat("hang"))
        await service.until(service.spooled)
        waiting = Connection(service, a_chat())
        await waiting.leave()
        scraped = (await service.local.get("/metrics")).text
        await inside.leave()
        await service.until(service.requests)
        booked = [row["outcome"] for row in service.requests()]
    assert "tierwise_unopened_requests_total 1.0" in scraped
    assert (waiting.sent, booked) == ([], ["cancelled"])
