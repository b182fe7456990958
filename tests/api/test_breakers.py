"""What clients see of models that fail too often: over HTTP, in the books, and in the metrics."""

from pathlib import Path
from typing import Any

from router.health.breaker import STREAK
from router.keys import Scope
from tests.api.service import CHAT, Service, a_chat, serving, settings_of

DEAD = {"model": "scripted/fail-500"}
TIERS: dict[str, Any] = {
    "fast": DEAD,
    "reasoning": {"model": "scripted/deep"},
    "parallel": {"models": ["scripted/solver"]},
}


async def fail(service: Service, model: str, times: int = STREAK) -> None:
    for _ in range(times):
        assert (await service.local.post(CHAT, json=a_chat(model))).status_code == 502


async def test_auto_goes_to_another_tier_while_no_model_of_its_own_may_be_asked(tmp_path: Path) -> None:
    async with serving(settings_of(tmp_path, tiers=TIERS)) as service:
        await fail(service, "auto")
        response = await service.local.post(CHAT, json=a_chat("auto"))
        calls = await service.calls(response.headers["x-request-id"])
    assert (response.status_code, response.headers["x-tierwise-reason"]) == (200, "capability")
    assert response.headers["x-tierwise-tier"] != "fast"
    assert "scripted/fail-500" not in {call["provider_model"] for call in calls}


async def test_who_names_the_tier_hears_when_to_come_again_and_nobody_is_called(tmp_path: Path) -> None:
    async with serving(settings_of(tmp_path, tiers=TIERS)) as service:
        await fail(service, "fast")
        for stream in (False, True):
            response = await service.local.post(CHAT, json=a_chat("fast", stream=stream))
            booked = await service.booked(response.headers["x-request-id"])
            calls = await service.calls(response.headers["x-request-id"])
            assert (response.status_code, response.json()["error"]["code"]) == (503, "breaker_open")
            assert 1 <= int(response.headers["retry-after"]) <= 5
            assert (booked["outcome"], calls) == ("error", [])


async def test_a_fallback_answers_at_once_and_is_said_to_be_one(tmp_path: Path) -> None:
    fallbacks = {"scripted/fail-500": ["scripted/fast-echo"]}
    async with serving(settings_of(tmp_path, tiers=TIERS, fallbacks=fallbacks)) as service:
        answers = [await service.local.post(CHAT, json=a_chat("fast")) for _ in range(2 * STREAK)]
    seen = [(answer.status_code, answer.json()["x_tierwise"]) for answer in answers]
    assert [(status, said["reason"], said["fell_back"]) for status, said in seen] == [(200, "fallback", True)] * len(
        seen
    )
    assert [said["calls"] for _, said in seen] == [2] * STREAK + [1] * STREAK


async def test_the_parallel_tier_hands_over_without_a_sample_where_no_model_may_be_asked(
    tmp_path: Path,
) -> None:
    tiers = {**TIERS, "fast": {"model": "scripted/fast-echo"}, "parallel": {"models": ["scripted/fail-401"]}}
    async with serving(settings_of(tmp_path, tiers=tiers)) as service:
        asked = [await service.local.post(CHAT, json=a_chat("parallel")) for _ in range(2)]
        calls = await service.calls(asked[1].headers["x-request-id"])
    assert [answer.status_code for answer in asked] == [200, 200]
    assert [call["provider_model"] for call in calls] == ["scripted/deep"]


async def test_metrics_tell_which_model_is_not_asked(tmp_path: Path) -> None:
    async with serving(settings_of(tmp_path, tiers=TIERS)) as service:
        await fail(service, "fast")
        client = service.with_key("metrics", Scope.METRICS)
        text = (await client.get("/metrics")).text
    assert 'tierwise_breaker_open{cause="unknown",model="scripted/fail-500"} 1.0' in text
    assert 'tierwise_breaker_open{cause="",model="scripted/deep"} 0.0' in text
    assert 'tierwise_breaker_openings_total{cause="unknown",model="scripted/fail-500"} 1.0' in text
