"""How much thinking a call may buy, as tokens and as the effort levels that models know. Pure."""

from collections.abc import Sequence
from typing import get_args

from router.providers.base import ProviderRequest
from router.types import Effort

EFFORTS = get_args(Effort)
THINKING_FLOOR_TOKENS = 1_024  # the least thinking budget that providers accept; some raise a smaller one to it
LEAST_VISIBLE_TOKENS = 256  # what is left for the answer, at least, where nobody asked for less

# Where neither operator nor client bounds the thinking. Libraries' own defaults are several times smaller than
# what models are evaluated with, so they are never relied upon.
BUDGET_TOKENS = {
    "none": 0,
    "minimal": THINKING_FLOOR_TOKENS,
    "low": 4096,
    "medium": 8192,
    "high": 24_576,
    "xhigh": 32_768,
    "max": 65_536,
}


def thinking_budget(request: ProviderRequest, *, thinks_anyway: bool = False) -> int:
    """Return the tokens of thinking this call may use; 0 for none. `thinks_anyway`: the model does so unasked."""
    if request.effort == "none":
        return 0
    if not (request.think or request.effort or thinks_anyway):
        return 0
    if request.target.max_thinking_tokens is not None:
        return request.target.max_thinking_tokens
    return BUDGET_TOKENS.get(request.effort or "medium", BUDGET_TOKENS["medium"])


def output_limit(request: ProviderRequest, thinking_tokens: int) -> int | None:
    """Return the limit on all output to send upstream: thinking stands beside a visible limit, inside a total one."""
    visible, total = request.max_visible_tokens, request.max_output_tokens
    if visible is None:
        return total
    return visible + thinking_tokens if total is None else min(visible + thinking_tokens, total)


def nearest_effort(effort: str, known: Sequence[str]) -> str:
    """Return the level a model knows that is nearest to the wanted one, rather less than more."""
    if effort in known or effort not in EFFORTS:
        return effort
    wanted = EFFORTS.index(effort)
    return min(known, key=lambda level: (abs(EFFORTS.index(level) - wanted), EFFORTS.index(level)))
