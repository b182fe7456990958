"""A decision engine and dispatchers around a classifier that says what a test wants."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import numpy as np

from classifier.model import DifficultyModel
from classifier.types import Abilities, AnswerType, Estimate, Forecast, Stakes, Turn
from router.decision.engine import DecisionEngine, Explicit
from router.decision.latency import LatencyWindow
from router.decision.policy import Policy
from router.exchange import Dispatcher
from router.ledger.last_turns import LastTurn
from router.ledger.revenue import RevenueBook
from router.metrics import Metrics
from router.policies.versions import PolicySnapshot
from router.providers.base import ModelTarget
from router.request import InferenceRequest
from router.tiers.single import SingleTier
from router.types import Tier
from tests.tiers.fakes import CHEAP, OTHER, PRICES, STRONG, FakeBooks, FakeClock, FakeProvider

TARGETS: Mapping[Tier, Sequence[ModelTarget]] = {
    Tier.FAST: (CHEAP,),
    Tier.REASONING: (STRONG,),
    Tier.PARALLEL: (OTHER,),
}
NO_CAP = Policy(version=3, explore=0.0, shadow=0.0, max_deep_share=1.0)


class FixedModel:
    """Estimates every query alike, and remembers what it was asked."""

    version = "fixed"

    def __init__(self, p_fast: float = 0.8, p_reasoning: float = 0.85, stakes: Stakes = Stakes.LOW) -> None:
        self.asked: list[tuple[Turn, ...]] = []
        self.abilities: list[Abilities] = []
        self.reference_scores = np.array([0.0, 0.05, 0.1, 0.2])
        self._chances = p_fast, p_reasoning
        self._stakes = stakes

    def estimate(self, turns: Sequence[Turn], abilities: Abilities) -> Estimate:
        self.asked.append(tuple(turns))
        self.abilities.append(abilities)
        forecast = Forecast(10, 100, 500)
        return Estimate(*self._chances, 0.1, AnswerType.NUMERIC, self._stakes, forecast, forecast, self.version)

    def ability_of(self, model_name: str) -> float | None:
        return 2.0 if model_name == STRONG.name else None


def a_routing(
    model: FixedModel | None = None,
    *,
    policy: Policy = NO_CAP,
    targets: Mapping[Tier, Sequence[ModelTarget]] = TARGETS,
    explicit: Mapping[str, Explicit] | None = None,
    draw: float = 0.99,
    policies: PolicySnapshot | None = None,
    waits: LatencyWindow | None = None,
    last_turn: Callable[[int], LastTurn | None] = lambda mark: None,
) -> DecisionEngine:
    classifier = cast(DifficultyModel, model or FixedModel())
    found = PolicySnapshot(policy) if policies is None else policies
    return DecisionEngine(
        lambda version: classifier,
        found,
        targets,
        explicit or {},
        waits=waits,
        draw=lambda: draw,
        salt=b"salt",
        last_turn=last_turn,
    )


def a_dispatcher(
    provider: FakeProvider,
    books: FakeBooks,
    *,
    model: FixedModel | None = None,
    metrics: Metrics | None = None,
    is_low: Callable[[], bool] = lambda: False,
    policies: PolicySnapshot | None = None,
    waits: LatencyWindow | None = None,
) -> Dispatcher:
    single = {tier: SingleTier(tier, targets) for tier, targets in TARGETS.items()}
    explicit = {"own": Explicit(Tier.FAST, (OTHER,))}
    return Dispatcher(
        routing=a_routing(model, explicit=explicit, policies=policies, waits=waits),
        tiers=single,
        explicit={"own": SingleTier(Tier.FAST, (OTHER,))},
        books=books,
        prices=PRICES,
        revenue=RevenueBook(),
        provider_of=lambda _: provider,
        clock=FakeClock(),
        metrics=metrics or Metrics(),
        is_low=is_low,
    )


def an_inference_request(question: str = "How much is it?", model: str = "auto", **changes: Any) -> InferenceRequest:
    asked = {
        "request_id": "0" * 32,
        "model": model,
        "messages": [{"role": "user", "content": question}],
        "params": {},
        "input_bytes": 100,
    }
    return InferenceRequest(**{**asked, **changes})
