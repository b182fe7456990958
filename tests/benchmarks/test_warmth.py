"""The benchmark of prompt caches bills as a caching provider does, and compares the same conversations."""

from dataclasses import replace

import numpy as np
import pytest

from classifier.types import AnswerType, Estimate, Forecast, Stakes
from router.ledger.cost_factors import ShownCosts
from scripts.benchmarks.warmth import PAIRS, SYSTEM_TOKENS, TIMES, Charge, Replay, Turn, saving, threshold_for

GPT, CLAUDE = PAIRS
ESTIMATE = Estimate(
    0.6, 0.9, 0.1, AnswerType.OPEN, Stakes.LOW, Forecast(50, 100, 200), Forecast(500, 1_000, 4_000), "test"
)
ASKED = 8_192 - SYSTEM_TOKENS
FIRST = Turn(ESTIMATE, 0.3, 0.4, 0.0, ASKED, ASKED * 4, (100.0, 1_000.0), 400.0, False)
NEXT = replace(FIRST, at_s=60.0, own_tokens=100, own_bytes=400)


def charged(pair_at: int, *turns: Turn, sets_marks: bool = True, threshold: float = 2.0) -> list[Charge]:
    replay = Replay(PAIRS[pair_at], ShownCosts())
    replay.sets_marks = sets_marks
    return replay.run([list(turns)], threshold, knows_caches=True)


def test_the_second_turn_is_read_from_the_cache_and_forecast_so() -> None:
    first, second = charged(0, FIRST, NEXT)
    assert (first.cached, second.cached) == (0, 8_192)
    assert first.paid == 8_192 * 250 + 100 * 2_000
    assert second.paid == 8_192 * 25 + 200 * 250 + 100 * 2_000
    assert second.expected == pytest.approx(second.paid, rel=0.1)


@pytest.mark.parametrize("later", [replace(NEXT, at_s=500.0), replace(NEXT, is_lost=True)])
def test_what_the_cache_lost_is_fresh_again(later: Turn) -> None:
    assert charged(0, FIRST, later)[1].cached == 0


def test_where_marks_are_needed_the_second_turn_writes_and_the_third_reads() -> None:
    third = replace(NEXT, at_s=120.0)
    assert [charge.cached for charge in charged(1, FIRST, NEXT, third)] == [0, 0, 8_392]
    assert [charge.cached for charge in charged(1, FIRST, NEXT, third, sets_marks=False)] == [0, 0, 0]


def test_a_threshold_is_found_for_a_share_and_costs_are_compared_by_conversation() -> None:
    replay = Replay(GPT, ShownCosts())
    traffic = [[replace(FIRST, score=at / 100)] for at in range(1, 51)]

    def run(threshold: float) -> list[Charge]:
        return replay.run(traffic, threshold, 0.0, knows_caches=False)

    found = threshold_for(run, lambda charges: sum(charge.is_deep for charge in charges) / len(charges), 0.2)
    assert sum(charge.is_deep for charge in run(found)) == pytest.approx(10, abs=1)
    same, low, high = saving(run(found), run(found), np.random.default_rng(1))
    assert same == low == high == 0.0
    assert len(traffic) % TIMES
