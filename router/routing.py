"""The stateful shell around the pure decision: what one worker remembers between requests, and nothing else.

It remembers the last scores (for the share cap) and, in `router.signals`, the last conversations.
"""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from classifier.messages import turns_of
from classifier.model import DifficultyModel
from classifier.types import Abilities, AnswerType, Estimate, Stakes
from router import conversation, policy
from router.capabilities import Needs, lacks_of
from router.conversation import Kind
from router.errors import UnknownModel
from router.policy import BudgetView, Policy, ScoreWindow, Wish
from router.providers.base import ModelTarget
from router.signals import Memory
from router.types import Decision, Signal, Tier

AUTO = "auto"
BYTES_PER_TOKEN = 4
MOST_TURNS = 32_767


class Query(Protocol):
    """What routing reads of a request."""

    @property
    def request_id(self) -> str: ...
    @property
    def model(self) -> str: ...
    @property
    def messages(self) -> list[dict[str, Any]]: ...
    @property
    def params(self) -> dict[str, Any]: ...
    @property
    def input_bytes(self) -> int: ...
    @property
    def effort(self) -> str | None: ...
    @property
    def max_visible_tokens(self) -> int | None: ...
    @property
    def max_output_tokens(self) -> int | None: ...
    @property
    def key_id(self) -> int | None: ...
    @property
    def allowed_tiers(self) -> frozenset[Tier]: ...


@dataclass(frozen=True, slots=True)
class Routed:
    """A decision, and what it was made from."""

    decision: Decision
    estimate: Estimate
    turn: int
    attachments: int
    ads_eligible: bool
    signal: Signal | None  # what it says of an earlier answer: that of `previous_id`, where this worker remembers it
    previous_id: str | None
    within: Callable[[BudgetView], Decision]  # the same decision, where budgets allow less


@dataclass(frozen=True, slots=True)
class Explicit:
    """A model served under its own name: the tier it is booked under, and who answers."""

    tier: Tier
    targets: tuple[ModelTarget, ...]


class Routing:
    """Decides where requests go; raises RequestError for those that can go nowhere."""

    def __init__(
        self,
        model: DifficultyModel,
        active_policy: Callable[[], Policy],
        targets: Mapping[Tier, Sequence[ModelTarget]],
        explicit: Mapping[str, Explicit],
        *,
        observe_score: Callable[[float], None] = lambda score: None,
        draw: Callable[[], float] = random.random,
        salt: bytes | None = None,
    ) -> None:
        self._model = model
        self._active_policy = active_policy
        # A fallback stands in for its tier's first model; what it cannot take does not shut the tier.
        self._targets = {tier: models if tier is Tier.PARALLEL else models[:1] for tier, models in targets.items()}
        self._explicit = explicit
        self._abilities = Abilities(self._ability(targets[Tier.FAST][0]), self._ability(targets[Tier.REASONING][0]))
        self._window = ScoreWindow(model.reference_scores.tolist())
        self._observe_score = observe_score
        self._draw = draw
        self._memory = Memory(salt=salt)

    def route(self, query: Query) -> Routed:
        """Estimate and decide; raises UnknownModel, Forbidden, QuotaExhausted or InvalidRequest."""
        named = self._explicit.get(query.model)
        wish = self._wish(query, named)
        turns = turns_of({"messages": query.messages})
        recollection = self._memory.recall(query.key_id, query.messages, query.request_id)
        view = conversation.read(turns, regenerated=recollection.is_regenerate)
        estimates = [self._model.estimate(subject, self._abilities) for subject in view.subjects]
        said = view.kind
        estimate, view = view.settle(estimates)
        if _wants_json(query):
            estimate = replace(estimate, answer_type=AnswerType.JSON)
        active = self._active_policy()
        attachments = sum(turn.attachments for turn in turns)
        targets = {named.tier: named.targets[:1]} if named else self._targets
        lacks = lacks_of(_needs(query, attachments), targets)
        quantile, draw = self._window.cut(active.max_deep_share), self._draw()

        def within(budget: BudgetView) -> Decision:
            return policy.decide(
                estimate,
                active,
                wish=wish,
                conversation=view,
                lacks=lacks,
                allowed=query.allowed_tiers,
                budget=budget,
                share_cap_quantile=quantile,
                draw=draw,
            )

        decision = within(BudgetView())
        if policy.feeds_window(wish, view):
            self._window.add(decision.score)
            self._observe_score(decision.score)
        self._memory.remember(recollection, query.request_id, decision.tier)
        signal, previous_id = recollection.judged(said, decision)
        is_asked = view.kind is not Kind.HOUSEKEEPING
        return Routed(
            decision,
            estimate,
            turn=min(sum(turn.role == "user" for turn in turns), MOST_TURNS),
            attachments=attachments,
            ads_eligible=is_asked and estimate.stakes is Stakes.LOW,
            signal=signal,
            previous_id=previous_id,
            within=within,
        )

    def _wish(self, query: Query, named: Explicit | None) -> Wish:
        if named is not None:
            return Wish(tier=named.tier, effort=query.effort)
        if query.model == AUTO:
            return Wish(effort=query.effort)
        try:
            tier = Tier(query.model)
        except ValueError:
            raise UnknownModel(f"no model goes by the name {query.model!r}", param="model") from None
        return Wish(tier=tier, effort=None if tier is Tier.FAST else query.effort)

    def _ability(self, target: ModelTarget) -> float | None:
        return target.ability if target.ability is not None else self._model.ability_of(target.name)


def _wants_json(query: Query) -> bool:
    wanted = query.params.get("response_format")
    return isinstance(wanted, dict) and wanted.get("type") in ("json_object", "json_schema")


def _needs(query: Query, attachments: int) -> Needs:
    wanted = query.params.get("response_format")
    return Needs(
        input_tokens=query.input_bytes // BYTES_PER_TOKEN if not attachments else 0,
        images=attachments > 0,
        tools=bool(query.params.get("tools")),
        schema=isinstance(wanted, dict) and wanted.get("type") == "json_schema",
        max_visible_tokens=query.max_visible_tokens,
        max_output_tokens=query.max_output_tokens,
    )
