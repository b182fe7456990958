"""Quality from another policy's logs: right within its interval, and silent where the log cannot know."""

from dataclasses import replace

import numpy as np
import pytest

from router.tuning import backtest, off_policy
from router.tuning.traffic import REASONING
from tests.builders.traffics import LOGGED, World, a_world

ELSEWHERE = replace(LOGGED, reasoning_threshold=0.2, parallel_threshold=0.1)


def judged(world: World, policy: object = ELSEWHERE) -> off_policy.Quality:
    assert isinstance(policy, type(LOGGED))
    return off_policy.quality(world.traffic, backtest.replay(world.traffic, policy))


def test_the_logging_policy_is_as_good_as_its_ratings() -> None:
    world = a_world()
    found = judged(world, LOGGED)
    assert found.doubt is None
    assert found.snips.value == pytest.approx(np.nanmean(world.traffic.rewards), abs=1e-6)


@pytest.mark.slow
def test_intervals_cover_the_truth() -> None:
    hits = {"ips": 0, "snips": 0, "doubly_robust": 0}
    truth = np.mean([w.truth(backtest.replay(w.traffic, ELSEWHERE))[0] for w in (a_world(20_000, s) for s in (91, 92))])
    believed = [found for found in (judged(a_world(3_000, seed)) for seed in range(100)) if found.doubt is None]
    for found in believed:
        for name in hits:
            interval = getattr(found, name)
            hits[name] += interval.low <= truth <= interval.high
    assert len(believed) >= 90
    assert hits["doubly_robust"] >= 0.93 * len(believed)
    assert min(hits.values()) >= 0.9 * len(believed), hits


def test_the_doubly_robust_estimate_is_no_wider_than_plain_weighting() -> None:
    found = judged(a_world())
    assert found.doubly_robust.error < found.ips.error


@pytest.mark.parametrize("rated", [0.0, 0.001])
def test_a_few_ratings_are_not_enough(rated: float) -> None:
    found = judged(a_world(rated=rated))
    assert found.doubt is not None
    assert "rated answers, at least 100" in found.doubt


def test_without_exploration_nothing_is_known_of_what_was_never_done() -> None:
    unexplored = a_world(policy=replace(LOGGED, explore=0.0))
    found = judged(unexplored)
    assert found.doubt is not None
    assert "nothing was explored" in found.doubt
    assert judged(unexplored, replace(LOGGED, explore=0.0)).doubt is None


def test_a_policy_far_from_the_log_has_few_effective_ratings() -> None:
    traffic = a_world(1_000).traffic
    found = off_policy.quality(traffic, backtest.always(traffic, REASONING))
    assert found.effective_labels < found.labels / 4
    assert found.doubt is not None


def test_a_tier_that_the_log_could_not_take_is_noticed() -> None:
    without = a_world(8_000, policy=replace(LOGGED, parallel_threshold=2.0))
    found = judged(without, replace(LOGGED, parallel_threshold=0.0, max_deep_share=1.0))
    assert found.doubt is not None
    assert "does not cover" in found.doubt
