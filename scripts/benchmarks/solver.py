"""How often solved thresholds keep their target on the next, unseen half of simulated traffic.

A resampling draws queries from the recorded ones, with replacement. Their scores are the shipped classifier's, whether
an answer is right and how long it is are as recorded for a cheap and a strong model, money is list prices per token.
Not recorded, so made up: who rates (30 %), what a query earns ($0.0011), the prompt's cost (1,500 tokens), and half of
the queries that could be voted on get a parallel tier which costs four cheap answers and is right as often as one.
The first half is answered by the policy in force with its exploration; its logs are all that the solver sees.

What is reported was not developed on: `--develop` draws from the other half of the recorded queries, answered by other
models, with other seeds.
"""

import argparse
import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from classifier import artifact
from classifier.training.corpus import CorpusMissing, read
from classifier.training.trials import HEADLINE, PAIRS, group_of
from classifier.types import AnswerType, Turn
from router.decision.policy import Policy
from router.decision.rules import LEAST_P_SAMPLED, VOTABLE
from router.decision.worth import SCORE_DIGITS
from router.tuning import backtest
from router.tuning.solver import Solver
from router.tuning.targets import SolverTargets, Unsolvable
from router.tuning.traffic import Bools, Floats, Ints, Traffic
from scripts.benchmarks.pages import RECORDED

DEFAULT = RECORDED / "outcomes"
EARNED_USD = 0.0011
PROMPT_TOKENS = 1_500
CHEAP, STRONG = (0.15e-6, 0.60e-6), (1.10e-6, 4.40e-6)  # USD per input and output token
SAMPLES = 4
RATED = 0.3
DEVELOPMENT_SEEDS = 5_000


@dataclass(frozen=True)
class Pool:
    """What was recorded of each query, and what the classifier says of it."""

    scores: Floats
    may_vote: Bools
    p_fast: Floats
    p_reasoning: Floats
    correct: Floats  # by tier
    cost_usd: Floats  # by tier
    answer_types: Ints

    def __len__(self) -> int:
        return len(self.scores)


def pool_of(directory: Path, develop: bool = False) -> Pool:
    """Read half of the recorded outcomes of the headline sources, a pair of models for each."""
    corpus, model = read(directory), artifact.load()
    of_development = np.random.default_rng(7).random(len(corpus.queries)) < 0.5
    rows, columns = [], []
    for group in (*HEADLINE, "rgym"):
        weak, strong = (corpus.column(name) for name in PAIRS[group][int(develop)])
        for row, query in enumerate(corpus.queries):
            known = not np.isnan(corpus.scores[row, [weak, strong]]).any()
            if known and group_of(query.source) == group and of_development[row] == develop:
                rows.append(row)
                columns.append((weak, strong))
    found = [model.estimate([Turn("user", corpus.queries[row].text)]) for row in rows]
    weak, strong = np.array(columns).T
    right = np.stack([corpus.scores[rows, weak], corpus.scores[rows, strong]], axis=1)
    tokens = np.stack([corpus.output_tokens[rows, weak], corpus.output_tokens[rows, strong]], axis=1)
    tokens = np.where(np.isnan(tokens), np.nanmedian(tokens, axis=0), tokens)
    cost = np.stack(
        [PROMPT_TOKENS * price[0] + tokens[:, at] * price[1] for at, price in enumerate((CHEAP, STRONG))], 1
    )
    p_fast = np.array([estimate.p_fast for estimate in found])
    votable = np.array(
        [estimate.answer_type in VOTABLE and estimate.answer_type is not AnswerType.CODE for estimate in found]
    )
    return Pool(
        scores=np.round([estimate.score for estimate in found], SCORE_DIGITS),
        may_vote=votable & (p_fast >= LEAST_P_SAMPLED) & (np.arange(len(rows)) % 2 == 0),
        p_fast=p_fast,
        p_reasoning=np.array([estimate.p_reasoning for estimate in found]),
        correct=np.column_stack((right, right[:, 0])),
        cost_usd=np.column_stack((cost, SAMPLES * cost[:, 0])),
        answer_types=np.array([list(AnswerType).index(estimate.answer_type) for estimate in found]),
    )


def logged(pool: Pool, drawn: np.ndarray, policy: Policy, dice: np.random.Generator) -> Traffic:
    """Answer drawn queries with a policy and write down what its books would hold."""
    count, rows = len(drawn), np.arange(len(drawn))
    scores, may_vote = pool.scores[drawn], pool.may_vote[drawn]
    chances = backtest.chances(scores, may_vote, policy, backtest.rolling_cuts(scores, policy.max_deep_share))
    tiers = (dice.random(count)[:, None] > chances.cumsum(axis=1)).sum(axis=1).clip(max=2)
    return Traffic(
        scores=scores,
        may_vote=may_vote,
        p_fast=pool.p_fast[drawn],
        p_reasoning=pool.p_reasoning[drawn],
        tiers=tiers,
        propensities=chances[rows, tiers],
        cost_usd=pool.cost_usd[drawn, tiers],
        revenue_usd=np.full(count, EARNED_USD),
        total_ms=np.full(count, np.nan),
        rewards=np.where(dice.random(count) < RATED, pool.correct[drawn, tiers], np.nan),
        segments=np.zeros(count, np.int64),
        segment_names=("default",),
        answer_types=pool.answer_types[drawn],
    )


@dataclass(frozen=True)
class Tried:
    """What became of a target in the unseen half: the part of the allowance that was used, the quality interval."""

    used: float
    covered: bool | None


def tried(pool: Pool, in_force: Policy, limits: SolverTargets, size: int, dice: np.random.Generator) -> Tried:
    """Solve on one half and live through the next one."""
    past, future = dice.integers(0, len(pool), (2, size))
    solution = Solver(logged(pool, past, in_force, dice), in_force, limits).solve()
    lived = logged(pool, future, solution.policy, dice)
    if limits.max_deep_share is not None:
        used = float((lived.tiers != 0).mean()) / limits.max_deep_share
    elif limits.max_cost_usd_per_1k is not None:
        used = float(lived.cost_usd.mean()) * 1e3 / limits.max_cost_usd_per_1k
    else:
        assert limits.min_margin is not None
        used = float(lived.cost_usd.mean()) / (EARNED_USD * (1 - limits.min_margin))
    quality = solution.quality
    chances = backtest.replay(lived, solution.policy)
    truth = float((chances * pool.correct[future]).sum(axis=1).mean())
    covered = None if quality.doubt else quality.doubly_robust.low <= truth <= quality.doubly_robust.high
    return Tried(used, covered)


def targets_of(pool: Pool) -> dict[str, SolverTargets]:
    """Targets that bind: shares, and money between always-fast and always-reasoning."""
    fast, reasoning = (float(pool.cost_usd[:, at].mean()) * 1e3 for at in (0, 1))
    cost = fast + 0.15 * (reasoning - fast)
    margin = 1 - (fast + 0.1 * (reasoning - fast)) / (EARNED_USD * 1e3)
    return {
        "--max-deep-share 0.05": SolverTargets(max_deep_share=0.05),
        "--max-deep-share 0.10": SolverTargets(max_deep_share=0.10),
        f"--max-cost-per-1k {cost:.2f}": SolverTargets(max_cost_usd_per_1k=round(cost, 2)),
        f"--min-margin {margin:.2f}": SolverTargets(min_margin=round(margin, 2)),
    }


def say(line: str) -> None:
    """Write a line at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(prog="scripts/bench_solve", description=__doc__)
    parser.add_argument("--data", type=Path, default=os.environ.get("TIERWISE_BENCH_OUTCOMES", DEFAULT))
    parser.add_argument("--resamplings", type=int, default=100)
    parser.add_argument("--size", type=int, default=20_000, help="queries in each half")
    parser.add_argument("--develop", action="store_true", help="other queries, models and seeds than are reported")
    parser.add_argument("--only", default="", help="only targets in whose name this is")
    options = parser.parse_args()
    try:
        pool = pool_of(Path(options.data), options.develop)
    except CorpusMissing as error:
        sys.exit(f"{error}; pass --data DIR")
    cut = float(np.quantile(pool.scores, 0.85))
    in_force = Policy(
        1, parallel_threshold=round(cut - 0.05, 3), reasoning_threshold=round(cut, 3), max_deep_share=0.3, explore=0.02
    )
    say(f"{len(pool)} recorded queries, {options.resamplings} resamplings of {options.size} + {options.size}")
    say(f"in force: {in_force}\n")
    say("| target | met on the unseen half | of the allowance used (least, most) | quality interval covers | s each |")
    say("| --- | --- | --- | --- | --- |")
    for name, limits in targets_of(pool).items():
        if options.only not in name:
            continue
        began, found = time.monotonic(), []
        for seed in range(options.resamplings):
            seed += DEVELOPMENT_SEEDS if options.develop else 0
            try:
                found.append(tried(pool, in_force, limits, options.size, np.random.default_rng(seed)))
            except Unsolvable as error:
                say(f"{name}: {error}")
        used = np.array([one.used for one in found])
        covered = [one.covered for one in found if one.covered is not None]
        shown = f"{sum(covered)} of {len(covered)}" if covered else "not enough evidence"
        each = (time.monotonic() - began) / max(len(found), 1)
        kept = f"{(used <= 1).sum()} of {options.resamplings}"
        say(f"| `{name}` | {kept} | {used.mean():.1%} ({used.min():.1%}, {used.max():.1%}) | {shown} | {each:.1f} |")


if __name__ == "__main__":
    main()
