"""By how much forecasts are off, and what thinking usually costs: from real rows of seven days, once an hour."""

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from router.ledger.cost_factors import (
    DOUBT,
    ENOUGH_FOR_ENDS,
    ENOUGH_FOR_USUAL,
    CostBook,
    ForecastRow,
    effort_factors_of,
    factors_of,
    read_shown_costs,
)
from router.ledger.shipping import Shipper
from router.ledger.spool import Spool
from router.types import DAY_US, HOUR_US, Tier
from tests.ledger.builders import USAGE, FakeClock, a_closing, a_result, an_id, an_intent, an_opening

KEY = (Tier.FAST, "a/model", "open")
NOON = 20_000 * DAY_US + 12 * HOUR_US


def test_a_factor_is_sums_over_sums_drawn_towards_one() -> None:
    rows = [ForecastRow(KEY, 300, 100.0)] * 40
    found = factors_of(rows)[KEY]
    assert found.value == pytest.approx((40 * 300 + DOUBT * 100) / (40 * 100 + DOUBT * 100))
    assert (found.low, found.high, found.requests) == (None, None, 40)


def test_enough_requests_show_their_own_spread() -> None:
    rows = [ForecastRow(KEY, paid, 100.0) for paid in range(1, 2 * ENOUGH_FOR_ENDS)]
    found = factors_of(rows)[KEY]
    assert found.low is not None
    assert found.high is not None
    inside = sum(found.low * 100 <= row.paid <= found.high * 100 for row in rows)
    assert 0.75 <= inside / len(rows) <= 0.85


def test_what_the_factors_of_kinds_leave_over_is_told_by_effort() -> None:
    deep = (Tier.REASONING, "a/strong", "open")
    rows = [ForecastRow(deep, 50, 100.0, effort="low")] * 200 + [ForecastRow(deep, 350, 100.0, effort="high")] * 200
    rows += [ForecastRow(KEY, 500, 100.0, effort="minimal")] * 50
    factors = factors_of(rows)
    found = effort_factors_of(rows, factors)
    assert set(found) == {("a/strong", "low"), ("a/strong", "high")}
    assert found["a/strong", "low"] == pytest.approx(0.25, abs=0.1)
    assert found["a/strong", "high"] == pytest.approx(1.75, abs=0.1)
    # Together they give back what was paid: the bill as a whole is not moved.
    at_kind = 200 * 100.0 * factors[deep].value
    forecast = at_kind * found["a/strong", "low"] + at_kind * found["a/strong", "high"]
    assert forecast == pytest.approx(200 * 50 + 200 * 350, rel=0.05)


def test_a_factor_lies_within_its_own_ends() -> None:
    [found] = factors_of([ForecastRow(KEY, 2, 100.0)] * 80).values()
    assert found.low is not None
    assert found.high is not None
    assert found.low <= found.value <= found.high


def test_a_mad_forecast_is_not_followed_without_end() -> None:
    found = factors_of([ForecastRow(KEY, 10**12, 1.0)] * 500)[KEY]
    assert found.value == 20.0


def a_book(spool: Spool, at_us: int, count: int, **opened: Any) -> None:
    for _ in range(count):
        request_id = an_id(at_us)
        spool.write(
            [
                an_opening(
                    request_id,
                    opened_at=at_us,
                    expected_cost_nanousd=200,
                    cost_factor=2.0,
                    **opened,
                ),
                an_intent(request_id, 0, started_at=at_us),
                a_result(request_id, 0, cost_nanousd=300),
                a_closing(request_id, closed_at=at_us, answer_call_no=0),
            ]
        )


def test_the_books_of_the_days_before_tell(engine: Engine, tmp_path: Path) -> None:
    clock = FakeClock()
    spool = Spool.open(tmp_path / "spool")
    a_book(spool, NOON - HOUR_US, ENOUGH_FOR_USUAL)
    a_book(spool, NOON - HOUR_US, 300, synthetic=True, segment="made")
    a_book(spool, NOON - 8 * DAY_US, 300, segment="old")
    a_book(spool, NOON + 1, 300, segment="late")
    assert Shipper(spool, engine, clock=clock).turn()
    shown = read_shown_costs(engine, NOON)
    [(tier, _, _)] = shown.factors
    [factor] = shown.factors.values()
    assert tier is Tier.FAST
    assert factor.requests == ENOUGH_FOR_USUAL
    assert factor.value == pytest.approx((200 * 300 + DOUBT * 100) / (200 * 100 + DOUBT * 100))
    assert shown.usual_inputs == {"default": USAGE.input_tokens}
    spool.close()


def test_a_book_is_read_once_an_hour(engine: Engine) -> None:
    now = [NOON]
    book = CostBook(engine, lambda: now[0])
    book.follow()
    first = book.shown
    now[0] += HOUR_US - 1
    book.follow()
    assert book.shown is first
    now[0] += 1
    book.follow()
    assert book.shown is not first


def test_a_type_seldom_asked_for_is_believed_to_be_off_as_the_others_of_its_model_are() -> None:
    seldom, other = (Tier.FAST, "a/model", "date"), (Tier.FAST, "b/model", "date")
    rows = [ForecastRow(KEY, 300, 100.0)] * 400 + [ForecastRow(seldom, 300, 100.0)] * 2
    found = factors_of([*rows, ForecastRow(other, 100, 100.0)])
    around = (400 * 300 + DOUBT * 100) / (400 * 100 + DOUBT * 100)
    assert found[seldom].value == pytest.approx((2 * 300 + DOUBT * 100 * around) / (2 * 100 + DOUBT * 100))
    assert found[other].value == 1.0
