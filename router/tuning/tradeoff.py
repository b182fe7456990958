"""What quality costs, judged from labelled traffic: each tier for everything, a sweep of the thresholds, today's point.

Doubly robust estimates of mean feedback (`router.tuning.off_policy`) against what the same requests would have cost
(`router.tuning.counterfactual`). Where the labels do not tell, the classifier's promise stands in, without an interval
and marked; where there are too few of them at all, there are no points.
"""

import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from sqlalchemy import Engine

from router.decision.policy import Policy
from router.policies.versions import in_force
from router.reports.tradeoff import Estimated, Point, Tradeoff
from router.reports.window import Window
from router.tuning.backtest import always, replay, shuffle
from router.tuning.counterfactual import Counterfactual, design_of
from router.tuning.off_policy import LEAST_LABELS, promises_of, quality
from router.tuning.resampling import Resampling, interval_of
from router.tuning.traffic import FAST, TIERS, Floats, Traffic
from router.tuning.traffic_reader import read

NEWEST = 12_000  # requests; more would narrow the intervals a little, and make a report wait
REPLICATES = 100
MOVES = (-0.15, -0.1, -0.05, -0.02, 0.02, 0.05, 0.1, 0.2)  # of both thresholds, from where they are


def of_traffic(engine: Engine, window: Window, newest: int = NEWEST) -> Tradeoff:
    """Judge from the newest requests of the window that a score decided."""
    return judge_tradeoff(read(engine, window, newest), in_force(engine))


def judge_tradeoff(traffic: Traffic, policy: Policy) -> Tradeoff:
    """Work the points out; none where there are too few labels."""
    labels = int((~np.isnan(traffic.rewards)).sum())
    source = f"{labels} ratings among the newest {len(traffic)} requests that a score decided"
    if labels < LEAST_LABELS:
        return Tradeoff(source, [], f"{labels} ratings are too few: {LEAST_LABELS} at least")
    scale = Resampling(len(traffic), 1, REPLICATES)
    cost = Counterfactual(traffic, design_of(traffic), traffic.cost_usd, scale)
    today = replay(traffic, policy)
    points = [_point(traffic, cost, name, kind, chances) for name, kind, chances in _ways(traffic, policy, today)]
    return Tradeoff(source, [point for point in points if point is not None], quality(traffic, today).doubt)


def _ways(traffic: Traffic, policy: Policy, today: Floats) -> Iterator[tuple[str, str, Floats]]:
    for place, tier in enumerate(TIERS):
        yield f"always {tier}", "tier", always(traffic, place)
    for move in MOVES:
        yield f"thresholds {move:+.2f}", "sweep", replay(traffic, move_thresholds(policy, move))
    yield "at random, as often as today", "control", shuffle(traffic, today)
    yield "today", "today", today


def move_thresholds(policy: Policy, move: float) -> Policy:
    """Return the policy with both thresholds moved, and without a cap on the deep share, so that they alone decide."""
    low, high = -1.0, 2.0
    return replace(
        policy,
        parallel_threshold=min(max(policy.parallel_threshold + move, low), high),
        reasoning_threshold=min(max(policy.reasoning_threshold + move, low), high),
        max_deep_share=1.0,
        segments={},
    )


def _point(traffic: Traffic, cost: Counterfactual, name: str, kind: str, chances: Floats) -> Point | None:
    count = len(traffic)
    spent = interval_of(cost.totals(chances, np.ones(count, bool)) / count * 1e3)
    estimate = quality(traffic, chances)
    if estimate.doubt is None:
        interval = estimate.doubly_robust
        good = Estimated(_share(interval.value), _share(interval.low), _share(interval.high))
    else:
        labelled = np.flatnonzero(~np.isnan(traffic.rewards))
        good = Estimated(_share(float((chances * promises_of(traffic, labelled)).sum(axis=1).mean())), None, None)
    if math.isnan(spent.value) or spent.value <= 0:
        return None
    low, high = (None, None) if math.isnan(spent.low) else (max(spent.low, 0.0), spent.high)
    deep_share = 1.0 - float(chances[:, FAST].mean())
    return Point(name, kind, Estimated(spent.value, low, high), good, deep_share, estimate.doubt)


def _share(value: float) -> float:
    return min(max(value, 0.0), 1.0)
