"""The requests of a day: who asked when, how hard it was, and where the policy in force sent it.

Decisions follow the policy as the router's do: thresholds, the share cap, a slice of random routes with their
propensities. What only a conversation shows (follow-ups, pushback) is drawn.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from router.database import codes
from router.decision.policy import NEVER, Policy
from router.decision.rules import LEAST_P_SAMPLED, STEP_UP, VOTABLE
from router.decision.worth import SCORE_DIGITS
from router.types import DAY_MS, Reason, Tier
from scripts.showcase.seed.world import (
    ABROAD,
    ANSWER_TYPES,
    CALLERS,
    COUNTRIES,
    LANGUAGE_OF,
    OFFSET_HOURS,
    SEGMENTS,
    SHARE_ABROAD,
    SHARE_NO_LANGUAGE,
    World,
)

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
FAST, REASONING, PARALLEL = (codes.TIERS[tier] for tier in (Tier.FAST, Tier.REASONING, Tier.PARALLEL))


@dataclass(frozen=True, slots=True)
class Asked:
    """The requests of a day, in the order in which they came, before anybody answered."""

    ids: NDArray[np.uint8]
    ms: Ints
    caller: Ints
    segment: Ints
    country: Ints
    language: Ints
    answer_type: Ints
    turn: Ints
    p_fast: Floats
    p_reasoning: Floats
    score: Floats
    tier: Ints
    reason: Ints
    propensity: Floats
    policy: Ints

    def __len__(self) -> int:
        return len(self.ms)


def per_day(requests: int, days: int, now_ms: int, dice: np.random.Generator) -> Iterator[tuple[int, int]]:
    """How many requests come in on each day: growing, and fewer at weekends."""
    first = now_ms // DAY_MS - days + 1
    numbers = np.arange(first, first + days)
    weight = np.linspace(0.8, 1.2, days) * np.where((numbers + 4) % 7 >= 5, 0.8, 1.0) * dice.lognormal(0, 0.05, days)
    weight[-1] *= (now_ms % DAY_MS + 1) / DAY_MS
    counts = dice.multinomial(requests, weight / weight.sum())
    yield from ((int(day) * DAY_MS, int(count)) for day, count in zip(numbers, counts, strict=True) if count)


def asked(world: World, start_ms: int, end_ms: int, count: int, dice: np.random.Generator) -> Asked:
    """Make the requests of a day."""
    country = drawn(dice, count, COUNTRIES)
    ms = _moments(start_ms, end_ms, country, dice)
    order = np.argsort(ms, kind="stable")
    ms, country = ms[order], country[order]
    caller = drawn(dice, count, {place: share for place, (_, _, share) in enumerate(CALLERS)})
    segment_of = np.array([SEGMENTS.index(segment) for _, segment, _ in CALLERS])
    answer_type = drawn(dice, count, {name: share for name, (share, _) in ANSWER_TYPES.items()})
    turn = np.minimum(dice.geometric(0.45, count), 40)
    p_fast, p_reasoning = _chances(answer_type, dice)
    score = p_reasoning - p_fast + np.where(dice.random(count) < 0.05, 0.1, 0.0)
    policy = world.policy_at(start_ms * 1_000)
    tier, reason, propensity, score = _decided(policy, answer_type, turn, p_fast, score, dice)
    return Asked(
        ids=_ids(ms, dice),
        ms=ms,
        caller=caller,
        segment=segment_of[caller],
        country=country,
        language=_languages(world.labels, country, dice),
        answer_type=answer_type,
        turn=turn,
        p_fast=p_fast,
        p_reasoning=p_reasoning,
        score=score,
        tier=tier,
        reason=reason,
        propensity=propensity,
        policy=np.full(count, policy.version),
    )


def drawn(dice: np.random.Generator, count: int, shares: Mapping[Any, float]) -> Ints:
    """Places among the shares, drawn by their size."""
    steps = np.cumsum(list(shares.values()))
    places: Ints = np.searchsorted(steps, dice.random(count) * steps[-1], side="right").astype(np.int64)
    return places


def _moments(start_ms: int, end_ms: int, country: Ints, dice: np.random.Generator) -> Ints:
    """Quiet nights and busy afternoons, local time."""
    count = len(country)
    offsets = np.array([OFFSET_HOURS[name] for name in COUNTRIES])[country]
    hour_of_day = dice.normal(15.5, 4.5, count) % 24
    ms = start_ms + (((hour_of_day - offsets) % 24) * 3_600_000).astype(np.int64)
    elsewhere = start_ms + dice.integers(0, max(end_ms - start_ms, 1), count)
    found: Ints = np.where(ms < end_ms, ms, elsewhere)
    return found


def _chances(answer_type: Ints, dice: np.random.Generator) -> tuple[Floats, Floats]:
    """P(correct) of fast and of reasoning: most queries are easy, and thinking helps only with some of the rest."""
    count = len(answer_type)
    hard = np.array([hardness for _, hardness in ANSWER_TYPES.values()])[answer_type]
    p_fast: Floats = np.round(1.0 - np.clip(dice.gamma(0.9, hard / 0.9), 0.005, 0.97), 4)
    gained = (1 - p_fast) * dice.beta(0.7, 1.6, count)
    return p_fast, np.asarray(np.round(np.minimum(p_fast + gained, 0.999), 4), np.float64)


def _decided(
    policy: Policy, answer_type: Ints, turn: Ints, p_fast: Floats, score: Floats, dice: np.random.Generator
) -> tuple[Ints, Ints, Floats, Floats]:
    """Tier, reason, propensity and score."""
    count = len(score)
    chance = dice.random(count)
    is_kept_house, is_override = chance < 0.06, (chance >= 0.06) & (chance < 0.085)
    is_pushback = (turn > 1) & (chance > 0.97)
    is_follow_up = (turn > 1) & (chance > 0.7) & ~is_pushback
    raised: Floats = score + np.where(is_pushback, STEP_UP, 0.0)
    score = np.asarray(np.round(np.minimum(raised, NEVER), SCORE_DIGITS), np.float64)
    may_vote = np.array([name in VOTABLE for name in ANSWER_TYPES])[answer_type] & (p_fast >= LEAST_P_SAMPLED)
    uncapped = _open(policy, score, may_vote, -np.inf)
    tier = _open(policy, score, may_vote, float(np.quantile(score, 1 - policy.max_deep_share)))
    is_random = ~is_kept_house & ~is_override & (dice.random(count) < policy.explore)
    choices = np.where(may_vote, 3, 2)
    taken = np.where(is_random, np.array([FAST, REASONING, PARALLEL])[dice.integers(0, choices)], tier)
    propensity = np.where(taken == tier, 1 - policy.explore, 0.0) + policy.explore / choices
    reason = np.select(
        [is_random, tier != uncapped, is_pushback, is_follow_up, tier == FAST],
        [
            codes.REASONS[r]
            for r in (
                Reason.EXPLORED,
                Reason.SHARE_CAP,
                Reason.PUSHBACK,
                Reason.FOLLOW_UP,
                Reason.BELOW_THRESHOLD,
            )
        ],
        codes.REASONS[Reason.ABOVE_THRESHOLD],
    )
    wished = np.array([FAST, REASONING, REASONING, PARALLEL])[dice.integers(0, 4, count)]
    tier = np.where(is_kept_house, FAST, np.where(is_override, wished, taken))
    reason = np.where(is_kept_house, codes.REASONS[Reason.HOUSEKEEPING], reason)
    reason = np.where(is_override, codes.REASONS[Reason.OVERRIDE], reason)
    propensity = np.where(is_kept_house | is_override, 1.0, propensity)
    return tier, reason, propensity, score


def _open(policy: Policy, score: Floats, may_vote: Bools, cut: float) -> Ints:
    """The open tier with the highest threshold."""
    thresholds = {REASONING: policy.reasoning_threshold, PARALLEL: policy.parallel_threshold}
    tier = np.full(len(score), FAST)
    for code, threshold in sorted(thresholds.items(), key=lambda item: item[1]):
        is_open = score >= max(threshold, cut)
        tier[is_open & may_vote if code == PARALLEL else is_open] = code
    return tier


def _languages(known: Mapping[str, int], country: Ints, dice: np.random.Generator) -> Ints:
    local = np.array([known[LANGUAGE_OF[name]] for name in COUNTRIES])[country]
    chance = dice.random(len(country))
    found = np.where(chance < SHARE_ABROAD, known[ABROAD], local)
    return np.where(chance > 1 - SHARE_NO_LANGUAGE, -1, found)


def _ids(ms: Ints, dice: np.random.Generator) -> NDArray[np.uint8]:
    """UUIDv7s of these milliseconds, sorted, sixteen bytes a row."""
    high = (ms.astype(np.uint64) << np.uint64(16)) | np.uint64(0x7000)
    high |= dice.integers(0, 1 << 12, len(ms), dtype=np.uint64)
    low = dice.integers(0, 1 << 62, len(ms), dtype=np.uint64) | np.uint64(1 << 63)
    order = np.lexsort((low, high))
    return np.stack((high[order], low[order]), axis=1).astype(">u8").view(np.uint8)
