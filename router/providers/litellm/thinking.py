"""Thinking as each family behind litellm wants it asked for: budgets set explicitly and clamped. Pure.

litellm's own levels are not relied upon: its "high" is 4096 tokens, and its "minimal" lies below Anthropic's floor.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from router.providers.base import ProviderRequest
from router.providers.thinking import (
    LEAST_VISIBLE_TOKENS,
    THINKING_FLOOR_TOKENS,
    nearest_effort,
    output_limit,
    thinking_budget,
)
from router.providers.thinking_blocks import KEY as THINKING_BLOCKS

CLAUDE_VISIBLE_TOKENS = 16_384  # room for the answer where nobody set a limit: Anthropic insists on one
GEMINI_BUDGETS = {"pro": (128, 32_768), "flash-lite": (512, 24_576), "flash": (0, 24_576)}  # lowest, highest

_CLAUDE = re.compile(r"claude-(?:[a-z]+-)?(\d+)(?:[-.](\d{1,2})(?!\d))?")
_GEMINI = re.compile(r"gemini-(\d+)(?:\.(\d+))?-(pro|flash-lite|flash)?")


def claude_version(model: str) -> tuple[int, int] | None:
    """Return the version in a Claude model's name, wherever it is served; None for other models."""
    match = _CLAUDE.search(model)
    return (int(match[1]), int(match[2] or 0)) if match else None


def thinking_arguments(
    request: ProviderRequest, supported: Collection[str], messages: Sequence[Mapping[str, Any]] = ()
) -> dict[str, Any]:
    """Return the arguments that ask for thinking and bound the output; `messages` as they go out."""
    model = request.target.model
    if (version := claude_version(model)) is not None:
        return _claude(request, version, messages)
    if (match := _GEMINI.search(model)) is not None:
        return _gemini(request, int(match[1]), match[3] or "flash")
    budget = thinking_budget(request)
    arguments: dict[str, Any] = _limit(output_limit(request, budget))
    if request.effort and "reasoning_effort" in supported:
        arguments["reasoning_effort"] = request.effort
    return arguments


def _claude(
    request: ProviderRequest, version: tuple[int, int], messages: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    budget = thinking_budget(request) if _may_think(request, version, messages) else 0
    limit = output_limit(request, budget)
    if not budget:
        return _limit(limit)
    if version >= (4, 6):  # these set their own budget and refuse ours; the effort steers it, the limit bounds it
        levels = ("low", "medium", "high", "xhigh", "max") if version >= (4, 7) else ("low", "medium", "high", "max")
        effort = nearest_effort(request.effort or "medium", levels)
        return {"reasoning_effort": effort, **_limit(limit)}
    budget = max(budget, THINKING_FLOOR_TOKENS)
    limit = budget + CLAUDE_VISIBLE_TOKENS if limit is None else max(limit, _limit_with_budget(request, budget))
    budget = min(budget, limit - min(LEAST_VISIBLE_TOKENS, request.max_visible_tokens or LEAST_VISIBLE_TOKENS))
    if budget < THINKING_FLOOR_TOKENS:
        return _limit(output_limit(request, 0))
    return {"thinking": {"type": "enabled", "budget_tokens": budget}, **_limit(limit)}


def _may_think(request: ProviderRequest, version: tuple[int, int], messages: Sequence[Mapping[str, Any]]) -> bool:
    """Tell whether it may think: not an old one, nor with a demanded tool, nor amid calls whose thinking we lack."""
    choice = request.params.get("tool_choice")
    is_demanded = choice == "required" or isinstance(choice, dict)
    return version >= (3, 7) and not is_demanded and not _lacks_thinking(messages)


def _lacks_thinking(messages: Sequence[Mapping[str, Any]]) -> bool:
    """Tell whether the results of calls are waiting whose turn does not begin with the thinking that led to them."""
    for message in reversed(messages):
        match message["role"]:
            case "tool":
                continue
            case "assistant":
                return bool(message.get("tool_calls")) and not message.get(THINKING_BLOCKS)
            case _:
                return False
    return False


def _limit_with_budget(request: ProviderRequest, budget: int) -> int:
    """Return the total limit that leaves the thinking its budget beside a visible limit; 0 where there is none."""
    if request.max_output_tokens is not None or request.max_visible_tokens is None:
        return 0
    return request.max_visible_tokens + budget


def _gemini(request: ProviderRequest, generation: int, size: str) -> dict[str, Any]:
    budget = thinking_budget(request, thinks_anyway=size != "flash-lite")
    if generation < 2:
        return _limit(output_limit(request, 0))
    if generation > 2:
        arguments = _limit(output_limit(request, budget))
        if request.effort or request.think:
            arguments["reasoning_effort"] = nearest_effort(
                request.effort or "medium", ("minimal", "low", "medium", "high")
            )
        return arguments
    if not (request.effort or request.think):
        return _limit(output_limit(request, budget))
    lowest, highest = GEMINI_BUDGETS[size]
    budget = min(max(budget, lowest), highest) if budget or size == "pro" else 0
    return {"thinking": {"type": "enabled", "budget_tokens": budget}, **_limit(output_limit(request, budget))}


def _limit(limit: int | None) -> dict[str, Any]:
    return {} if limit is None else {"max_tokens": limit}
