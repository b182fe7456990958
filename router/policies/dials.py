"""The dials of a policy as an operator names them: read, compared, and held against the wiring of the tiers.

Knows no database. What a value may be is the policy's own business; what order makes sense depends on who is sampled.
A segment's own dial goes by a name with dots: `segments.free.reasoning_threshold`.
"""

from collections.abc import Mapping, Sequence
from hashlib import blake2b
from typing import Any, Protocol

from router.decision.policy import DIALS, NEVER, SEGMENT_DIALS, DialValue, Policy, SegmentDials
from router.policies.shares import WrongShare, read_share
from router.tiers.parallel.stopping import require_allowed, require_types_allowed

IN_SEGMENT = "segments."
NONE = "none"

Change = tuple[DialValue, DialValue]  # before, after


class WrongPolicy(ValueError):
    """A policy, or what should be done with it, does not make sense; the message names why."""


class Called(Protocol):
    """How a model is called, as far as it changes what its answers are worth."""

    @property
    def api_base(self) -> str | None: ...
    @property
    def effort(self) -> str | None: ...
    @property
    def max_thinking_tokens(self) -> int | None: ...
    @property
    def ability(self) -> float | None: ...


class Model(Called, Protocol):
    """Who answers in a tier."""

    @property
    def model(self) -> str: ...


class Sampled(Called, Protocol):
    """Who is sampled in the parallel tier, how often at most, and when it stops."""

    @property
    def models(self) -> tuple[str, ...]: ...
    @property
    def max_samples(self) -> int: ...
    @property
    def confidence(self) -> float: ...
    @property
    def escalate_to(self) -> str: ...


class Wiring(Protocol):
    """Which models serve which tier, as the configuration says."""

    @property
    def fast(self) -> Model: ...
    @property
    def reasoning(self) -> Model: ...
    @property
    def parallel(self) -> Sampled: ...


def fingerprint(wiring: Wiring) -> str:
    """What a policy is validated against, as 32 hex digits: another one, and thresholds may mean something else."""
    tiers = (wiring.fast, wiring.reasoning, wiring.parallel)
    called = [(t.api_base, t.effort, t.max_thinking_tokens, t.ability) for t in tiers]
    sampled = wiring.parallel
    models = (wiring.fast.model, wiring.reasoning.model, tuple(sampled.models))
    wired = repr((called, models, sampled.max_samples, sampled.confidence, sampled.escalate_to))
    return blake2b(wired.encode(), digest_size=16).hexdigest()


def read(settings: Sequence[str]) -> dict[str, DialValue]:
    """Read `DIAL=VALUE` texts, where `none` unsets a dial; raises WrongPolicy naming the one that is wrong."""
    values: dict[str, DialValue] = {}
    for setting in settings:
        name, equals, text = (part.strip() for part in setting.partition("="))
        if not equals:
            raise WrongPolicy(f"{setting!r} is not of the form DIAL=VALUE, such as reasoning_threshold=0.3")
        if name in values:
            raise WrongPolicy(f"{name} is set twice")
        _require_known(name)
        values[name] = _value(name, text)
    return values


def dials_by_name(policy: Policy) -> dict[str, DialValue]:
    """Every dial of a policy by its name, those of segments by their names with dots where they are set."""
    values: dict[str, DialValue] = {name: getattr(policy, name) for name in DIALS}
    for segment, dials in sorted(policy.segments.items()):
        values |= {f"{IN_SEGMENT}{segment}.{name}": value for name, value in dials.own().items()}
    return values


def dials_of(policy: Policy) -> dict[str, Any]:
    """The dials of a policy, as they are stored: those of segments in a table of their own."""
    segments = {segment: dials.own() for segment, dials in policy.segments.items()}
    return {name: getattr(policy, name) for name in DIALS} | {"segments": segments}


def with_changes(policy: Policy, changes: Mapping[str, DialValue], version: int = 0) -> Policy:
    """Set dials on top of a policy; raises WrongPolicy naming a wrong or unknown one."""
    segments = {segment: dict[str, DialValue](dials.own()) for segment, dials in policy.segments.items()}
    own: dict[str, DialValue] = {name: getattr(policy, name) for name in DIALS}
    for name, value in changes.items():
        _require_known(name)
        if name.startswith(IN_SEGMENT):
            segment, _, dial = name.removeprefix(IN_SEGMENT).rpartition(".")
            segments.setdefault(segment, {})[dial] = value
        else:
            own[name] = value
    try:
        in_segments = {segment: _segment(segment, dials) for segment, dials in segments.items()}
        return Policy(version=version, segments=in_segments, **own)  # type: ignore[arg-type]
    except ValueError as error:
        raise WrongPolicy(str(error)) from None


def differences(before: Policy, after: Policy) -> dict[str, Change]:
    """The dials in which two policies differ; one that only one of them has is None in the other."""
    old, new = dials_by_name(before), dials_by_name(after)
    return {name: (old.get(name), new.get(name)) for name in {**old, **new} if old.get(name) != new.get(name)}


def format_dial(value: DialValue) -> str:
    """Write a dial as `read` takes it."""
    if value is None:
        return NONE
    return value if isinstance(value, str) else f"{value:.6g}"


def require_fits(policy: Policy, wiring: Wiring) -> None:
    """Refuse a policy that the wiring of the tiers contradicts, for any segment; raises WrongPolicy."""
    require_order(policy, wiring)
    for segment in policy.segments:
        try:
            require_order(policy.for_segment(segment), wiring)
        except WrongPolicy as error:
            raise WrongPolicy(f"{IN_SEGMENT}{segment}: {error}") from None
    sampled = wiring.parallel
    try:
        require_allowed(policy.parallel_samples, policy.parallel_confidence, sampled.max_samples, sampled.confidence)
        require_types_allowed(policy.parallel_samples, policy.confidence_by_type, sampled.max_samples)
    except ValueError as error:
        raise WrongPolicy(str(error)) from None


def require_order(policy: Policy, wiring: Wiring) -> None:
    """Refuse thresholds by which the dearer deep tier would take the easier queries; raises WrongPolicy.

    Samples of the fast model cost less than reasoning, samples of the reasoning model more. Where the wiring does not
    tell (another model, or one for all), and where a tier is switched off, any order will do.
    """
    parallel, reasoning = policy.parallel_threshold, policy.reasoning_threshold
    fast, strong, sampled = wiring.fast.model, wiring.reasoning.model, set(wiring.parallel.models)
    if fast == strong or max(parallel, reasoning) > NEVER:
        return
    if sampled == {fast} and parallel > reasoning:
        raise WrongPolicy(
            f"parallel_threshold {parallel:g} is above reasoning_threshold {reasoning:g}, "
            f"but parallel samples the fast model {fast}, which costs less than reasoning"
        )
    if sampled == {strong} and parallel < reasoning:
        raise WrongPolicy(
            f"parallel_threshold {parallel:g} is below reasoning_threshold {reasoning:g}, "
            f"but parallel samples the reasoning model {strong}, which costs more than reasoning"
        )


def _value(name: str, text: str) -> DialValue:
    if text == NONE:
        return None
    dial = DIALS[name.rpartition(".")[2]]
    kind = dial.kind
    if kind is str:
        return text
    if dial.unit == "share":
        return _share(name, text)
    try:
        return int(text) if kind is int else float(text)
    except ValueError:
        raise WrongPolicy(f"{name}: {text!r} is not a {'whole ' if kind is int else ''}number") from None


def _share(name: str, text: str) -> float:
    try:
        return read_share(text)
    except WrongShare as error:
        raise WrongPolicy(f"{name}: {error}") from None


def _segment(segment: str, dials: Mapping[str, DialValue]) -> SegmentDials:
    try:
        return SegmentDials(**dials)  # type: ignore[arg-type]
    except ValueError as error:
        raise WrongPolicy(f"{IN_SEGMENT}{segment}.{error}") from None


def _require_known(name: str) -> None:
    if name in DIALS:
        return
    segment, _, dial = name.removeprefix(IN_SEGMENT).rpartition(".")
    if not name.startswith(IN_SEGMENT) or not segment or dial not in SEGMENT_DIALS:
        raise WrongPolicy(
            f"unknown dial {name!r}; the dials are {', '.join(DIALS)}, "
            f"and for a segment {IN_SEGMENT}NAME.DIAL with {', '.join(SEGMENT_DIALS)}"
        )
