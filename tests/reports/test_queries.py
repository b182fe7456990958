from collections.abc import Sequence
from datetime import UTC
from decimal import Decimal
from itertools import combinations
from pathlib import Path
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest
from sqlalchemy import Engine

from router.clock import request_id
from router.errors import Cause
from router.ledger.entries import Entry
from router.reports.dimensions import DIMENSIONS
from router.reports.queries import Report, costs
from router.reports.window import Window
from router.types import DAY_US, CallStatus, Outcome, Reason, Tier
from tests.ledger.builders import NOON, a_closing, a_result, an_intent, an_opening
from tests.reports.books import a_booked_request, book, earn

ALWAYS = Window(None, None, UTC)
ADDED = ("requests", "calls", "unpriced", "estimated", "unknown")
AMOUNTS = ("cost_usd", "expected_revenue_usd", "booked_revenue_usd")


def some_requests(seed: int, number: int = 40) -> list[list[Entry]]:
    """Requests of every kind, the same for the same seed."""
    dice = Random(seed)
    return [
        a_booked_request(
            tier=dice.choice(list(Tier)),
            reason=dice.choice(list(Reason)),
            costs=[dice.choice([None, 0, 7, 123_456_789]) for _ in range(dice.randint(1, 4))],
            models=dice.sample(["openai/a", "openai/b", "gemini/c"], 2),
            at_us=NOON + dice.randrange(3 * DAY_US),
            segment=dice.choice(["default", "plus"]),
            country=dice.choice(["ZZ", "US"]),
            turn=dice.randint(1, 12),
            key_id=dice.choice([None, 1, 2]),
        )
        for _ in range(number)
    ]


@pytest.fixture
def books(engine: Engine, tmp_path: Path) -> Engine:
    requests = some_requests(7)
    book(engine, tmp_path, *requests)
    for request in requests[::3]:
        earn(engine, request, 250_000)
    return engine


def only_row(report: Report) -> dict[str, Any]:
    [row] = report.lines()
    return row


@pytest.mark.slow
def test_by_any_dimensions_the_rows_add_up_to_the_same_totals(books: Engine) -> None:
    expected = costs(books, ["tier"], ALWAYS).totals().figures()
    assert expected["requests"] == 40
    singles: list[Sequence[str]] = [[name] for name in DIMENSIONS]
    for by in (*singles, *combinations(["tier", "model", "day"], 2), ("tier", "segment", "model", "day")):
        report = costs(books, by, ALWAYS)
        assert report.totals().figures() == expected, by
        for name in ADDED:
            assert sum(int(str(row[name])) for row in report.lines()) == expected[name], (by, name)
        for name in AMOUNTS:
            known = [Decimal(str(row[name])) for row in report.lines() if row[name] is not None]
            assert sum(known) == Decimal(str(expected[name])), (by, name)


def test_by_tier_the_whole_requests_cost_is_with_its_final_tier(engine: Engine, tmp_path: Path) -> None:
    book(engine, tmp_path, a_booked_request(tier=Tier.PARALLEL, costs=[1, 2, 3], models=["a/x", "a/y"]))
    row = only_row(costs(engine, ["tier"], ALWAYS))
    assert (row["tier"], row["requests"], row["calls"], row["cost_usd"]) == ("parallel", 1, 3, "0.000000006")


def test_by_model_cost_is_on_the_calls_and_revenue_on_the_answering_one(engine: Engine, tmp_path: Path) -> None:
    book(engine, tmp_path, a_booked_request(costs=[5, 70], models=["a/loser", "a/winner"]))
    loser, winner = costs(engine, ["model"], ALWAYS).lines()
    assert (loser["model"], loser["requests"], loser["cost_usd"]) == ("a/loser", 0, "0.000000005")
    assert (winner["requests"], winner["expected_revenue_usd"]) == (1, "0.001450000")
    assert loser["expected_revenue_usd"] == "0.000000000"


def a_request_with_failures(*causes: Cause | None, answered: bool = True) -> list[Entry]:
    """One request whose call number i failed of `causes[i]`, None for one that went well; each cost 100."""
    id_ = request_id(NOON)
    entries: list[Entry] = [an_opening(id_)]
    for number, cause in enumerate(causes):
        status = CallStatus.OK if cause is None else CallStatus.ERROR
        entries.append(an_intent(id_, number, provider_model="openai/cheap"))
        entries.append(a_result(id_, number, status=status, cause=cause, cost_nanousd=100))
    answer = len(causes) - 1 if answered else None
    return [*entries, a_closing(id_, outcome=Outcome.OK if answered else Outcome.ERROR, answer_call_no=answer)]


def test_by_cause_cost_is_on_the_calls_and_a_request_with_its_first_failure(engine: Engine, tmp_path: Path) -> None:
    book(
        engine,
        tmp_path,
        a_request_with_failures(None),
        a_request_with_failures(Cause.TIMEOUT_IDLE, Cause.OVERLOADED, None),
        a_request_with_failures(Cause.OVERLOADED, answered=False),
    )
    found = {
        row["cause"]: (row["requests"], row["calls"], row["cost_usd"])
        for row in costs(engine, ["cause"], ALWAYS).lines()
    }
    assert found == {
        "none": (1, 2, "0.000000200"),
        "overloaded": (1, 2, "0.000000200"),
        "timeout_idle": (1, 1, "0.000000100"),
    }


def test_a_failure_of_which_no_cause_was_kept_is_unknown(engine: Engine, tmp_path: Path) -> None:
    failed = a_request_with_failures(Cause.OVERLOADED, answered=False)
    failed[2] = msgspec.structs.replace(failed[2], cause=None)
    book(engine, tmp_path, failed)
    assert [row["cause"] for row in costs(engine, ["cause"], ALWAYS).lines()] == ["unknown"]


def test_a_provider_is_what_stands_before_the_slash(engine: Engine, tmp_path: Path) -> None:
    book(engine, tmp_path, a_booked_request(costs=[1, 2], models=["openai/a", "openai/b"]))
    assert only_row(costs(engine, ["provider"], ALWAYS))["provider"] == "openai"


def test_what_is_left_is_expected_revenue_less_cost(engine: Engine, tmp_path: Path) -> None:
    book(engine, tmp_path, a_booked_request(costs=[2_000_000]))
    row = only_row(costs(engine, ["tier"], ALWAYS))
    assert (row["expected_revenue_usd"], row["contribution_usd"]) == ("0.001450000", "-0.000550000")


def test_the_deep_share_is_exact(engine: Engine, tmp_path: Path) -> None:
    book(engine, tmp_path, *(a_booked_request(tier=tier) for tier in (Tier.FAST, Tier.FAST, Tier.REASONING)))
    assert costs(engine, ["segment"], ALWAYS).totals().figures()["deep_share"] == "0.333333"


def test_calls_without_a_price_are_counted_and_never_zero(engine: Engine, tmp_path: Path) -> None:
    book(engine, tmp_path, a_booked_request(costs=[None]))
    row = only_row(costs(engine, ["tier"], ALWAYS))
    assert (row["unpriced"], row["cost_usd"], row["contribution_usd"]) == (1, None, None)


def test_booked_revenue_is_an_exact_sum_and_nothing_booked_is_zero(engine: Engine, tmp_path: Path) -> None:
    request = a_booked_request()
    book(engine, tmp_path, request)
    assert only_row(costs(engine, ["tier"], ALWAYS))["booked_revenue_usd"] == "0.000000000"
    earn(engine, request, 3)
    earn(engine, request, -1)
    row = only_row(costs(engine, ["tier"], ALWAYS))
    assert (row["booked_revenue_usd"], row["requests"]) == ("0.000000002", 1)


def test_a_window_begins_inclusive_and_ends_exclusive(engine: Engine, tmp_path: Path) -> None:
    book(engine, tmp_path, *(a_booked_request(at_us=NOON + second * 1_000_000) for second in range(3)))
    window = Window(NOON, NOON + 2_000_000, UTC)
    assert costs(engine, ["tier"], window).totals().requests == 2


@pytest.mark.parametrize(("zone", "day"), [("UTC", "2027-01-15"), ("Asia/Kathmandu", "2027-01-16")])
def test_days_are_those_of_the_zone(engine: Engine, tmp_path: Path, zone: str, day: str) -> None:
    evening = 1_800_037_800_000_000  # 18:30 UTC: a quarter past midnight in Kathmandu
    book(engine, tmp_path, a_booked_request(at_us=evening))
    assert only_row(costs(engine, ["day"], Window(None, None, ZoneInfo(zone))))["day"] == day


def test_rows_stand_in_the_order_of_numbers_not_of_letters(engine: Engine, tmp_path: Path) -> None:
    book(engine, tmp_path, *(a_booked_request(turn=turn, key_id=None) for turn in (10, 9, 2)))
    assert [row["turn"] for row in costs(engine, ["turn"], ALWAYS).lines()] == ["2", "9", "10"]


def test_empty_books_have_no_rows_and_totals_of_nothing(engine: Engine) -> None:
    report = costs(engine, ["tier"], ALWAYS)
    totals = report.totals().figures()
    assert report.lines() == []
    assert (totals["requests"], totals["cost_usd"], totals["contribution_usd"]) == (0, "0.000000000", "0.000000000")
