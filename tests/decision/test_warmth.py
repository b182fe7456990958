"""What is warm is priced as such where it is warm: staying is worth its saving, and leaving pays for the loss."""

from dataclasses import replace
from typing import Any

import msgspec
import pytest

from classifier.types import AnswerType, Estimate, Forecast, Stakes
from router.clock import request_id
from router.conversation.turns import ConversationView, Kind
from router.decision.capabilities import Missing
from router.decision.costs import CostForecaster, FixedEvidence
from router.decision.engine import DecisionEngine
from router.decision.forecast import CallShape, ExpectedVote, lines_of
from router.decision.policy import Policy
from router.decision.rules import AUTO, BudgetView, RoutingPreference, decide
from router.decision.warmth import COLD, FRESH, AnsweredRequests, CachedInput, PromptWarmth, expect_caching
from router.errors import QuotaExhausted
from router.ledger.last_turns import LastTurn
from router.ledger.prices import Price, PriceBook, Rates
from router.ledger.read_prefixes import NO_PREFIXES, Prefixes, ReadPrefix
from router.policies.versions import PolicySnapshot
from router.providers.base import ModelTarget
from router.providers.caches import cache_of
from router.request import InferenceRequest
from router.types import Reason, Tier
from tests.builders.dispatchers import NO_CAP, FixedModel, an_inference_request

NOW = 1_800_000_000_000_000
WEAK, STRONG = ModelTarget("openai/weak"), ModelTarget("openai/strong")
CLAUDE = ModelTarget("anthropic/claude-sonnet-4-5")
POLICY = Policy(version=1)
ESTIMATE = Estimate(
    0.6, 0.9, 0.1, AnswerType.NUMERIC, Stakes.LOW, Forecast(50, 100, 200), Forecast(500, 1_000, 4_000), "test"
)
SECOND = 1_000_000


def a_price(name: str, input_usd: int, output_usd: int, write_usd: int | None = None) -> Price:
    """Of so many dollars per million tokens; cached ones cost a tenth."""
    write = None if write_usd is None else write_usd * 1_000_000
    rates = Rates(input_usd * 1_000_000, output_usd * 1_000_000, input_usd * 100_000, write)
    return Price(1, name, 0, None, "test", (rates,))


def a_forecaster(strong: ModelTarget = STRONG, write_usd: int | None = None) -> CostForecaster:
    prices = [a_price(WEAK.name, 1, 2), a_price(strong.name, 4, 8, write_usd)]
    targets = {Tier.FAST: [WEAK], Tier.REASONING: [strong], Tier.PARALLEL: [WEAK]}
    return CostForecaster(PriceBook(prices), targets, FixedEvidence(), lambda *_: ExpectedVote(4.0, 0.0), lambda: NOW)


def warm(model: str, tokens: int, age_s: int = 60, *, is_marked: bool = False, marked: int = 0) -> PromptWarmth:
    return PromptWarmth({model: ReadPrefix(tokens, marked, NOW - age_s * SECOND)}, is_marked)


@pytest.mark.parametrize(
    ("target", "tokens", "warmth", "found"),
    [
        (WEAK, 8_192, warm(WEAK.name, 6_400), CachedInput(6_400, 1_792)),
        (WEAK, 8_192, warm(WEAK.name, 6_401), CachedInput(6_400, 1_792)),
        (WEAK, 8_192, warm(WEAK.name, 6_400, 301), CachedInput(0, 8_192)),
        (WEAK, 8_192, warm(STRONG.name, 6_400), CachedInput(0, 8_192)),
        (WEAK, 1_000, warm(WEAK.name, 900), FRESH),
        (WEAK, 8_192, COLD, CachedInput(0, 8_192)),
        (ModelTarget("openai/weak", "http://localhost:1"), 8_192, warm(WEAK.name, 6_400), FRESH),
        (CLAUDE, 8_192, warm(CLAUDE.name, 6_400, is_marked=True, marked=6_000), CachedInput(6_000, 2_192)),
        (CLAUDE, 8_192, warm(CLAUDE.name, 6_400, is_marked=True), CachedInput(0, 8_192)),  # it was not marked then
        (CLAUDE, 8_192, warm(CLAUDE.name, 6_400, marked=6_000), FRESH),  # it is not marked now
    ],
)
def test_an_input_is_cached_as_far_as_the_model_read_it_lately(
    target: ModelTarget, tokens: int, warmth: PromptWarmth, found: CachedInput
) -> None:
    assert expect_caching(cache_of(target), target.name, tokens, warmth, NOW) == found


def test_what_is_warm_costs_a_tenth_where_it_is_warm_and_as_ever_elsewhere() -> None:
    forecaster = a_forecaster()
    cold = forecaster.forecast(ESTIMATE, POLICY, "default", 10_240)
    found = forecaster.forecast(ESTIMATE, POLICY, "default", 10_240, warmth=warm(STRONG.name, 10_240))
    assert cold.expected[Tier.REASONING] == 10_240 * 4_000 + 1_000 * 8_000
    assert found.expected[Tier.REASONING] == 10_240 * 400 + 1_000 * 8_000
    assert found.expected[Tier.FAST] == cold.expected[Tier.FAST] == 10_240 * 1_000 + 100 * 2_000


def test_staying_is_worth_its_saving_and_leaving_pays_for_the_loss() -> None:
    forecaster = a_forecaster()
    ratios = [
        forecaster.forecast(ESTIMATE, POLICY, "default", 10_240, warmth=warmth).ratio
        for warmth in (warm(STRONG.name, 10_240), COLD, warm(WEAK.name, 10_240))
    ]
    assert ratios == sorted(ratios)
    extra = 10_240 * 4_000 + 8_000_000 - 10_240 * 100 - 200_000  # weak reads a tenth
    usual = 40 * 3_000 + 7_800_000
    assert ratios[2] == pytest.approx(extra / usual)
    assert ratios[0] < 1 < ratios[1]


def test_what_has_to_be_written_first_costs_more() -> None:
    forecaster = a_forecaster(CLAUDE, write_usd=5)
    plain, marked = (
        forecaster.forecast(ESTIMATE, POLICY, "default", 8_192, warmth=PromptWarmth(NO_PREFIXES, is_marked))
        for is_marked in (False, True)
    )
    assert plain.expected[Tier.REASONING] == 8_192 * 4_000 + 8_000_000
    assert marked.expected[Tier.REASONING] == 8_192 * 5_000 + 8_000_000


def test_a_price_in_steps_counts_cached_and_written_tokens_too() -> None:
    steps = (Rates(1_000_000, 2_000_000, 100_000, 1_250_000), Rates(2_000_000, 4_000_000, above_tokens=200_000))
    stepped, plain = Price(1, "m", 0, None, "test", steps), Price(1, "m", 0, None, "test", steps[:1])
    length = Forecast(100, 100, 100)
    for lines in (lines_of(stepped), lines_of(plain)):
        warm = CallShape(lines, 10_000, length, caching=CachedInput(6_000, 4_000))
        assert warm.estimate() == 6_000 * 100 + 4_000 * 1_250 + 100 * 2_000
        assert warm.estimate(10_000) == 10_000 * 1_000 + 100 * 2_000
    assert CallShape(lines_of(stepped), 300_000, length).estimate() == 300_000 * 2_000 + 100 * 4_000


def test_a_named_model_is_forecast_with_its_cache() -> None:
    found = a_forecaster().forecast_named(STRONG, Tier.REASONING, ESTIMATE, 10_240, warmth=warm(STRONG.name, 10_240))
    assert found.cost_in(Tier.REASONING) == 10_240 * 400 + 8_000_000


def test_what_models_read_before_is_kept_beside_what_they_read_now() -> None:
    memory = AnsweredRequests(size=2)
    first, second = ReadPrefix(5_000, 0, NOW), ReadPrefix(6_000, 0, NOW)
    memory.note("1", Tier.FAST, NO_PREFIXES, {"a": first})
    memory.note("2", Tier.REASONING, {"a": first}, {"b": second})
    assert memory.find("2") == (Tier.REASONING, {"a": first, "b": second})
    memory.note("3", Tier.FAST, NO_PREFIXES, NO_PREFIXES)
    assert memory.find("1") is None


TEXT = "word " * 2_000
CALL = {"id": "c1", "type": "function", "function": {"name": "look_up", "arguments": "{}"}}
TURNS: list[dict[str, Any]] = [{"role": "user", "content": TEXT}]
FOLLOWED = [*TURNS, {"role": "assistant", "content": "Noted."}, {"role": "user", "content": "And the sum of it?"}]
CALLED = [*TURNS, {"role": "assistant", "content": None, "tool_calls": [CALL]}]
RESULT = [*CALLED, {"role": "tool", "tool_call_id": "c1", "content": "42"}]


def an_engine(**changes: Any) -> DecisionEngine:
    model: Any = FixedModel(0.2, 0.9)
    targets = {Tier.FAST: (WEAK,), Tier.REASONING: (STRONG,), Tier.PARALLEL: (WEAK,)}
    policy = changes.pop("policy", NO_CAP)
    wired: dict[str, Any] = {"draw": lambda: 0.99, "salt": b"s", "costs": a_forecaster()} | changes
    return DecisionEngine(lambda version: model, PolicySnapshot(policy), targets, {}, **wired)


def asked(messages: list[dict[str, Any]], later_s: int = 0, **changes: Any) -> InferenceRequest:
    size = len(msgspec.json.encode(messages))
    wanted = {"request_id": request_id(NOW + later_s * SECOND), "messages": messages, "input_bytes": size}
    return an_inference_request(**{**wanted, **changes})


def test_the_next_turn_is_warm_where_the_last_one_went() -> None:
    engine = an_engine()
    first = asked(TURNS)
    routed = engine.route(first)
    assert routed.prefixes == {}
    read = {STRONG.name: ReadPrefix(first.input_bytes // 4, 0, NOW)}
    engine.note_answered(first.request_id, Tier.REASONING, routed.prefixes, read)
    warm_turn, cold_turn = engine.route(asked(FOLLOWED, 20)), an_engine().route(asked(FOLLOWED, 20))
    assert warm_turn.prefixes == read
    assert warm_turn.forecast is not None
    assert cold_turn.forecast is not None
    assert warm_turn.forecast.cost_in(Tier.REASONING) < cold_turn.forecast.cost_in(Tier.REASONING)  # type: ignore[operator]
    assert warm_turn.forecast.cost_in(Tier.FAST) == cold_turn.forecast.cost_in(Tier.FAST)
    assert warm_turn.decision.cost_ratio < cold_turn.decision.cost_ratio


def test_what_another_worker_read_is_found_by_the_mark_and_only_where_it_is_needed() -> None:
    found: Prefixes = {STRONG.name: ReadPrefix(2_048, 0, NOW)}
    looked_up: list[tuple[int, int]] = []

    def read_elsewhere(mark: int, turn: int) -> Prefixes:
        looked_up.append((mark, turn))
        return found

    engine = an_engine(read_elsewhere=read_elsewhere)
    assert engine.route(asked(FOLLOWED), lambda: 7).prefixes == found
    assert engine.route(asked(FOLLOWED)).prefixes == {}
    assert engine.route(asked(TURNS), lambda: 7).prefixes == {}  # nothing was asked before
    assert engine.route(asked(FOLLOWED, input_bytes=900), lambda: 7).prefixes == {}  # too short to matter
    assert looked_up == [(7, 2)]


@pytest.mark.parametrize("made_by", [Tier.FAST, Tier.REASONING, Tier.PARALLEL])
def test_a_tool_loop_goes_on_where_it_began(made_by: Tier) -> None:
    engine = an_engine()
    calls = asked(TURNS, model=made_by)
    engine.route(calls)
    engine.note_answered(calls.request_id, made_by, NO_PREFIXES, NO_PREFIXES)
    routed = engine.route(asked(RESULT, 5))
    assert (routed.decision.tier, routed.decision.reason) == (made_by, Reason.FOLLOW_UP)


def test_who_answered_in_the_end_made_the_calls() -> None:
    engine = an_engine()
    calls = asked(TURNS, model="parallel")
    engine.route(calls)
    engine.note_answered(calls.request_id, Tier.REASONING, NO_PREFIXES, NO_PREFIXES)  # it escalated
    assert engine.route(asked(RESULT, 5)).decision.tier is Tier.REASONING


def test_calls_that_another_worker_made_are_found_by_the_mark() -> None:
    last = LastTurn(1, request_id(NOW), Tier.FAST)
    result = asked(RESULT, 5, conversation="c")
    found = an_engine(last_turn=lambda mark: last).route(result, lambda: 7)
    assert (found.decision.tier, found.decision.reason) == (Tier.FAST, Reason.FOLLOW_UP)
    assert found.signal is None  # a result is no regenerate
    assert an_engine().route(result, lambda: 7).decision.tier is Tier.REASONING  # nobody knows: decided by score


@pytest.mark.parametrize(
    ("messages", "changes", "tier"),
    [
        (RESULT, {"model": "reasoning"}, Tier.REASONING),
        (RESULT, {"effort": "medium"}, Tier.REASONING),
        (
            [*RESULT, {"role": "assistant", "content": "42"}, {"role": "user", "content": "Prove it."}],
            {},
            Tier.REASONING,
        ),
    ],
)
def test_wishes_and_new_turns_are_decided_as_ever(
    messages: list[dict[str, Any]], changes: dict[str, Any], tier: Tier
) -> None:
    engine = an_engine(policy=replace(NO_CAP, cost_sensitivity=0.0))
    calls = asked(TURNS, model="fast")
    engine.route(calls)
    engine.note_answered(calls.request_id, Tier.FAST, NO_PREFIXES, NO_PREFIXES)
    assert engine.route(asked(messages, 5, **changes)).decision.tier is tier


def decided(stays_with: Tier, **changes: Any) -> Any:
    wanted: dict[str, Any] = {
        "preference": AUTO,
        "conversation": ConversationView(Kind.NEW, ()),
        "missing": dict.fromkeys(Tier, frozenset()),
        "allowed": frozenset(Tier),
        "budget": BudgetView(),
        "share_cap_quantile": 1.0,
        "draw": 0.0,
        "cost_ratio": 16.0,
    }
    policy = replace(POLICY, explore=0.5, cost_sensitivity=1.0)
    return decide(ESTIMATE, policy, stays_with=stays_with, **{**wanted, **changes})


def test_no_cap_cost_or_exploring_switches_a_running_loop() -> None:
    found = decided(Tier.REASONING)
    assert (found.tier, found.reason, found.propensity) == (Tier.REASONING, Reason.FOLLOW_UP, 1.0)


def test_a_loop_that_cannot_go_on_is_taken_over_and_says_why() -> None:
    missing = {**dict.fromkeys(Tier, frozenset()), Tier.REASONING: frozenset({Missing.HEALTH})}
    assert decided(Tier.REASONING, missing=missing).reason is Reason.CAPABILITY
    broke = decided(Tier.REASONING, budget=BudgetView(deep_available=False))
    assert (broke.tier, broke.reason) == (Tier.FAST, Reason.BUDGET_SPENT)
    with pytest.raises(QuotaExhausted):
        decided(Tier.FAST, budget=BudgetView(fast_available=False))
    assert decided(Tier.FAST, preference=RoutingPreference(tier=Tier.REASONING)).reason is Reason.OVERRIDE


def test_who_waits_long_is_no_reason_to_switch_a_running_loop() -> None:
    class Slow:
        def is_too_slow(self, tier: Tier, streamed: bool, longest: float) -> bool:
            return True

        def note_sent(self, tier: Tier, streamed: bool) -> None:
            pass

    waits: Any = Slow()
    engine = an_engine(waits=waits, policy=replace(NO_CAP, max_wait_s=1.0))
    calls = asked(TURNS, model="reasoning")
    engine.route(calls)
    engine.note_answered(calls.request_id, Tier.REASONING, NO_PREFIXES, NO_PREFIXES)
    assert engine.route(asked(RESULT, 5)).decision.tier is Tier.REASONING
    assert engine.route(asked(FOLLOWED, 5)).decision.tier is Tier.FAST
