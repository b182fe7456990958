"""How long a reasoning model is asked to think, where the effort of its tier is `auto`. Pure.

A query needs the more thinking the likelier it is answered wrong with little of it. Its need is held against a
threshold per effort, divided by what that effort costs here beside what it usually does, as worth is
(`router.decision.worth`): of two queries the harder one never gets less, and of two as hard the dearer one never more.
"""

from collections.abc import Callable, Mapping

from classifier.types import AnswerType, Estimate, Forecast, Stakes
from router.decision.worth import LEAST_RATIO

USUAL_EFFORT = "medium"  # what models are asked where nobody chooses, and what expected lengths were learnt at
EFFORTS_CHOSEN = ("low", "medium", "high")
# The need from which on; low needs nothing. Of queries whose score reaches 0.25, a quarter need less than 0.29 and half
# 0.38 or more; a quarter need 0.43 (consumer questions) or 0.50 (exams). No recorded outcomes tell efforts apart.
NEEDED_FOR: Mapping[str, float] = {"high": 0.45, "medium": 0.30}  # the highest effort first

HIGH_STAKES = 0.10  # as in a score
STEPWISE = frozenset({AnswerType.NUMERIC, AnswerType.CODE})  # answers that are worked out in steps
FOR_STEPS = 0.05

# Thinking at an effort, as a multiple of that at `medium`, until the books tell of a model. OpenRouter, which writes
# efforts as budgets for models that know only these, gives none, 10, 20, 50, 80 and 95 % of the longest output
# (https://openrouter.ai/docs/use-cases/reasoning-tokens); `max` is all of it.
THINKING_AT: Mapping[str, float] = {
    "none": 0.0,
    "minimal": 0.2,
    "low": 0.4,
    "medium": 1.0,
    "high": 1.6,
    "xhigh": 1.9,
    "max": 2.0,
}


def need_of(estimate: Estimate) -> float:
    """Tell how much a query needs thinking, from 0 to 1.15: how likely it is wrong, halfway without and with thinking.

    High stakes and answers that are worked out in steps raise it.
    """
    wrong = 1.0 - (estimate.p_fast + estimate.p_reasoning) / 2
    raised = HIGH_STAKES * (estimate.stakes is Stakes.HIGH) + FOR_STEPS * (estimate.answer_type in STEPWISE)
    return wrong + raised


def choose_effort(need: float, ratio_at: Callable[[str], float], sensitivity: float) -> str:
    """Choose the highest effort that a query needs; `ratio_at` tells how many times its usual an effort costs here.

    It is asked only where a ratio can decide.
    """
    most = need / LEAST_RATIO**sensitivity
    for effort, needed in NEEDED_FOR.items():
        if most >= needed and need / (ratio_at(effort) if sensitivity else 1.0) ** sensitivity >= needed:
            return effort
    return EFFORTS_CHOSEN[0]


def length_at(effort: str, short: Forecast, long: Forecast, learnt_at: str = USUAL_EFFORT) -> Forecast:
    """Forecast the output at an effort from that without thinking and that with it, at the effort it was learnt at."""
    if effort == learnt_at:
        return long
    share = THINKING_AT[effort] / (THINKING_AT[learnt_at] or 1.0)
    low, expected, high = (
        round(plain + max(thought - plain, 0) * share) for plain, thought in zip(short, long, strict=True)
    )
    return Forecast(low, expected, high)
