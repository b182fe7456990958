"""The laws of the stopping rule: its closed form is exact, and it stops no vote that could still turn."""

from fractions import Fraction
from itertools import product
from math import factorial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from router.tiers.parallel import stopping
from router.tiers.parallel.stopping import Stop, agreement, check, forecast, least_unanimous, votes_needed, waves

counts = st.integers(0, 40)
confidences = st.sampled_from([0.8, 0.9, 0.95, 0.99])


@given(v1=counts, v2=counts)
def test_the_closed_form_is_the_beta_posterior_exactly(v1: int, v2: int) -> None:
    n = v1 + v2 + 1
    integral = sum(
        Fraction(factorial(n), factorial(j) * factorial(n - j)) / 2**n for j in range(v1 + 1)
    )  # the regularised incomplete beta function at 1/2 for integer arguments
    assert agreement(v1, v2) == float(integral)


@settings(max_examples=40)
@given(v1=st.integers(0, 6), v2=st.integers(0, 6))
def test_the_closed_form_is_the_share_of_coin_sequences_counted_one_by_one(v1: int, v2: int) -> None:
    flips = list(product((0, 1), repeat=v1 + v2 + 1))
    assert agreement(v1, v2) == sum(sum(flip) <= v1 for flip in flips) / len(flips)


@given(v1=counts, v2=counts)
def test_a_vote_more_for_the_leader_raises_agreement_and_one_against_lowers_it(v1: int, v2: int) -> None:
    assert agreement(v1 + 1, v2) > agreement(v1, v2) > agreement(v1, v2 + 1)


@pytest.mark.parametrize(("confidence", "samples"), [(0.9, 3), (0.95, 4), (0.99, 6)])
def test_the_fewest_unanimous_samples_are_the_known_ones(confidence: float, samples: int) -> None:
    assert least_unanimous(confidence) == samples


@given(v2=st.integers(0, 15), confidence=confidences)
def test_votes_needed_is_the_least_that_is_accepted(v2: int, confidence: float) -> None:
    v1 = votes_needed(v2, confidence)
    assert agreement(v1, v2) >= confidence
    assert v1 == v2 or agreement(v1 - 1, v2) < confidence


@given(v1=counts, v2=counts, remaining=st.integers(0, 20), confidence=confidences, at_wave_end=st.booleans())
def test_the_rule_has_its_order(v1: int, v2: int, remaining: int, confidence: float, at_wave_end: bool) -> None:
    v1, v2 = max(v1, v2), min(v1, v2)
    stop = check(v1, v2, remaining, confidence, at_wave_end=at_wave_end)
    if agreement(v1, v2) >= confidence:
        assert stop is Stop.ACCEPTED
    elif at_wave_end and agreement(v1 + remaining, v2) < confidence:
        assert stop is Stop.FUTILE
    else:
        assert stop is (Stop.SETTLED if v1 - v2 > remaining else Stop.CONTINUE)


@settings(max_examples=60)
@given(votes=st.lists(st.sampled_from("abc"), min_size=1, max_size=6), remaining=st.integers(0, 5))
def test_a_settled_vote_has_the_same_winner_whatever_comes(votes: list[str], remaining: int) -> None:
    tally = sorted((votes.count(a) for a in "abc"), reverse=True)
    if tally[0] - tally[1] <= remaining:
        return
    leader = max("abc", key=votes.count)
    for rest in product("abcd", repeat=remaining):
        final = [*votes, *rest]
        assert max("abcd", key=final.count) == leader


@settings(max_examples=60)
@given(v1=st.integers(1, 8), v2=st.integers(0, 8), remaining=st.integers(0, 6), confidence=confidences)
def test_a_futile_vote_is_accepted_in_no_future(v1: int, v2: int, remaining: int, confidence: float) -> None:
    v1, v2 = max(v1, v2), min(v1, v2)
    if check(v1, v2, remaining, confidence, at_wave_end=True) is not Stop.FUTILE:
        return
    for votes in product((0, 1, 2), repeat=remaining):
        for seen in range(remaining + 1):
            a, b = v1 + votes[:seen].count(0), v2 + votes[:seen].count(1)
            if a >= b:
                assert agreement(a, b) < confidence


def _tree(v1: int, v2: int, seen: int, remaining: int, confidence: float) -> float:
    """Walk every future one by one, with the shares seen so far."""
    if agreement(max(v1, v2), min(v1, v2)) >= confidence:
        return 1.0
    if not remaining:
        return 0.0

    def walk(a: int, b: int, left: int) -> float:
        if agreement(max(a, b), min(a, b)) >= confidence:
            return 1.0
        if not left:
            return 0.0
        p1, p2 = v1 / (seen + 1), v2 / (seen + 1)
        return p1 * walk(a + 1, b, left - 1) + p2 * walk(a, b + 1, left - 1) + (1 - p1 - p2) * walk(a, b, left - 1)

    return walk(v1, v2, remaining)


@settings(max_examples=50)
@given(v1=st.integers(1, 5), v2=st.integers(0, 4), others=st.integers(0, 4), remaining=st.integers(1, 6))
def test_the_forecast_is_the_share_of_futures_that_end_accepted(v1: int, v2: int, others: int, remaining: int) -> None:
    v1, v2 = max(v1, v2), min(v1, v2)
    if agreement(v1, v2) >= 0.95:
        return
    seen = v1 + v2 + others
    chance, samples = forecast(v1, v2, seen, remaining, 0.95)
    assert chance == pytest.approx(_tree(v1, v2, seen, remaining, 0.95))
    assert 1 - 1e-9 <= samples <= remaining + 1e-9


def test_no_vote_is_called_hopeless_before_eight_samples() -> None:
    assert not stopping.is_hopeless(1, 1, 7, 33, 0.95, 30)
    assert stopping.is_hopeless(1, 1, 8, 32, 0.95, 30)


@given(most=st.integers(1, 64))
def test_waves_add_up_and_begin_small(most: int) -> None:
    sizes = waves(most)
    assert sum(sizes) == most
    assert sizes[0] == min(4, most)


@given(confidence=confidences, most=st.integers(8, 40), pressure=st.floats(0, 1))
def test_pressure_only_lowers_and_leaves_a_vote_that_can_be_won(confidence: float, most: int, pressure: float) -> None:
    lowered, fewer = stopping.under_pressure(confidence, most, pressure)
    assert lowered <= confidence
    assert fewer <= most
    assert least_unanimous(lowered) <= fewer


def test_a_confidence_that_the_samples_cannot_reach_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r"tiers\.parallel\.confidence: 0\.99 needs at least 6 .*max_samples is 4"):
        stopping.require_reachable(0.99, 4)
