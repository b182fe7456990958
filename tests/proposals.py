"""Policies of a fixed wiring, and two people who act on them."""

from sqlalchemy import Engine

from router import policy_acts
from router.policy_acts import Actor
from router.settings import ModelSettings, ParallelSettings, ReasoningSettings, TierSettings

WIRING = TierSettings(
    fast=ModelSettings(model="openai/small"),
    reasoning=ReasoningSettings(model="openai/large"),
    parallel=ParallelSettings(models=("openai/small",)),
)
ADA = Actor("ada", "margin fell", 7)
BOB = Actor("bob", "quality fell", 8)


def proposed(engine: Engine, reasoning_threshold: float = 0.4, actor: Actor = ADA) -> int:
    """Propose a version that differs in one threshold; returns its number."""
    return policy_acts.propose(engine, {"reasoning_threshold": reasoning_threshold}, WIRING, actor)
