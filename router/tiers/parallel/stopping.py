"""When to stop sampling: pure arithmetic on the counts of a vote, no clock, no randomness, no I/O.

The rule is the Beta criterion of adaptive consistency (arXiv 2305.11860) in closed form, with a futility test that
the published rules lack: a vote that cannot be won any more should not burn the rest of its budget.
"""

from collections.abc import Mapping
from enum import StrEnum
from functools import lru_cache
from typing import Any

WAVES = (4, 4, 8, 8, 16)
FORECAST_AFTER = 8


class Stop(StrEnum):
    """What a vote has come to; an operator reads it in the trace."""

    CONTINUE = "continue"
    ACCEPTED = "accepted"
    FUTILE = "futile"
    SETTLED = "settled"


def agreement(v1: int, v2: int) -> float:
    """Return P(the leader truly leads): P(Bin(v1+v2+1, 1/2) <= v1), for top two counts v1 >= v2."""
    n = v1 + v2 + 1
    above, ways = (
        0,
        1,
    )  # in how many of the 2^n ways more than v1 fall to the leader, which are v2 or fewer to the other
    for j in range(v2 + 1):
        above += ways
        ways = ways * (n - j) // (j + 1)
    return ((1 << n) - above) / (1 << n)


@lru_cache(maxsize=4096)
def votes_needed(v2: int, confidence: float) -> int:
    """Return the fewest votes a leader needs against v2 to be accepted."""
    v1 = v2
    while agreement(v1, v2) < confidence:
        v1 += 1
    return v1


def check(v1: int, v2: int, remaining: int, confidence: float, *, at_wave_end: bool) -> Stop:
    """Judge a vote with top two counts v1 >= v2 and `remaining` samples still to be had.

    Accepted and settled are judged after every sample, futile at a wave's end, in this order.
    """
    if v1 and v1 >= votes_needed(v2, confidence):
        return Stop.ACCEPTED
    if at_wave_end and not can_be_accepted(v1, v2, remaining, confidence):
        return Stop.FUTILE
    if v1 - v2 > remaining:
        return Stop.SETTLED
    return Stop.CONTINUE


def can_be_accepted(v1: int, v2: int, remaining: int, confidence: float) -> bool:
    """Tell whether a unanimous remainder would still have the leader accepted."""
    return v1 + remaining >= votes_needed(v2, confidence)


@lru_cache(maxsize=8192)
def forecast(v1: int, v2: int, seen: int, remaining: int, confidence: float) -> tuple[float, float]:
    """Return P(the vote will be accepted) and the samples that finding out is expected to take.

    The next samples are taken to fall like those seen (with one imagined sample for answers not seen yet).
    """
    p1, p2 = v1 / (seen + 1), v2 / (seen + 1)
    undecided = {(v1, v2): 1.0}
    accepted = samples = 0.0
    for _ in range(remaining):
        following: dict[tuple[int, int], float] = {}
        for (a, b), p in undecided.items():
            samples += p
            for state, step in (((a + 1, b), p1), ((a, b + 1), p2), ((a, b), 1 - p1 - p2)):
                if max(state) >= votes_needed(min(state), confidence):
                    accepted += p * step
                elif step > 0:
                    following[state] = following.get(state, 0.0) + p * step
        undecided = following
    return accepted, samples


@lru_cache(maxsize=4096)
def expect(p_leader: float, p_second: float, max_samples: int, confidence: float) -> tuple[float, float]:
    """Return the samples that a vote is expected to take, and P(it is not accepted), before any sample is there.

    Each sample says the leading answer with the one probability, the second with the other, else something that no
    other sample says.
    """
    undecided, samples, accepted = {(0, 0): 1.0}, 0.0, 0.0
    ends, left = set(), 0
    for size in waves(max_samples):
        left += size
        ends.add(left)
    steps = (((1, 0), p_leader), ((0, 1), p_second), ((0, 0), 1.0 - p_leader - p_second))
    for seen in range(1, max_samples + 1):
        following: dict[tuple[int, int], float] = {}
        for (a, b), p in undecided.items():
            samples += p
            for (more_a, more_b), step in steps:
                if step <= 0:
                    continue
                state = (a + more_a, b + more_b)
                found = check(max(state), min(state), max_samples - seen, confidence, at_wave_end=seen in ends)
                if found is Stop.ACCEPTED:
                    accepted += p * step
                elif found is Stop.CONTINUE:
                    following[state] = following.get(state, 0.0) + p * step
        undecided = following
    return samples, 1.0 - accepted


def is_hopeless(v1: int, v2: int, seen: int, remaining: int, confidence: float, price_ratio: float) -> bool:
    """Tell whether going on costs more than it can save, a strong call costing `price_ratio` samples.

    Never said of fewer than eight samples: four tell too little about what the next ones will be.
    """
    if seen < FORECAST_AFTER or remaining <= 0:
        return False
    chance, samples = forecast(v1, v2, seen, remaining, confidence)
    return chance * price_ratio < samples


def least_unanimous(confidence: float) -> int:
    """Return the fewest samples that can be accepted at all: 4 for .95, 6 for .99."""
    return votes_needed(0, confidence)


@lru_cache(maxsize=128)
def reachable(max_samples: int) -> float:
    """Return the highest confidence that so many unanimous samples reach."""
    return agreement(max_samples, 0)


def require_reachable(confidence: float, max_samples: int, where: str = "tiers.parallel") -> None:
    """Refuse a confidence that no vote of so many samples could reach; raises ValueError naming the setting."""
    if not 0.5 < confidence < 1:
        raise ValueError(f"{where}.confidence: {confidence:g} is not between 0.5 and 1")
    if (needed := least_unanimous(confidence)) > max_samples:
        raise ValueError(
            f"{where}.confidence: {confidence:g} needs at least {needed} agreeing samples,"
            f" but {where}.max_samples is {max_samples}"
        )


def require_allowed(samples: int | None, confidence: float | None, most: int, usual: float) -> None:
    """Refuse a policy's samples and confidence where the configuration's do not allow them (None: those are taken).

    Raises ValueError naming the dial.
    """
    if samples is not None and samples > most:
        raise ValueError(f"parallel_samples: {samples} is more than the {most} of tiers.parallel.max_samples")
    samples = most if samples is None else samples
    confidence = usual if confidence is None else confidence
    if (needed := least_unanimous(confidence)) > samples:
        raise ValueError(
            f"parallel_confidence: {confidence:g} needs at least {needed} agreeing samples, "
            f"but parallel_samples is {samples}"
        )


def require_types_allowed(samples: int | None, by_type: Mapping[Any, float] | None, most: int) -> None:
    """Refuse a policy's confidence of an answer type that its samples cannot reach; raises ValueError naming it."""
    samples = most if samples is None else samples
    for answer_type, confidence in (by_type or {}).items():
        if not 0.5 < confidence < 1 or least_unanimous(confidence) > samples:
            raise ValueError(
                f"parallel_confidence_by_type: {answer_type}={confidence:g} is not above 0.5, or needs more agreeing"
                f" samples than the {samples} of parallel_samples"
            )


def waves(max_samples: int) -> list[int]:
    """Return the sizes of the waves: 4, 4, 8, 8, then 16s, cut to `max_samples`."""
    sizes: list[int] = []
    while (left := max_samples - sum(sizes)) > 0:
        sizes.append(min(left, WAVES[min(len(sizes), len(WAVES) - 1)]))
    return sizes


def under_pressure(confidence: float, max_samples: int, pressure: float) -> tuple[float, int]:
    """Return the confidence and the samples that are left at a pressure of 0 (all) to 1 (two agreeing samples)."""
    pressure = min(1.0, max(0.0, pressure))
    floor = min(confidence, reachable(2))
    lowered = confidence - pressure * (confidence - floor)
    return lowered, max(least_unanimous(lowered), round(max_samples * (1 - 0.75 * pressure)))
