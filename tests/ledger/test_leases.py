"""Budgets that run out: auto is answered fast, an override is refused, money is held before it is spent."""

from typing import Any

import pytest
from sqlalchemy import Engine, text

from router.errors import QuotaExhausted
from router.exchange import Dispatcher
from router.ledger import budgets
from router.ledger.budgets import BudgetKind, BudgetScope, Payer, Period
from router.ledger.leases import BudgetLeases
from router.types import Outcome, Reason, Tier
from tests.builders.dispatchers import FixedModel, a_dispatcher, an_inference_request
from tests.tiers.fakes import FakeBooks, FakeClock, FakeProvider, saying


def a_dispatcher_within(
    engine: Engine, limit: int, scope: BudgetScope, subject: str
) -> tuple[Dispatcher, BudgetLeases]:
    now_us = FakeClock().now_us
    budgets.put(engine, scope, subject, Period.MONTH, limit, "test", "", now_us())
    leases = BudgetLeases(engine, "one", now_us)
    leases.load()
    dispatcher = a_dispatcher(FakeProvider(saying("hi")), FakeBooks(), model=FixedModel(0.3, 0.9))
    dispatcher._leases = leases
    return dispatcher, leases


def free(leases: BudgetLeases) -> int:
    return sum(one.free for one in leases._leases.values())


async def test_auto_degrades_to_fast_and_says_why(sqlite_engine: Engine) -> None:
    dispatcher, _ = a_dispatcher_within(sqlite_engine, 0, BudgetScope.TIER, "reasoning")
    exchange = await dispatcher.open(an_inference_request())
    assert (exchange.decision.tier, exchange.decision.reason) == (Tier.FAST, Reason.BUDGET_SPENT)


async def test_an_override_is_refused_and_trying_again_does_not_help(sqlite_engine: Engine) -> None:
    dispatcher, _ = a_dispatcher_within(sqlite_engine, 0, BudgetScope.TIER, "reasoning")
    with pytest.raises(QuotaExhausted) as caught:
        await dispatcher.open(an_inference_request(model="reasoning"))
    assert (caught.value.status, caught.value.code) == (429, "insufficient_quota")
    assert caught.value.headers()["x-should-retry"] == "false"


@pytest.mark.parametrize("model", ["auto", "fast", "reasoning"])
async def test_a_spent_total_budget_refuses_everything(sqlite_engine: Engine, model: str) -> None:
    dispatcher, _ = a_dispatcher_within(sqlite_engine, 0, BudgetScope.TOTAL, "")
    with pytest.raises(QuotaExhausted, match="budget"):
        await dispatcher.open(an_inference_request(model=model))


async def test_the_hold_is_let_go_down_to_what_it_cost(sqlite_engine: Engine) -> None:
    dispatcher, leases = a_dispatcher_within(sqlite_engine, 10**10, BudgetScope.TOTAL, "")
    exchange = await dispatcher.open(an_inference_request(model="fast"))
    [one] = leases._leases.values()
    leased, held = one.free + one.held, one.held
    assert held == exchange.worst_case() > 0
    exchange.settle(Outcome.OK, await exchange.answer())
    cost: Any = exchange.calls.made[0].cost_nanousd
    assert (one.held, one.free) == (0, leased - cost)
    assert 0 < cost <= held


async def test_a_request_never_answered_holds_nothing_any_more(sqlite_engine: Engine) -> None:
    dispatcher, leases = a_dispatcher_within(sqlite_engine, 10**10, BudgetScope.TOTAL, "")
    exchange = await dispatcher.open(an_inference_request(model="fast"))
    exchange.settle(Outcome.CANCELLED)
    [one] = leases._leases.values()
    assert one.held == 0
    assert free(leases) > 0


def a_soft_dispatcher(engine: Engine, limit: int = 0) -> tuple[Dispatcher, BudgetLeases]:
    dispatcher, leases = a_dispatcher_within(engine, limit, BudgetScope.TOTAL, "")
    budgets.put(
        engine, BudgetScope.TOTAL, "", Period.MONTH, limit, "test", "", FakeClock().now_us(), kind=BudgetKind.SOFT
    )
    leases.load()
    return dispatcher, leases


@pytest.mark.parametrize("model", ["auto", "fast"])
async def test_a_spent_soft_budget_serves_fast_over_the_limit_and_says_why(sqlite_engine: Engine, model: str) -> None:
    dispatcher, _ = a_soft_dispatcher(sqlite_engine)
    exchange = await dispatcher.open(an_inference_request(model=model))
    assert (exchange.decision.tier, exchange.decision.reason) == (Tier.FAST, Reason.BUDGET_SPENT)
    assert exchange.calls._unwritten[0].reason is Reason.BUDGET_SPENT  # type: ignore[union-attr]
    await exchange.answer()
    exchange.settle(Outcome.OK)
    assert exchange.calls.made[0].cost_nanousd


@pytest.mark.parametrize("model", ["reasoning", "parallel", "own"])
async def test_a_spent_soft_budget_refuses_deep_and_explicit_models(sqlite_engine: Engine, model: str) -> None:
    dispatcher, _ = a_soft_dispatcher(sqlite_engine)
    with pytest.raises(QuotaExhausted, match="the monthly budget is used up"):
        await dispatcher.open(an_inference_request(model=model))


async def test_a_soft_budget_with_room_changes_nothing(sqlite_engine: Engine) -> None:
    dispatcher, leases = a_soft_dispatcher(sqlite_engine, 10**10)
    exchange = await dispatcher.open(an_inference_request(model="fast"))
    assert exchange.decision.reason is Reason.OVERRIDE
    assert [one.held for one in leases._leases.values()] == [exchange.worst_case()]


async def test_a_hard_budget_beside_a_spent_soft_one_still_refuses(sqlite_engine: Engine) -> None:
    dispatcher, leases = a_soft_dispatcher(sqlite_engine)
    budgets.put(sqlite_engine, BudgetScope.TIER, "fast", Period.DAY, 0, "test", "", FakeClock().now_us())
    leases.load()
    with pytest.raises(QuotaExhausted, match="day budget of tier fast"):
        await dispatcher.open(an_inference_request(model="auto"))


async def test_a_call_more_than_was_held_goes_over_a_soft_budget(sqlite_engine: Engine) -> None:
    _, leases = a_soft_dispatcher(sqlite_engine, 1_000)
    hold = leases.budget_hold(Payer(None, "default", Tier.FAST), FakeClock().now_us(), may_go_over=True)
    assert hold is not None
    assert await hold.hold(900) is None
    hold.take(2_000)
    hold.settle(2_000, 1_500)
    hold.close()
    assert free(leases) < 0
    leases.refresh()
    assert free(leases) == 0


async def test_refused_until_the_period_ends(sqlite_engine: Engine) -> None:
    dispatcher, _ = a_dispatcher_within(sqlite_engine, 0, BudgetScope.TOTAL, "")
    with pytest.raises(QuotaExhausted) as caught:
        await dispatcher.open(an_inference_request(model="fast"))
    now_us = FakeClock().now_us()
    ends = (Period.MONTH.end_us(now_us) - now_us) // 1_000_000
    assert abs(int(caught.value.headers()["retry-after"]) - ends) <= 1


async def test_a_soft_budget_that_cannot_be_checked_counts_as_spent(sqlite_engine: Engine) -> None:
    dispatcher, leases = a_soft_dispatcher(sqlite_engine, 10**10)
    with sqlite_engine.begin() as connection:
        connection.execute(text("DROP TABLE budget_leases"))
    leases._leases.clear()
    exchange = await dispatcher.open(an_inference_request(model="auto"))
    assert (exchange.decision.tier, exchange.decision.reason) == (Tier.FAST, Reason.BUDGET_SPENT)
