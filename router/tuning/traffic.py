"""Requests of the past as columns of numbers: what a back-test replays. Holds no text, knows no database."""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from router.decision.worth import worths_of
from router.types import UNKNOWN_COUNTRY, Reason, Tier

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

TIERS = tuple(Tier)  # the columns of everything that has one per tier
FAST, REASONING, PARALLEL = (TIERS.index(tier) for tier in (Tier.FAST, Tier.REASONING, Tier.PARALLEL))
# Where a score decided; in every other case the request goes where it went whatever the thresholds are.
SCORED = (
    Reason.BELOW_THRESHOLD,
    Reason.ABOVE_THRESHOLD,
    Reason.SHARE_CAP,
    Reason.TOO_COSTLY,
    Reason.FOLLOW_UP,
    Reason.PUSHBACK,
    Reason.EXPLORED,
)


def _nothing() -> Floats:
    return np.empty(0)


def _no_codes() -> Ints:
    return np.empty(0, np.int64)


@dataclass(frozen=True, slots=True)
class Traffic:
    """Requests of `auto` that a score decided, in the order in which they came; NaN is unknown.

    `cost_ratios` are how many times the usual the thinking of a query costs (`router.decision.worth`).
    `tiers` are places in TIERS: the first choice, to which cost and time of escalations and fallbacks belong.
    `rewards` are feedback from 0 to 1. The columns with a default may be left out: then they are unknown, or all the
    same.
    """

    scores: Floats
    may_vote: Bools
    p_fast: Floats
    p_reasoning: Floats
    tiers: Ints
    propensities: Floats
    cost_usd: Floats
    revenue_usd: Floats
    total_ms: Floats
    rewards: Floats
    segments: Ints
    segment_names: tuple[str, ...]
    first_byte_ms: Floats = field(default_factory=_nothing)
    input_tokens: Floats = field(default_factory=_nothing)
    answer_types: Ints = field(default_factory=_no_codes)  # places in a list that is the same for all rows
    countries: Ints = field(default_factory=_no_codes)
    country_names: tuple[str, ...] = (UNKNOWN_COUNTRY,)
    cost_ratios: Floats = field(default_factory=_nothing)

    def __post_init__(self) -> None:
        for name in ("first_byte_ms", "input_tokens", "cost_ratios"):
            if not len(getattr(self, name)):
                object.__setattr__(self, name, np.full(len(self), np.nan))
        for name in ("answer_types", "countries"):
            if not len(getattr(self, name)):
                object.__setattr__(self, name, np.zeros(len(self), np.int64))

    def __len__(self) -> int:
        return len(self.scores)

    def worths(self, sensitivity: float) -> Floats:
        """Return what thresholds are compared with where costs count so much."""
        return worths_of(self.scores, self.cost_ratios, sensitivity)

    def rows(self, chosen: Bools | Ints | slice) -> "Traffic":
        """Return only some of the rows."""
        whole = ("segment_names", "country_names")
        columns = [column.name for column in fields(self) if column.name not in whole]
        return replace(self, **{name: getattr(self, name)[chosen] for name in columns})


def fill_unknown(values: Floats, otherwise: float = np.nan) -> Floats:
    """Put the mean of what is known in the place of what is not; `otherwise` where nothing is known at all."""
    known = ~np.isnan(values)
    return np.where(known, values, values[known].mean() if known.any() else otherwise)


def join(pieces: Sequence[Traffic]) -> Traffic:
    """Put pieces that follow each other in time together: names of segments and countries may differ between them."""
    segments, segment_names = _merge_names([(piece.segments, piece.segment_names) for piece in pieces])
    countries, country_names = _merge_names([(piece.countries, piece.country_names) for piece in pieces])
    places: dict[str, Any] = {"segments": segments, "countries": countries}
    whole = ("segment_names", "country_names", *places)
    columns = [column.name for column in fields(Traffic) if column.name not in whole]
    joint: dict[str, Any] = {name: np.concatenate([getattr(piece, name) for piece in pieces]) for name in columns}
    return Traffic(**joint, **places, segment_names=segment_names, country_names=country_names)


def _merge_names(pieces: Sequence[tuple[Ints, tuple[str, ...]]]) -> tuple[Ints, tuple[str, ...]]:
    """Return the places in the sorted list of all names, and that list."""
    every = tuple(sorted({name for _, names in pieces for name in names}))
    places = [np.array([every.index(name) for name in names], np.int64)[codes] for codes, names in pieces]
    return np.concatenate(places), every
