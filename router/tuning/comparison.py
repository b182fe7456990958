"""The back-test of a proposed policy beside today's and the controls, and what all of its figures rest on. Pure.

The page Thresholds and `tierwise policy backtest` show what is worked out here; neither has figures of its own.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from router.decision.policy import Policy
from router.tuning.backtest import Backtest, Caps, Figures, always, countries_of, replay, segments_of, shuffle
from router.tuning.off_policy import Quality, quality
from router.tuning.traffic import Traffic

COSTS_COUNTED, COSTS_IGNORED = "costs_counted", "costs_not_counted"
ASSUMPTIONS = (
    "A query keeps its own cost and time in the tier it took; elsewhere it has those of queries like it in that tier.",
    "The share cap is replayed as one worker's window of scores, a rolling quantile; in service it refuses nothing as "
    "long as the real deep share is below the cap, so that more queries may go deep than here.",
    "Every tier is assumed able to take every query.",
    "Queries that no score decided (overrides, efforts, housekeeping) stay as they are and are not in these figures.",
    "The number of samples, the confidence, the longest wait, pacing and another classifier are not replayed: scores "
    "are those of the past, and a canary shows the rest.",
)


@dataclass(frozen=True, slots=True)
class PolicyOutcome:
    """What one policy comes to, and what ratings say of its answers."""

    figures: Figures
    quality: Quality


@dataclass(frozen=True, slots=True)
class Comparison:
    """Outcomes on the same requests and resamplings: `proposed`, `today`, `always_fast`, `shuffled`, and costs counted.

    Shuffled gives as much of every tier as the proposed policy to queries at random. The last is called
    `costs_not_counted` and is the proposed policy at a cost sensitivity of 0 where its own is above that; else it is
    `costs_counted`, at 1. Of so many `priced` requests it is known what they cost beside the usual: only these can
    move. Segments and countries are the proposed policy's; countries have no quantiles of waiting.
    """

    requests: int
    priced: int
    outcomes: Mapping[str, PolicyOutcome]
    by_segment: Mapping[str, Figures]
    by_country: Mapping[str, Figures]

    @property
    def proposed(self) -> PolicyOutcome:
        """The outcome of the proposed policy."""
        return self.outcomes["proposed"]


def compare(traffic: Traffic, proposed: Policy, today: Policy) -> Comparison:
    """Back-test a proposed policy beside today's, always fast and shuffled; raises ValueError without requests."""
    measuring, caps = Backtest(traffic), Caps(traffic)
    chances = replay(traffic, proposed, caps)
    switched, sensitivity = (COSTS_IGNORED, 0.0) if proposed.cost_sensitivity else (COSTS_COUNTED, 1.0)
    columns = {
        "proposed": chances,
        "today": replay(traffic, today, caps),
        "always_fast": always(traffic),
        "shuffled": shuffle(traffic, chances),
        switched: replay(traffic, replace(proposed, cost_sensitivity=sensitivity), caps),
    }
    return Comparison(
        len(traffic),
        int((~np.isnan(traffic.cost_ratios)).sum()),
        {name: PolicyOutcome(measuring.figures(one), quality(traffic, one)) for name, one in columns.items()},
        {name: measuring.figures(chances, rows) for name, rows in segments_of(traffic)},
        {name: measuring.figures(chances, rows, quantiles=False) for name, rows in countries_of(traffic)},
    )
