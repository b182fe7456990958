"""One kind of interval, whoever works it out; and one rule for which ability counts."""

import math

import numpy as np
import pytest

from classifier.training.metrics import bootstrap
from classifier.types import UNKNOWN_INTERVAL, Abilities, Interval, NamedModel
from router.tiers.vote.rates import wilson
from router.tuning.resampling import interval_of


def test_an_interval_around_a_figure_knows_its_error() -> None:
    interval = Interval.around(0.5, 0.1)
    assert (interval.value, interval.error) == (0.5, 0.1)
    assert [interval.low, interval.high] == pytest.approx([0.304, 0.696], abs=1e-4)


def test_a_share_of_very_many_errs_as_a_normal_figure_does() -> None:
    count = 10**14
    share, normal = wilson(0.3 * count, count), Interval.around(0.3, math.sqrt(0.3 * 0.7 / count))
    assert share.high - share.low == pytest.approx(normal.high - normal.low, rel=1e-6)


def test_the_ends_of_a_bootstrap_lie_as_they_fall() -> None:
    drawn = interval_of(np.array([1.0, *np.linspace(0.0, 4.0, 101)]))
    assert [drawn.value, drawn.low, drawn.high] == pytest.approx([1.0, 0.1, 3.9])
    assert drawn.error == pytest.approx(np.linspace(0.0, 4.0, 101).std())
    values = np.array([1.0, 2.0, 6.0])
    interval = bootstrap(lambda rows: float(values[rows].mean()), ["a", "b", "c"])
    assert interval.low <= interval.value == 3.0 <= interval.high
    assert math.isnan(interval.error)


def test_what_is_not_known_has_no_ends() -> None:
    assert all(math.isnan(part) for part in (UNKNOWN_INTERVAL.value, UNKNOWN_INTERVAL.low, UNKNOWN_INTERVAL.error))
    assert str(Interval(0.5, 0.25, 1.0)) == "0.500 [0.250, 1.000]"


def test_a_configured_ability_counts_before_a_known_one_even_when_it_is_nothing() -> None:
    known = {"cheap": 1.0, "strong": 2.0}.get
    assert Abilities.of(known, NamedModel("cheap", 0.0), NamedModel("strong")) == Abilities(0.0, 2.0)
    assert Abilities.of(known, NamedModel("cheap"), NamedModel("nobody's")) == Abilities(1.0, None)
