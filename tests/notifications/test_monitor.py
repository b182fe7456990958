"""What a monitor finds in real books, and that it tells each of it once."""

from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, insert

from router.database.engine import writing
from router.database.tables import Rollup
from router.decision.policy import Policy
from router.errors import Cause
from router.ledger import budgets, rollups
from router.ledger.budgets import BudgetScope, Period
from router.ledger.cells import ADDED_FACTS, LARGEST, QUARTERS_AN_HOUR, UNKNOWN, Grain
from router.ledger.shipping import ShippingState
from router.notifications import alerts, readings
from router.notifications.alerts import Alert
from router.notifications.monitor import AlertMonitor
from router.notifications.rules import AlertRule, DriftReading, OpenBreaker
from router.policies.versions import in_force
from router.settings import AlertSettings
from router.types import HOUR_US, HOURS_A_WEEK, CallStatus
from tests.ledger.builders import NOON, FakeClock, a_closing, a_result, an_id, an_intent, an_opening
from tests.reports.books import a_booked_request, book

DOLLAR = 1_000_000_000


class Heard:
    """A channel that remembers."""

    def __init__(self) -> None:
        self.rules: list[str] = []

    def send(self, alert: Alert) -> None:
        self.rules.append(alert.rule)


def failed_requests(count: int) -> list[Any]:
    requests = []
    for _ in range(count):
        id_ = an_id()
        result = a_result(id_, status=CallStatus.ERROR, cause=Cause.OVERLOADED, http_status=503, cost_nanousd=None)
        requests.append([an_opening(id_), an_intent(id_), result, a_closing(id_, answer_call_no=None)])
    return requests


def a_monitor(engine: Engine, heard: Heard, clock: FakeClock, policy: Policy, **changes: Any) -> AlertMonitor:
    settings = AlertSettings(spend_least_usd=Decimal("0.01"))
    shipping = changes.pop("shipping", ShippingState())
    return AlertMonitor(engine, settings, {"log": heard}, clock, lambda: policy, lambda: shipping, **changes)


def look(monitor: AlertMonitor, clock: FakeClock, times: int = 1) -> None:
    for _ in range(times):
        clock.advance(30)
        monitor.turn()


def test_nothing_is_told_of_empty_books(engine: Engine) -> None:
    heard, clock = Heard(), FakeClock()
    look(a_monitor(engine, heard, clock, in_force(engine)), clock, times=3)
    assert heard.rules == []


def test_everything_that_is_wrong_is_told_once(engine: Engine, tmp_path: Path) -> None:
    book(engine, tmp_path, *failed_requests(30), *[a_booked_request(costs=[DOLLAR // 100]) for _ in range(200)])
    budgets.put(engine, BudgetScope.TOTAL, "", Period.DAY, 2 * DOLLAR, "test", "", NOON)
    policy = replace(in_force(engine), min_margin=0.9)
    heard, clock = Heard(), FakeClock()
    monitor = a_monitor(
        engine,
        heard,
        clock,
        policy,
        shipping=ShippingState(lag_seconds=100.0),
        drift=lambda: [DriftReading("scores", 0.5, 0.25, True)],
        breakers=lambda: [OpenBreaker("openai/cheap", NOON, Cause.OVERLOADED)],
    )
    look(monitor, clock, times=4)
    expected = [rule for rule in AlertRule if rule not in (AlertRule.TEST, AlertRule.SPEND, AlertRule.BUDGET)]
    found = [rule for rule in heard.rules if rule != AlertRule.BUDGET]
    assert sorted(found) == sorted([*expected, AlertRule.MARGIN])  # of the segment, and of all
    assert heard.rules.count(AlertRule.BUDGET) == 4


def test_a_rule_that_fails_keeps_no_other_from_being_looked_at(engine: Engine) -> None:
    def broken() -> list[DriftReading]:
        raise ZeroDivisionError

    heard, clock = Heard(), FakeClock()
    late = ShippingState(lag_seconds=100.0)
    look(a_monitor(engine, heard, clock, in_force(engine), shipping=late, drift=broken), clock, times=2)
    assert heard.rules == [AlertRule.SPOOL]


def test_what_is_over_ends(engine: Engine) -> None:
    heard, clock = Heard(), FakeClock()
    drifts = [DriftReading("scores", 0.5, 0.25, True)]
    monitor = a_monitor(engine, heard, clock, in_force(engine), drift=lambda: drifts)
    look(monitor, clock)
    drifts.clear()
    look(monitor, clock, times=5)
    assert [one.state for one in alerts.read(engine)] == ["ended"]


def test_the_failures_of_a_model_are_read_with_their_commonest_cause(engine: Engine, tmp_path: Path) -> None:
    book(engine, tmp_path, *failed_requests(3), a_booked_request(models=["scripted/steady"]))
    [target] = readings.read_targets(engine, NOON + 60_000_000)
    assert (target.calls, target.failed, target.unpriced) == (4, 3, 3)
    assert (target.cause, target.http_status) == ("overloaded", 503)
    assert readings.read_targets(engine, NOON + readings.RECENT_US + 60_000_000) == []


def test_an_hour_is_read_beside_the_same_hour_of_past_weeks(engine: Engine, tmp_path: Path) -> None:
    book(engine, tmp_path, a_booked_request(costs=[DOLLAR], at_us=NOON - HOUR_US))
    rollups.catch_up(engine, NOON)
    nothing = dict.fromkeys((*ADDED_FACTS, LARGEST), 0)
    row = {"grouping_id": 0, "grain": Grain.HOUR, "key1": UNKNOWN, "key2": UNKNOWN, "made_up": 0, **nothing}
    row["cost_nanousd"] = 5
    weeks = [(NOON // HOUR_US - 1 - week * HOURS_A_WEEK) * QUARTERS_AN_HOUR for week in (1, 3)]
    with writing(engine) as connection:
        connection.execute(insert(Rollup), [{**row, "start": start} for start in weeks])
    last, under_way = readings.read_hours(engine, NOON)
    assert (last.cost_nanousd, list(last.past_nanousd), last.is_over) == (DOLLAR, [5, 0, 5], True)
    assert (under_way.cost_nanousd, under_way.is_over) == (0, False)
