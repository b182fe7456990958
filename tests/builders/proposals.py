"""Policies of a fixed wiring, and two people who act on them."""

import threading
from collections.abc import Callable, Sequence

from sqlalchemy import Engine

from router.policies import lifecycle
from router.policies.dials import WrongPolicy
from router.policies.lifecycle import Actor
from router.settings import FastSettings, ParallelSettings, ReasoningSettings, TierSettings

WIRING = TierSettings(
    fast=FastSettings(model="openai/small"),
    reasoning=ReasoningSettings(model="openai/large"),
    parallel=ParallelSettings(models=("openai/small",)),
)
ADA = Actor("ada", "margin fell", 7)
BOB = Actor("bob", "quality fell", 8)


def proposed(engine: Engine, reasoning_threshold: float = 0.4, actor: Actor = ADA) -> int:
    """Propose a version that differs in one threshold; returns its number."""
    return lifecycle.propose(engine, {"reasoning_threshold": reasoning_threshold}, WIRING, actor)


def all_at_once(act: Callable[[int], object], versions: Sequence[int]) -> list[int]:
    """Act on each version from a thread of its own; returns those with which it was not refused."""
    done: list[int] = []

    def attempt(version: int) -> None:
        try:
            act(version)
        except WrongPolicy:
            return
        done.append(version)

    threads = [threading.Thread(target=attempt, args=(version,)) for version in versions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return done
