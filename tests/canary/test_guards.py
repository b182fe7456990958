"""Guards: harm is seen early, innocence is believed, and what an operator does not mind is let be."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from router.canary.arms import Arms, Observation, Stratum, step_of, value_of
from router.canary.guards import judge
from router.canary.verdicts import Guard, GuardStatus, HarmLimits, Verdict
from router.settings import CanarySettings

LIMITS = HarmLimits()
EARNED = 1_000_000
ALIKE, MOVED = Stratum("default", "fast", "fast", differs=False), Stratum("default", "fast", "reasoning")


def a_request(dice: np.random.Generator, **changes: Any) -> Observation:
    cost = int(dice.lognormal(12.8, 0.8))  # half of what it earns, on average
    seen = Observation(False, ALIKE, cost, EARNED, first_byte_ms=int(dice.lognormal(6.0, 0.4)))
    return replace(seen, asked_again=dice.random() < 0.03, has_failed=dice.random() < 0.01, **changes)


def arms_of(canary: int, control: int, seed: int = 0, **harm: Any) -> Arms:
    """Two arms; `harm` is what befalls one in ten of the canary's requests."""
    dice, arms = np.random.default_rng(seed), Arms()
    for _ in range(control):
        arms.add(a_request(dice))
    for number in range(canary):
        arms.add(replace(a_request(dice), is_canary=True, **(harm if number % 10 == 0 else {})))
    return arms


def breached(verdict: Verdict) -> Guard | None:
    return verdict.breached.guard if verdict.breached else None


@pytest.mark.parametrize(
    ("guard", "harm"),
    [
        (Guard.MARGIN, {"cost_nanousd": 4 * EARNED}),
        (Guard.ERRORS, {"has_failed": True}),
        (Guard.SLOW, {"first_byte_ms": 60_000}),
        (Guard.REGENERATES, {"asked_again": True}),
        (Guard.DEEP_SHARE, {"is_deep": True}),
    ],
)
def test_each_guard_sees_its_harm(guard: Guard, harm: dict[str, Any]) -> None:
    verdict = judge(arms_of(500, 5_000, **harm), 0.02, LIMITS)
    assert verdict.standing is GuardStatus.BREACHED
    assert breached(verdict) is guard


def test_thumbs_down_that_come_late_count() -> None:
    arms = arms_of(500, 5_000)
    arms.tally(ALIKE, is_canary=False).thumbs_down += 50
    assert judge(arms, 0.1, LIMITS).standing is GuardStatus.UNDECIDED
    arms.tally(ALIKE, is_canary=True).thumbs_down += 50
    assert breached(judge(arms, 0.1, LIMITS)) is Guard.THUMBS_DOWN


@pytest.mark.slow
def test_an_innocent_canary_is_let_be_at_every_look() -> None:
    for seed in range(20):
        dice, arms = np.random.default_rng(seed), Arms()
        for number in range(2_000):
            arms.add(replace(a_request(dice), is_canary=number % 10 == 0))
            if number % 100 == 0:
                assert judge(arms, 0.1, LIMITS).standing is GuardStatus.UNDECIDED


def test_harm_that_is_certain_but_small_is_tolerated() -> None:
    small = replace(LIMITS, errors=0.2)
    arms = arms_of(2_000, 20_000, has_failed=True)
    assert breached(judge(arms, 0.1, LIMITS)) is Guard.ERRORS
    assert judge(arms, 0.1, small).standing is not GuardStatus.BREACHED


def test_a_canary_passes_when_harm_is_excluded() -> None:
    wide = replace(LIMITS, margin=0.1, errors=0.03, regenerates=0.03, thumbs_down=0.03)
    verdict = judge(arms_of(3_000, 10_000), 0.1, wide)
    assert verdict.standing is GuardStatus.PASSED
    assert "excludes harm" in str(verdict)


def test_a_canary_says_after_how_many_more_requests_it_can_tell() -> None:
    wide = replace(LIMITS, margin=0.1, errors=0.03, regenerates=0.03, thumbs_down=0.03)
    early = judge(arms_of(300, 10_000), 0.1, wide)
    assert f"too early to tell after 300 requests beside 10,000: about {early.more:,} more" in str(early)
    assert 0 < early.more < wide.most_requests - 300
    assert judge(arms_of(300 + round(1.3 * early.more), 10_000), 0.1, wide).standing is GuardStatus.PASSED


def test_without_anything_to_compare_it_takes_as_many_as_the_rule_says() -> None:
    assert judge(arms_of(100, 0), 0.1, LIMITS).more == LIMITS.most_requests - 100


def test_or_after_so_many_requests_without_a_breach() -> None:
    verdict = judge(arms_of(100, 1_000), 0.1, replace(LIMITS, most_requests=100))
    assert verdict.standing is GuardStatus.PASSED
    assert "no guard was breached" in str(verdict)


def test_a_few_requests_decide_nothing() -> None:
    arms = arms_of(LIMITS.least_requests - 1, 5_000)
    for _ in range(LIMITS.least_requests - 1):
        arms.tally(ALIKE, is_canary=True).failed += 1
    assert judge(arms, 0.1, LIMITS).standing is GuardStatus.UNDECIDED


def test_harm_where_the_policies_differ_is_not_drowned_by_the_rest() -> None:
    dice = np.random.default_rng(1)
    arms = arms_of(100, 2_000)
    for number in range(42):
        is_canary = number < 5
        cost = int(dice.lognormal(15.3 if is_canary else 12.8, 0.5))
        arms.add(Observation(is_canary, MOVED, cost, EARNED))
    assert breached(judge(arms, 1.0, LIMITS)) is Guard.MARGIN


def test_without_known_revenue_costs_are_held_against_twice_what_they_are() -> None:
    arms = Arms()
    dice = np.random.default_rng(2)
    for number in range(3_000):
        arms.add(Observation(number % 3 == 0, ALIKE, int(dice.lognormal(12, 0.3)) * (2 if number % 3 == 0 else 1)))
    verdict = judge(arms, 1.0, LIMITS)
    assert breached(verdict) is Guard.MARGIN


def test_a_cost_that_is_not_known_is_not_taken_for_none() -> None:
    arms = arms_of(200, 2_000)
    before = judge(arms, 0.1, LIMITS).findings[0]
    for _ in range(100):
        arms.add(Observation(True, ALIKE, None, EARNED))
    assert judge(arms, 0.1, LIMITS).findings[0].canary == pytest.approx(before.canary)


def test_where_the_control_exceeds_its_cap_the_canary_may_too() -> None:
    arms = Arms()
    for number in range(4_000):
        arms.add(Observation(number % 2 == 0, ALIKE, 1, EARNED, is_deep=number % 5 == 0))
    assert judge(arms, 0.05, LIMITS).standing is not GuardStatus.BREACHED


def test_nobody_beside_the_canary_is_no_verdict() -> None:
    assert judge(arms_of(100, 0), 0.1, LIMITS).standing is GuardStatus.UNDECIDED


def test_a_breach_reads_as_a_sentence() -> None:
    told = str(judge(arms_of(500, 5_000, has_failed=True), 0.1, LIMITS))
    assert told.startswith("errors 0.1")
    assert "after 500 requests beside 5,000" in told


@pytest.mark.parametrize("value", [0, 1, 7, 1_000_000, 10**12])
def test_steps_know_a_value_to_two_percent(value: int) -> None:
    assert value_of(np.array([float(step_of(value))]))[0] == pytest.approx(value, rel=0.023)


def test_the_limits_of_the_file_are_those_that_are_shipped() -> None:
    assert HarmLimits(**CanarySettings().model_dump()) == LIMITS
