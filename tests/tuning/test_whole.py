"""All requests as the books count them, moved by what changes for the part that a score decided."""

import math

import numpy as np
import pytest

from router.tuning import backtest
from router.tuning.backtest import Backtest, Effect
from router.tuning.preview.preview import Preview
from router.tuning.whole import NOTHING, Whole, noise_of
from tests.builders.traffics import LOGGED, a_world

WHOLE = Whole(1_000, 600, (700, 200, 100), 300, 4.0, 5.0)


def effect(requests: int, deep: float, cost: float) -> Effect:
    return Effect(requests, [np.full(3, -deep), np.full(3, deep), np.zeros(3)], np.full(3, cost))


def test_as_it_was_is_exact() -> None:
    figures = WHOLE.figures()
    assert {name: (cell.value, cell.low, cell.high) for name, cell in figures.items()} == {
        "share_fast": (0.7, 0.7, 0.7),
        "share_reasoning": (0.2, 0.2, 0.2),
        "share_parallel": (0.1, 0.1, 0.1),
        "deep_share": (0.3, 0.3, 0.3),
        "cost_usd_per_1k": (4.0, 4.0, 4.0),
        "revenue_usd_per_1k": (5.0, 5.0, 5.0),
        "contribution_usd_per_1k": (1.0, 1.0, 1.0),
        "margin": (pytest.approx(0.2),) * 3,
    }


def test_what_moves_counts_for_all_that_a_score_decided() -> None:
    figures = WHOLE.figures(effect(600, 50.0, 1.0))
    assert figures["deep_share"].value == pytest.approx(0.35)
    assert figures["margin"].value == pytest.approx(0.0)
    sampled = WHOLE.figures(effect(60, 5.0, 0.1))  # a tenth of them was replayed
    assert sampled["deep_share"].value == pytest.approx(0.35)
    assert sampled["cost_usd_per_1k"].value == pytest.approx(5.0)


def test_nothing_replayed_moves_nothing() -> None:
    assert WHOLE.figures(effect(0, 0.0, 0.0)) == WHOLE.figures()


def test_what_is_not_known_stays_so() -> None:
    unpriced = Whole(10, 5, (10, 0, 0), 0, math.nan, 5.0)
    assert math.isnan(unpriced.figures()["margin"].value)
    assert math.isnan(NOTHING.figures()["margin"].value)


def test_the_noise_of_what_stays_is_not_that_of_how_many_come() -> None:
    assert noise_of([(100, 1.0), (300, 3.0), (10, 0.1)]) == pytest.approx(0.0, abs=1e-12)
    assert noise_of([(100, 1.0), (100, 3.0)]) == pytest.approx(math.sqrt(2))
    assert noise_of([]) == 0.0


def test_a_preview_moves_what_the_back_test_moves() -> None:
    traffic = a_world(3_000).traffic
    exact = Backtest(traffic).effect(backtest.replay(traffic, LOGGED))
    preview = Preview.of(traffic, exact=[0.15, 0.3])
    found = preview.effect(preview.mix(LOGGED))
    assert found.requests == exact.requests
    for one, other in zip(found.tiers, exact.tiers, strict=True):
        assert one[0] == pytest.approx(other[0], abs=0.008 * 3_000)
    assert found.cost_usd[0] == pytest.approx(exact.cost_usd[0], abs=0.008 * 3_000 * 9e-3)


def test_a_preview_knows_what_was() -> None:
    traffic = a_world(3_000).traffic
    exact = Backtest(traffic).figures(backtest.as_it_was(traffic))
    found = Preview.of(traffic).as_it_was()
    for name in ("share_fast", "deep_share", "cost_usd_per_1k", "margin", "wait_mean_s"):
        assert found[name].value == pytest.approx(exact[name].value)
    assert found["wait_p95_s"].value == pytest.approx(exact["wait_p95_s"].value, rel=0.02)
