"""The stateful shell around the pure decision: whose policy and classifier, what one worker remembers, nothing else.

It remembers the last scores (for the share cap, in `router.decision.scorers`), how long the tiers let clients wait (in
`router.decision.latency`), the last conversations (in `router.decision.signals`) and what models have read of them (in
`router.decision.warmth`).
"""

import math
import random
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from typing import Protocol

import msgspec

from classifier.drift import UNREAD, Drift
from classifier.messages import turns_of
from classifier.model import DifficultyModel
from classifier.types import Abilities, AnswerType, Estimate, NamedModel, Stakes, Turn
from router.conversation import turns as conversation
from router.conversation.tool_loops import runs_tools
from router.conversation.turns import ConversationView, Kind
from router.decision import rules
from router.decision.bucketing import bucket_of
from router.decision.capabilities import Missing, Needs, missing_of
from router.decision.costs import CostForecaster
from router.decision.effort import length_at
from router.decision.forecast import QueryForecast
from router.decision.latency import LatencyWindow
from router.decision.policy import Policy
from router.decision.rules import BudgetView, RoutingPreference
from router.decision.scorers import NOTHING_RECENT, Models, Recent, Scorer, Scorers
from router.decision.signals import AnswerHistory, Match
from router.decision.warmth import COLD, AnsweredRequests, PromptWarmth
from router.decision.worth import USUAL
from router.errors import Forbidden, RequestError, UnknownModel
from router.ledger.last_turns import LastTurn
from router.ledger.read_prefixes import NO_PREFIXES, Prefixes
from router.providers.base import ModelTarget
from router.providers.caches import BYTES_PER_TOKEN, LONG_BYTES, will_be_marked
from router.request import InferenceRequest
from router.types import FAST, REASONING, Decision, Signal, Tier

AUTO = "auto"
LOW_STAKES = Stakes.LOW
MOST_TURNS = 32_767
TOKENS_PER_ATTACHMENT = 1_000  # about what a picture is read as


class Policies(Protocol):
    """Which policy decides about a conversation, by its bucket, and which one beside it acts on nothing, if any."""

    def assign(self, bucket: Callable[[], int]) -> tuple[Policy, Policy | None]: ...


class Routed(msgspec.Struct, frozen=True):
    """A decision, and what it was made from: `policy` is the one that decided, as it was for the segment just then.

    `shadow` is what a policy on trial in the shadow would have done.
    """

    decision: Decision
    estimate: Estimate
    policy: Policy
    shadow: Decision | None
    turn: int
    attachments: int
    input_tokens: int
    ads_eligible: bool
    signal: Signal | None  # what it says of an earlier answer: that of `previous_id`, where this worker remembers it
    previous_id: str | None
    within: Callable[[BudgetView], Decision]  # the same decision, where budgets allow less
    forecast: QueryForecast | None = None  # None where nobody forecasts, or the tiers are not what answers
    prefixes: Prefixes = NO_PREFIXES  # what models had read of the conversation before
    kind: Kind = Kind.NEW


@dataclass(frozen=True, slots=True)
class Explicit:
    """A model served under its own name: the tier it is booked under, and who answers."""

    tier: Tier
    targets: tuple[ModelTarget, ...]


class _PreparedRequest(msgspec.Struct, frozen=True):
    """One query as far as it is the same for every policy."""

    query: InferenceRequest
    preference: RoutingPreference
    view: ConversationView
    missing: Mapping[Tier, Set[Missing]]
    draw: float
    turn: int
    attachments: int
    input_tokens: int
    in_tool_loop: bool
    named: Explicit | None
    stays_with: Tier | None  # who called the tools of which it brings results
    warmth: PromptWarmth

    def estimate_with(self, scorer: Scorer) -> tuple[Estimate, ConversationView]:
        """Estimate it with a classifier; also returns the view of the conversation that this settled."""
        estimates = [scorer.model.estimate(subject, scorer.abilities) for subject in self.view.subjects]
        estimate, view = self.view.settle(estimates)
        return (replace(estimate, answer_type=AnswerType.JSON) if _wants_json(self.query) else estimate), view


class _PolicyJudgement(msgspec.Struct, frozen=True):
    """What one policy makes of a query."""

    policy: Policy
    scorer: Scorer
    read: Estimate  # before an effort scaled its lengths
    estimate: Estimate
    view: ConversationView
    within: Callable[[BudgetView], Decision]
    feed: Callable[[float, bool], None]  # takes a worth, and whether it went deep, into the window of its share cap
    forecast: QueryForecast | None


class DecisionEngine:
    """Decides where requests go; raises RequestError for those that can go nowhere.

    `costs` forecasts what queries cost, if anybody does. `paced` puts the multiplier of pacing on a segment's policy,
    and `shut_tiers` names the tiers of which no model may be asked for now; both are called for each request.
    """

    def __init__(
        self,
        models: Models,
        policies: Policies,
        targets: Mapping[Tier, Sequence[ModelTarget]],
        explicit: Mapping[str, Explicit],
        *,
        waits: LatencyWindow | None = None,
        paced: Callable[[Policy, str], Policy] = lambda policy, segment: policy,
        draw: Callable[[], float] = random.random,
        salt: bytes | None = None,
        shut_tiers: Callable[[], Set[Tier]] = frozenset,
        costs: CostForecaster | None = None,
        last_turn: Callable[[int], LastTurn | None] = lambda mark: None,
        read_elsewhere: Callable[[int, int], Prefixes] = lambda mark, turn: NO_PREFIXES,
        chooses_effort: bool = False,
    ) -> None:
        self._chooses_effort = chooses_effort
        self._last_turn = last_turn
        self._read_elsewhere = read_elsewhere
        self._answered = AnsweredRequests()
        self._costs = costs
        self._shut_tiers = shut_tiers
        self._policies = policies
        # A fallback stands in for its tier's first model; what it cannot take does not shut the tier.
        self._targets = {tier: models if tier is Tier.PARALLEL else models[:1] for tier, models in targets.items()}
        self._explicit = explicit
        self._scorers = Scorers(models, self._abilities)
        self._waits = waits
        self._recent: Recent = NOTHING_RECENT
        self._paced = paced
        self._draw = draw
        self._memory = AnswerHistory(salt=salt)

    def take_recent(self, recent: Recent) -> None:
        """Begin the windows of share caps anew with what all workers decided; safe from another thread."""
        self._recent = recent

    def drift(self, classifier: str | None) -> Drift:
        """How far the scores that a classifier gave here are from what it was made on."""
        scorer = self._scorers.find(classifier)
        return UNREAD if scorer is None else scorer.stability.reading()

    def route(self, query: InferenceRequest, find_mark: Callable[[], int | None] = lambda: None) -> Routed:
        """Estimate and decide; raises UnknownModel, Forbidden, QuotaExhausted or InvalidRequest.

        `find_mark` marks the conversation, which most queries do not need: by the mark it is looked up what models have
        read of a long one, and of one that is named, or whose user is, what other workers answered. Many may begin with
        the same words.
        """
        asker = query.key_id, query.user, query.conversation
        earlier = self._memory.recall(asker, query.messages, query.request_id)
        turn = _turn_of(query)
        is_sure = query.conversation is not None or query.user is not None
        last = self._last_turn(mark) if is_sure and (mark := find_mark()) is not None else None
        in_loop = runs_tools(query.messages)
        stays_with = self._tier_of_calls(earlier, last, turn) if in_loop else None
        if stays_with is None and last is not None:
            earlier = earlier.or_elsewhere(last, turn, query.request_id)
        prepared = self._prepare(
            query,
            self._draw(),
            turn,
            regenerated=earlier.is_regenerate,
            in_tool_loop=in_loop,
            stays_with=stays_with,
            warmth=self._warmth(query, earlier, find_mark, turn),
        )
        policy, beside = self._policies.assign(lambda: bucket_of(query.key_id, query.conversation, query.messages))
        judgement = self._judge(prepared, policy)
        decision = judgement.within(rules.UNSPENT)
        shadow = self._decide_in_shadow(prepared, judgement, beside)
        self._note(prepared, judgement, decision)
        self._memory.remember(earlier, query.request_id, decision.tier)
        signal, previous_id = earlier.read_signal(prepared.view.kind, decision)
        return _lay_out(prepared, judgement, decision, shadow, signal, previous_id)

    def quote(self, query: InferenceRequest, of: Policy | None = None) -> Routed:
        """Decide as `route` would now, but for exploring; nothing is remembered. Raises as `route` does.

        By the policy in force, or by another; then how long tiers keep people waiting is not looked at, which makes it
        safe in another thread.
        """
        never, in_loop = math.nextafter(1.0, 0.0), runs_tools(query.messages)
        prepared = self._prepare(query, never, _turn_of(query), regenerated=False, in_tool_loop=in_loop)
        if of is None:
            policy, _ = self._policies.assign(lambda: bucket_of(query.key_id, query.conversation, query.messages))
        else:
            policy = replace(of, explore=0.0, max_wait_s=None)
        judgement = self._judge(prepared, policy)
        return _lay_out(prepared, judgement, judgement.within(rules.UNSPENT))

    def route_relay(self, query: InferenceRequest) -> Routed:
        """Route a call that is passed through to the explicit model it names; nothing is read of it or remembered.

        Raises UnknownModel, Forbidden or QuotaExhausted.
        """
        named = self._find_explicit(query)
        if named is None:
            message = f"{query.model!r} is no model that was configured under a name of its own"
            raise UnknownModel(message, param="model")
        policy, _ = self._policies.assign(lambda: bucket_of(query.key_id, query.conversation, query.messages))
        chosen = policy.for_segment(query.segment)
        scorer, silent = self._scorers.of(chosen.classifier), (Turn("user", ""),)
        estimate = scorer.model.estimate(silent, scorer.abilities)

        def within(budget: BudgetView) -> Decision:
            return rules.decide(
                estimate,
                chosen,
                preference=RoutingPreference(tier=named.tier),
                conversation=ConversationView(Kind.NEW, (silent,)),
                missing={named.tier: frozenset()},
                allowed=query.allowed_tiers,
                budget=budget,
                share_cap_quantile=None,
                draw=math.nextafter(1.0, 0.0),
            )

        return Routed(
            within(rules.UNSPENT),
            estimate,
            chosen,
            shadow=None,
            turn=0,
            attachments=0,
            input_tokens=query.input_bytes // BYTES_PER_TOKEN,
            ads_eligible=False,
            signal=None,
            previous_id=None,
            within=within,
        )

    def note_wait(self, tier: Tier, streamed: bool, wait_ms: float) -> None:
        """Note how long an answer of a tier let its client wait for the first byte."""
        if self._waits is not None:
            self._waits.note_wait(tier, streamed, wait_ms)

    def note_answered(self, request_id: str, tier: Tier, before: Prefixes, read: Prefixes) -> None:
        """Note which tier answered, and what models read for it beside what they had read `before`."""
        self._answered.note(request_id, tier, before, read)

    def _tier_of_calls(self, earlier: Match, last: LastTurn | None, turn: int) -> Tier | None:
        """The tier that called the tools whose results a query brings; None where nobody knows."""
        if earlier.before is not None:
            settled = self._answered.find(earlier.before.request_id)
            return earlier.before.tier if settled is None else settled.tier
        return last.tier if last is not None and last.turn == turn else None

    def _warmth(
        self, query: InferenceRequest, earlier: Match, find_mark: Callable[[], int | None], turn: int
    ) -> PromptWarmth:
        """What models have read of a long prompt: as this worker remembers it, else as the books have it."""
        if self._costs is None or query.input_bytes < LONG_BYTES:
            return COLD
        found = earlier.again or earlier.before
        known = None if found is None else self._answered.find(found.request_id)
        prefixes = NO_PREFIXES if known is None else known.prefixes
        if not prefixes and len(query.messages) > 1 and (mark := find_mark()) is not None:
            prefixes = self._read_elsewhere(mark, turn)
        return PromptWarmth(prefixes, will_be_marked(query.messages, query.params))

    def _prepare(
        self,
        query: InferenceRequest,
        draw: float,
        turn: int,
        *,
        regenerated: bool,
        in_tool_loop: bool,
        stays_with: Tier | None = None,
        warmth: PromptWarmth = COLD,
    ) -> _PreparedRequest:
        named = self._find_explicit(query)
        turns = turns_of({"messages": query.messages})
        attachments = sum([turn.attachments for turn in turns])
        targets = {named.tier: named.targets[:1]} if named else self._targets
        missing = missing_of(_needs(query, attachments), targets)
        if named is None and (shut := self._shut_tiers()):
            missing |= {tier: missing[tier] | {Missing.HEALTH} for tier in shut}
        return _PreparedRequest(
            query,
            self._preference(query, named),
            conversation.read(turns, regenerated=regenerated),
            missing,
            draw,
            turn=turn,
            attachments=attachments,
            input_tokens=_input_tokens(query, turns, attachments),
            in_tool_loop=in_tool_loop,
            named=named,
            stays_with=stays_with,
            warmth=warmth,
        )

    def _note(self, prepared: _PreparedRequest, judgement: _PolicyJudgement, decision: Decision) -> None:
        """Remember what a query that a score decided adds: its worth, and that its tier will be looked at."""
        if not rules.feeds_window(prepared.preference, judgement.view):
            return
        judgement.feed(decision.worth, decision.tier is not FAST)
        judgement.scorer.stability.observe(decision.score)
        if judgement.policy.max_wait_s is not None and self._waits is not None:
            self._waits.note_sent(decision.tier, prepared.query.streamed)

    def _judge(
        self, prepared: _PreparedRequest, of: Policy, before: _PolicyJudgement | None = None
    ) -> _PolicyJudgement:
        """Judge a query by a policy; `before` is another policy's judgement, whose estimate may do."""
        segment = prepared.query.segment
        unpaced = of.for_segment(segment)
        chosen = self._paced(unpaced, segment)
        scorer = self._scorers.of(chosen.classifier)
        known = before is not None and before.scorer is scorer
        estimate, view = (before.read, before.view) if known and before else prepared.estimate_with(scorer)
        apart, sensitivity = of.segments_apart, chosen.cost_sensitivity
        window = scorer.window(segment if segment in apart else None, self._recent, apart, sensitivity)
        read, effort = estimate, self._effort(prepared, estimate, chosen)
        if effort is not None and self._costs is not None:
            length = length_at(effort, read.output_fast, read.output_reasoning, self._costs.usual_effort)
            estimate = replace(read, output_reasoning=length)
        forecast = self._forecast(prepared, estimate, unpaced, effort)
        ratio = USUAL if forecast is None or prepared.in_tool_loop else forecast.ratio
        quantile, missing = window.cap(chosen.max_deep_share), self._missing(prepared, chosen)

        def within(budget: BudgetView) -> Decision:
            decision = rules.decide(
                estimate,
                chosen,
                preference=prepared.preference,
                conversation=view,
                missing=missing,
                allowed=prepared.query.allowed_tiers,
                budget=budget,
                share_cap_quantile=quantile,
                draw=prepared.draw,
                cost_ratio=ratio,
                stays_with=prepared.stays_with,
            )
            if effort is None or decision.tier is not REASONING or decision.effort is not None:
                return decision
            return msgspec.structs.replace(decision, effort=effort)

        return _PolicyJudgement(chosen, scorer, read, estimate, view, within, window.add, forecast)

    def _effort(self, prepared: _PreparedRequest, estimate: Estimate, policy: Policy) -> str | None:
        """The effort that the reasoning model would be asked for: the client's, else the one that fits a query.

        None where it is what it always is.
        """
        query, preference = prepared.query, prepared.preference
        if prepared.named is not None or self._costs is None:
            return None
        if preference.effort is not None:
            is_asked = preference.tier is Tier.REASONING or rules.TIER_OF_EFFORT[preference.effort] is Tier.REASONING
            return preference.effort if is_asked else None
        if not self._chooses_effort:
            return None
        tokens, most = prepared.input_tokens, query.max_output_tokens or query.max_visible_tokens
        ignores_cost = preference != rules.AUTO or prepared.in_tool_loop
        sensitivity = 0.0 if ignores_cost else policy.cost_sensitivity
        return self._costs.choose_effort(estimate, query.segment, tokens, sensitivity, most, prepared.warmth)

    def _forecast(
        self, prepared: _PreparedRequest, estimate: Estimate, policy: Policy, effort: str | None
    ) -> QueryForecast | None:
        """Forecast what a query costs; of a model that is asked for by its own name only that."""
        if self._costs is None:
            return None
        query, named = prepared.query, prepared.named
        tokens, most = prepared.input_tokens, query.max_output_tokens or query.max_visible_tokens
        if named is not None:
            return self._costs.forecast_named(named.targets[0], named.tier, estimate, tokens, most, prepared.warmth)
        return self._costs.forecast(estimate, policy, query.segment, tokens, most, prepared.warmth, effort)

    def _decide_in_shadow(
        self, prepared: _PreparedRequest, judgement: _PolicyJudgement, of: Policy | None
    ) -> Decision | None:
        """Decide by the policy in the shadow, if there is one; a window of its own takes the score too."""
        if of is None:
            return None
        shadow = self._judge(prepared, of, judgement)
        try:
            decision = shadow.within(rules.UNSPENT)
        except RequestError:  # what a policy that acts on nothing cannot answer is refused to nobody
            return None
        if shadow.feed != judgement.feed and rules.feeds_window(prepared.preference, shadow.view):
            shadow.feed(decision.worth, decision.tier is not Tier.FAST)
        return decision

    def _missing(self, prepared: _PreparedRequest, chosen: Policy) -> Mapping[Tier, Set[Missing]]:
        """What the tiers miss; where a score decides, deep ones that keep people waiting miss patience."""
        longest = chosen.max_wait_s
        if longest is None or self._waits is None:
            return prepared.missing
        if prepared.preference != rules.AUTO or prepared.stays_with is not None:
            return prepared.missing
        streamed = prepared.query.streamed
        return {
            tier: missing | {Missing.PATIENCE}
            if tier is not Tier.FAST and self._waits.is_too_slow(tier, streamed, longest)
            else missing
            for tier, missing in prepared.missing.items()
        }

    def _find_explicit(self, query: InferenceRequest) -> Explicit | None:
        """The model that goes by its own name, if one is asked for; raises Forbidden where the key may not name it."""
        named = self._explicit.get(query.model)
        if named is not None and query.allowed_models is not None and query.model not in query.allowed_models:
            raise Forbidden(f"this key may not use the model {query.model}", param="model")
        return named

    def _preference(self, query: InferenceRequest, named: Explicit | None) -> RoutingPreference:
        if named is not None:
            return RoutingPreference(tier=named.tier, effort=query.effort)
        if query.model == AUTO:
            return rules.AUTO if query.effort is None else RoutingPreference(effort=query.effort)
        try:
            tier = Tier(query.model)
        except ValueError:
            raise UnknownModel(f"no model goes by the name {query.model!r}", param="model") from None
        return RoutingPreference(tier=tier, effort=None if tier is Tier.FAST else query.effort)

    def _abilities(self, model: DifficultyModel) -> Abilities:
        """Where the configured models stand on a classifier's scale."""
        targets = (self._targets[tier][0] for tier in (Tier.FAST, Tier.REASONING))
        return Abilities.of(model.ability_of, *(NamedModel(target.name, target.ability) for target in targets))


def _lay_out(
    prepared: _PreparedRequest,
    judgement: _PolicyJudgement,
    decision: Decision,
    shadow: Decision | None = None,
    signal: Signal | None = None,
    previous_id: str | None = None,
) -> Routed:
    """Lay out a decision beside what it was made from."""
    is_asked = judgement.view.kind is not rules.HOUSEKEEPING
    return Routed(
        decision,
        judgement.estimate,
        judgement.policy,
        shadow,
        turn=prepared.turn,
        attachments=prepared.attachments,
        input_tokens=prepared.input_tokens,
        ads_eligible=is_asked and judgement.estimate.stakes is LOW_STAKES,
        signal=signal,
        previous_id=previous_id,
        within=judgement.within,
        forecast=judgement.forecast,
        prefixes=prepared.warmth.prefixes,
        kind=judgement.view.kind,
    )


def _turn_of(query: InferenceRequest) -> int:
    """The place of a query in its conversation, from 1: how many turns its user has had."""
    return min([message.get("role") for message in query.messages].count("user"), MOST_TURNS)


def _input_tokens(query: InferenceRequest, turns: Sequence[Turn], attachments: int) -> int:
    """About how many tokens a request is; a picture is written with many more bytes than it is read as tokens."""
    if not attachments:
        return query.input_bytes // BYTES_PER_TOKEN
    return sum(len(turn.text) for turn in turns) // BYTES_PER_TOKEN + TOKENS_PER_ATTACHMENT * attachments


def _wants_json(query: InferenceRequest) -> bool:
    wanted = query.params.get("response_format")
    return isinstance(wanted, dict) and wanted.get("type") in ("json_object", "json_schema")


def _needs(query: InferenceRequest, attachments: int) -> Needs:
    wanted = query.params.get("response_format")
    return Needs(
        input_tokens=query.input_bytes // BYTES_PER_TOKEN if not attachments else 0,
        images=attachments > 0,
        tools=bool(query.params.get("tools")),
        schema=isinstance(wanted, dict) and wanted.get("type") == "json_schema",
        max_visible_tokens=query.max_visible_tokens,
        max_output_tokens=query.max_output_tokens,
    )
