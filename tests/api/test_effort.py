"""The effort of the reasoning tier, as a client and the books see it: chosen per query where it is `auto`."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import select

from router.database.tables import Request
from router.reports.queries import costs
from router.reports.window import window
from tests.api.service import HARD, priced_settings_of, serving, settings_of

EASY = "Say hello."


async def test_a_harder_query_gets_more_and_what_it_got_is_booked_and_reported(tmp_path: Path) -> None:
    async with serving(priced_settings_of(tmp_path, effort="auto")) as service:
        hard, easy = await service.explained(HARD, "reasoning"), await service.explained(EASY, "reasoning")
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
    async with serving(priced_settings_of(tmp_path, effort="auto")) as service:
        assert (await service.explained(EASY, model, reasoning_effort=asked))["effort"] == asked


async def test_a_fixed_effort_is_asked_of_everybody_and_more_of_it_is_expected_to_cost_more(tmp_path: Path) -> None:
    async with serving(priced_settings_of(tmp_path, effort="medium")) as service:
        plain = await service.explained(EASY, "reasoning")
        less, more = [await service.explained(EASY, "reasoning", reasoning_effort=effort) for effort in ("low", "high")]
        fast = await service.explained(EASY, "fast")
    assert (plain["effort"], fast["effort"]) == ("medium", None)
    assert less["expected_cost_nanousd"] < plain["expected_cost_nanousd"] < more["expected_cost_nanousd"]


def test_auto_is_for_the_reasoning_tier_alone(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="effort"):
        settings_of(tmp_path, tiers={"fast": {"model": "scripted/echo", "effort": "auto"}})
