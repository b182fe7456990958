"""An alert is raised once, delivered at least once under one id, and ends when what it tells of does."""

import threading
from collections.abc import Callable

import pytest
from sqlalchemy import Engine, select

from router.database.alert_tables import AlertDelivery
from router.notifications import alerts
from router.notifications.alerts import Alert, AlertStanding
from router.notifications.deliveries import BACKOFF_S, GIVEN_UP_AFTER_US, LEASE_US, NotDelivered, deliver_due
from router.notifications.rules import AlertRule, Finding
from tests.ledger.builders import NOON, FakeClock


def a_finding(subject: str = "openai/a", period: str = "2027-01-15T08") -> Finding:
    return Finding(AlertRule.ERRORS, subject, period, "bad", "it fails", "30 of 40", {"calls": 40})


class Ears:
    """A channel that remembers whom it told, and may be deaf."""

    def __init__(self, deaf: int = 0) -> None:
        self.heard: list[str] = []
        self.deaf = deaf

    def send(self, alert: Alert) -> None:
        if self.deaf:
            self.deaf -= 1
            raise NotDelivered("HTTP 500")
        self.heard.append(alert.id)


def only(engine: Engine) -> AlertStanding:
    [standing] = alerts.read(engine)
    return standing


def at_once(count: int, act: Callable[[int], None]) -> None:
    """Do something in several threads, begun together."""
    barrier, failures = threading.Barrier(count), list[BaseException]()

    def run(number: int) -> None:
        try:
            barrier.wait()
            act(number)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_an_alert_is_raised_once_a_period_however_many_find_it(engine: Engine) -> None:
    raised: list[int] = []
    at_once(8, lambda number: raised.append(alerts.raise_once(engine, [a_finding()], ["log"], NOON + number)))
    assert sum(raised) == 1
    assert only(engine).alert.subject == "openai/a"
    assert alerts.raise_once(engine, [a_finding()], ["log"], NOON) == 0
    assert alerts.raise_once(engine, [a_finding(period="2027-01-15T09")], ["log"], NOON) == 1


def test_one_of_many_workers_delivers(engine: Engine) -> None:
    alerts.raise_once(engine, [a_finding(), a_finding("openai/b")], ["ears"], NOON)
    ears = Ears()
    delivered: list[int] = []
    at_once(4, lambda number: delivered.append(deliver_due(engine, {"ears": ears}, FakeClock())))
    assert sum(delivered) == 2
    assert sorted(ears.heard) == sorted(standing.alert.id for standing in alerts.read(engine))


def test_a_delivery_in_vain_is_tried_again_later_under_the_same_id(engine: Engine) -> None:
    alerts.raise_once(engine, [a_finding()], ["ears"], NOON)
    clock, ears = FakeClock(), Ears(deaf=2)
    for wait in (0, BACKOFF_S[0], BACKOFF_S[1]):
        clock.advance(wait)
        deliver_due(engine, {"ears": ears}, clock)
    assert ears.heard == [only(engine).alert.id]
    [way] = only(engine).deliveries
    assert (way["attempts"], way["due_at"], way["last_error"]) == (3, None, None)


def test_a_worker_that_dies_with_a_delivery_loses_it(engine: Engine) -> None:
    class Killed(BaseException):
        """As far as the database can see, a SIGKILL."""

    class Deadly:
        def send(self, alert: Alert) -> None:
            raise Killed

    alerts.raise_once(engine, [a_finding()], ["ears"], NOON)
    clock, ears = FakeClock(), Ears()
    with pytest.raises(Killed):
        deliver_due(engine, {"ears": Deadly()}, clock)
    assert deliver_due(engine, {"ears": ears}, clock) == 0
    clock.advance(LEASE_US / 1e6)
    assert deliver_due(engine, {"ears": ears}, clock) == 1
    assert ears.heard == [only(engine).alert.id]


def test_what_nobody_takes_for_days_is_given_up(engine: Engine) -> None:
    alerts.raise_once(engine, [a_finding()], ["ears"], NOON)
    clock = FakeClock(NOON + GIVEN_UP_AFTER_US)
    deliver_due(engine, {"ears": Ears(deaf=9)}, clock)
    with engine.connect() as connection:
        assert connection.execute(select(AlertDelivery.due_at, AlertDelivery.delivered_at)).one() == (None, None)


def test_a_channel_that_is_not_configured_any_more_is_left_alone(engine: Engine) -> None:
    alerts.raise_once(engine, [a_finding()], ["mail"], NOON)
    assert deliver_due(engine, {"log": Ears()}, FakeClock()) == 0


def test_what_holds_no_more_ends_and_opens_again_without_being_told_again(engine: Engine) -> None:
    alerts.raise_once(engine, [a_finding()], [], NOON)
    assert alerts.end_unseen(engine, [AlertRule.DRIFT], NOON + 1, NOON + 2) == 0
    assert alerts.end_unseen(engine, [AlertRule.ERRORS], NOON + 1, NOON + 2) == 1
    assert only(engine).state == "ended"
    assert alerts.raise_once(engine, [a_finding()], ["log"], NOON + 3) == 0
    assert only(engine).state == "open"
    assert only(engine).deliveries == ()


def test_what_ended_long_ago_is_forgotten(engine: Engine) -> None:
    alerts.raise_once(engine, [a_finding(), a_finding("openai/b")], ["log"], NOON)
    alerts.end_unseen(engine, [AlertRule.ERRORS], NOON + 1, NOON + 2)
    alerts.raise_once(engine, [a_finding("openai/b")], ["log"], NOON + 3)
    assert alerts.purge(engine, NOON + alerts.KEPT_US) == 0
    assert alerts.purge(engine, NOON + alerts.KEPT_US + 1) == 1
    assert only(engine).alert.subject == "openai/b"


def test_an_alert_is_acknowledged_once(engine: Engine) -> None:
    alerts.raise_once(engine, [a_finding()], [], NOON)
    id_ = only(engine).alert.id
    assert alerts.acknowledge(engine, id_, "Ann", NOON + 1)
    assert not alerts.acknowledge(engine, id_, "Ben", NOON + 2)
    assert (only(engine).state, only(engine).acknowledged_by) == ("acknowledged", "Ann")
    assert alerts.read(engine, only_open=True) == []


def test_one_worker_of_many_has_the_turn(engine: Engine) -> None:
    taken: list[int] = []
    clock = FakeClock()

    def take(number: int) -> None:
        if alerts.take_turn(engine, "often", clock.now_us(), lease_us=10_000_000, longest_us=30_000_000):
            taken.append(number)

    at_once(8, take)
    assert len(taken) == 1
    clock.advance(10)  # whoever had it died
    at_once(8, take)
    assert len(taken) == 2
    alerts.end_turn(engine, "often", clock.now_us() + 30_000_000)
    clock.advance(29)
    at_once(8, take)
    assert len(taken) == 2


def test_a_turn_of_a_clock_that_ran_ahead_is_taken_over(engine: Engine) -> None:
    ends = {"lease_us": 10_000_000, "longest_us": 30_000_000}
    assert alerts.take_turn(engine, "often", NOON + 10**12, **ends)
    assert alerts.take_turn(engine, "often", NOON, **ends)
