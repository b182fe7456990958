"""A preview says what the back-test says, within the width of its bins, for any dials."""

import math
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from router.decision.policy import Policy, SegmentDials
from router.tuning import backtest, off_policy
from router.tuning.backtest import Backtest, Figures
from router.tuning.preview.cells import MOST_SEGMENTS, OTHERS
from router.tuning.preview.preview import Preview
from router.tuning.traffic import PARALLEL, REASONING, Floats, Traffic
from tests.builders.traffics import LOGGED, a_world

COUNT = 6_000
SHARE_OFF = 0.004  # four in a thousand requests may be on the other side of a threshold inside a bin
CAPPED_OFF = 0.008


@cache
def the_traffic() -> Traffic:
    traffic = a_world(COUNT).traffic
    dice = np.random.default_rng(5)
    return replace(traffic, first_byte_ms=np.where(dice.random(COUNT) < 0.9, traffic.total_ms / 4, np.nan))


@cache
def both() -> tuple[Backtest, Preview]:
    return Backtest(the_traffic()), Preview.of(the_traffic(), exact=[0.15, 0.2, 0.3, 0.5])


def replayed(policy: Policy) -> Floats:
    """The chances of every row."""
    return backtest.replay(the_traffic(), policy)


thresholds = st.floats(-0.2, 1.1) | st.sampled_from([-1.0, 0.0, 0.1, 0.15, 0.3, 1.1, 2.0])
shares = st.sampled_from([0.0, 0.05, 0.2, 1.0]) | st.floats(0.01, 1.0)
dials = st.builds(SegmentDials, reasoning_threshold=thresholds, max_deep_share=st.none() | shares)
policies = st.builds(
    Policy,
    version=st.just(2),
    reasoning_threshold=thresholds,
    parallel_threshold=thresholds,
    max_deep_share=shares,
    explore=st.sampled_from([0.0, 0.06, 0.3]),
    segments=st.just({}) | st.fixed_dictionaries({"plus": dials}),
)


def capped(policy: Policy) -> bool:
    return policy.max_deep_share < 1 or any((d.max_deep_share or 1) < 1 for d in policy.segments.values())


@settings(max_examples=40)
@given(policies, st.sampled_from([None, "free", "plus"]))
def test_a_preview_says_what_the_back_test_says(policy: Policy, segment: str | None) -> None:
    tested, preview = both()
    rows = None if segment is None else the_traffic().segments == the_traffic().segment_names.index(segment)
    exact = tested.figures(replayed(policy), rows)
    found = preview.figures(preview.mix(policy), segment)
    off = CAPPED_OFF if capped(policy) else SHARE_OFF
    for name in ("share_fast", "share_reasoning", "share_parallel", "deep_share"):
        assert found[name].value == pytest.approx(exact[name].value, abs=off)
    assert found["revenue_usd_per_1k"].value == pytest.approx(exact["revenue_usd_per_1k"].value)
    # A request that moves to the other side of a threshold costs some $9 a thousand more, and takes 12 s longer.
    assert close(found, exact, "cost_usd_per_1k", off * 20)
    assert close(found, exact, "contribution_usd_per_1k", off * 20)
    assert close(found, exact, "wait_mean_s", off * 20)
    assert close(found, exact, "first_byte_mean_s", off * 5)


def close(found: Figures, exact: Figures, name: str, off: float) -> bool:
    one, other = found[name].value, exact[name].value
    return math.isnan(one) == math.isnan(other) and (math.isnan(one) or math.isclose(one, other, abs_tol=off))


@settings(max_examples=40)
@given(policies)
def test_quality_is_that_of_the_off_policy_estimators(policy: Policy) -> None:
    preview, chances = both()[1], replayed(policy)
    exact, found = off_policy.quality(the_traffic(), chances), preview.quality(preview.mix(policy))
    assert found.labels == exact.labels
    for name in ("ips", "snips", "doubly_robust"):
        one, other = getattr(found, name), getattr(exact, name)
        # One rating that weighs 1 / 0.02 may be on the other side of a threshold, or of the cap: it is in one's error.
        off = (3 if capped(policy) else 1) * max(one.error, other.error)
        assert one.value == pytest.approx(other.value, abs=max(off, 0.002))
    # Where little speaks against a policy, it may be too little for one and just enough for the other.
    has_the_same_heavy_ratings = math.isclose(found.ips.error, exact.ips.error, rel_tol=0.1)
    if min(exact.effective_labels, found.effective_labels) > 300 and has_the_same_heavy_ratings:
        assert (found.doubt is None) == (exact.doubt is None)


@pytest.mark.parametrize("changes", [{}, {"reasoning_threshold": 0.2}, {"parallel_threshold": 0.5}, {"explore": 0.0}])
def test_thresholds_on_an_edge_are_exact(changes: dict[str, float]) -> None:
    tested, preview = both()
    policy = replace(LOGGED, max_deep_share=1.0, **changes)  # type: ignore[arg-type]
    exact, found = tested.figures(replayed(policy)), preview.figures(preview.mix(policy))
    for name in ("deep_share", "cost_usd_per_1k", "margin", "wait_mean_s", "first_byte_mean_s"):
        assert found[name].value == pytest.approx(exact[name].value, rel=1e-9)
    assert found["wait_p95_s"].value == pytest.approx(exact["wait_p95_s"].value, rel=0.02)
    assert preview.quality(preview.mix(policy)).doubly_robust.value == pytest.approx(
        off_policy.quality(the_traffic(), replayed(policy)).doubly_robust.value
    )


def test_thresholds_that_must_be_exact_are_edges() -> None:
    traffic, policy = the_traffic(), replace(LOGGED, reasoning_threshold=0.23456, max_deep_share=1.0)
    preview = Preview.of(traffic, exact=[0.15, 0.23456])
    share = Backtest(traffic).figures(replayed(policy), quantiles=False)["deep_share"].value
    assert preview.figures(preview.mix(policy))["deep_share"].value == pytest.approx(share, rel=1e-9)


def test_intervals_are_as_wide_as_those_of_the_back_test() -> None:
    tested, preview = both()
    exact, found = tested.figures(replayed(LOGGED)), preview.figures(preview.mix(LOGGED))
    for name in ("deep_share", "cost_usd_per_1k", "margin", "wait_mean_s", "wait_p95_s"):
        assert found[name].error == pytest.approx(exact[name].error, rel=0.35)
        assert found[name].low < found[name].value < found[name].high


def test_the_controls_are_those_of_the_back_test() -> None:
    tested, preview = both()
    matched = preview.mix(LOGGED)
    for exact, found in (
        (backtest.always(the_traffic()), preview.always()),
        (backtest.always(the_traffic(), REASONING), preview.always(REASONING)),
        (backtest.shuffle(the_traffic(), replayed(LOGGED)), preview.shuffle(matched)),
    ):
        cost = tested.figures(exact)["cost_usd_per_1k"].value
        assert preview.figures(found)["cost_usd_per_1k"].value == pytest.approx(cost, rel=0.002)
        quality = off_policy.quality(the_traffic(), exact)
        assert preview.quality(found).snips.value == pytest.approx(quality.snips.value, rel=0.002)


def test_segments_add_up() -> None:
    preview, traffic = both()[1], the_traffic()
    policy = replace(LOGGED, segments={"plus": SegmentDials(reasoning_threshold=0.5, parallel_threshold=0.5)})
    mix = preview.mix(policy)
    parts = {name: preview.figures(mix, name)["cost_usd_per_1k"].value for name in traffic.segment_names}
    weights = [float((traffic.segments == place).mean()) for place in range(2)]
    whole = preview.figures(mix)["cost_usd_per_1k"].value
    assert sum(w * c for w, c in zip(weights, parts.values(), strict=True)) == pytest.approx(whole)
    assert parts["plus"] < parts["free"]


def test_what_a_tier_costs_that_nobody_took_is_not_known() -> None:
    traffic = the_traffic().rows(the_traffic().tiers != PARALLEL)
    preview = Preview.of(traffic)
    assert math.isnan(preview.figures(preview.always(PARALLEL))["cost_usd_per_1k"].value)
    assert not math.isnan(preview.figures(preview.always())["cost_usd_per_1k"].value)


def test_without_ratings_there_is_not_enough_evidence() -> None:
    preview = Preview.of(replace(the_traffic(), rewards=np.full(COUNT, np.nan)))
    found = preview.quality(preview.mix(LOGGED))
    assert found.doubt is not None
    assert math.isnan(found.doubly_robust.value)


def test_a_segment_without_requests_is_not_there() -> None:
    preview = both()[1]
    with pytest.raises(KeyError):
        preview.figures(preview.mix(LOGGED), "nobody")


@pytest.mark.parametrize("count", [1, 2, 15, 40])
def test_a_few_requests_are_shown_as_far_as_they_go(count: int) -> None:
    preview = Preview.of(the_traffic().rows(slice(0, count)))
    found = preview.figures(preview.mix(LOGGED))
    assert found["share_fast"].value + found["deep_share"].value == pytest.approx(1)


def test_a_crowd_of_segments_is_folded_and_the_largest_stay() -> None:
    names = tuple(f"s{place:03}" for place in range(200))
    crowded = replace(the_traffic(), segments=np.minimum(np.arange(COUNT) % 400, 199), segment_names=names)
    preview = Preview.of(crowded)
    assert len(preview.segment_names) == MOST_SEGMENTS
    assert preview.segment_names[-1] == OTHERS
    assert "s199" in preview.segment_names
    assert preview.nbytes() < 100e6
    whole = both()[1].figures(both()[1].mix(LOGGED))["deep_share"].value
    assert preview.figures(preview.mix(LOGGED))["deep_share"].value == pytest.approx(whole, rel=0.02)


def test_no_requests_are_no_evidence() -> None:
    with pytest.raises(ValueError, match="no requests"):
        Preview.of(the_traffic().rows(slice(0, 0)))


def test_all_scores_alike_are_one_bin() -> None:
    traffic = replace(the_traffic(), scores=np.full(COUNT, 0.2))
    preview = Preview.of(traffic)
    above, below = (replace(LOGGED, reasoning_threshold=t, max_deep_share=1.0, explore=0.0) for t in (0.21, 0.2))
    assert preview.figures(preview.mix(above))["share_reasoning"].value == 0.0
    assert preview.figures(preview.mix(below))["share_fast"].value == 0.0


def test_a_difference_is_surer_than_its_two_ends() -> None:
    preview = both()[1]
    cheaper, today = preview.outcome(preview.mix(replace(LOGGED, reasoning_threshold=0.32))), preview.standing(LOGGED)
    one, two, off = (found["cost_usd_per_1k"] for found in (cheaper.figures(), today.figures(), cheaper.above(today)))
    assert off.value == pytest.approx(one.value - two.value)
    assert off.high < 0
    assert off.error < 0.5 * one.error


def test_what_is_compared_with_is_remembered_and_no_more_than_needed() -> None:
    preview = both()[1]
    first = preview.standing(LOGGED)
    assert preview.standing(replace(LOGGED)) is first
    assert preview.standing(LOGGED, "free") is not first
    assert preview.standing(None).columns["deep_share"][0] == 0
    for place in range(20):
        preview.standing(replace(LOGGED, reasoning_threshold=place / 100))
    assert preview.standing(LOGGED) is not first


def test_the_histogram_counts_every_request_once() -> None:
    preview, traffic = both()[1], the_traffic()
    edges = np.linspace(-1, 1.1, 43)
    counted = preview.histogram(edges)
    assert counted.sum() == pytest.approx(COUNT)
    assert np.abs(counted - np.histogram(traffic.scores, edges)[0]).max() < 0.01 * COUNT
    assert preview.histogram(edges, "free").sum() == pytest.approx(float((traffic.segments == 0).sum()))
