"""What rollups are made of: the keys by which lines are grouped, the facts that are added up, the groupings kept.

A rollup row holds the facts of one cell (the values of one or two keys) in one stretch of UTC time, made-up traffic
apart from real. Codes of groupings and grains are stored: they are never reused or renumbered.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import IntEnum

REQUEST_KEYS = (
    "tier",
    "first_tier",
    "reason",
    "outcome",
    "segment",
    "country",
    "language",
    "answer_type",
    "policy",
    "turn",
    "key",
    "effort",  # in no grouping: what is split by it is read from the lines
    "background",  # nor is this
    "made_up",  # beside every grouping: 1 of a request that is marked synthetic, 0 of all else
)
MADE_UP = "made_up"
CALL_KEYS = ("model", "role", "cause")
NO_CAUSE = 0  # of a call that did not fail, in the place of a cause's code
UNKNOWN = -1  # in the place of a key's value: there is none

REQUEST_FACTS = (
    "requests",
    "deep",
    "expected_nanousd",
    "expected_known",
    "booked_nanousd",
    "booked_requests",
    "replaced_nanousd",  # what was expected of the requests for which something was booked
    "aborted",
    "incomplete",  # requests of which at least one call has no price
)
CALL_FACTS = (
    "calls",
    "priced",
    "cost_nanousd",
    "estimated",
    "unknown",
    "input_fresh",
    "input_cached",
    "input_cache_write",
    "output_visible",
    "output_reasoning",
)
ADDED_FACTS = REQUEST_FACTS + CALL_FACTS
LARGEST = "largest_nanousd"  # the dearest request whose cost is known: a maximum, not a sum

GROUPINGS: Mapping[int, tuple[str, ...]] = {
    0: (),
    1: ("tier",),
    2: ("first_tier",),
    3: ("reason",),
    4: ("outcome",),
    5: ("segment",),
    6: ("country",),
    7: ("language",),
    8: ("answer_type",),
    9: ("policy",),
    10: ("turn",),
    11: ("key",),
    12: ("model",),
    13: ("role",),
    14: ("tier", "segment"),
    15: ("tier", "country"),
    16: ("tier", "language"),
    17: ("tier", "answer_type"),
    18: ("tier", "policy"),
    19: ("tier", "reason"),
    20: ("tier", "turn"),
    21: ("tier", "key"),
    22: ("tier", "model"),
    23: ("segment", "country"),
    24: ("segment", "model"),
    25: ("tier", "role"),
    26: ("cause",),
    27: ("model", "cause"),
}


class Grain(IntEnum):
    """How long a stretch of a rollup row is."""

    QUARTER = 0
    HOUR = 1
    DAY = 2

    @property
    def quarters(self) -> int:
        """Its length in quarters of an hour."""
        return (1, 4, 96)[self]


class CallRole(IntEnum):
    """What a call was to the answer: the router's own overhead is everything that is not the answer."""

    ANSWER = 1
    LOSING_SAMPLE = 2
    JUDGE = 3
    SHADOW = 4
    RETRIED = 5  # failed, and a later call answered
    FAILED = 6
    CANCELLED = 7
    NOT_SENT = 8
    CORRECTION = 9  # an adjustment of no call in particular


QUARTER_MS = 900_000
QUARTERS_A_DAY = 96
QUARTERS_AN_HOUR = 4
# Pairs are kept by the hour only: quarters are for days of zones off the hour, and pairs would be most of all rows.
BY_QUARTER = tuple(code for code, keys in GROUPINGS.items() if len(keys) < 2)
BY_HOUR = tuple(code for code, keys in GROUPINGS.items() if len(keys) == 2)


@dataclass(frozen=True, slots=True)
class Piece:
    """Quarters `start` (inclusive) to `end` (exclusive) at one grain, aligned to it."""

    grain: Grain
    start: int
    end: int


def grouping_for(keys: Iterable[str]) -> int | None:
    """Find the smallest stored grouping that tells these keys apart; None where only the lines can."""
    wanted = set(keys)
    fitting = [code for code, stored in GROUPINGS.items() if wanted <= set(stored)]
    return min(fitting, key=lambda code: (len(GROUPINGS[code]), code), default=None)


def pieces(start: int, end: int) -> list[Piece]:
    """Cut a stretch of quarters into days, hours and quarters, as few as there can be."""
    pieces = []
    at = start
    while at < end:
        grain = next(g for g in reversed(Grain) if at % g.quarters == 0 and at + g.quarters <= end)
        stop = end - end % grain.quarters
        if grain is not Grain.DAY:  # only up to where a longer one begins
            longer = Grain(grain + 1).quarters
            stop = min(stop, at + -at % longer) if at % longer else stop
        pieces.append(Piece(grain, at, stop))
        at = stop
    return pieces
