"""A model that fails is told of by itself, and an operator says that they know."""

from pathlib import Path

from router.notifications import alerts
from router.notifications.rules import AlertRule
from tests.api.service import CHAT, a_chat, serving, settings_of


async def test_a_model_that_is_not_asked_any_more_is_told_of(tmp_path: Path) -> None:
    async with serving(settings_of(tmp_path, alerts={"every_s": 1})) as service:
        for _ in range(8):
            await service.local.post(CHAT, json=a_chat("fail-500"))

        def told() -> bool:
            found = [one for one in alerts.read(service.engine) if one.alert.rule == AlertRule.BREAKER]
            return any(way["delivered_at"] for one in found for way in one.deliveries)

        await service.until(told)
        [alert] = [one.alert for one in alerts.read(service.engine) if one.alert.rule == AlertRule.BREAKER]
    assert (alert.subject, alert.level) == ("scripted/fail-500", "bad")
