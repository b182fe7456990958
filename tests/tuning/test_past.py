"""What the books say of all requests stands beside the rows that a score decided."""

import math
from dataclasses import replace
from datetime import UTC

import numpy as np
import pytest
from sqlalchemy import Engine

from router.reports.window import Window
from router.tuning.backtest import Backtest, Figures, replay
from router.tuning.past import Past, read_past
from router.tuning.solver import Solver
from router.tuning.targets import SolverTargets, Unsolvable
from router.tuning.whole import NOTHING
from router.types import Reason
from tests.builders.traffics import LOGGED, a_world, store

FIRST_MS = 1_700_000_000_000
EVER = Window(None, None, UTC)
SHADOWS_USD = 1.0  # a call in fifty requests, booked beside the answers


def test_sums_are_of_everything_and_rows_of_what_a_score_decided(engine: Engine) -> None:
    decided, explicit = a_world(300).traffic, a_world(100, 2).traffic
    store(engine, decided)
    store(engine, explicit, FIRST_MS + 10**7, Reason.OVERRIDE)
    past = read_past(engine, EVER)
    total = past.wholes.total
    assert (len(past.traffic), total.requests, total.decided) == (300, 400, 300)
    cost = decided.cost_usd.sum() + explicit.cost_usd.sum() + 8 * SHADOWS_USD
    assert total.cost_usd == pytest.approx(cost, abs=1e-6)
    assert total.revenue_usd == pytest.approx(400 * 1.5e-3)
    deep = sum(int((one.tiers > 0).sum()) for one in (decided, explicit))
    assert (total.deep, sum(total.tiers)) == (deep, 400)
    assert total.left_noise_usd >= 0


def test_segments_have_sums_of_their_own_those_without_a_score_too(engine: Engine) -> None:
    store(engine, a_world(300).traffic)
    explicit = replace(a_world(50, 2).traffic, segments=np.zeros(50, np.int64), segment_names=("other",))
    store(engine, explicit, FIRST_MS + 10**7, Reason.EFFORT)
    wholes = read_past(engine, EVER).wholes
    assert list(wholes.segments) == ["free", "other", "plus"]
    assert (wholes.of("other").requests, wholes.of("other").decided) == (50, 0)
    free, plus = wholes.of("free"), wholes.of("plus")
    assert (free.decided + plus.decided, free.requests + plus.requests) == (300, 300)
    assert wholes.of("nobody") == NOTHING


def test_made_up_requests_count_while_there_are_no_others(engine: Engine) -> None:
    store(engine, a_world(60).traffic)
    past = read_past(engine, EVER)
    assert (len(past.traffic), past.wholes.total.decided) == (60, 60)
    store(engine, a_world(40, 2).traffic, FIRST_MS + 10**7, made_up=False)
    past = read_past(engine, EVER)
    assert (len(past.traffic), past.wholes.total.decided) == (40, 40)
    both = read_past(engine, replace(EVER, with_made_up=True))
    assert (len(both.traffic), both.wholes.total.decided) == (100, 100)


@pytest.mark.slow
def test_a_sample_moves_as_much_as_all_rows_within_its_interval(sqlite_engine: Engine) -> None:
    store(sqlite_engine, a_world(8_000).traffic)
    every, some = (read_past(sqlite_engine, EVER, most) for most in (10_000, 2_000))
    assert every.wholes.total == some.wholes.total
    assert len(some.traffic) == pytest.approx(2_000, rel=0.1)
    exact, sampled = (cheaper(past) for past in (every, some))
    for name in ("deep_share", "cost_usd_per_1k", "margin"):
        assert sampled[name].value == pytest.approx(exact[name].value, abs=3 * sampled[name].error)
        assert sampled[name].error > exact[name].error


def cheaper(past: Past) -> Figures:
    """All requests with fewer deep answers."""
    policy = replace(LOGGED, reasoning_threshold=0.4, parallel_threshold=0.25, max_deep_share=1.0)
    return past.wholes.total.figures(Backtest(past.traffic).effect(replay(past.traffic, policy)))


def test_a_target_is_of_all_requests_where_these_are_told(sqlite_engine: Engine) -> None:
    store(sqlite_engine, a_world(6_000).traffic)
    explicit = a_world(2_000, 2).traffic
    store(sqlite_engine, explicit, FIRST_MS + 10**8, Reason.OVERRIDE)
    past = read_past(sqlite_engine, EVER)
    whole = past.wholes.total
    share = SolverTargets(max_deep_share=0.2)
    found = Solver(past.traffic, LOGGED, share, whole=whole).solve()
    assert found.whole is not None
    assert 0.15 < found.whole["deep_share"].value <= 0.2
    left = float((explicit.tiers > 0).sum())
    assert found.policy.max_deep_share == pytest.approx((0.2 * 8_000 - left) / 6_000)
    of_decided = Solver(past.traffic, LOGGED, share).solve()
    assert (of_decided.whole, of_decided.policy.max_deep_share) == (None, 0.2)


def test_what_no_threshold_moves_cannot_be_saved(sqlite_engine: Engine) -> None:
    store(sqlite_engine, a_world(2_000).traffic)
    store(sqlite_engine, a_world(2_000, 2).traffic, FIRST_MS + 10**8, Reason.OVERRIDE)
    past = read_past(sqlite_engine, EVER)
    whole = past.wholes.total
    with pytest.raises(Unsolvable, match="went deep without a score deciding it"):
        Solver(past.traffic, LOGGED, SolverTargets(max_deep_share=0.01), whole=whole)
    with pytest.raises(Unsolvable, match="2,000 of 4,000 requests counted that no score decided"):
        Solver(past.traffic, LOGGED, SolverTargets(min_margin=0.9), whole=whole).solve()


def test_an_empty_time_is_nothing(engine: Engine) -> None:
    past = read_past(engine, EVER)
    assert (len(past.traffic), past.wholes.total.requests) == (0, 0)
    assert not math.isnan(past.wholes.total.left_noise_usd)
