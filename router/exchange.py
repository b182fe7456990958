"""One exchange: a query and its answer, from the estimate to the settlement.

`Dispatcher` holds what all exchanges share and opens them; an `Exchange` is one of them. Knows no HTTP.
"""

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing
from functools import partial
from typing import Any

import msgspec

from classifier.types import Estimate, Forecast
from router.clock import Clock
from router.conversation import language
from router.conversation.ads import AdLexicon, last_user_texts, load_lexicon
from router.decision.engine import AUTO, DecisionEngine, Routed
from router.decision.rules import HOUSEKEEPING, BudgetView
from router.errors import AllowanceSpent, InvalidRequest, ProviderError, QuotaExhausted, Saturated, Unavailable
from router.learning.duels import PendingDuel
from router.learning.selection import Learning
from router.ledger.budgets import Payer
from router.ledger.entries import Opening
from router.ledger.leases import BudgetHold, BudgetLeases
from router.ledger.marks import NO_MARKS, MarkBook, Marks
from router.ledger.persons import PersonAllowances, PersonHold, PersonLimit
from router.ledger.prices import PriceBook
from router.ledger.read_prefixes import NO_PREFIXES, Prefixes, ReadPrefix
from router.ledger.revenue import RevenueBook
from router.metrics import Metrics
from router.providers.base import Delta, ModelTarget, Provider, ProviderRequest
from router.providers.caches import BYTES_PER_TOKEN, LEAST_WORTH_TOKENS
from router.providers.relay import RelayProvider
from router.request import InferenceRequest
from router.telemetry.request_log import RequestLog
from router.telemetry.spans import Spans
from router.tiers.base import Answer, Bounded, LimitedChoices, TierRequest, TierRunner
from router.tiers.calls import Books, Calls, ProviderCall
from router.tiers.permits import Permits, TargetBook
from router.tiers.single import SingleTier
from router.types import (
    FAST,
    PARALLEL,
    REASONING,
    CallKind,
    CallStatus,
    Decision,
    Outcome,
    Reason,
    RelayedCall,
    Tier,
    Usage,
)

IMAGE_BOUND_TOKENS = 3_000
DUELLISTS = frozenset({FAST, REASONING})
ERROR = Outcome.ERROR
NO_TOKENS, FEW_TOKENS = Forecast(0, 0, 0), Forecast(0, 16, 1_000)
TOO_DEAR = "what this request may cost (max_cost_usd) does not cover an answer of the chosen tier"


class Dispatcher:
    """Opens exchanges: asks for the decision, notes what is expected to be earned, and binds the chosen tier."""

    def __init__(
        self,
        *,
        routing: DecisionEngine,
        tiers: Mapping[Tier, TierRunner],
        explicit: Mapping[str, TierRunner],
        books: Books,
        prices: PriceBook,
        revenue: RevenueBook,
        provider_of: Callable[[ModelTarget], Provider],
        clock: Clock,
        metrics: Metrics,
        leases: BudgetLeases | None = None,
        is_low: Callable[[], bool] = lambda: False,
        is_short: Callable[[str, Tier], bool] = lambda model, tier: False,
        learning: Learning | None = None,
        pressure: Callable[[str], float] = lambda segment: 0.0,
        tell_failure: Callable[[ProviderRequest, ProviderError], None] = lambda request, error: None,
        request_log: RequestLog | None = None,
        spans: Spans | None = None,
        ads: AdLexicon | None = None,
        relays: Mapping[str, TierRunner] | None = None,
        marks: MarkBook | None = None,
        persons: PersonAllowances | None = None,
        targets: TargetBook | None = None,
    ) -> None:
        self._targets = targets
        self._marks = marks
        self._persons = persons
        self.request_log = request_log
        self.spans = spans
        self._tell_failure = tell_failure
        self._ads = ads or load_lexicon()
        self._learning = learning or Learning()
        self._pressure = pressure
        self._is_low = is_low
        self._is_short = is_short
        self._leases = leases
        self._routing = routing
        self._tiers = tiers
        self._explicit = explicit
        self._relays = relays or {}
        self._books = books
        self._prices = prices
        self._revenue = revenue
        self._provider_of = provider_of
        self._clock = clock
        self._metrics = metrics

    async def open(self, request: InferenceRequest) -> "Exchange":
        """Decide about a request and prepare its answer; nothing is sent or booked yet.

        What it may cost is held against budgets. Raises RequestError, or Unavailable where a hard budget cannot be
        checked.
        """
        marks: Marks | None = None

        def find_marks() -> Marks:
            nonlocal marks
            if marks is None:
                marks = self._marks_of(request)
            return marks

        if request.relay is None:
            routed = self._routing.route(request, lambda: find_marks().conversation)
        else:
            routed = self._routing.route_relay(request)
        decision = routed.decision if not self._is_low() else self._decide_saving_space(routed)
        if decision.tier is not FAST and self._is_short(request.model, decision.tier):
            decision = self._shed(routed)
        exchange, short = await self._hold_worst_case(request, routed, decision, find_marks)
        if short is not None and decision.tier is not FAST:
            degraded = self._degrade(routed, short)
            if isinstance(short, AllowanceSpent):
                degraded = msgspec.structs.replace(degraded, reason=Reason.USER_ALLOWANCE)
            if degraded.tier is FAST:
                exchange, short = await self._hold_worst_case(request, routed, degraded, find_marks)
        if short is not None:
            raise short
        return exchange

    def largest_costs(self, request: InferenceRequest, routed: Routed) -> dict[Tier, int | None]:
        """Bound what each tier would cost, in nano-dollars, as budgets would hold it; None where there is no price."""
        found: dict[Tier, int | None] = {}
        for tier in Tier:
            decision = msgspec.structs.replace(routed.decision, tier=tier)
            exchange = self._exchange(request, routed, decision, self._clock.now_us(), NO_MARKS)
            found[tier] = exchange.worst_case() or None
        return found

    def plan(self, request: InferenceRequest, *, as_decided: bool = False) -> "Exchange":
        """Prepare what a background job will answer: nothing is held, booked or remembered of it here.

        Who asks `auto` for an answer in the background asks for thought: it goes to the parallel tier where that can
        take it and the key allows it; `as_decided`, to the tier that it would go to anyway. Raises RequestError.
        """
        asked = request
        if not as_decided and request.model == AUTO and PARALLEL in request.allowed_tiers:
            asked = msgspec.structs.replace(request, model=PARALLEL)
        try:
            routed = self._routing.quote(asked)
        except InvalidRequest:
            routed = self._routing.quote(request)
        return self._exchange(request, routed, routed.decision, self._clock.now_us(), self._marks_of(request))

    def count_unopened(self) -> None:
        """Count a client that went away before its request was opened."""
        self._metrics.count_unopened()

    def _degrade(self, routed: Routed, short: QuotaExhausted) -> Decision:
        """Decide again without the deep tiers; raises `short` for who asked for one by name."""
        try:
            return routed.within(BudgetView(deep_available=False))
        except QuotaExhausted:
            raise short from None

    def _shed(self, routed: Routed) -> Decision:
        """Decide while places run short: nothing deep begins, `auto` is served fast as if no other tier could."""
        try:
            decision = routed.within(BudgetView(deep_available=False))
        except QuotaExhausted:
            decision = routed.decision
        if decision.tier is not FAST:
            raise Saturated(f"too much is under way for the tier {decision.tier} now; only fast begins")
        return msgspec.structs.replace(decision, reason=Reason.CAPABILITY)

    def _decide_saving_space(self, routed: Routed) -> Decision:
        """Decide while the spool has little room left: the deep tiers, which write most, stop first."""
        if routed.decision.tier is FAST:
            return routed.decision
        try:
            decision = routed.within(BudgetView(deep_available=False))
        except QuotaExhausted:
            decision = routed.decision
        if decision.tier is not FAST:
            raise Unavailable("the ledger is nearly out of disk space: only fast is served", code="spool_low")
        return decision

    async def _hold_worst_case(
        self, request: InferenceRequest, routed: Routed, decision: Decision, find_marks: Callable[[], Marks]
    ) -> "tuple[Exchange, QuotaExhausted | None]":
        """Prepare the answer of one tier and hold its worst case; also says what has too little for it.

        `auto` and `fast` go over a soft budget with a fast answer, for the reason that it is spent.
        """
        opened_at, marks = self._clock.now_us(), find_marks()
        payer = Payer(request.key_id, request.segment, decision.tier)
        may_go_over = decision.tier is FAST and request.relay is None and request.model not in self._explicit
        budget_hold = self._budget_hold(payer, opened_at, may_go_over=may_go_over)
        person_hold = self._person_hold(request, decision, marks.user, opened_at, budget_hold)
        exchange = self._exchange(request, routed, decision, opened_at, marks, person_hold or budget_hold)
        if not exchange.is_within_cap:
            return exchange, QuotaExhausted(TOO_DEAR)
        if budget_hold is not None and (short := await budget_hold.hold(exchange.worst_case())) is not None:
            assert self._leases is not None
            return exchange, self._leases.error_of(short)
        if person_hold is not None:
            exchange.person_hold = person_hold
            if not await person_hold.claim(exchange.worst_case()):
                return exchange, person_hold.refusal()
        if budget_hold is None:
            return exchange, None
        if budget_hold.is_over and decision.reason is not Reason.BUDGET_SPENT:
            spent = msgspec.structs.replace(decision, reason=Reason.BUDGET_SPENT)
            exchange = self._exchange(request, routed, spent, opened_at, marks, budget_hold)
        return exchange, None

    def _exchange(
        self,
        request: InferenceRequest,
        routed: Routed,
        decision: Decision,
        opened_at: int,
        marks: Marks,
        budget_hold: BudgetHold | PersonHold | None = None,
    ) -> "Exchange":
        estimate = routed.estimate
        user_texts = last_user_texts(request.messages) if request.relay is None else []
        ad_view = self._ads.view(user_texts)
        eligible = routed.ads_eligible and not ad_view.is_sensitive
        version, expected = self._revenue.estimate_revenue(
            request.segment, request.country, eligible, surface=request.surface, is_commercial=ad_view.is_commercial
        )
        forecast = routed.forecast
        if request.relay is not None:
            tier = self._relays[request.model]
        else:
            tier = self._explicit.get(request.model) or self._tiers[decision.tier]
        opening = Opening(
            request_id=request.request_id,
            opened_at=opened_at,
            key_id=request.key_id,
            segment=request.segment,
            country=request.country,
            requested_model=request.model,
            first_tier=decision.tier,
            reason=decision.reason,
            score=decision.score,
            p_fast=estimate.p_fast,
            p_reasoning=estimate.p_reasoning,
            propensity=decision.propensity,
            policy_version=decision.policy_version,
            classifier_version=estimate.version,
            answer_type=estimate.answer_type,
            language=language.guess_of_turns(user_texts),
            turn=routed.turn,
            streamed=request.streamed,
            ads_eligible=eligible,
            revenue_version=version,
            expected_revenue_nanousd=expected,
            shadow_version=routed.shadow.policy_version if routed.shadow else None,
            shadow_tier=routed.shadow.tier if routed.shadow else None,
            signal=routed.signal,
            previous_id=routed.previous_id,
            conversation_mark=marks.conversation,
            user_mark=marks.user,
            expected_cost_nanousd=forecast.cost_in(decision.tier) if forecast else None,
            cost_factor=forecast.factors[decision.tier] if forecast else None,
            cost_ratio=decision.cost_ratio if forecast else None,
            effort=decision.effort or (tier.targets[0].effort if isinstance(tier, SingleTier) else None),
        )
        bound = request.input_bytes + IMAGE_BOUND_TOKENS * routed.attachments
        query = TierRequest(
            request_id=request.request_id,
            messages=request.messages,
            params=request.params,
            estimate=estimate,
            input_bound_tokens=bound,
            n=request.n,
            effort=decision.effort,
            max_visible_tokens=request.max_visible_tokens,
            max_output_tokens=request.max_output_tokens,
            explicit=request.model == PARALLEL,
            pressure=0.0 if request.model == PARALLEL else self._pressure(request.segment),
            max_samples=routed.policy.parallel_samples,
            confidence=routed.policy.parallel_confidence,
            confidence_by_type=routed.policy.confidence_by_type,
            conversation=request.conversation,
            keeps_cache=routed.kind is not HOUSEKEEPING,
        )
        calls = Calls(
            opening,
            self._books,
            self._prices,
            self._provider_for(request.relay),
            self._clock,
            bound,
            budget_hold,
            self._tell_failure,
            Permits(self._targets, is_relayed=request.relay is not None),
            _forecasts_of(routed.estimate, request.relay),
        )
        if request.n > 1 and isinstance(tier, LimitedChoices):
            tier.require_samples(query)
        cap = least_cap(request.max_cost_nanousd, routed.policy.max_cost_nanousd)
        capped = tier.within_cap(query, calls, cap) if cap is not None and isinstance(tier, Bounded) else query
        query = query if capped is None else capped
        duel = self._duel(request, routed, decision, query, calls, opened_at) if request.relay is None else None
        exchange = Exchange(decision, estimate, query, tier, calls, opening, self._metrics, duel)
        exchange.is_within_cap = capped is not None
        exchange.has_attachments = routed.attachments > 0
        if request.model not in self._explicit:
            exchange.note_wait = partial(self._routing.note_wait, decision.tier, request.streamed)
        tokens = request.input_bytes // BYTES_PER_TOKEN
        is_worth_knowing = tokens >= LEAST_WORTH_TOKENS or "tools" in request.params
        if is_worth_knowing and request.relay is None and routed.kind is not HOUSEKEEPING:
            exchange.note_answered = partial(self._note_answered, request.request_id, routed.prefixes, tokens)
        return exchange

    def _note_answered(
        self, request_id: str, before: Prefixes, tokens: int, tier: Tier, made: list[ProviderCall]
    ) -> None:
        """Tell the decision who answered, and what models read of a prompt of about so many tokens."""
        read = read_by_models(made, tokens) if tokens >= LEAST_WORTH_TOKENS else NO_PREFIXES
        self._routing.note_answered(request_id, tier, before, read)

    def _provider_for(self, relay: RelayedCall | None) -> Callable[[ModelTarget], Provider]:
        """Who serves a model; through a relay where the call is passed on as it is."""
        provider_of = self._provider_of
        return provider_of if relay is None else lambda target: RelayProvider(provider_of(target), relay)

    def _duel(
        self,
        request: InferenceRequest,
        routed: Routed,
        decision: Decision,
        query: TierRequest,
        calls: Calls,
        opened_at: int,
    ) -> PendingDuel | None:
        """Keep the request's features where they are to be learnt from, and set up the duel it is chosen for."""
        learning = self._learning
        can_be_duelled = query.n == 1 and not routed.attachments and request.allowed_tiers >= DUELLISTS
        share = 0.0 if self._is_low() or not can_be_duelled else routed.policy.shadow
        is_duelled = learning.is_duelled(request.request_id, decision, share)
        kept = learning.features_to_keep(
            request.request_id, decision, routed.estimate, opened_at, is_duelled=is_duelled
        )
        if kept is not None:
            calls.note(kept)
        if not is_duelled or learning.duels is None:
            return None
        payer = Payer(request.key_id, request.segment, decision.tier)
        return PendingDuel(learning.duels, query, calls, lambda: self._budget_hold(payer, opened_at))

    def _marks_of(self, request: InferenceRequest) -> Marks:
        """Mark whose request it is; what is passed through is of a conversation only where one is named."""
        if self._marks is None:
            return NO_MARKS
        messages = request.messages if request.relay is None else ()
        return self._marks.marks_of(self._clock.now_us(), request.key_id, request.conversation, request.user, messages)

    def user_mark(self, key_id: int | None, user: str) -> int:
        """Number the end user of a key: by the mark, in this worker alone where there is none."""
        mark = self._marks.user_mark(self._clock.now_us(), key_id, user) if self._marks else None
        return hash(user) if mark is None else mark

    def _person_hold(
        self,
        request: InferenceRequest,
        decision: Decision,
        user_mark: int | None,
        opened_at: int,
        budget_hold: BudgetHold | None,
    ) -> PersonHold | None:
        """Make what a deep answer holds of its end user's day; None where no allowance is set, or nobody is named."""
        if request.user_deep_per_day is None and request.user_nanousd_per_day is None:
            return None
        if decision.tier is FAST or request.user is None or self._persons is None:
            return None
        limit = PersonLimit(request.user_deep_per_day, request.user_nanousd_per_day)
        return PersonHold(self._persons, user_mark, limit, opened_at, budget_hold)

    def _budget_hold(self, payer: Payer, opened_at: int, *, may_go_over: bool = False) -> BudgetHold | None:
        return self._leases.budget_hold(payer, opened_at, may_go_over=may_go_over) if self._leases else None


def least_cap(*caps: int | None) -> int | None:
    """Return the least of several limits, None where there is none."""
    return min([cap for cap in caps if cap is not None], default=None)


def _forecasts_of(estimate: Estimate, relay: RelayedCall | None) -> tuple[Forecast, Forecast]:
    """How many tokens the answer is likely to have, without thinking and with it; nothing is read of a relayed one."""
    if relay is None:
        return estimate.output_fast, estimate.output_reasoning
    match relay:
        case RelayedCall.EMBEDDINGS:
            return NO_TOKENS, NO_TOKENS
        case _:
            return FEW_TOKENS, FEW_TOKENS


def read_by_models(made: Sequence[ProviderCall], tokens: int) -> Prefixes:
    """Tell what the models of calls that went well have read, each of a prompt of about so many tokens.

    Marked is as much of it as was read from a cache or written to one.
    """
    read: dict[str, ReadPrefix] = {}
    for call in made:
        intent = call.intent
        if call.status is CallStatus.OK and intent.kind in (CallKind.ANSWER, CallKind.SAMPLE):
            usage = call.metered.usage if call.metered else Usage()
            marked = usage.input_cached + usage.input_cache_write
            share = marked / usage.input_tokens if marked else 0.0
            read[intent.provider_model] = ReadPrefix(tokens, round(tokens * share), intent.started_at)
    return read


def _ignore_wait(wait_ms: float) -> None:
    """Do nothing: the waits of explicit models are not noted."""


def _ignore_answer(tier: Tier, made: list[ProviderCall]) -> None:
    """Do nothing: what is passed through and housekeeping leave nothing that a conversation goes on from."""


class Exchange:
    """One request under way: answer or stream it, then settle it, once."""

    def __init__(
        self,
        decision: Decision,
        estimate: Estimate,
        query: TierRequest,
        tier: TierRunner,
        calls: Calls,
        opening: Opening,
        metrics: Metrics,
        duel: PendingDuel | None = None,
    ) -> None:
        self.decision = decision
        self.estimate = estimate
        self.calls = calls
        self.query = query
        self._tier = tier
        self.opening = opening
        self._metrics = metrics
        self.note_wait: Callable[[float], None] = _ignore_wait
        self.note_answered: Callable[[Tier, list[ProviderCall]], None] = _ignore_answer
        self._duel = duel
        self._answer: Answer | None = None
        self.outcome: Outcome | None = None  # once it is settled
        self.final_tier = decision.tier
        self._is_settled = False
        self.is_within_cap = True
        self.has_attachments = False
        self.person_hold: PersonHold | None = None

    def worst_case(self) -> int:
        """Bound what the answer costs, in nano-dollars."""
        return self._tier.worst_case(self.query, self.calls) if isinstance(self._tier, Bounded) else 0

    async def answer(self) -> Answer:
        """Return the whole answer; raises ProviderError or Unavailable."""
        return await self._tier.answer(self.query, self.calls)

    async def stream(self) -> AsyncGenerator[Delta | Answer]:
        """Yield the answer as it comes, ending with an Answer; raises ProviderError or Unavailable."""
        steps = self._tier.stream(self.query, self.calls)
        assert isinstance(steps, AsyncGenerator)
        async with aclosing(steps):
            async for step in steps:
                if self._duel is not None and isinstance(step, Delta):
                    self._duel.note(step)
                yield step

    def settle(self, outcome: Outcome, answer: Answer | None = None) -> None:
        """Settle the request in the books; the first settlement counts. Raises Unavailable if it cannot be written."""
        if self._is_settled:
            return
        self._is_settled = True
        self._answer = answer
        final_tier = answer.final_tier if answer else self.decision.tier
        self.outcome, self.final_tier = outcome, final_tier
        if self.person_hold is not None and (outcome is ERROR or not self.calls.made):
            self.person_hold.mark_unused()
        self.calls.close(final_tier, outcome, answer.call_no if answer else None, fell_back=self._fell_back)
        if outcome is not ERROR:
            self.note_wait(self.calls.waited_ms)
            self.note_answered(final_tier, self.calls.made)
        costs, first_byte_ms = [call.cost_nanousd for call in self.calls.made], self.calls.first_byte_ms
        revenue = self.opening.expected_revenue_nanousd
        self._metrics.count_settled(self.decision, final_tier, outcome, costs, revenue, first_byte_ms)

    @property
    def reported(self) -> tuple[int, str] | None:
        """The number of the call that answered, and the model that its provider says did; None without an answer."""
        return (self._answer.call_no, self._answer.provider_model) if self._answer is not None else None

    def follow_up(self) -> None:
        """Do what is left to do once the client has its last byte."""
        if self._duel is not None and self._answer is not None:
            self._duel.begin(self._answer)

    @property
    def reason(self) -> Reason:
        """Why the answer comes from where it comes: the decision's reason, unless a fallback stands in."""
        return Reason.FALLBACK if self._fell_back else self.decision.reason

    @property
    def _fell_back(self) -> bool:
        """Whether another model stands in for the first one, known before its answer is; samples are no fallback."""
        if self.decision.tier is PARALLEL or not (len(self.calls.made) > 1 or self.calls.permits.passed_over):
            return False
        asked = {call.intent.provider_model for call in self.calls.made if call.intent.kind is CallKind.ANSWER}
        return len(asked) > 1 or bool(asked and self.calls.permits.passed_over - asked)

    def decision_headers(self) -> dict[str, str]:
        """Write the decision as response headers; the reason may change until the answer begins."""
        decision = self.decision
        return {
            "x-tierwise-tier": decision.tier,
            "x-tierwise-reason": self.reason,
            "x-tierwise-score": f"{decision.score:.4f}",
            "x-tierwise-policy": str(decision.policy_version),
        }

    def explanation(self, answer: Answer, ignored: list[str], dropped: Sequence[str] = ()) -> dict[str, Any]:
        """Say why and by whom the request was answered: the `x_tierwise` object.

        `ignored` and `dropped` is what the endpoint made nothing of, or left out.
        """
        decision = self.decision
        fields: dict[str, Any] = {
            "request_id": self.query.request_id,
            "tier": decision.tier,
            "reason": self.reason,
            "score": round(decision.score, 4),
            "worth": round(decision.worth, 4),
            "threshold": decision.threshold,
            "propensity": decision.propensity,
            "policy": decision.policy_version,
            "p_fast": round(self.estimate.p_fast, 4),
            "p_reasoning": round(self.estimate.p_reasoning, 4),
            "answer_type": self.estimate.answer_type,
            "stakes": self.estimate.stakes,
            "final_tier": answer.final_tier,
            "provider_model": self.calls.made[answer.call_no].intent.provider_model,
            "reported_model": answer.provider_model,
            "fell_back": answer.fell_back,
            "calls": len(self.calls.made),
            "samples": [],
            "effort": self.opening.effort,
            "expected_cost_nanousd": self.opening.expected_cost_nanousd,
            "cost_nanousd": self.calls.cost_nanousd,
            "dropped": list(dict.fromkeys([*dropped, *answer.dropped])),
            "ignored": ignored,
        }
        if answer.confidence is not None:
            fields["confidence"] = answer.confidence
        return fields | (answer.trace or {})
