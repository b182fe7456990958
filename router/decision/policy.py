"""The policy as a value: its dials, each declared once, and the thresholds and segments that follow from them. Pure.

From a declaration come the check of its range here, its key in `router.settings`, its field on the admin page, the
help of `tierwise policy propose`, and its row in docs/reference.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from functools import cache
from types import NoneType
from typing import Annotated, Any, cast, get_args, get_type_hints

from classifier.types import AnswerType
from router.decision.worth import HIGHEST
from router.types import FAST, REASONING, SEGMENT_NAME, Tier

NEVER = HIGHEST  # a threshold above it switches a tier off


DialValue = float | str | None
_TYPE_AND_CONFIDENCE = rf"({'|'.join(AnswerType)})=0\.\d{{1,6}}"


@dataclass(frozen=True, slots=True)
class Dial:
    """What a dial may be, and its words for people. It stands at a field of `Policy`, whose name and default it has.

    A number has ends, which belong to its range, and perhaps a unit; a text has choices, or a pattern and the noun of
    what fits it. `unset` says what an unset dial means, `inherited` what it means for a segment. `stored_default` is
    what versions read that were stored before there was this dial, where that is not the default.
    """

    label: str
    help: str
    low: float = -math.inf
    high: float = math.inf
    unit: str = ""
    choices: tuple[str, ...] = ()
    pattern: str = ".*"
    noun: str = "a text"
    unset: str = ""
    inherited: str = "the policy's"
    stored_default: DialValue = None
    name: str = ""
    kind: type = float
    default: DialValue = None
    is_optional: bool = False

    @property
    def allowed(self) -> str:
        """What a value may be, in words."""
        if self.choices:
            return f"one of {', '.join(self.choices)}"
        if self.kind is str:
            return self.noun
        return f"a {'whole ' if self.kind is int else ''}number from {self.low:g} to {self.high:g}"

    def require(self, value: object) -> None:
        """Refuse a value that this dial cannot be; raises ValueError naming it."""
        if not (self._allows(value) or (value is None and self.is_optional)):
            raise ValueError(f"{self.name}: must be {self.allowed}, is {value!r}")

    def _allows(self, value: object) -> bool:
        if self.choices:
            return value in self.choices
        if self.kind is str:
            return isinstance(value, str) and re.fullmatch(self.pattern, value) is not None
        is_number = isinstance(value, int if self.kind is int else int | float) and not isinstance(value, bool)
        return is_number and self.low <= value <= self.high  # type: ignore[operator]


@dataclass(frozen=True, slots=True)
class SegmentDials:
    """The dials that a segment has of its own; None is the policy's. Raises ValueError naming a wrong one."""

    parallel_threshold: float | None = None
    reasoning_threshold: float | None = None
    max_deep_share: float | None = None
    max_cost_usd: float | None = None
    min_margin: float | None = None

    def __post_init__(self) -> None:
        for name, value in self.own().items():
            DIALS[name].require(value)

    def own(self) -> dict[str, float]:
        """The dials that are set, by name."""
        return {field.name: value for field in fields(self) if (value := getattr(self, field.name)) is not None}


@dataclass(frozen=True, slots=True)
class Policy:
    """The dials of routing, as one version. Raises ValueError naming a wrong one."""

    version: int
    parallel_threshold: Annotated[
        float,
        Dial(
            "Parallel from",
            "score from which the parallel tier is open; above 1.1: never",
            low=-1,
            high=2,
            unit="score",
        ),
    ] = 0.10
    reasoning_threshold: Annotated[
        float, Dial("Reasoning from", "score from which the reasoning tier is open", low=-1, high=2, unit="score")
    ] = 0.25
    max_deep_share: Annotated[
        float,
        Dial(
            "Deep share, at most",
            "largest share of auto queries that may go to the deep tiers",
            low=0,
            high=1,
            unit="share",
            inherited="the policy's, shared by all such segments",
        ),
    ] = 0.10
    cost_sensitivity: Annotated[
        float,
        Dial(
            "Cost sensitivity",
            "how much a query's cost counts: its score is divided by (cost / usual cost) to this power; 0: not at all",
            low=0,
            high=2,
            stored_default=0.0,
        ),
    ] = 1.0
    explore: Annotated[
        float,
        Dial("Explored share", "share of auto queries routed at random, for evidence", low=0, high=1, unit="share"),
    ] = 0.01
    shadow: Annotated[
        float,
        Dial(
            "Shadowed share",
            "share of queries that are also run in another tier, in the background",
            low=0,
            high=1,
            unit="share",
        ),
    ] = 0.005
    parallel_samples: Annotated[
        int | None,
        Dial(
            "Samples, at most",
            "most samples of one query",
            low=1,
            high=64,
            unit="samples",
            unset="tiers.parallel.max_samples, which it may not exceed",
        ),
    ] = None
    parallel_confidence: Annotated[
        float | None,
        Dial(
            "Confidence of a vote",
            "confidence at which sampling stops",
            low=0.501,
            high=0.9999,
            unset="tiers.parallel.confidence",
        ),
    ] = None
    parallel_confidence_by_type: Annotated[
        str | None,
        Dial(
            "Confidence by type",
            "confidence of votes on individual answer types, such as date=0.99,numeric=0.9; "
            "all others: parallel_confidence",
            pattern=rf"{_TYPE_AND_CONFIDENCE}(,{_TYPE_AND_CONFIDENCE})*",
            noun="answer types with a confidence each, such as date=0.99,numeric=0.9",
            unset="tiers.parallel.confidence_by_type",
        ),
    ] = None
    max_cost_usd: Annotated[
        float | None,
        Dial(
            "Cost of a request, at most ($)",
            "dollars that one request may cost; its output and its samples are limited to what that covers",
            low=0.000001,
            high=1000,
            unit="$",
            unset="no limit",
        ),
    ] = None
    max_wait_s: Annotated[
        float | None,
        Dial(
            "Wait, at most (s)",
            "a deep tier that usually takes longer to its first byte is closed to auto",
            low=0.001,
            high=3600,
            unit="s",
        ),
    ] = None
    min_margin: Annotated[
        float | None,
        Dial("Margin to hold", "share of revenue that pacing is to keep", low=-10, high=0.99, unit="share"),
    ] = None
    pacing: Annotated[
        str,
        Dial(
            "Pacing",
            "whether thresholds follow budget and margin; dry_run only shows how they would",
            choices=("off", "dry_run", "on"),
        ),
    ] = "dry_run"
    classifier: Annotated[
        str | None,
        Dial(
            "Classifier",
            "version of an adapted artefact",
            pattern="[!-~]{1,64}",
            noun="the version of an artefact",
            unset="the configured one",
        ),
    ] = None
    segments: Mapping[str, SegmentDials] = field(default_factory=dict, hash=False)
    _by_segment: Mapping[str, "Policy"] = field(init=False, repr=False, compare=False)
    _plain: "Policy" = field(init=False, repr=False, compare=False)
    _apart: frozenset[str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        _VERSION.require(self.version)
        for dial in DIALS.values():
            dial.require(getattr(self, dial.name))
        own = {name: dials for name, dials in self.segments.items() if dials.own()}
        if wrong := [name for name in own if not SEGMENT_NAME.fullmatch(name)]:
            raise ValueError(f"segments: {wrong[0]!r} is no name of a segment")
        object.__setattr__(self, "segments", own)
        plain = replace(self, segments={}) if own else self
        object.__setattr__(self, "_plain", plain)
        by_segment = {name: replace(plain, **dials.own()) for name, dials in own.items()}  # type: ignore[arg-type]
        object.__setattr__(self, "_by_segment", by_segment)
        apart = frozenset(name for name, dials in own.items() if dials.max_deep_share is not None)
        object.__setattr__(self, "_apart", apart)

    @property
    def segments_apart(self) -> frozenset[str]:
        """The segments whose deep share is capped by itself."""
        return self._apart

    def for_segment(self, name: str) -> "Policy":
        """The policy as a segment has it, without segments of its own."""
        return self._by_segment.get(name, self._plain)

    @property
    def max_cost_nanousd(self) -> int | None:
        """What one request may cost, in nano-dollars."""
        return None if self.max_cost_usd is None else round(self.max_cost_usd * 1e9)

    @property
    def confidence_by_type(self) -> Mapping[AnswerType, float] | None:
        """The confidence of votes on individual answer types, where the policy has its own."""
        if self.parallel_confidence_by_type is None:
            return None
        return read_confidences(self.parallel_confidence_by_type)

    def threshold(self, tier: Tier) -> float:
        """The score from which a tier is open; fast always is."""
        if tier is FAST:
            return -math.inf
        return self.reasoning_threshold if tier is REASONING else self.parallel_threshold


@cache
def read_confidences(text: str) -> Mapping[AnswerType, float]:
    """Read `date=0.99,numeric=0.9`."""
    pairs = (part.partition("=") for part in text.split(","))
    return {AnswerType(name): float(confidence) for name, _, confidence in pairs}


def _read_declarations() -> dict[str, Dial]:
    """Read the declarations at the fields of `Policy`, in their order."""
    hints, dials = get_type_hints(Policy, include_extras=True), {}
    for declared in fields(Policy):
        type_, *notes = get_args(hints[declared.name]) or (None,)
        for dial in notes:
            if isinstance(dial, Dial):
                kinds = get_args(type_) or (type_,)
                dials[declared.name] = replace(
                    dial,
                    name=declared.name,
                    kind=next(kind for kind in kinds if kind is not NoneType),
                    default=cast(DialValue, declared.default),
                    is_optional=NoneType in kinds,
                )
    return dials


_VERSION = Dial("Version", "number of the version", name="version", kind=int, low=0)
DIALS: Mapping[str, Dial] = _read_declarations()
SEGMENT_DIALS: Mapping[str, Dial] = {own.name: DIALS[own.name] for own in fields(SegmentDials)}


def defaults_of_stored(dials: Mapping[str, Dial] = DIALS) -> dict[str, Any]:
    """What a stored version means that lacks dials which came later and whose default is not what it had meant."""
    return {name: dial.stored_default for name, dial in dials.items() if dial.stored_default is not None}
