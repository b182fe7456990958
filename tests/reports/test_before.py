"""A window beside the one before it: the same steps, changes that add up, and intervals that hold."""

import random
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import Engine

from router.ledger.cells import ADDED_FACTS
from router.reports.before import NOTHING_BEFORE, Change, change_cells, compare, compare_before, t95
from router.reports.queries import NO_PRICE, NO_REQUESTS, Sums
from router.reports.window import window
from router.types import Tier
from tests.reports.books import a_booked_request, book


def a_step(requests: int = 0, cost: int = 0, expected: int = 0, deep: int = 0, priced: int | None = None) -> Sums:
    facts = dict.fromkeys(ADDED_FACTS, 0) | {
        "requests": requests,
        "calls": requests,
        "priced": requests if priced is None else priced,
        "cost_nanousd": cost,
        "expected_nanousd": expected,
        "expected_known": requests,
        "deep": deep,
    }
    return Sums(list(facts.values()))


def changes(before: Sequence[Sums], now: Sequence[Sums]) -> dict[str, Change]:
    return {change.name: change for change in compare(before, now)}


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp()) * 1_000_000


def test_a_change_is_that_of_the_totals() -> None:
    found = changes([a_step(10, 1_000)] * 7, [a_step(12, 1_500)] * 7)
    assert (found["requests"].before, found["requests"].now) == ("70", "84")
    assert found["requests"].change == {"value": "14", "low": "14", "high": "14"}
    assert found["requests"].relative == {"value": "0.200000", "low": "0.200000", "high": "0.200000"}
    assert found["cost_usd"].change == dict.fromkeys(("value", "low", "high"), "0.000003500")


def test_ratios_change_by_what_they_are_and_not_by_how_many_there_were() -> None:
    found = changes([a_step(10, 1_000, deep=1)] * 7, [a_step(20, 4_000, deep=3)] * 7)
    assert (found["deep_share"].before, found["deep_share"].now) == ("0.100000", "0.150000")
    assert found["cost_per_thousand_usd"].relative is not None
    assert found["cost_per_thousand_usd"].relative["value"] == "1.000000"


def test_too_few_steps_have_no_interval() -> None:
    found = changes([a_step(10, 1_000)] * 6, [a_step(12, 1_500)] * 6)["cost_usd"]
    assert found.change == {"value": "0.000003000", "low": None, "high": None}
    assert "unknown" in change_cells(found)


@pytest.mark.parametrize(
    ("before", "now", "name", "because"),
    [
        (a_step(), a_step(5, 10), "requests", NOTHING_BEFORE),
        (a_step(), a_step(5, 10), "deep_share", NO_REQUESTS),
        (a_step(5, priced=0), a_step(5, 10), "cost_usd", NO_PRICE),
        (a_step(5, 50, 10), a_step(5, 10, 10), "contribution_usd", NOTHING_BEFORE),
    ],
)
def test_what_cannot_be_known_says_why(before: Sums, now: Sums, name: str, because: str) -> None:
    found = changes([before] * 7, [now] * 7)[name]
    assert (found.relative, found.unknown_because) == (None, because)


def test_intervals_of_weeks_without_a_change_hold_about_as_often_as_they_say() -> None:
    draw, held = random.Random(5), 0
    weekday = (1.2, 1.2, 1.2, 1.1, 1.0, 0.6, 0.6)
    for _ in range(400):
        weeks = [[a_step(round(100 * of * draw.lognormvariate(0, 0.2))) for of in weekday] for _ in range(2)]
        change = changes(*weeks)["requests"].change
        assert change is not None
        held += int(change["low"] or 0) <= 0 <= int(change["high"] or 0)
    assert 0.92 <= held / 400 <= 0.98


def test_students_t_is_that_of_the_tables() -> None:
    assert [round(t95(freedom), 3) for freedom in (6, 12, 29, 89)] == [2.447, 2.179, 2.045, 1.987]


def test_a_morning_is_held_against_a_morning_also_where_clocks_change(sqlite_engine: Engine, tmp_path: Path) -> None:
    zone, now = "Europe/Lisbon", datetime(2026, 3, 31, 9, tzinfo=ZoneInfo("Europe/Lisbon"))
    counted = ["2026-03-25T00:00+00:00", "2026-03-29T23:30+01:00", "2026-03-31T08:59+01:00"]
    before = ["2026-03-18T00:00+00:00", "2026-03-24T08:59+00:00"]
    left_out = ["2026-03-24T09:30+00:00", "2026-03-24T23:59+00:00", "2026-03-17T23:59+00:00"]
    moments = [at(text) for text in (*counted, *before, *left_out)]
    book(sqlite_engine, tmp_path, *(a_booked_request(at_us=moment, tier=Tier.FAST) for moment in moments))
    found = compare_before(sqlite_engine, window("7d", None, zone, now))
    assert found is not None
    assert (found.step, found.steps) == ("day", 7)
    requests = next(change for change in found.changes if change.name == "requests")
    assert (requests.before, requests.now) == ("2", "3")


def test_a_day_is_held_against_the_day_before_hour_by_hour(sqlite_engine: Engine, tmp_path: Path) -> None:
    moments = [at(text) for text in ("2026-03-10T03:10+05:30", "2026-03-09T03:50+05:30", "2026-03-09T15:00+05:30")]
    book(sqlite_engine, tmp_path, *(a_booked_request(at_us=moment) for moment in moments))
    now = datetime(2026, 3, 10, 14, 45, tzinfo=ZoneInfo("Asia/Kolkata"))
    found = compare_before(sqlite_engine, window("1d", None, "Asia/Kolkata", now))
    assert found is not None
    assert (found.step, found.steps) == ("hour", 15)
    requests = next(change for change in found.changes if change.name == "requests")
    assert (requests.before, requests.now) == ("1", "1")


def test_everything_has_nothing_before(sqlite_engine: Engine) -> None:
    assert compare_before(sqlite_engine, window(None, None, "UTC", datetime(2026, 3, 10, tzinfo=UTC))) is None
