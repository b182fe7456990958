"""A conversation that goes on is forecast as its provider's cache will bill it, and a tool loop ends where it began."""

from pathlib import Path
from typing import Any

import pytest

from tests.api.service import CHAT, Service, a_chat, serving, settings_of

FAST, DEEP = "scripted/echo-caching", "scripted/deep-caching"
TEXT = "The harvest of the northern valleys was counted twice that year. " * 250
TOOLS = [{"type": "function", "function": {"name": "count_sheep", "parameters": {"type": "object", "properties": {}}}}]


def caching_settings(directory: Path) -> Any:
    price = {"input": 1.0, "cached_input": 0.1, "output": 2.0}
    tiers = {"fast": {"model": FAST}, "reasoning": {"model": DEEP}, "parallel": {"models": [FAST]}}
    return settings_of(directory, tiers=tiers, prices={FAST: price, DEEP: {**price, "output": 8.0}})


async def said(service: Service, **body: Any) -> dict[str, Any]:
    return await service.answered(CHAT, a_chat(**body))


@pytest.mark.parametrize("named", [{}, {"metadata": {"conversation_id": "talk"}}])
async def test_the_next_turn_is_expected_to_cost_what_the_cache_makes_it_cost(
    tmp_path: Path, named: dict[str, Any]
) -> None:
    async with serving(caching_settings(tmp_path)) as service:
        turns: list[dict[str, Any]] = [{"role": "user", "content": TEXT}]
        first = await said(service, model="reasoning", messages=turns, **named)
        turns += [first["choices"][0]["message"], {"role": "user", "content": "And in the south?"}]
        for message in turns:
            message.pop("reasoning", None)
        second = await said(service, model="reasoning", messages=turns, **named)
        elsewhere = await said(service, model="fast", messages=turns, **named)
    usage = second["usage"]
    assert usage["prompt_tokens_details"]["cached_tokens"] >= 0.9 * usage["prompt_tokens"]
    expected = [answer["x_tierwise"]["expected_cost_nanousd"] for answer in (first, second, elsewhere)]
    input_nanousd = len(TEXT) / 4 * 1_000
    assert expected[0] - expected[1] > 0.7 * input_nanousd
    assert elsewhere["usage"]["prompt_tokens_details"]["cached_tokens"] == 0
    assert expected[2] > 0.9 * input_nanousd  # the other model has read none of it


async def test_whoever_called_the_tools_reads_their_results(tmp_path: Path) -> None:
    async with serving(caching_settings(tmp_path)) as service:
        turns: list[dict[str, Any]] = [{"role": "user", "content": "How many sheep are there?"}]
        alone = await said(service, model="auto", messages=turns, tools=TOOLS)
        called = await said(service, model="reasoning", messages=turns, tools=TOOLS)
        message = called["choices"][0]["message"]
        call = {k: v for k, v in message["tool_calls"][0].items() if k != "index"}
        result = {"role": "tool", "tool_call_id": call["id"], "content": "41"}
        turns += [{"role": "assistant", "content": None, "tool_calls": [call]}, result]
        ended = await said(service, model="auto", messages=turns, tools=TOOLS)
        turns += [{"role": "assistant", "content": "41."}, {"role": "user", "content": "Thanks!"}]
        after = await said(service, model="auto", messages=turns, tools=TOOLS)
    assert alone["x_tierwise"]["tier"] == "fast"
    found = ended["x_tierwise"]
    assert (found["tier"], found["reason"], found["provider_model"]) == ("reasoning", "follow_up", DEEP)
    assert after["x_tierwise"]["tier"] == "fast"
