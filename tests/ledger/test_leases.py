"""Budgets that run out: auto is answered fast, an override is refused, money is held before it is spent."""

from typing import Any

import pytest
from sqlalchemy import Engine

from router.errors import QuotaExhausted
from router.exchange import Dispatcher
from router.ledger import budgets
from router.ledger.budgets import BudgetScope, Period
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
