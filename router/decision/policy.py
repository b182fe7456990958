"""The policy as a value: its dials, their ranges, and the thresholds and segments that follow from them. Pure."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace

from router.types import Tier

NEVER = 1.1  # no score is higher; a threshold above it switches a tier off

PACING = ("off", "dry_run", "on")
MOST_SAMPLES = 64
LONGEST_WAIT_S = 3_600.0
SEGMENT_NAME = re.compile(r"[a-z0-9_-]{1,64}")
CLASSIFIER_NAME = re.compile(r"[!-~]{1,64}")
# What a dial may be: the ends belong to the range.
RANGES = {
    "version": (0.0, math.inf),
    "parallel_threshold": (-1.0, 2.0),
    "reasoning_threshold": (-1.0, 2.0),
    "max_deep_share": (0.0, 1.0),
    "explore": (0.0, 1.0),
    "shadow": (0.0, 1.0),
    "parallel_samples": (1.0, float(MOST_SAMPLES)),
    "parallel_confidence": (0.501, 0.9999),
    "max_wait_s": (0.001, LONGEST_WAIT_S),
    "min_margin": (-10.0, 0.99),
}
OPTIONAL = frozenset({"parallel_samples", "parallel_confidence", "max_wait_s", "min_margin", "classifier"})


@dataclass(frozen=True, slots=True)
class SegmentDials:
    """The dials that a segment has of its own; None is the policy's. Raises ValueError naming a wrong one."""

    parallel_threshold: float | None = None
    reasoning_threshold: float | None = None
    max_deep_share: float | None = None
    min_margin: float | None = None

    def __post_init__(self) -> None:
        for name, value in self.own().items():
            _require_in_range(name, value)

    def own(self) -> dict[str, float]:
        """The dials that are set, by name."""
        return {field.name: value for field in fields(self) if (value := getattr(self, field.name)) is not None}


@dataclass(frozen=True, slots=True)
class Policy:
    """The dials of routing, as one version. Raises ValueError naming a wrong one.

    `parallel_samples` and `parallel_confidence` are the file's where None. A deep tier whose usual time to first byte
    is above `max_wait_s` is not open for `auto`. `min_margin` is what pacing holds, in the mode `pacing`. `classifier`
    is the version of an adapted artefact, None the configured one.
    """

    version: int
    parallel_threshold: float = 0.10
    reasoning_threshold: float = 0.25
    max_deep_share: float = 0.10
    explore: float = 0.01
    shadow: float = 0.005
    parallel_samples: int | None = None
    parallel_confidence: float | None = None
    max_wait_s: float | None = None
    min_margin: float | None = None
    pacing: str = "dry_run"
    classifier: str | None = None
    segments: Mapping[str, SegmentDials] = field(default_factory=dict, hash=False)
    _by_segment: Mapping[str, "Policy"] = field(init=False, repr=False, compare=False)
    _plain: "Policy" = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        for name in RANGES:
            value = getattr(self, name)
            if value is not None or name not in OPTIONAL:
                _require_in_range(name, value)
        if self.pacing not in PACING:
            raise ValueError(f"pacing: must be one of {', '.join(PACING)}, is {self.pacing!r}")
        if self.classifier is not None and not _is_named(self.classifier, CLASSIFIER_NAME):
            raise ValueError(f"classifier: must be the version of an artefact, is {self.classifier!r}")
        own = {name: dials for name, dials in self.segments.items() if dials.own()}
        if wrong := [name for name in own if not _is_named(name, SEGMENT_NAME)]:
            raise ValueError(f"segments: {wrong[0]!r} is no name of a segment")
        object.__setattr__(self, "segments", own)
        plain = replace(self, segments={}) if own else self
        object.__setattr__(self, "_plain", plain)
        by_segment = {name: replace(plain, **dials.own()) for name, dials in own.items()}  # type: ignore[arg-type]
        object.__setattr__(self, "_by_segment", by_segment)

    def for_segment(self, name: str) -> "Policy":
        """The policy as a segment has it, without segments of its own."""
        return self._by_segment.get(name, self._plain)

    def threshold(self, tier: Tier) -> float:
        """The score from which a tier is open; fast always is."""
        match tier:
            case Tier.FAST:
                return -math.inf
            case Tier.REASONING:
                return self.reasoning_threshold
            case Tier.PARALLEL:
                return self.parallel_threshold


def _require_in_range(name: str, value: object) -> None:
    low, high = RANGES[name]
    is_whole = name in ("version", "parallel_samples")
    is_number = isinstance(value, int if is_whole else int | float) and not isinstance(value, bool)
    if not is_number or not low <= value <= high:  # type: ignore[operator]
        kind = "whole number" if is_whole else "number"
        raise ValueError(f"{name}: must be a {kind} from {low:g} to {high:g}, is {value!r}")


def _is_named(name: object, pattern: re.Pattern[str]) -> bool:
    return isinstance(name, str) and pattern.fullmatch(name) is not None
