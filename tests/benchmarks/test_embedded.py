"""What the bench of the embedded model makes of its rounds; nothing is timed here."""

import pytest

from scripts.benchmarks.parallel_tier.embedded import (
    AGAIN,
    IN_TURN,
    LONG,
    LONGER,
    ONE,
    SHORT,
    TOGETHER,
    WALL,
    Round,
    Took,
    ratios,
    row,
    spread,
    step_ms,
)


def a_round(slowness: float = 1.0) -> Round:
    times = {ONE: 1.0, AGAIN: 1.1, TOGETHER: 2.5, IN_TURN: 4.0}
    return {name: Took(s * slowness, s * 2, 50) for name, s in times.items()}


def test_a_ratio_is_taken_within_its_round() -> None:
    assert ratios([a_round(), a_round(7.0)], TOGETHER, WALL) == pytest.approx([2.5, 2.5])


@pytest.mark.parametrize(
    ("rounds", "low", "high"), [(5, 1, 5), (6, 1, 6), (8, 1, 8), (9, 2, 8), (12, 3, 10), (20, 6, 15)]
)
def test_the_interval_of_a_median_is_that_of_the_sign_test(rounds: int, low: int, high: int) -> None:
    found = spread([float(value) for value in reversed(range(1, rounds + 1))])
    assert (found.median, found.low, found.high) == ((rounds + 1) / 2, low, high)


def test_one_round_of_another_speed_does_not_move_the_median() -> None:
    assert spread([2.5] * 8 + [40.0]).median == 2.5


def test_a_row_names_the_bar_beside_the_ratios() -> None:
    written = row(SHORT, [a_round(slowness) for slowness in (1.0, 2.0, 3.0)])
    assert written[3:6] == ["2.50 (2.50 to 2.50)", "2.50 (2.50 to 2.50)", "3"]
    assert written[6] == "4.00 (4.00 to 4.00), 4.00 (4.00 to 4.00)"


def test_one_more_token_costs_what_a_longer_answer_costs_more() -> None:
    steps = LONGER.tokens - LONG.tokens
    short, long = ([{ONE: Took(0.0, cpu_s, 50)}] * 3 for cpu_s in (1.0, 1.0 + steps * 0.02))
    assert step_ms(ONE, short, long) == pytest.approx(20.0)
