"""Dials as an operator names them: every mistake is named."""

import pytest

from router.decision.policy import NEVER, DialValue, Policy, SegmentDials
from router.policies import dials
from router.policies.dials import WrongPolicy
from router.settings import FastSettings, ParallelSettings, ReasoningSettings, TierSettings

SMALL, LARGE = "openai/small", "openai/large"


def a_wiring(sampled: str = SMALL, strong: str = LARGE) -> TierSettings:
    return TierSettings(
        fast=FastSettings(model=SMALL),
        reasoning=ReasoningSettings(model=strong),
        parallel=ParallelSettings(models=(sampled,)),
    )


def test_dials_are_read_from_text() -> None:
    assert dials.read(["reasoning_threshold=0.3", " explore = 0"]) == {"reasoning_threshold": 0.3, "explore": 0.0}


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        (["reasoning_threshold"], "DIAL=VALUE"),
        (["reasoning=0.3"], "unknown dial 'reasoning'"),
        (["explore=a lot"], "explore: 'a lot' is not a number"),
        (["explore=0.1", "explore=0.2"], "explore is set twice"),
        (["parallel_samples=4.5"], "parallel_samples: '4.5' is not a whole number"),
        (["segments.free.explore=0.1"], "unknown dial 'segments.free.explore'"),
        (["segments.reasoning_threshold=0.1"], "unknown dial 'segments.reasoning_threshold'"),
    ],
)
def test_what_cannot_be_read_is_named(settings: list[str], says: str) -> None:
    with pytest.raises(WrongPolicy, match=says):
        dials.read(settings)


def test_dials_that_are_no_numbers_are_read_too() -> None:
    texts = ["parallel_samples=4", "max_wait_s=none", "pacing=on", "segments.free.reasoning_threshold=0.3"]
    assert dials.read(texts) == {
        "parallel_samples": 4,
        "max_wait_s": None,
        "pacing": "on",
        "segments.free.reasoning_threshold": 0.3,
    }


def test_what_is_read_of_what_is_shown_is_the_same() -> None:
    policy = Policy(1, parallel_samples=4, max_wait_s=2.5, segments={"free": SegmentDials(max_deep_share=0.01)})
    texts = [f"{name}={dials.format_dial(value)}" for name, value in dials.dials_by_name(policy).items()]
    assert dials.with_changes(Policy(1), dials.read(texts), version=1) == policy


def test_a_segments_dial_is_set_and_unset() -> None:
    free = dials.with_changes(Policy(1), {"segments.free.reasoning_threshold": 0.3})
    assert free.segments == {"free": SegmentDials(reasoning_threshold=0.3)}
    assert dials.differences(Policy(1), free) == {"segments.free.reasoning_threshold": (None, 0.3)}
    assert dials.with_changes(free, {"segments.free.reasoning_threshold": None}).segments == {}


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        (
            {"segments.free.reasoning_threshold": 3.0},
            "segments.free.reasoning_threshold: must be a number from -1 to 2",
        ),
        ({"segments.Free!.max_deep_share": 0.1}, "'Free!' is no name of a segment"),
        ({"explore": None}, "explore: must be a number from 0 to 1, is None"),
        ({"parallel_samples": 65}, "parallel_samples: must be a whole number from 1 to 64"),
        ({"parallel_confidence": 0.4}, "parallel_confidence: must be a number from 0.501"),
        ({"max_wait_s": 0.0}, "max_wait_s: must be a number from 0.001 to 3600"),
        ({"min_margin": 1.0}, "min_margin: must be a number from -10 to 0.99"),
        ({"pacing": "yes"}, "pacing: must be one of off, dry_run, on"),
        ({"classifier": "a b"}, "classifier: must be the version of an artefact"),
    ],
)
def test_a_dial_that_cannot_be_is_named(changes: dict[str, DialValue], says: str) -> None:
    with pytest.raises(WrongPolicy, match=says):
        dials.with_changes(Policy(1), changes)


@pytest.mark.parametrize(
    ("policy", "says"),
    [
        (Policy(1, parallel_samples=9), "parallel_samples: 9 is more than the 8 of tiers.parallel.max_samples"),
        (Policy(1, parallel_samples=3), "parallel_confidence: 0.95 needs at least 4 agreeing samples"),
        (Policy(1, parallel_confidence=0.999), "but parallel_samples is 8"),
        (
            Policy(1, segments={"free": SegmentDials(reasoning_threshold=0.0)}),
            "segments.free: parallel_threshold 0.1 is",
        ),
    ],
)
def test_what_the_wiring_contradicts_is_refused(policy: Policy, says: str) -> None:
    with pytest.raises(WrongPolicy, match=says):
        dials.require_fits(policy, a_wiring())


@pytest.mark.parametrize("value", ["2.5", "-1.01", "nan", "inf"])
def test_a_threshold_out_of_range_is_named(value: str) -> None:
    with pytest.raises(WrongPolicy, match="parallel_threshold: must be a number from -1 to 2"):
        dials.with_changes(Policy(1), dials.read([f"parallel_threshold={value}"]))


def test_unknown_dials_are_named_whoever_sets_them() -> None:
    with pytest.raises(WrongPolicy, match="unknown dial 'version'"):
        dials.with_changes(Policy(1), {"version": 3})


def test_differences_name_what_changed_only() -> None:
    assert dials.differences(Policy(1), Policy(2, explore=0.5)) == {"explore": (0.01, 0.5)}


def test_samples_of_the_fast_model_belong_below_reasoning() -> None:
    with pytest.raises(WrongPolicy, match=r"parallel_threshold 0\.5 is above reasoning_threshold 0\.25"):
        dials.require_order(Policy(1, parallel_threshold=0.5), a_wiring())


def test_samples_of_the_reasoning_model_belong_above_it() -> None:
    with pytest.raises(WrongPolicy, match=r"parallel_threshold 0\.1 is below reasoning_threshold 0\.25"):
        dials.require_order(Policy(1), a_wiring(sampled=LARGE))
    dials.require_order(Policy(1, parallel_threshold=0.5), a_wiring(sampled=LARGE))


@pytest.mark.parametrize(
    ("policy", "wiring"),
    [
        (Policy(1), a_wiring()),
        (Policy(1, parallel_threshold=2), a_wiring()),
        (Policy(1, reasoning_threshold=NEVER + 0.1), a_wiring(sampled=LARGE)),
        (Policy(1, parallel_threshold=0.5), a_wiring(sampled="openai/other")),
        (Policy(1, parallel_threshold=0.5), a_wiring(sampled=SMALL, strong=SMALL)),
    ],
)
def test_any_order_will_do_where_the_wiring_does_not_tell(policy: Policy, wiring: TierSettings) -> None:
    dials.require_order(policy, wiring)
