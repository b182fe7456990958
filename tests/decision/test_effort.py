"""Which effort a query gets where the effort of the reasoning tier is `auto`."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from classifier.types import AnswerType, Estimate, Forecast, Stakes
from router.decision.effort import EFFORTS_CHOSEN, THINKING_AT, choose_effort, length_at, need_of

SHORT, LONG = Forecast(50, 100, 200), Forecast(500, 1_100, 4_000)
AT_USUAL_COST = dict.fromkeys(EFFORTS_CHOSEN, 1.0)
CHANCES = st.floats(0, 1)
RATIOS = st.fixed_dictionaries({effort: st.floats(0.25, 16) for effort in EFFORTS_CHOSEN})


def an_estimate(
    p_fast: float, p_reasoning: float, kind: AnswerType = AnswerType.OPEN, stakes: Stakes = Stakes.LOW
) -> Estimate:
    return Estimate(p_fast, p_reasoning, 0.1, kind, stakes, SHORT, LONG, "test")


def rank(need: float, ratios: dict[str, float], sensitivity: float = 1.0) -> int:
    return EFFORTS_CHOSEN.index(choose_effort(need, ratios.__getitem__, sensitivity))


def test_what_thinking_settles_gets_little_and_what_it_hardly_settles_gets_much() -> None:
    needs = [need_of(an_estimate(*chances)) for chances in ((0.7, 0.95), (0.3, 0.85), (0.05, 0.4))]
    assert [choose_effort(need, AT_USUAL_COST.__getitem__, 1.0) for need in needs] == ["low", "medium", "high"]


def test_high_stakes_and_steps_need_more() -> None:
    plain = need_of(an_estimate(0.5, 0.8))
    assert need_of(an_estimate(0.5, 0.8, stakes=Stakes.HIGH)) > plain
    assert need_of(an_estimate(0.5, 0.8, AnswerType.NUMERIC)) > plain


@given(CHANCES, CHANCES, CHANCES, CHANCES, RATIOS, st.floats(0, 2))
def test_a_harder_query_never_gets_less(
    fast: float, reasoning: float, less_fast: float, less_reasoning: float, ratios: dict[str, float], sensitivity: float
) -> None:
    harder = an_estimate(fast * less_fast, reasoning * less_reasoning)
    assert rank(need_of(harder), ratios, sensitivity) >= rank(
        need_of(an_estimate(fast, reasoning)), ratios, sensitivity
    )


@given(st.floats(0, 1.15), RATIOS, st.floats(1, 16), st.floats(0, 2))
def test_a_dearer_query_never_gets_more(
    need: float, ratios: dict[str, float], times: float, sensitivity: float
) -> None:
    dearer = {effort: ratio * times for effort, ratio in ratios.items()}
    assert rank(need, dearer, sensitivity) <= rank(need, ratios, sensitivity)


def test_where_costs_do_not_count_they_change_nothing() -> None:
    assert rank(0.7, dict.fromkeys(EFFORTS_CHOSEN, 16.0), sensitivity=0.0) == rank(0.7, AT_USUAL_COST)
    assert rank(0.7, dict.fromkeys(EFFORTS_CHOSEN, 16.0)) < rank(0.7, AT_USUAL_COST)


def test_no_cost_is_worked_out_where_none_can_decide() -> None:
    def never(effort: str) -> float:
        raise AssertionError(effort)

    assert choose_effort(0.05, never, 1.0) == "low"
    assert choose_effort(0.9, never, 0.0) == "high"


def test_an_effort_scales_the_thinking_and_leaves_the_visible_text() -> None:
    assert length_at("medium", SHORT, LONG) is LONG
    assert length_at("none", SHORT, LONG) == SHORT
    assert length_at("low", SHORT, LONG).expected == 100 + round(1_000 * THINKING_AT["low"])
    lengths = [length_at(effort, SHORT, LONG) for effort in THINKING_AT]
    assert all(less <= more for less, more in pairwise(lengths))


def test_a_length_learnt_at_another_effort_is_scaled_from_there() -> None:
    assert length_at("high", SHORT, LONG, learnt_at="high") is LONG
    assert length_at("medium", SHORT, LONG, learnt_at="high").expected < LONG.expected
