"""Moving thresholds over past requests: more or fewer think, and what that costs and promises."""

import pytest

from router.reports.whatif import Levers, steps
from router.tuning.shift import Shift
from tests.builders.traffics import LOGGED, a_world
from tests.reports.test_whatif import BEFORE, D


@pytest.fixture(scope="module")
def shift() -> Shift:
    return Shift(a_world().traffic, LOGGED)


def test_lower_thresholds_think_more_cost_more_and_promise_more(shift: Shift) -> None:
    low, high = shift.by(-0.1), shift.by(0.1)
    assert low.queries["reasoning"] > 1 > high.queries["reasoning"]
    assert low.cost["reasoning"] > 1 > high.cost["reasoning"]
    assert low.quality > 1 > high.quality


def test_a_whatif_reaches_its_deep_share_by_replay(shift: Shift) -> None:
    [(_, found)] = steps(BEFORE, Levers(deep_share=D("0.05")), shift.by)
    assert abs((found.deep_share or D(0)) - D("0.05")) < D("0.005")
