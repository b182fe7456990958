"""What is asked of each family's models, as arguments and bodies."""

from typing import Any

import pytest

from router.errors import ProviderRefused
from router.providers.litellm.arguments import arguments_of
from router.providers.litellm.thinking import claude_version, thinking_arguments
from router.providers.openai.body import body_of
from tests.providers.shapes import a_request


def body(name: str, **changes: Any) -> dict[str, Any]:
    return body_of(a_request(name, **changes), stream=False)[0]


def test_a_thinking_model_of_openai_gets_its_budget_beside_the_visible_limit() -> None:
    sent = body("openai/gpt-5-mini", effort="medium", max_thinking_tokens=8192, max_visible_tokens=100)
    assert (sent["reasoning_effort"], sent["max_completion_tokens"]) == ("medium", 8292)
    assert "max_tokens" not in sent


def test_a_total_limit_is_kept_as_it_is() -> None:
    sent = body("openai/gpt-5-mini", effort="high", max_thinking_tokens=8192, max_output_tokens=500)
    assert sent["max_completion_tokens"] == 500


@pytest.mark.parametrize(
    ("model", "effort", "sent"),
    [
        ("gpt-5-nano", "minimal", "minimal"),
        ("gpt-5-nano", "none", "minimal"),
        ("gpt-5.1", "minimal", "none"),
        ("gpt-5.2", "max", "xhigh"),
        ("o3-mini", "minimal", "low"),
        ("gpt-5-pro", "low", "high"),
    ],
)
def test_efforts_are_the_ones_that_a_model_knows(model: str, effort: str, sent: str) -> None:
    assert body(f"openai/{model}", effort=effort)["reasoning_effort"] == sent


def test_sampling_that_a_thinking_model_refuses_is_dropped_by_name() -> None:
    request = a_request("openai/gpt-5-mini", params={"temperature": 0.2, "top_p": 1, "stop": ["x"], "metadata": {}})
    sent, dropped = body_of(request, stream=False)
    assert dropped == ["temperature", "top_p"]
    assert sent["stop"] == ["x"]


def test_the_default_temperature_is_no_loss() -> None:
    sent, dropped = body_of(a_request("openai/o3", params={"temperature": 1}), stream=False)
    assert (sent["temperature"], dropped) == (1, [])


def test_an_ordinary_model_gets_no_effort() -> None:
    assert "reasoning_effort" not in body("openai/gpt-4o-mini", effort="low")


def test_keys_of_other_servers_and_of_ours_stay_here() -> None:
    messages = [{"role": "assistant", "content": "x", "reasoning_content": "y", "tool_calls": None, "refusal": None}]
    sent = body("groq/llama", messages=messages, params={"user": "u", "verbosity": "low", "api_base": "http://evil"})
    assert sent.keys() == {"model", "messages"}
    assert sent["messages"] == [{"role": "assistant", "content": "x"}]


def test_deepseek_gets_its_thinking_back() -> None:
    messages = [{"role": "assistant", "content": "x", "reasoning_content": "y"}]
    assert body("deepseek/deepseek-reasoner", messages=messages)["messages"] == messages


def test_developer_is_system_elsewhere() -> None:
    messages = [{"role": "developer", "content": "x"}]
    assert body("mistral/m", messages=messages)["messages"][0]["role"] == "system"
    assert body("openai/gpt-4o", messages=messages)["messages"][0]["role"] == "developer"


def test_openrouter_bounds_the_thinking_in_tokens() -> None:
    assert body("openrouter/x/y", think=True, max_thinking_tokens=2000)["reasoning"] == {"max_tokens": 2000}
    assert body("openrouter/x/y", effort="none")["reasoning"] == {"enabled": False}


@pytest.mark.parametrize(
    ("name", "version"),
    [
        ("claude-sonnet-4-5-20250929", (4, 5)),
        ("claude-sonnet-4-20250514", (4, 0)),
        ("claude-3-7-sonnet-latest", (3, 7)),
        ("us.anthropic.claude-opus-4-7-v1:0", (4, 7)),
        ("claude-opus-5", (5, 0)),
        ("gemini-2.5-pro", None),
    ],
)
def test_the_version_of_a_claude_is_in_its_name(name: str, version: tuple[int, int] | None) -> None:
    assert claude_version(name) == version


def thinking(name: str, **changes: Any) -> dict[str, Any]:
    return thinking_arguments(a_request(name, **{"think": True, **changes}), {"reasoning_effort"})


def test_claude_never_gets_less_than_its_floor() -> None:
    sent = thinking("anthropic/claude-sonnet-4-5", max_thinking_tokens=10)
    assert sent["thinking"]["budget_tokens"] == 1024
    assert sent["max_tokens"] > 1024


def test_claude_does_not_think_where_the_total_limit_leaves_no_room() -> None:
    sent = thinking("anthropic/claude-sonnet-4-5", max_thinking_tokens=4000, max_output_tokens=1200)
    assert sent == {"max_tokens": 1200}


def test_a_total_limit_leaves_room_for_the_answer() -> None:
    sent = thinking("anthropic/claude-sonnet-4-5", max_thinking_tokens=4000, max_output_tokens=3000)
    assert (sent["thinking"]["budget_tokens"], sent["max_tokens"]) == (2744, 3000)


def test_newer_claudes_get_an_effort_and_never_a_budget() -> None:
    sent = thinking("anthropic/claude-opus-4-7", effort="minimal", max_thinking_tokens=2000, max_visible_tokens=100)
    assert sent == {"reasoning_effort": "low", "max_tokens": 2100}


def test_old_claudes_and_demanded_tools_do_without() -> None:
    assert thinking("anthropic/claude-3-5-haiku-latest") == {}
    assert thinking("anthropic/claude-sonnet-4-5", params={"tool_choice": "required"}) == {}


@pytest.mark.parametrize(
    ("model", "asked", "sent"),
    [("gemini-2.5-pro", 10, 128), ("gemini-2.5-pro", 99_999, 32_768), ("gemini-2.5-flash-lite", 10, 512)],
)
def test_gemini_budgets_are_clamped_to_the_model(model: str, asked: int, sent: int) -> None:
    assert thinking(f"gemini/{model}", max_thinking_tokens=asked)["thinking"]["budget_tokens"] == sent


def test_gemini_can_be_told_not_to_think() -> None:
    assert thinking("gemini/gemini-2.5-flash", effort="none")["thinking"]["budget_tokens"] == 0


def test_newer_geminis_get_a_level() -> None:
    assert thinking("gemini/gemini-3-pro-preview", effort="xhigh")["reasoning_effort"] == "high"


def test_what_changes_the_answer_is_refused_and_what_does_not_is_named() -> None:
    request = a_request("bedrock/x", params={"tools": []})
    with pytest.raises(ProviderRefused) as caught:
        arguments_of(request, {"temperature"}, stream=False)
    assert caught.value.param == "tools"
    arguments, dropped = arguments_of(
        a_request("bedrock/x", params={"seed": 1, "n": 2, "api_base": "http://evil"}), {"temperature"}, stream=False
    )
    assert dropped == ["api_base", "seed"] or dropped == ["seed", "api_base"]
    assert arguments["api_base"] is None
