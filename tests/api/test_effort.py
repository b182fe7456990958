"""The effort of the reasoning tier, as a client and the books see it: chosen per query where it is `auto`."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from router.database.tables import Request
from router.reports.queries import costs
from router.reports.window import window
from router.settings import Settings
from tests.api.service import Service, serving, settings_of

PRICES = {"scripted/echo": {"input": 0.05, "output": 0.4}, "scripted/strong": {"input": 1.25, "output": 10}}
HARD = "Prove that there are infinitely many primes congruent to 3 modulo 4."
EASY = "Say hello."


def wired(directory: Path, effort: str | None) -> Settings:
    return settings_of(
        directory,
        tiers={
            "fast": {"model": "scripted/echo"},
            "reasoning": {"model": "scripted/strong", "effort": effort},
            "parallel": {"models": ["scripted/echo"]},
        },
        prices=PRICES,
        policy={"explore": 0.0, "shadow": 0.0, "max_deep_share": 1.0},
    )


async def explained(service: Service, text: str, model: str = "reasoning", **body: Any) -> dict[str, Any]:
    asked = {"model": model, "messages": [{"role": "user", "content": text}], **body}
    response = await service.local.post("/v1/chat/completions", json=asked)
    assert response.status_code == 200, response.text
    found: dict[str, Any] = response.json()["x_tierwise"]
    return found


async def test_a_harder_query_gets_more_and_what_it_got_is_booked_and_reported(tmp_path: Path) -> None:
    async with serving(wired(tmp_path, "auto")) as service:
        hard, easy = await explained(service, HARD), await explained(service, EASY)
        for answer in (hard, easy):
            await service.booked(answer["request_id"])
        with service.engine.connect() as connection:
            booked = {row.id: row.effort for row in connection.execute(select(Request.id, Request.effort))}
        report = costs(service.engine, ["effort"], window(None, None, "UTC", datetime.now(UTC)))
    assert (easy["effort"], hard["effort"]) == ("low", "medium")
    assert booked == {hard["request_id"]: "medium", easy["request_id"]: "low"}
    assert {key: sums.requests for key, sums in report.rows.items()} == {("low",): 1, ("medium",): 1}


@pytest.mark.parametrize(("model", "asked"), [("auto", "high"), ("reasoning", "high"), ("reasoning", "minimal")])
async def test_what_a_client_asks_for_wins(tmp_path: Path, model: str, asked: str) -> None:
    async with serving(wired(tmp_path, "auto")) as service:
        assert (await explained(service, EASY, model, reasoning_effort=asked))["effort"] == asked


async def test_a_fixed_effort_is_asked_of_everybody_and_more_of_it_is_expected_to_cost_more(tmp_path: Path) -> None:
    async with serving(wired(tmp_path, "medium")) as service:
        plain = await explained(service, EASY)
        less, more = [await explained(service, EASY, reasoning_effort=effort) for effort in ("low", "high")]
        fast = await explained(service, EASY, "fast")
    assert (plain["effort"], fast["effort"]) == ("medium", None)
    assert less["expected_cost_nanousd"] < plain["expected_cost_nanousd"] < more["expected_cost_nanousd"]


def test_auto_is_for_the_reasoning_tier_alone(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="effort"):
        settings_of(tmp_path, tiers={"fast": {"model": "scripted/echo", "effort": "auto"}})
