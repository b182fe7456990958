"""Pure: does a canary hurt? Sequential tests of six figures against the requests beside it, to be looked at any time.

A guard is *breached* where the evidence that the canary is worse is beyond what chance shows in any number of looks
(`router.canary.confidence_sequences`) and the difference itself is at least what an operator calls harmful. A canary
has *passed* when harm is excluded for every guard, or after so many requests without a breach. Reads no books and acts
on nothing.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import numpy as np

from router.canary.arms import Arms, ArmTally, Stratum, value_of
from router.canary.confidence_sequences import (
    AMOUNT_TILTS,
    SHARE_TILTS,
    Floats,
    against_at_most,
    against_equal,
    bet,
    interval,
)
from router.canary.verdicts import Guard, GuardFinding, GuardStatus, HarmLimits, Verdict

USUAL_MARGIN = 0.5  # where no revenue is known, costs are held against this much of it
SLOWEST = 0.05
DEAREST = 0.05
CHEAPEST = 0.001  # of what a request earns: below it, what an answer costs does not matter
PRIOR_REQUESTS = 2.0


def judge(arms: Arms, max_deep_share: float, limits: HarmLimits) -> Verdict:
    """Judge a canary by all that is known of it; `max_deep_share` is the cap of its own policy."""
    limits = replace(limits, clustering=arms.clusters.design_effect(limits.clustering))
    canary, control = (arms.total("requests", is_canary=is_canary) for is_canary in (True, False))
    findings = tuple(finding for guard in Guard if (finding := _finding(guard, arms, max_deep_share, limits)))
    standing = GuardStatus.UNDECIDED
    if canary >= limits.least_requests:
        standings = {finding.standing for finding in findings}
        if GuardStatus.BREACHED in standings:
            standing = GuardStatus.BREACHED
        elif standings == {GuardStatus.PASSED} or canary >= limits.most_requests:
            standing = GuardStatus.PASSED
    more = _more_needed(findings, canary, limits) if standing is GuardStatus.UNDECIDED else 0
    return Verdict(standing, findings, canary, control, more)


def _more_needed(findings: tuple[GuardFinding, ...], canary: int, limits: HarmLimits) -> int:
    """After how many more requests of the canary every guard could tell, if things go on as they did.

    So many at most as after which a canary without a breach has passed anyway, and so many at least as are asked for.
    """
    open_ones = [finding for finding in findings if finding.standing is GuardStatus.UNDECIDED]
    wanted = max((finding.requests_needed(canary) for finding in open_ones), default=0.0)
    if not findings:
        wanted = limits.most_requests  # nothing compares: its rule alone tells
    return max(math.ceil(min(max(wanted, limits.least_requests), limits.most_requests)) - canary, 1)


def _finding(guard: Guard, arms: Arms, max_deep_share: float, limits: HarmLimits) -> GuardFinding | None:
    match guard:
        case Guard.MARGIN:
            return _margin(arms, limits)
        case Guard.SLOW:
            limit = _slow_from(arms)
            return _compare(guard, _samples(arms, lambda tally: _slow(tally, limit)), limits)
        case Guard.DEEP_SHARE:
            return _deep_share(arms, max_deep_share, limits)
        case _:
            count = {Guard.ERRORS: "failed", Guard.REGENERATES: "asked_again"}.get(guard, guard.value)
            return _compare(guard, _samples(arms, lambda tally: _bad(getattr(tally, count), tally.requests)), limits)


@dataclass(frozen=True, slots=True)
class _Sample:
    """Values in one stratum, and how often each arm has them."""

    stratum: Stratum
    values: Floats
    canary: Floats
    control: Floats


Histogram = dict[float, int]


def _samples(arms: Arms, histogram: Callable[[ArmTally], Histogram]) -> list[_Sample]:
    samples = []
    for stratum, canary, control in arms.strata():
        ours, theirs = histogram(canary), histogram(control)
        values = sorted(ours.keys() | theirs.keys())
        counts = (np.array([float(side.get(value, 0)) for value in values]) for side in (ours, theirs))
        samples.append(_Sample(stratum, np.array(values, dtype=np.float64), *counts))
    return samples


def _bad(bad: int, requests: int) -> Histogram:
    return {0.0: requests - bad, 1.0: bad}


def _slow(tally: ArmTally, limit: int) -> Histogram:
    slow = sum(count for step, count in tally.first_bytes.items() if step > limit)
    return _bad(slow, tally.first_bytes.total())


def _slow_from(arms: Arms) -> int:
    """The step beyond which the slowest twentieth of the control's requests lies."""
    steps: Counter[int] = sum((control.first_bytes for _, _, control in arms.strata()), Counter())
    left = steps.total() * SLOWEST
    for step in sorted(steps, reverse=True):
        left -= steps[step]
        if left < 0:
            return step
    return 0


def _margin(arms: Arms, limits: HarmLimits) -> GuardFinding | None:
    """Costs in parts of what a request earns: by design no tier changes that, and failures have a guard of their own.

    Its noise would only hide the costs; both arms' margins are therefore of the same revenue.
    """
    earned = _usual_revenue_nanousd(arms)
    if earned == 0.0:
        return None
    samples = _samples(arms, lambda tally: {float(step): count for step, count in tally.costs.items()})
    scaled = [_Sample(s.stratum, value_of(s.values) / earned, s.canary, s.control) for s in samples]
    finding = _compare(Guard.MARGIN, scaled, limits, AMOUNT_TILTS)
    if finding is None:
        return None
    return replace(finding, canary=1.0 - finding.canary, control=1.0 - finding.control)


def _usual_revenue_nanousd(arms: Arms) -> float:
    """What a request is expected to earn; where nothing is known of it, so much that half of it covers the costs."""
    for is_canary in (False, True):
        known = arms.total("revenue_known", is_canary=is_canary)
        if known and (earned := arms.total("revenue_nanousd", is_canary=is_canary)):
            return earned / known
    tallies = [tally for _, canary, control in arms.strata() for tally in (canary, control)]
    priced = sum(tally.costs.total() for tally in tallies)
    spent = sum(tally.cost_nanousd for tally in tallies)
    return spent / priced / (1.0 - USUAL_MARGIN) if priced else 0.0


def _compare(
    guard: Guard, samples: Iterable[_Sample], limits: HarmLimits, tilts: Floats = SHARE_TILTS
) -> GuardFinding | None:
    """Compare the arms within strata, twice: where the policies differ, and everywhere. None where nothing compares.

    Where both policies do the same the canary can hardly harm, and its noise would hide what it does elsewhere; that
    it harms there nevertheless is looked for with the other half of the false alarms.
    """
    shared = [s for s in samples if s.canary.sum() and s.control.sum()]
    if not shared:
        return None
    everywhere = _view(guard, shared, shared, limits, tilts)
    moved = [s for s in shared if s.stratum.differs]
    views = [everywhere] if len(moved) in (0, len(shared)) else [_view(guard, moved, shared, limits, tilts), everywhere]
    breached = [view for view in views if view.standing is GuardStatus.BREACHED]
    return max(breached, key=lambda view: view.evidence, default=everywhere)


def _view(
    guard: Guard, looked_at: list[_Sample], shared: list[_Sample], limits: HarmLimits, tilts: Floats
) -> GuardFinding:
    """Compare the arms in some of the strata they share; the others add nothing to the difference."""
    alpha, harmful = limits.alpha(guard) / 2.0, limits.harmful(guard)
    by_tilt = [
        np.concatenate([against_equal(values, s.canary, s.control, tilts) for values in _forms_of(guard, s)])
        for s in looked_at
    ]
    evidence = bet(np.array(by_tilt) / limits.clustering)
    canary, control, _ = _means(shared, shared)
    ours, theirs, variance = _means(looked_at, shared)
    low, high = interval(ours - theirs, variance * limits.clustering, alpha, harmful)
    return GuardFinding(guard, canary, control, ours - theirs, low, high, evidence, -math.log(alpha), harmful)


def _forms_of(guard: Guard, sample: _Sample) -> list[Floats]:
    """The values as they are and, of amounts, in forms in which harm is seen sooner: a bet on each.

    With the dearest twentieth cut down, what befalls many is not hidden by the few. As logarithms, where both policies
    do the same: there nothing but harm can change what answers usually cost. Elsewhere a policy may well make the
    usual answer dearer and the dear ones rarer.
    """
    if guard is not Guard.MARGIN:
        return [sample.values]
    both = sample.canary + sample.control
    place = min(int(np.searchsorted(both.cumsum(), (1.0 - DEAREST) * both.sum())), len(both) - 1)
    cut = np.minimum(sample.values, sample.values[place])
    return [sample.values, cut, cut if sample.stratum.differs else np.log(np.maximum(sample.values, CHEAPEST))]


def _means(looked_at: list[_Sample], shared: list[_Sample]) -> tuple[float, float, float]:
    """What strata add to the mean of both arms, weighted alike, and the variance of their difference."""
    everything = sum(float(s.canary.sum() + s.control.sum()) for s in shared)
    canary = control = variance = 0.0
    for s in looked_at:
        ours, theirs = float(s.canary.sum()), float(s.control.sum())
        weight = (ours + theirs) / everything
        mean = float((s.canary + s.control) @ s.values) / (ours + theirs)
        spread = float((s.canary + s.control) @ (s.values - mean) ** 2)
        # Nothing bad so far is not nothing bad ever: as if two more requests had half of the largest value each.
        spread += PRIOR_REQUESTS * (float(s.values.max()) / 2.0) ** 2
        variance += weight**2 * spread / (ours + theirs) * (1.0 / ours + 1.0 / theirs)
        canary += weight * float(s.canary @ s.values) / ours
        control += weight * float(s.control @ s.values) / theirs
    return canary, control, variance


def _deep_share(arms: Arms, max_deep_share: float, limits: HarmLimits) -> GuardFinding | None:
    """The deep share of what the policy decided itself."""
    (deep, decided), (their_deep, they_decided) = (
        (arms.total("deep", is_canary=is_canary), arms.total("decided", is_canary=is_canary))
        for is_canary in (True, False)
    )
    if not decided or not they_decided:
        return None
    share, theirs = deep / decided, their_deep / they_decided
    usual = max(max_deep_share, theirs)
    harmful, alpha = limits.harmful(Guard.DEEP_SHARE), limits.alpha(Guard.DEEP_SHARE)
    harm = share - usual
    low, high = interval(harm, (share * (1 - share) + 1 / decided) / decided, alpha, harmful)
    evidence = against_at_most(deep, decided, usual + harmful)
    return GuardFinding(Guard.DEEP_SHARE, share, usual, harm, low, high, evidence, -math.log(alpha), harmful)
