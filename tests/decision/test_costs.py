"""What a query is expected to cost in each tier, at the prices in effect and as the books have shown."""

from dataclasses import replace

import pytest

from classifier.types import AnswerType, Estimate, Forecast, Stakes
from router.decision.costs import CostForecaster, FixedEvidence
from router.decision.forecast import CallShape, CostInterval, ExpectedVote, add_up_vote, cut_length, lines_of
from router.decision.policy import Policy
from router.ledger.cost_factors import ORDINARY_INPUT, CostFactor, ShownCosts
from router.ledger.prices import Price, PriceBook, Rates
from router.providers.base import ModelTarget
from router.types import Tier

POLICY = Policy(version=1)
WEAK, STRONG = ModelTarget("a/weak"), ModelTarget("a/strong")
ESTIMATE = Estimate(
    0.6, 0.9, 0.1, AnswerType.NUMERIC, Stakes.LOW, Forecast(50, 100, 200), Forecast(500, 1_000, 4_000), "test"
)
FACTORS = {(Tier.REASONING, "a/strong", "numeric"): CostFactor(2.0, 1.0, 5.0, 80)}


def a_price(model: str, input_usd: int, output_usd: int) -> Price:
    """Of so many dollars per million tokens."""
    return Price(1, model, 0, None, "test", (Rates(input_usd * 1_000_000, output_usd * 1_000_000),))


def a_forecaster(
    shown: ShownCosts | None = None, *, prices_strong: bool = True, sampling: ExpectedVote | None = None
) -> CostForecaster:
    prices = [a_price("a/weak", 1, 2), *([a_price("a/strong", 2, 8)] if prices_strong else [])]
    targets = {Tier.FAST: [WEAK], Tier.REASONING: [STRONG], Tier.PARALLEL: [WEAK]}
    stops = sampling or ExpectedVote(5.0, 0.25)
    return CostForecaster(
        PriceBook(prices), targets, FixedEvidence(shown or ShownCosts()), lambda p, is_votable, policy: stops, lambda: 1
    )


def test_each_tier_costs_its_tokens_at_its_price() -> None:
    found = a_forecaster().forecast(ESTIMATE, POLICY, "default", 1_000)
    fast, reasoning = 1_000_000 + 200_000, 2_000_000 + 8_000_000
    assert found.expected == {
        Tier.FAST: fast,
        Tier.REASONING: reasoning,
        Tier.PARALLEL: 5 * fast + reasoning // 4,
    }


def test_an_answer_is_no_longer_than_the_client_allows() -> None:
    found = a_forecaster().forecast(ESTIMATE, POLICY, "default", 1_000, most_output=10)
    assert found.expected[Tier.REASONING] == 2_000_000 + 80_000
    assert cut_length(Forecast(5, 20, 40), 10) == Forecast(5, 10, 10)
    assert cut_length(Forecast(5, 20, 40), None) == Forecast(5, 20, 40)


def test_the_books_correct_a_forecast() -> None:
    found = a_forecaster(ShownCosts(FACTORS)).forecast(ESTIMATE, POLICY, "default", 1_000)
    assert found.expected[Tier.REASONING] == 2 * 10_000_000
    assert found.factors[Tier.REASONING] == 2.0
    assert found.factors[Tier.FAST] == 1.0


def test_what_has_no_price_is_unknown_and_counts_as_usual() -> None:
    found = a_forecaster(prices_strong=False).forecast(ESTIMATE, POLICY, "default", 100_000)
    assert (found.expected[Tier.REASONING], found.expected[Tier.PARALLEL]) == (None, None)
    assert found.ratio == 1.0


def test_the_ratio_is_to_the_same_thinking_behind_what_the_segment_usually_sends() -> None:
    found = a_forecaster(ShownCosts(usual_inputs={"plus": 1_000})).forecast(ESTIMATE, POLICY, "plus", 5_000)
    extra, usual = 5_000_000 + 7_800_000, 1_000_000 + 7_800_000
    assert found.ratio == pytest.approx(extra / usual)


def test_how_hard_a_query_is_changes_no_ratio_and_how_long_it_is_does() -> None:
    easy = replace(ESTIMATE, output_reasoning=ESTIMATE.output_fast)
    forecaster = a_forecaster()
    at_usual = [forecaster.forecast(one, POLICY, "default", ORDINARY_INPUT).ratio for one in (ESTIMATE, easy)]
    assert at_usual == [1.0, 1.0]
    behind_a_book = [forecaster.forecast(one, POLICY, "default", 60_000).ratio for one in (ESTIMATE, easy)]
    assert behind_a_book == [pytest.approx(67.8 / 7.841, rel=0.01), 16.0]


def test_where_reasoning_is_off_the_parallel_tier_is_what_thinking_costs() -> None:
    off = Policy(version=1, reasoning_threshold=1.2)
    found = a_forecaster(sampling=ExpectedVote(4.0, 0.0)).forecast(ESTIMATE, off, "default", 1_000)
    assert found.ratio == pytest.approx(3 * 1_200 / (3 * (ORDINARY_INPUT + 200)))


@pytest.mark.parametrize(
    ("factor", "expected"),
    [
        (CostFactor(), CostInterval(1_200_000, 1_100_000, 1_400_000)),
        (CostFactor(2.0), CostInterval(2_400_000, 2_200_000, 2_800_000)),
        (CostFactor(2.0, 0.5, 3.0, 90), CostInterval(2_400_000, 600_000, 3_600_000)),
    ],
)
def test_an_interval_is_of_the_lengths_until_the_books_show_their_own(
    factor: CostFactor, expected: CostInterval
) -> None:
    assert CallShape(lines_of(a_price("a/weak", 1, 2)), 1_000, ESTIMATE.output_fast, factor).interval() == expected


def test_a_vote_may_end_in_an_escalation_or_not() -> None:
    sample, strong = CostInterval(10, 8, 12), CostInterval(100, 80, 200)
    assert add_up_vote(sample, ExpectedVote(4.0, 0.5), strong) == CostInterval(90, 32, 248)
    assert add_up_vote(sample, ExpectedVote(4.0, 0.0), None) == CostInterval(40, 32, 48)
    assert add_up_vote(sample, ExpectedVote(4.0, 0.5), None) is None
    assert add_up_vote(None, ExpectedVote(4.0, 0.5), strong) is None
