"""The dials of a policy as an operator names them: read, compared, and held against the wiring of the tiers.

Knows no database. What a value may be is the policy's own business; what order makes sense depends on who is sampled.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from typing import Protocol

from router.policy import NEVER, Policy

DIALS = tuple(field.name for field in fields(Policy) if field.name != "version")

Change = tuple[float, float]  # before, after


class WrongPolicy(ValueError):
    """A policy, or what should be done with it, does not make sense; the message names why."""


class Model(Protocol):
    """Who answers in a tier."""

    @property
    def model(self) -> str: ...


class Sampled(Protocol):
    """Who is sampled in the parallel tier."""

    @property
    def models(self) -> tuple[str, ...]: ...


class Wiring(Protocol):
    """Which models serve which tier, as the configuration says."""

    @property
    def fast(self) -> Model: ...
    @property
    def reasoning(self) -> Model: ...
    @property
    def parallel(self) -> Sampled: ...


def read(settings: Sequence[str]) -> dict[str, float]:
    """Read `DIAL=NUMBER` texts; raises WrongPolicy naming the one that is wrong."""
    found: dict[str, float] = {}
    for setting in settings:
        name, equals, text = (part.strip() for part in setting.partition("="))
        if not equals:
            raise WrongPolicy(f"{setting!r} is not of the form DIAL=NUMBER, such as reasoning_threshold=0.3")
        if name in found:
            raise WrongPolicy(f"{name} is set twice")
        _require_known(name)
        try:
            found[name] = float(text)
        except ValueError:
            raise WrongPolicy(f"{name}: {text!r} is not a number") from None
    return found


def dials_of(policy: Policy) -> dict[str, float]:
    """The dials of a policy, as they are stored."""
    return {name: value for name, value in asdict(policy).items() if name != "version"}


def changed(policy: Policy, changes: Mapping[str, float], version: int = 0) -> Policy:
    """Set dials on top of a policy; raises WrongPolicy naming a wrong or unknown one."""
    for name in changes:
        _require_known(name)
    try:
        return Policy(version=version, **{**dials_of(policy), **changes})
    except ValueError as error:
        raise WrongPolicy(str(error)) from None


def differences(before: Policy, after: Policy) -> dict[str, Change]:
    """The dials in which two policies differ."""
    old, new = dials_of(before), dials_of(after)
    return {name: (old[name], new[name]) for name in DIALS if old[name] != new[name]}


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


def _require_known(name: str) -> None:
    if name not in DIALS:
        raise WrongPolicy(f"unknown dial {name!r}; the dials are {', '.join(DIALS)}")
