"""From graded answers to rungs: blocks of samples, pass@k, the tier's own vote, costs and their intervals."""

import random
from collections.abc import Sequence
from math import comb
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from classifier.types import AnswerType
from router.learning.question_sets import Replayed
from router.learning.rungs import (
    SampledQuestion,
    blocks,
    mean_cost,
    rungs_of_samples,
    rungs_of_traffic,
    share,
    single_rung,
    sizes,
)
from router.reports.coverage import RatedVote
from router.reports.ladder import Rung, RungKind
from router.tiers.vote.checkers import CheckerPool
from router.tiers.vote.keys import Asked
from router.tiers.vote.rates import wilson

ASKED = Asked(AnswerType.NUMERIC, "How many?")
FAR = ("1.5 km", "2 km", "1500 m", "2.1 km")


def an_answer(text: str = "42", right: str = "42", **changes: Any) -> Replayed:
    known: dict[str, Any] = {"final_tier": "fast", "calls": 1, "cost_nanousd": 100, "seconds": 1.0}
    return Replayed("q", "fast", is_right=text == right, answer=f"Answer: {text}", **{**known, **changes})


def a_question(*texts: str, **changes: Any) -> SampledQuestion:
    return SampledQuestion(ASKED, [an_answer(text, **changes) for text in texts])


async def rungs(*questions: SampledQuestion, most: int) -> list[Rung]:
    checkers = CheckerPool()
    try:
        return await rungs_of_samples("fast", questions, most, checkers, ())
    finally:
        await checkers.close()


@pytest.mark.parametrize(
    ("most", "found"), [(0, ()), (1, ()), (2, (2,)), (63, (2, 4, 8, 16, 32)), (64, (2, 4, 8, 16, 32, 64))]
)
def test_rungs_double_as_far_as_there_are_samples(most: int, found: tuple[int, ...]) -> None:
    assert sizes(most) == found


@given(st.integers(0, 70), st.integers(1, 70))
def test_blocks_share_no_sample_and_leave_less_than_one_block_over(count: int, size: int) -> None:
    places = [place for block in blocks(count, size) for place in block]
    assert len(set(places)) == len(places)
    assert 0 <= count - len(places) < size
    assert all(0 <= place < count for place in places)


def test_a_share_has_wilsons_interval_over_questions_and_is_unknown_without_any() -> None:
    found, expected = share([1.0, 0.5, 0.0, 1.0]), wilson(2.5, 4)
    assert found is not None
    assert (found.value, found.low, found.high) == (0.625, expected.low, expected.high)
    assert share([]) is None


@pytest.mark.parametrize("count", range(1, 300))
def test_all_right_and_all_wrong_lie_in_their_own_intervals(count: int) -> None:
    """By rounding alone the upper end of a share of 1 came out a little below it."""
    for mark in (0.0, 1.0):
        found = share([mark] * count)
        assert found is not None
        assert found.low is not None
        assert found.high is not None
        assert found.low <= mark <= found.high


def test_a_mean_cost_lies_in_its_interval_and_one_cost_has_none() -> None:
    found = mean_cost([100, 100, 100, 900])
    assert found is not None
    assert found.low is not None
    assert found.high is not None
    assert 100 <= found.low < found.value == 300 < found.high <= 900
    alone = mean_cost([7])
    assert alone is not None
    assert (alone.value, alone.low, alone.high) == (7.0, None, None)


async def test_pass_at_k_is_unbiased_and_the_vote_selects_in_every_block() -> None:
    [two, four] = await rungs(a_question("42", "42", "41", "40"), most=4)
    assert two.covered is not None
    assert two.covered.value == pytest.approx(1 - 1 / comb(4, 2))  # only one pair of four holds no right one
    assert two.accuracy is not None
    assert two.accuracy.value == 0.5  # 42, 42 selects right; of 41, 40 nothing can
    assert (four.accuracy is not None and four.accuracy.value, four.covered and four.covered.value) == (1.0, 1.0)


async def test_votes_are_those_of_the_tier_units_and_spellings_agree() -> None:
    samples = [an_answer(text, right=text if text[0] == "1" else "x") for text in FAR]
    question = SampledQuestion(Asked(AnswerType.NUMERIC, "How far?"), samples)
    rung = (await rungs(question, most=4))[-1]
    assert rung.accuracy is not None
    assert rung.accuracy.value == 1.0


async def test_samples_cost_as_many_times_and_take_as_long_as_the_slowest() -> None:
    samples = [an_answer(cost_nanousd=cost, seconds=float(cost)) for cost in (1, 3, 5, 7)]
    [two, four] = await rungs(SampledQuestion(ASKED, samples), most=4)
    assert two.cost_nanousd is not None
    assert four.cost_nanousd is not None
    assert (two.cost_nanousd.value, four.cost_nanousd.value) == (8.0, 16.0)
    assert (two.seconds, four.seconds) == (5.0, 7.0)


async def test_a_question_with_too_few_samples_is_left_out_and_an_unpriced_one_counted() -> None:
    [two, four] = await rungs(a_question("42", "42"), a_question(*["42"] * 4, cost_nanousd=None), most=4)
    assert (two.questions, four.questions) == (2, 1)
    assert (two.unpriced, four.unpriced, four.cost_nanousd) == (1, 1, None)


def test_single_answers_leave_out_errors_and_tell_what_escalated() -> None:
    failed = Replayed("q", "parallel", error="down")
    rung = single_rung(
        "parallel",
        RungKind.TIER,
        [an_answer(final_tier="parallel", calls=4), an_answer("41", final_tier="reasoning", calls=9), failed],
    )
    assert rung.accuracy is not None
    assert (rung.accuracy.value, rung.questions, rung.errors, rung.unpriced) == (0.5, 2, 1, 0)
    assert (rung.escalated, rung.samples) == (0.5, 6)


def test_nothing_asked_is_unknown_not_zero() -> None:
    rung = single_rung("fast", RungKind.SINGLE, [])
    assert (rung.accuracy, rung.cost_nanousd, rung.seconds, rung.questions) == (None, None, None, 0)


def test_own_traffic_gives_lower_bounds_from_one_sample_on() -> None:
    votes = [RatedVote(4, 2, 2, 4, True, 10.0, 40), RatedVote(4, 3, 3, 2, False, None, None)]
    one, two, four, tier = rungs_of_traffic(votes)
    covered = [rung.covered.value for rung in (one, two, four) if rung.covered]
    assert covered == pytest.approx([0.25, 5 / 12, 0.5])
    assert (two.accuracy, four.unpriced) == (None, 1)
    assert two.cost_nanousd is not None
    assert two.cost_nanousd.value == 20.0
    assert (tier.samples, tier.accuracy is not None and tier.accuracy.value) == (3, 0.5)
    assert tier.cost_nanousd is not None
    assert tier.cost_nanousd.value == 40
    assert rungs_of_traffic([]) == []


@pytest.mark.slow
async def test_two_runs_of_two_hundred_questions_agree_within_their_intervals() -> None:
    """Questions of every difficulty, drawn anew by each run; sixteen samples each."""
    dice = random.Random(1)
    chances = [dice.betavariate(0.5, 0.5) for _ in range(200)]

    async def run(seed: int) -> list[Rung]:
        drawn = random.Random(seed)
        return await rungs(*(a_question(*_texts(drawn, chance, 16)) for chance in chances), most=16)

    for one, other in zip(await run(2), await run(3), strict=True):
        for figure in ("accuracy", "covered", "cost_nanousd"):
            mine, theirs = getattr(one, figure), getattr(other, figure)
            assert mine.low <= theirs.value <= mine.high, (one.name, figure)
            assert theirs.low <= mine.value <= theirs.high, (one.name, figure)


def _texts(dice: random.Random, chance: float, count: int) -> Sequence[str]:
    return ["42" if dice.random() < chance else str(dice.randrange(100, 200)) for _ in range(count)]
