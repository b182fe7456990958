"""How good forecasts were: bias of the sums, error of single requests, coverage out of sample."""

import pytest

from router.ledger.cost_factors import ForecastRow
from router.reports.forecasts import judge
from router.types import Tier

KEY = (Tier.FAST, "a/model", "open")


def test_bias_is_of_the_sums_and_error_of_single_requests() -> None:
    rows = [ForecastRow(KEY, 100, 150.0, 150), ForecastRow(KEY, 300, 150.0, 150)]
    found = judge(rows)
    assert (found.requests, found.bias, found.median_error) == (2, -0.25, 0.5)
    assert (found.expected_usd, found.paid_usd) == ("0.000000300", "0.000000400")
    assert (found.covered, found.judged) == (None, 0)


def test_intervals_are_judged_on_what_came_after() -> None:
    older = [ForecastRow(KEY, paid, 100.0, 100) for paid in range(1, 201)]
    newer = [ForecastRow(KEY, 1_000, 100.0, 100)] * 100 + [ForecastRow(KEY, 100, 100.0, 100)] * 100
    found = judge(newer + older)
    assert (found.covered, found.judged) == (0.5, 200)


@pytest.mark.parametrize("rows", [[], [ForecastRow(KEY, 0, 1.0, 1)]])
def test_without_costs_there_is_nothing_to_tell(rows: list[ForecastRow]) -> None:
    found = judge(rows)
    assert (found.bias, found.median_error, found.covered) == (None, None, None)
