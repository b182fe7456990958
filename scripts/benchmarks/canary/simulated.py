"""Traffic with a canary in it, from recorded outcomes.

Recorded: the questions (their scores are the shipped classifier's), the lengths of a cheap model's answers to them, and
o3-mini's lengths with its thinking (of other questions, drawn at random: no length with thinking is recorded of
these). Money is list prices per token. Made up: lengths of prompts (log-normal around 1,500 tokens), conversations
(2.2 turns; six follow-ups in ten repeat the score and the answer of the first question to the letter), waiting times,
failures, regenerates and thumbs. What a request earns is set so that the control's margin is one half.
"""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from classifier.training.corpus import read
from router.canary.arms import STEPS, Arms, Stratum
from scripts.benchmarks.solver import CHEAP, PROMPT_TOKENS, SAMPLES, STRONG, pool_of

THINKER = "o3-mini-2025-01-31"
Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
CAP = 0.10


@dataclass(frozen=True)
class World:
    """What queries there are, what they cost, and what a request earns."""

    scores: Floats
    may_vote: Bools
    fast_usd: Floats  # of the answer alone
    thought_tokens: Floats
    earned_usd: float = 1.0

    def cuts(self, deep_share: float) -> tuple[float, float]:
        """Thresholds of parallel and reasoning by which about so many queries are thought about."""
        parallel, reasoning = np.quantile(self.scores, [1 - 1.5 * deep_share, 1 - deep_share]).tolist()
        return parallel, reasoning


@dataclass(frozen=True)
class Harm:
    """What is different about the canary; as it stands, nothing."""

    name: str = "nothing"
    deep_share: float = 0.05
    dearer: float = 1.0
    deep_dearer: float = 1.0
    slower: float = 1.0
    failed: float = 0.01
    asked_again: float = 0.04
    thumbs_down: float = 0.01
    decisions_known: bool = True


ALIKE = Harm()


@dataclass(frozen=True)
class Requests:
    """Requests in the order in which they came, as columns."""

    is_canary: Bools
    stratum: Ints
    differs: Bools
    nanousd: Floats
    is_deep: Bools
    waited_ms: Floats
    failed: Bools
    asked_again: Bools
    thumbs_down: Bools


def world_of(directory: Path) -> World:
    """Read what was recorded; raises CorpusMissing."""
    pool, corpus = pool_of(directory), read(directory)
    thought = corpus.output_tokens[:, corpus.column(THINKER)]
    fast = pool.cost_usd[:, 0] - PROMPT_TOKENS * CHEAP[0]
    world = World(pool.scores, pool.may_vote, fast, thought[~np.isnan(thought)])
    costs = requests(world, 200_000, 0.5, ALIKE, np.random.default_rng(0)).nanousd
    return replace(world, earned_usd=float(costs.mean()) / 1e9 / 0.5)


def requests(world: World, count: int, share: float, harm: Harm, dice: np.random.Generator) -> Requests:
    """Draw requests of which about a share is the canary's."""
    row, is_canary = _conversations(world, count, share, dice)
    scores, may_vote = world.scores[row], world.may_vote[row]
    usual, tried = (_tiers(scores, may_vote, world.cuts(part)) for part in (ALIKE.deep_share, harm.deep_share))
    tier = np.where(is_canary, tried, usual)
    prompt = PROMPT_TOKENS * dice.lognormal(-0.32, 0.8, count)
    fast = prompt * CHEAP[0] + world.fast_usd[row]
    thought = prompt * STRONG[0] + dice.choice(world.thought_tokens, count) * STRONG[1]
    cost = np.choose(tier, [fast, SAMPLES * fast, thought])
    cost = np.where(is_canary, cost * harm.dearer * np.where(tier > 0, harm.deep_dearer, 1.0), cost)
    waited = np.where(tier == 2, dice.lognormal(8, 0.6, count), dice.lognormal(6, 0.5, count))
    chances = ((getattr(ALIKE, name), getattr(harm, name)) for name in ("failed", "asked_again", "thumbs_down"))
    happened = [dice.random(count) < np.where(is_canary, tried, usual) for usual, tried in chances]
    known = harm.decisions_known
    return Requests(
        is_canary,
        usual * 3 + tried if known else np.zeros(count, np.int64),
        usual != tried if known else np.ones(count, bool),
        np.maximum(cost * 1e9, 1.0),
        tier > 0,
        np.maximum(waited * np.where(is_canary, harm.slower, 1.0), 1.0),
        *happened,
    )


def _tiers(scores: Floats, may_vote: Bools, cuts: tuple[float, float]) -> Ints:
    return np.where(scores >= cuts[1], 2, np.where((scores >= cuts[0]) & may_vote, 1, 0))


def _conversations(world: World, count: int, share: float, dice: np.random.Generator) -> tuple[Ints, Bools]:
    """Which recorded query each request is, and whose arm: conversations overlap, and stay in one arm."""
    lengths = dice.geometric(0.45, count)
    starts = np.cumsum(lengths) - lengths
    starts = starts[: np.searchsorted(starts, count)]
    is_first = np.zeros(count, bool)
    is_first[starts] = True
    of = is_first.cumsum() - 1
    opening = dice.integers(0, len(world.scores), len(starts))
    repeats = is_first | (dice.random(count) < 0.6)
    row = np.where(repeats, opening[of], dice.integers(0, len(world.scores), count))
    order = np.argsort(of * (count / len(starts)) + dice.exponential(200, count))
    return row[order], (dice.random(len(starts)) < share)[of][order]


class Counting:
    """Adds simulated requests to arms, many at a time."""

    def __init__(self, made: Requests, earned_usd: float) -> None:
        self.arms = Arms()
        self._made = made
        self._earned = int(earned_usd * 1e9)
        self._cost_steps, self._wait_steps = (_steps(values) for values in (made.nanousd, made.waited_ms))
        self._groups = (made.stratum * 2 + made.differs) * 2 + made.is_canary
        self._read = 0

    def read(self, end: int) -> Arms:
        """Read up to a request."""
        made, groups = self._made, self._groups[self._read : end]
        for group in np.unique(groups).tolist():
            at = np.flatnonzero(groups == group) + self._read
            stratum = Stratum("default", str(group // 4), None, bool(group // 2 % 2))
            tally = self.arms.tally(stratum, is_canary=bool(group % 2))
            tally.requests += len(at)
            tally.decided += len(at)
            tally.revenue_known += len(at)
            tally.revenue_nanousd += len(at) * self._earned
            tally.cost_nanousd += int(made.nanousd[at].sum())
            tally.deep += int(made.is_deep[at].sum())
            for name in ("failed", "asked_again", "thumbs_down"):
                setattr(tally, name, getattr(tally, name) + int(getattr(made, name)[at].sum()))
            for steps, counted in ((self._cost_steps, tally.costs), (self._wait_steps, tally.first_bytes)):
                for step, number in zip(*(a.tolist() for a in np.unique(steps[at], return_counts=True)), strict=True):
                    counted[step] += number
        self._read = end
        return self.arms


def _steps(values: Floats) -> Ints:
    """The histogram steps of values, as `router.canary.arms.step_of` has them."""
    return np.asarray(1 + np.floor(STEPS * np.log2(values)), dtype=np.int64)
