"""The back-test of a proposed policy beside the one in force and the controls, and what its figures rest on. Pure.

The page Thresholds and `tierwise policy backtest` show what is worked out here; neither has figures of its own.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from router.decision.policy import Policy
from router.tuning.backtest import (
    Backtest,
    Caps,
    Figures,
    always,
    as_it_was,
    countries_of,
    replay,
    segments_of,
    shuffle,
)
from router.tuning.off_policy import Quality, quality
from router.tuning.traffic import Floats, Traffic
from router.tuning.whole import Whole, Wholes

COSTS_COUNTED, COSTS_IGNORED = "costs_counted", "costs_not_counted"
ASSUMPTIONS = (
    "A query keeps its own cost and time in the tier it took; elsewhere it has those of queries like it in that tier.",
    "The share cap is replayed as one worker's window of scores, a rolling quantile; in service it refuses nothing as "
    "long as the real deep share is below the cap, so that more queries may go deep than here.",
    "Every tier is assumed able to take every query.",
    "Figures of all requests are those of Overview, moved by what changes for the queries that a score decided: "
    "overrides, explicit models, efforts, housekeeping and shadow calls stay as they were booked.",
    "The number of samples, the confidence, the longest wait, pacing and another classifier are not replayed: scores "
    "are those of the past, and a canary shows the rest.",
)


@dataclass(frozen=True, slots=True)
class PolicyOutcome:
    """What one policy comes to: for the queries that a score decided, with what ratings say, and for all requests."""

    figures: Figures
    quality: Quality
    whole: Figures


@dataclass(frozen=True, slots=True)
class Comparison:
    """Outcomes on the same requests and resamplings: `proposed`, `in_force`, `always_fast`, `shuffled`, costs counted.

    `as_it_was` are the figures of all requests as booked, which are those of Overview, and `decided_as_it_was` those of
    the queries that a score decided; the policy in force may have come later, or meanwhile, and is replayed like any
    other. Shuffled gives as much of every tier as the proposed policy to queries at random. The last is called
    `costs_not_counted` and is the proposed policy at a cost sensitivity of 0 where its own is above that; else it is
    `costs_counted`, at 1. Of so many `priced` requests it is known what they cost beside the usual: only these can
    move. Segments and countries are the proposed policy's; countries have no quantiles of waiting.
    """

    requests: int
    priced: int
    whole: Whole
    as_it_was: Figures
    decided_as_it_was: Figures
    outcomes: Mapping[str, PolicyOutcome]
    whole_by_segment: Mapping[str, Figures]
    by_segment: Mapping[str, Figures]
    by_country: Mapping[str, Figures]

    @property
    def proposed(self) -> PolicyOutcome:
        """The outcome of the proposed policy."""
        return self.outcomes["proposed"]


def compare(traffic: Traffic, proposed: Policy, today: Policy, wholes: Wholes) -> Comparison:
    """Back-test a proposed policy beside today's, always fast and shuffled; raises ValueError without requests."""
    measuring, caps = Backtest(traffic), Caps(traffic)
    chances = replay(traffic, proposed, caps)
    switched, sensitivity = (COSTS_IGNORED, 0.0) if proposed.cost_sensitivity else (COSTS_COUNTED, 1.0)
    columns = {
        "proposed": chances,
        "in_force": replay(traffic, today, caps),
        "always_fast": always(traffic),
        "shuffled": shuffle(traffic, chances),
        switched: replay(traffic, replace(proposed, cost_sensitivity=sensitivity), caps),
    }
    by_segment = {name: measuring.measure(chances, rows) for name, rows in segments_of(traffic)}

    def outcome(one: Floats) -> PolicyOutcome:
        figures, effect = measuring.measure(one)
        return PolicyOutcome(figures, quality(traffic, one), wholes.total.figures(effect))

    def whole_of(name: str, whole: Whole) -> Figures:
        return whole.figures(by_segment[name][1] if name in by_segment else None)

    return Comparison(
        len(traffic),
        int((~np.isnan(traffic.cost_ratios)).sum()),
        wholes.total,
        wholes.total.figures(),
        measuring.figures(as_it_was(traffic)),
        {name: outcome(one) for name, one in columns.items()},
        {name: whole_of(name, whole) for name, whole in wholes.segments.items()},
        {name: figures for name, (figures, _) in by_segment.items()},
        {name: measuring.figures(chances, rows, quantiles=False) for name, rows in countries_of(traffic)},
    )
