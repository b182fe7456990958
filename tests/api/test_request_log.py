"""A line for every request, whatever became of it, and none of its text."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.api.service import CHAT, Service, a_chat, serving, settings_of

SECRET_WORD = "Popocatepetl"


async def logged(service: Service, path: Path, *bodies: dict[str, Any]) -> list[dict[str, Any]]:
    """Ask, and return the lines of the log once they are there."""
    for body in bodies:
        await service.local.post(CHAT, json=body)

    def lines() -> list[dict[str, Any]]:
        found = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
        return found if len(found) >= len(bodies) else []

    found: list[dict[str, Any]] = await service.until(lines)
    return found


async def test_every_request_has_its_line(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "requests.log"
    asked = [{"role": "user", "content": f"Say {SECRET_WORD}"}]
    async with serving(settings_of(tmp_path, log={"requests": str(path)})) as service:
        answered, failed, unknown = await logged(
            service,
            path,
            a_chat("fast", messages=asked, stream=True),
            a_chat("fail-500", messages=asked),
            a_chat(SECRET_WORD, messages=asked),
        )
        booked = await service.booked(answered["request_id"])
        metrics = (await service.local.get("/metrics")).text
    assert (answered["status"], answered["outcome"], answered["tier"], answered["cause"]) == (200, "ok", "fast", None)
    assert answered["segment"] == booked["segment"]
    assert answered["output_tokens"] > 0
    assert (failed["status"], failed["outcome"], failed["cause"], failed["provider_status"]) == (
        502,
        "error",
        "unknown",
        500,
    )
    assert (unknown["status"], unknown["error"], unknown["outcome"]) == (404, "model_not_found", None)
    assert SECRET_WORD not in path.read_text()
    assert SECRET_WORD not in caplog.text
    failures = 'tierwise_provider_failures_total{cause="unknown",model="scripted/fail-500",provider="scripted"} 1.0'
    assert failures in metrics
