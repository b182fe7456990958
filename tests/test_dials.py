"""Dials as an operator names them: every mistake is named."""

import pytest

from router import dials
from router.dials import WrongPolicy
from router.policy import NEVER, Policy
from router.settings import ModelSettings, ParallelSettings, ReasoningSettings, TierSettings

SMALL, LARGE = "openai/small", "openai/large"


def a_wiring(sampled: str = SMALL, strong: str = LARGE) -> TierSettings:
    return TierSettings(
        fast=ModelSettings(model=SMALL),
        reasoning=ReasoningSettings(model=strong),
        parallel=ParallelSettings(models=(sampled,)),
    )


def test_dials_are_read_from_text() -> None:
    assert dials.read(["reasoning_threshold=0.3", " explore = 0"]) == {"reasoning_threshold": 0.3, "explore": 0.0}


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        (["reasoning_threshold"], "DIAL=NUMBER"),
        (["reasoning=0.3"], "unknown dial 'reasoning'"),
        (["explore=a lot"], "explore: 'a lot' is not a number"),
        (["explore=0.1", "explore=0.2"], "explore is set twice"),
    ],
)
def test_what_cannot_be_read_is_named(settings: list[str], says: str) -> None:
    with pytest.raises(WrongPolicy, match=says):
        dials.read(settings)


@pytest.mark.parametrize("value", ["2.5", "-1.01", "nan", "inf"])
def test_a_threshold_out_of_range_is_named(value: str) -> None:
    with pytest.raises(WrongPolicy, match="parallel_threshold: must be a number from -1 to 2"):
        dials.changed(Policy(1), dials.read([f"parallel_threshold={value}"]))


def test_unknown_dials_are_named_whoever_sets_them() -> None:
    with pytest.raises(WrongPolicy, match="unknown dial 'version'"):
        dials.changed(Policy(1), {"version": 3})


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
