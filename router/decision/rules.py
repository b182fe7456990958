"""Which tier a query goes to, and why: a pure function of the estimate, the active policy and what is possible.

No clock, no randomness, no I/O: the random draw and the share cap's quantile come in as numbers. What a query is
expected to earn is no parameter: revenue acts through budgets only, never on a single query's tier.
"""

import math
from collections.abc import Mapping, Set

import msgspec

from classifier.types import AnswerType, Estimate
from router.conversation.turns import ConversationView, Kind
from router.decision.capabilities import Missing, incapable
from router.decision.policy import NEVER, Policy
from router.decision.worth import SCORE_DIGITS, USUAL, worth_of
from router.errors import Forbidden, QuotaExhausted
from router.types import FAST, PARALLEL, REASONING, Decision, Reason, Tier

EACH = tuple(Tier)
TIERS = frozenset(EACH)
STEP_UP = 0.15  # one pushback: the distance between the default thresholds, so usually one tier
LEAST_P_SAMPLED = 0.2  # votes cannot rescue what the sampled model rarely gets right
# Open and factual text has no vote key, only a medoid: nothing to stop early on, nothing to trust.
VOTABLE = frozenset(AnswerType) - {AnswerType.OPEN, AnswerType.FACTUAL}

DEEP = (REASONING, PARALLEL)
BELOW_THRESHOLD, ABOVE_THRESHOLD = Reason.BELOW_THRESHOLD, Reason.ABOVE_THRESHOLD
NEW, THANKS, HOUSEKEEPING = Kind.NEW, Kind.THANKS, Kind.HOUSEKEEPING  # looked for in each query

TIER_OF_EFFORT = {
    "none": FAST,
    "minimal": FAST,
    "low": REASONING,
    "medium": REASONING,
    "high": REASONING,
    "xhigh": PARALLEL,
    "max": PARALLEL,
}
# Rather a late answer than none, and rather one cut short; where nobody is well, the tier itself says so.
TOLERATED: tuple[frozenset[Missing], ...] = (
    frozenset(),
    frozenset({Missing.PATIENCE}),
    frozenset({Missing.PATIENCE, Missing.THINKING_ROOM}),
    frozenset({Missing.PATIENCE, Missing.THINKING_ROOM, Missing.HEALTH}),
)
# Where a wished or cheap tier cannot serve, the next best in this order does.
STAND_INS = {
    FAST: (FAST, REASONING, PARALLEL),
    REASONING: (REASONING, FAST, PARALLEL),
    PARALLEL: (PARALLEL, REASONING, FAST),
}


class BudgetView(msgspec.Struct, frozen=True):
    """What budgets still allow."""

    deep_available: bool = True
    fast_available: bool = True

    def affords(self, tier: Tier) -> bool:
        """Tell whether a tier can still be paid for."""
        return self.fast_available if tier is FAST else self.deep_available


class RoutingPreference(msgspec.Struct, frozen=True):
    """What the client asked for: a tier by name, an effort, or neither (`auto`). A tier beats an effort."""

    tier: Tier | None = None
    effort: str | None = None


AUTO = RoutingPreference()
UNSPENT = BudgetView()


def decide(
    estimate: Estimate,
    policy: Policy,
    *,
    preference: RoutingPreference = AUTO,
    conversation: ConversationView,
    missing: Mapping[Tier, Set[Missing]],
    allowed: Set[Tier],
    budget: BudgetView,
    share_cap_quantile: float | None,
    draw: float,
    cost_ratio: float = USUAL,
    stays_with: Tier | None = None,
) -> Decision:
    """Choose the tier of one query; `draw` is uniform on [0, 1), `cost_ratio` how many times the usual it costs.

    `stays_with` is the tier that called the tools of which this query brings results: it goes on, as long as it can.
    `missing` says what each tier's models lack for this request. Raises Forbidden, InvalidRequest when no tier can take
    the request, QuotaExhausted when none that can is affordable.
    """
    if preference.tier is not None:
        return _override(
            preference.tier, preference.effort, policy, _score(estimate, conversation), missing, allowed, budget
        )
    able = _able(missing, allowed)
    affordable = able if budget == UNSPENT else frozenset(tier for tier in able if budget.affords(tier))
    if not affordable:
        raise QuotaExhausted("the budget is used up")
    score = _score(estimate, conversation)
    worth = worth_of(score, cost_ratio, policy.cost_sensitivity)
    query = _Query(estimate, policy, conversation, score, worth, cost_ratio, share_cap_quantile)
    if conversation.kind is HOUSEKEEPING:
        return query.follow_preference(FAST, Reason.HOUSEKEEPING, able, affordable)
    if preference.effort is not None:
        wanted = TIER_OF_EFFORT[preference.effort]
        effort = preference.effort if wanted is REASONING else None
        return query.follow_preference(wanted, Reason.EFFORT, able, affordable, effort)
    if stays_with is not None:
        return query.follow_preference(stays_with, Reason.FOLLOW_UP, able, affordable)
    return query.explore(query.decide_by_score(able, affordable), affordable, draw)


def _score(estimate: Estimate, conversation: ConversationView) -> float:
    """The score of a query: never above NEVER, and nothing to gain where nothing is asked."""
    score = estimate.score + STEP_UP * conversation.steps_up
    # Rounded, so that a gain of exactly a threshold reaches it in binary too.
    return round(min(score, 0.0 if conversation.kind is THANKS else NEVER), SCORE_DIGITS)


def _override(
    tier: Tier,
    effort: str | None,
    policy: Policy,
    score: float,
    missing: Mapping[Tier, Set[Missing]],
    allowed: Set[Tier],
    budget: BudgetView,
) -> Decision:
    """Give the client the tier it named, or say why not."""
    if tier not in allowed:
        raise Forbidden(f"this key may not use the tier {tier}", param="model")
    # An answer cut short is what a client gets who names a thinking model and leaves it no room.
    if wanting := missing[tier] - TOLERATED[-1]:
        raise incapable(wanting)
    if not budget.affords(tier):
        raise QuotaExhausted(f"the budget for the tier {tier} is used up")
    return Decision(tier, Reason.OVERRIDE, score, None, policy.version, effort=effort, worth=score)


def _able(missing: Mapping[Tier, Set[Missing]], allowed: Set[Tier]) -> frozenset[Tier]:
    """The tiers that may and can take the request; raises InvalidRequest naming what they all miss."""
    if not allowed:
        raise Forbidden("this key may not use any tier")
    if not [tier for tier in allowed if missing[tier]]:
        return frozenset(allowed)
    for tolerated in TOLERATED:
        if able := frozenset(tier for tier in allowed if missing[tier] <= tolerated):
            return able
    raise incapable(min((missing[tier] for tier in sorted(allowed)), key=len))


def feeds_window(preference: RoutingPreference, conversation: ConversationView) -> bool:
    """Tell whether a score decided, so that its worth belongs in the ScoreWindow."""
    return preference == AUTO and conversation.kind is not HOUSEKEEPING


class _Query(msgspec.Struct, frozen=True):
    """One `auto` query on its way to a tier."""

    estimate: Estimate
    policy: Policy
    conversation: ConversationView
    score: float
    worth: float
    cost_ratio: float
    quantile: float | None

    def decide_by_score(self, able: Set[Tier], affordable: Set[Tier]) -> Decision:
        """Take the open tier with the highest threshold, and name what else would have been taken for."""
        wanted = self._highest_open(TIERS, capped=False)
        possible = self._highest_open(able, capped=False) if able != TIERS else wanted
        capped = self._highest_open(able, capped=True)
        tier = self._highest_open(affordable, capped=True) if affordable != able else capped
        if tier is not capped and capped is FAST:
            raise QuotaExhausted("the budget is used up")
        if tier is not capped:
            return self._decision(tier, Reason.BUDGET_SPENT, self._effective(capped))
        if capped is not possible:
            return self._decision(tier, Reason.SHARE_CAP, self._effective(possible))
        if (missed := self._find_opened_by_score(able)) is not None:
            return self._decision(tier, Reason.TOO_COSTLY, self.policy.threshold(missed))
        if possible is not wanted:
            return self._decision(tier, Reason.CAPABILITY)
        return self._decision(tier, self._reason(tier), self._deciding_cut(tier, affordable))

    def _find_opened_by_score(self, able: Set[Tier]) -> Tier | None:
        """The tier that the score alone would have opened, where what the query costs keeps it shut."""
        if self.worth >= self.score:
            return None
        opened = self._highest_open(able, capped=False, worth=self.score)
        return opened if opened is not FAST and self.worth < self.policy.threshold(opened) else None

    def follow_preference(
        self, wanted: Tier, reason: Reason, able: Set[Tier], affordable: Set[Tier], effort: str | None = None
    ) -> Decision:
        """Take the tier asked for, or the next best one."""
        if wanted is FAST and wanted in able - affordable:
            raise QuotaExhausted("the budget is used up")
        tier = next(tier for tier in STAND_INS[wanted] if tier in affordable)
        if tier is wanted:
            return self._decision(tier, reason, effort=effort)
        return self._decision(tier, Reason.BUDGET_SPENT if wanted in able else Reason.CAPABILITY)

    def explore(self, greedy: Decision, affordable: Set[Tier], draw: float) -> Decision:
        """With probability `explore` take any tier that is possible; note how likely the tier taken was."""
        explore = self.policy.explore
        choices = [tier for tier in EACH if tier in affordable and (tier is greedy.tier or self._may_explore(tier))]
        each = explore / len(choices)
        if draw >= explore:
            return msgspec.structs.replace(greedy, propensity=1.0 - explore + each)
        tier = choices[min(int(draw / explore * len(choices)), len(choices) - 1)]
        propensity = each if tier is not greedy.tier else 1.0 - explore + each
        return msgspec.structs.replace(self._decision(tier, Reason.EXPLORED), propensity=propensity)

    def _may_explore(self, tier: Tier) -> bool:
        if tier is FAST:
            return True
        is_on = self.policy.threshold(tier) <= NEVER and self.policy.max_deep_share > 0
        return is_on and (tier is REASONING or self._may_vote())

    def _may_vote(self) -> bool:
        """Votes decide where the query or what it follows up can be voted on: else a follow-up could fall back."""
        estimates = self.conversation.estimates or (self.estimate,)
        votable = [e for e in estimates if e.answer_type in VOTABLE and e.p_fast >= LEAST_P_SAMPLED]
        return bool(votable)

    def _effective(self, tier: Tier) -> float:
        threshold = self.policy.threshold(tier)
        return threshold if tier is FAST or self.quantile is None else max(threshold, self.quantile)

    def _highest_open(self, tiers: Set[Tier], *, capped: bool, worth: float | None = None) -> Tier:
        """The open tier with the highest threshold; where none is, the one that costs least."""
        worth = self.worth if worth is None else worth
        reasoning_from, parallel_from = self.policy.reasoning_threshold, self.policy.parallel_threshold
        least = self.quantile if capped and self.quantile is not None else -math.inf
        is_reasoning = REASONING in tiers and worth >= reasoning_from and worth >= least
        is_parallel = PARALLEL in tiers and worth >= parallel_from and worth >= least and self._may_vote()
        if is_parallel and (parallel_from > reasoning_from or not is_reasoning):
            return PARALLEL
        if is_reasoning:
            return REASONING
        if FAST in tiers:
            return FAST
        return min(tiers, key=lambda t: (t is PARALLEL and not self._may_vote(), self.policy.threshold(t), t))

    def _reason(self, tier: Tier) -> Reason:
        kind = self.conversation.kind
        if kind is NEW and not self.conversation.steps_up:
            return BELOW_THRESHOLD if tier is FAST else ABOVE_THRESHOLD
        if kind is Kind.PUSHBACK or (self.conversation.steps_up and self._tier_without_step_up() is not tier):
            return Reason.PUSHBACK
        if kind is Kind.FOLLOW_UP:
            return Reason.FOLLOW_UP
        return BELOW_THRESHOLD if tier is FAST else ABOVE_THRESHOLD

    def _tier_without_step_up(self) -> Tier:
        """The tier that would have been wanted without any step up."""
        score = round(self.score - STEP_UP * self.conversation.steps_up, SCORE_DIGITS)
        worth = worth_of(score, self.cost_ratio, self.policy.cost_sensitivity)
        return self._highest_open(TIERS, capped=False, worth=worth)

    def _deciding_cut(self, tier: Tier, affordable: Set[Tier]) -> float | None:
        """The cut that decided: the one reached, or the lowest one missed."""
        if tier is not FAST:
            return self._effective(tier)
        cuts = [self._effective(t) for t in DEEP if t in affordable]
        return min([cut for cut in cuts if self.worth < cut], default=None)

    def _decision(
        self, tier: Tier, reason: Reason, threshold: float | None = None, effort: str | None = None
    ) -> Decision:
        if threshold is not None and not math.isfinite(threshold):
            threshold = None
        return Decision(
            tier, reason, self.score, threshold, self.policy.version, 1.0, effort, self.worth, self.cost_ratio
        )
