"""Quotes and the price of a decision, as a client sees them: nothing is called, and costs decide as they are quoted."""

from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from router.database.tables import Request
from tests.api.service import HARD, Service, a_chat, priced_settings_of, serving, settings_of

TRIVIAL = "What is 17 plus 25?"
FILLER = "The committee met on Tuesday and talked about the minutes of the meeting before. "


def priced(directory: Path, sensitivity: float = 1.0) -> AbstractAsyncContextManager[Service]:
    return serving(priced_settings_of(directory, cost_sensitivity=sensitivity))


def behind(question: str, words: int) -> str:
    material = FILLER * (words // len(FILLER.split()))
    return f"{question}\n\nHere is a text, which may help:\n\n{material}" if words else question


async def quoted(service: Service, text: str, **body: Any) -> dict[str, Any]:
    return await service.answered("/v1/quotes", a_chat("auto", messages=[{"role": "user", "content": text}], **body))


async def test_a_quote_tells_of_every_tier_and_of_auto_and_calls_nothing(tmp_path: Path) -> None:
    async with priced(tmp_path) as service:
        quote = await quoted(service, HARD)
        answer = await service.explained(HARD)
        with service.engine.connect() as connection:
            booked = connection.scalar(select(func.count()).select_from(Request))
    assert booked in (0, 1)
    assert [tier["tier"] for tier in quote["tiers"]] == ["fast", "reasoning", "parallel"]
    for tier in quote["tiers"]:
        low, high = (float(tier["cost_usd"][end]) for end in ("low", "high"))
        assert 0 < low <= float(tier["expected_cost_usd"]) <= high < float(tier["largest_cost_usd"])
        assert 0 <= tier["p_correct"] <= 1
        assert 0 < tier["seconds"]["low"] <= tier["seconds"]["median"] <= tier["seconds"]["high"]
    assert quote["tiers"][2]["p_correct"] == quote["tiers"][0]["p_correct"], "nothing is voted on in a proof"
    assert (quote["auto"]["tier"], quote["auto"]["reason"]) == (answer["tier"], answer["reason"])
    expected = {tier["tier"]: tier["expected_cost_usd"] for tier in quote["tiers"]}
    assert float(expected[answer["tier"]]) == pytest.approx(answer["expected_cost_nanousd"] / 1e9)


async def test_what_was_expected_is_booked_beside_what_was_paid(tmp_path: Path) -> None:
    async with priced(tmp_path) as service:
        answer = await service.explained(TRIVIAL)
        await service.booked(answer["request_id"])
        with service.engine.connect() as connection:
            row = connection.execute(select(Request.__table__)).one()
    assert row.expected_cost_nanousd == answer["expected_cost_nanousd"] > 0
    assert (row.cost_factor, row.cost_ratio) == (1.0, pytest.approx(1.0, abs=0.01))


async def test_a_quote_is_no_more_than_the_client_allows(tmp_path: Path) -> None:
    async with priced(tmp_path) as service:
        free, short = await quoted(service, HARD), await quoted(service, HARD, max_completion_tokens=50)
    assert float(short["tiers"][1]["cost_usd"]["high"]) < float(free["tiers"][1]["cost_usd"]["low"])


@pytest.mark.parametrize("words", [0, 1_000, 20_000])
async def test_a_trivial_question_stays_fast_behind_any_text(tmp_path: Path, words: int) -> None:
    async with priced(tmp_path) as service:
        assert (await service.explained(behind(TRIVIAL, words)))["tier"] == "fast"


@pytest.mark.parametrize(
    ("sensitivity", "words", "tier", "reason"),
    [
        (0.0, 0, "reasoning", "above_threshold"),
        (0.0, 40_000, "reasoning", "above_threshold"),
        (1.0, 0, "reasoning", "above_threshold"),
        (1.0, 40_000, "fast", "too_costly"),
    ],
)
async def test_a_hard_question_goes_deep_unless_its_gain_does_not_pay(
    tmp_path: Path, sensitivity: float, words: int, tier: str, reason: str
) -> None:
    async with priced(tmp_path, sensitivity) as service:
        found = await service.explained(behind(HARD, words))
    assert (found["tier"], found["reason"]) == (tier, reason)


async def test_a_running_tool_loop_is_never_too_costly(tmp_path: Path) -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "look", "arguments": "{}"}}
    messages = [
        {"role": "user", "content": behind(HARD, 40_000)},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c1", "content": "found"},
    ]
    async with priced(tmp_path) as service:
        found = await service.explained("", messages=messages)
    assert found["reason"] != "too_costly"


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"model": "gpt-9", "messages": [{"role": "user", "content": "Hi"}]}, 404, "model_not_found"),
        ({"model": "auto", "messages": []}, 400, None),
        ({"model": "auto"}, 400, None),
    ],
)
async def test_what_cannot_be_quoted_is_refused_by_name(
    tmp_path: Path, body: dict[str, Any], status: int, code: str | None
) -> None:
    async with priced(tmp_path) as service:
        response = await service.local.post("/v1/quotes", json=body)
    assert response.status_code == status
    if code:
        assert response.json()["error"]["code"] == code


async def test_without_prices_costs_are_null_and_never_zero(tmp_path: Path) -> None:
    unpriced = {"model": "openai/unheard-of", "api_base": "http://127.0.0.1:9", "api_key": "sk-1"}
    tiers = {"fast": unpriced, "reasoning": unpriced}
    async with serving(settings_of(tmp_path, tiers=tiers | {"parallel": {"models": ["openai/unheard-of"]}})) as service:
        quote = await quoted(service, HARD)
    assert [tier["expected_cost_usd"] for tier in quote["tiers"]] == [None, None, None]
    assert [tier["largest_cost_usd"] for tier in quote["tiers"]] == [None, None, None]


async def test_a_picture_is_no_long_text(tmp_path: Path) -> None:
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 400_000}}
    messages = [{"role": "user", "content": [{"type": "text", "text": HARD}, picture]}]
    async with priced(tmp_path) as service:
        found = await service.explained("", messages=messages)
    assert (found["tier"], found["reason"]) == ("reasoning", "above_threshold")
