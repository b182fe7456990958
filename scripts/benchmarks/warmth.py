"""What knowing prompt caches is worth: multi-turn traffic with a provider that caches, decided with and without.

Conversations are made of written consumer queries (`classifier/training/consumer`, those never trained on) in their
natural mix, behind the same system text; a third begin with a document. People ask on with probability 0.7; four times
of five within minutes (median 45 s), else hours later. The cache is OpenAI's or Anthropic's as documented: its blocks,
its least length, its marks. It keeps a prompt for five to ten minutes (Anthropic's for five) and loses one in thirty.
Answers are as long as forecast times a factor (fast 1.4, reasoning 2.0), with the spread that the classifier gives its
own lengths. The first half of the conversations teaches the books their factors and the usual input, by the service's
own code; the second half is measured. A query's gain is what its level stands for.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import msgspec
import numpy as np

from classifier import artifact
from classifier.training.consumer_corpus import KEPT, ConsumerQuery, read_queries
from classifier.training.natural_mix import weights_of
from classifier.types import Estimate, Forecast
from router.decision.costs import CostForecaster, FixedEvidence
from router.decision.engine import DecisionEngine
from router.decision.forecast import ExpectedVote, QueryForecast
from router.decision.policy import Policy
from router.decision.warmth import COLD, PromptWarmth
from router.decision.worth import worth_of
from router.ledger.cost_factors import ENOUGH_FOR_USUAL, ForecastRow, ShownCosts, factors_of
from router.ledger.prices import Price, PriceBook, Rates
from router.ledger.read_prefixes import ReadPrefix
from router.policies.versions import PolicySnapshot
from router.providers.base import ModelTarget
from router.providers.caches import BYTES_PER_TOKEN, cache_of
from router.providers.counting import count_tokens
from router.request import InferenceRequest
from router.types import Tier, Usage
from scripts.benchmarks.pages import put

CONVERSATIONS, TIMES, SEED, RESAMPLES = 1_200, 4, 18, 2_000
ASKS_ON, MOST_TURNS, HAS_DOCUMENT, COMES_SOON = 0.7, 12, 0.33, 0.8
SYSTEM_TOKENS = 600
DEEP_SHARE = 0.10
LOST = 1 / 30
LONGER = {Tier.FAST: 1.4, Tier.REASONING: 2.0}
EIGHTY = 1.2816
GAIN_OF_LEVEL = (0.0, 0.0, 0.05, 0.40, 0.60)  # P(correct) that thinking adds, as the consumer head's prior has it
NEVER_PARALLEL = 1.2
SEGMENT = "default"
POLICY = Policy(version=1, parallel_threshold=NEVER_PARALLEL, explore=0.0, shadow=0.0, max_deep_share=1.0)


class Pair(NamedTuple):
    """Two models, and their prices in dollars per million tokens: input, cached, written, output."""

    fast: str
    strong: str
    prices: tuple[tuple[float, float, float, float], tuple[float, float, float, float]]
    longest_s: float  # that its cache keeps anything


PAIRS = (
    Pair("openai/gpt-5-mini", "openai/gpt-5", ((0.25, 0.025, 0.25, 2.0), (1.25, 0.125, 1.25, 10.0)), 600.0),
    Pair(
        "anthropic/claude-haiku-4-5", "anthropic/claude-sonnet-4-5", ((1, 0.1, 1.25, 5), (3, 0.3, 3.75, 15)), 300.0
    ),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Turn:
    """One query of a conversation, as far as it is the same whoever answers."""

    estimate: Estimate
    score: float
    gain: float
    at_s: float
    own_tokens: int  # of what is new in it, as a provider counts them
    own_bytes: int
    lengths: tuple[float, float]  # what its answer has of what was forecast: short, with thinking
    kept_s: float  # how long the cache keeps what it reads of it
    is_lost: bool  # the cache has lost it anyway


Conversation = list[Turn]


class Charge(NamedTuple):
    """One answered turn: what was paid and forecast in nano-dollars, and the ends of the 80 % interval."""

    conversation: int
    paid: int
    expected: float
    low: float
    high: float
    row: ForecastRow
    is_deep: bool
    gain: float
    input_tokens: int
    cached: int


def conversations_of(count: int, rng: np.random.Generator) -> list[Conversation]:
    """Make the traffic; every turn is estimated by the shipped classifier within its conversation."""
    queries = [query for query in read_queries() if query.split == KEPT]
    weights = weights_of(queries)
    texts = "\n".join(query.asked for query in queries)
    model, targets = artifact.load(), _targets(PAIRS[0])
    engine = DecisionEngine(lambda version: model, PolicySnapshot(POLICY), targets, {})
    made = []
    for _ in range(count):
        turns = min(int(rng.geometric(1 - ASKS_ON)), MOST_TURNS)
        drawn = [queries[at] for at in rng.choice(len(queries), turns, p=weights)]
        document = ""
        if rng.random() < HAS_DOCUMENT:
            size, begin = int(rng.lognormal(np.log(24_000), 0.9)), int(rng.integers(0, len(texts) // 2))
            document = (texts + texts)[begin : begin + min(size, 200_000)]
        first = _conversation(engine, drawn, document, rng)
        made += [first, *(again(first, rng) for _ in range(TIMES - 1))]
    return made


def _conversation(
    engine: DecisionEngine, queries: Sequence[ConsumerQuery], document: str, rng: np.random.Generator
) -> Conversation:
    at_s, messages, turns = 0.0, [], []
    for place, query in enumerate(queries):
        asked = [{"role": turn.role, "content": turn.text} for turn in query.turns]
        if place == 0 and document:
            asked[0] = {"role": asked[0]["role"], "content": f"{document}\n\n{asked[0]['content']}"}
        messages += asked
        request: dict[str, Any] = {"request_id": "0" * 32, "model": "auto", "params": {}, "input_bytes": 0}
        routed = engine.quote(InferenceRequest(messages=list(messages), **request), POLICY)
        estimate = routed.estimate
        spreads = (estimate.output_fast, estimate.output_reasoning)
        turns.append(
            Turn(
                estimate,
                routed.decision.score,
                GAIN_OF_LEVEL[query.level],
                at_s,
                sum(count_tokens(message["content"]) + 4 for message in asked),
                len(msgspec.json.encode(asked)),
                (_length(spreads[0], Tier.FAST, rng), _length(spreads[1], Tier.REASONING, rng)),
                rng.uniform(300.0, 600.0),
                bool(rng.random() < LOST),
            )
        )
        messages.append({"role": "assistant", "content": "As asked."})
        at_s += _pause(rng)
    return turns


def again(conversation: Conversation, rng: np.random.Generator) -> Conversation:
    """Let the same words be said once more: with other pauses, and answers of other lengths."""
    turns, at_s = [], 0.0
    for turn in conversation:
        spreads = (turn.estimate.output_fast, turn.estimate.output_reasoning)
        lengths = (_length(spreads[0], Tier.FAST, rng), _length(spreads[1], Tier.REASONING, rng))
        is_lost, kept_s = bool(rng.random() < LOST), rng.uniform(300.0, 600.0)
        turns.append(replace(turn, at_s=at_s, lengths=lengths, kept_s=kept_s, is_lost=is_lost))
        at_s += _pause(rng)
    return turns


def _pause(rng: np.random.Generator) -> float:
    """Draw the seconds until somebody asks on."""
    return float(rng.lognormal(np.log(45.0 if rng.random() < COMES_SOON else 7_200.0), 1.0))


def _length(spread: Forecast, tier: Tier, rng: np.random.Generator) -> float:
    """Draw how long an answer really is, in tokens."""
    sigma = np.log(max(spread.high, 2) / max(spread.low, 1)) / (2 * EIGHTY)
    return float(LONGER[tier] * spread.expected * np.exp(sigma * rng.standard_normal()))


def _targets(pair: Pair) -> dict[Tier, tuple[ModelTarget, ...]]:
    fast, strong = ModelTarget(pair.fast), ModelTarget(pair.strong)
    return {Tier.FAST: (fast,), Tier.REASONING: (strong,), Tier.PARALLEL: (fast,)}


class Replay:
    """One pair of models, what the books have shown of it, and the time of the replay."""

    def __init__(self, pair: Pair, shown: ShownCosts) -> None:
        self.tells_intervals = False
        self.sets_marks = True
        self._now_us = 0
        self._pair = pair
        self._prices = {
            name: _price(name, usd) for name, usd in zip((pair.fast, pair.strong), pair.prices, strict=True)
        }
        self._targets = {tier: models[0] for tier, models in _targets(pair).items()}
        book = PriceBook(self._prices.values())
        evidence, vote = FixedEvidence(shown), ExpectedVote(1.0, 0.0)
        self._costs = CostForecaster(book, _targets(pair), evidence, lambda *_: vote, lambda: self._now_us)

    def run(
        self, traffic: Sequence[Conversation], threshold: float, sensitivity: float = 1.0, *, knows_caches: bool
    ) -> list[Charge]:
        """Answer all conversations by a threshold; `knows_caches` is whether forecasts know what is warm."""
        charges: list[Charge] = []
        for number, turns in enumerate(traffic):
            read: dict[str, tuple[int, int, float, float]] = {}  # by model: real tokens, estimated, when, until when
            tokens, size, reply = SYSTEM_TOKENS, SYSTEM_TOKENS * BYTES_PER_TOKEN, 0
            for place, turn in enumerate(turns):
                tokens, size = tokens + turn.own_tokens + reply, size + turn.own_bytes + round(reply * 4.3)
                self._now_us = int(turn.at_s * 1e6)
                known = {
                    model: ReadPrefix(estimated, estimated, int(at_s * 1e6))
                    for model, (_, estimated, at_s, _) in read.items()
                }
                is_marked = place > 0 and self.sets_marks
                warmth = PromptWarmth(known, is_marked) if knows_caches else COLD
                guess = size // BYTES_PER_TOKEN
                forecast = self._costs.forecast(turn.estimate, POLICY, SEGMENT, guess, None, warmth)
                is_deep = worth_of(turn.score, forecast.ratio, sensitivity) >= threshold
                tier = Tier.REASONING if is_deep else Tier.FAST
                charges.append(self._charge(number, turn, tier, tokens, read, forecast, is_marked, warmth, guess))
                marks = cache_of(self._targets[tier])
                if marks is not None and (is_marked or not marks.needs_marks) and tokens >= marks.least_tokens:
                    kept = min(turn.kept_s, self._pair.longest_s)
                    read[self._targets[tier].name] = (tokens, guess, turn.at_s, turn.at_s + kept)
                reply = round(turn.lengths[0])
        return charges

    def _charge(
        self,
        number: int,
        turn: Turn,
        tier: Tier,
        tokens: int,
        read: dict[str, tuple[int, int, float, float]],
        forecast: QueryForecast,
        is_marked: bool,
        warmth: PromptWarmth,
        guess: int,
    ) -> Charge:
        """Bill one turn as its provider would, and put it beside its forecast."""
        target = self._targets[tier]
        cache, cached, written = cache_of(target), 0, 0
        assert cache is not None
        before, _, _, until_s = read.get(target.name, (0, 0, 0.0, -1.0))
        if turn.at_s <= until_s and not turn.is_lost:
            cached = cache.warm_tokens(before, tokens, 0.0)
        if cache.needs_marks and is_marked and tokens >= cache.least_tokens:
            written = tokens - cached
        usage = Usage(tokens - cached - written, cached, written, round(turn.lengths[tier is Tier.REASONING]))
        paid = self._prices[target.name].cost(usage)
        expected = forecast.expected[tier]
        assert expected is not None
        low, high = 0.0, float("inf")
        if self.tells_intervals:
            interval = self._costs.intervals(turn.estimate, POLICY, guess, None, warmth)[tier]
            assert interval is not None
            low, high = interval.low, interval.high
        key = (tier, target.name, str(turn.estimate.answer_type))
        row = ForecastRow(key, paid, expected / forecast.factors[tier], expected)
        return Charge(number, paid, expected, low, high, row, tier is not Tier.FAST, turn.gain, tokens, cached)


def _price(name: str, usd: tuple[float, float, float, float]) -> Price:
    given, cached, written, output = (round(one * 1_000_000) for one in usd)
    return Price(1, name, 0, None, "list price", (Rates(given, output, cached, written),))


def learn_from(pair: Pair, traffic: Sequence[Conversation], threshold: float, *, knows_caches: bool) -> ShownCosts:
    """What the books show after this traffic: factors, and the usual input."""
    charges = Replay(pair, ShownCosts()).run(traffic, threshold, knows_caches=knows_caches)
    inputs = [charge.input_tokens for charge in charges]
    usual = {SEGMENT: round(float(np.median(inputs)))} if len(inputs) >= ENOUGH_FOR_USUAL else {}
    return ShownCosts(factors_of([charge.row for charge in charges]), usual)


def deep_share(charges: Sequence[Charge]) -> float:
    """The share of turns that went deep."""
    return sum(charge.is_deep for charge in charges) / len(charges)


def served_gain(charges: Sequence[Charge]) -> float:
    """How many more answers are right than had all been fast."""
    return sum(charge.gain for charge in charges if charge.is_deep)


def threshold_for(
    run: Callable[[float], list[Charge]], measure: Callable[[Sequence[Charge]], float], wanted: float
) -> float:
    """Find the threshold at which a measure that falls with it is nearest to what is wanted."""
    low, high = 0.0, 1.1
    for _ in range(12):
        middle = (low + high) / 2
        low, high = (middle, high) if measure(run(middle)) > wanted else (low, middle)
    return (low + high) / 2


def saving(new: Sequence[Charge], old: Sequence[Charge], rng: np.random.Generator) -> tuple[float, float, float]:
    """How much more or less the same conversations cost, in per cent, with a 95 % interval over their words."""
    count = 1 + max(charge.conversation for charge in new) // TIMES
    sums = np.zeros((2, count))
    for row, charges in enumerate((new, old)):
        np.add.at(sums[row], [charge.conversation // TIMES for charge in charges], [charge.paid for charge in charges])
    drawn = rng.integers(0, count, (RESAMPLES, count))
    resampled = sums[0][drawn].sum(axis=1) / sums[1][drawn].sum(axis=1) - 1
    low, high = np.quantile(resampled, (0.025, 0.975))
    return 100 * (sums[0].sum() / sums[1].sum() - 1), 100 * float(low), 100 * float(high)


def accuracy(charges: Sequence[Charge], rng: np.random.Generator) -> str:
    """Bias of the sum with its 95 % interval, median error of one forecast, coverage of 80 % intervals: as cells."""
    paid = np.array([charge.paid for charge in charges], float)
    expected = np.array([charge.expected for charge in charges])
    inside = [charge.low <= charge.paid <= charge.high for charge in charges]
    by_words = np.array([charge.conversation // TIMES for charge in charges])
    sums = np.array([np.bincount(by_words, amounts) for amounts in (expected, paid)])
    drawn = rng.integers(0, sums.shape[1], (RESAMPLES, sums.shape[1]))
    low, high = np.quantile(sums[0][drawn].sum(axis=1) / sums[1][drawn].sum(axis=1) - 1, (0.025, 0.975))
    bias, error = expected.sum() / paid.sum() - 1, np.median(np.abs(expected / paid - 1))
    spread = f"{100 * bias:+.1f} % ({100 * low:+.1f} to {100 * high:+.1f})"
    return f"{spread} | {100 * error:.1f} % | {100 * np.mean(inside):.1f} %"


def measure(pair: Pair, traffic: Sequence[Conversation], rng: np.random.Generator) -> tuple[list[str], list[str], str]:
    """Measure one pair: the rows of all tables."""
    half = len(traffic) // 2 // TIMES * TIMES
    first, second = traffic[:half], traffic[half:]
    plain = learn_from(pair, first, 0.2, knows_caches=False)
    known = learn_from(pair, first, 0.2, knows_caches=True)
    today, ours = Replay(pair, plain), Replay(pair, known)

    def before(threshold: float) -> list[Charge]:
        return today.run(second, threshold, knows_caches=False)

    def after(threshold: float) -> list[Charge]:
        return ours.run(second, threshold, knows_caches=True)

    def by_score(threshold: float) -> list[Charge]:
        return today.run(second, threshold, 0.0, knows_caches=False)

    def told(replay: Replay, run: Callable[[float], list[Charge]], threshold: float) -> list[Charge]:
        replay.tells_intervals = True
        charges = run(threshold)
        replay.tells_intervals = False
        return charges

    old = told(today, before, threshold_for(before, deep_share, DEEP_SHARE))
    names = f"{pair.fast.partition('/')[2]}, {pair.strong.partition('/')[2]}"
    costs, forecasts = [], []
    for what, measured in (("deep share", deep_share), ("served gain", served_gain)):
        new = told(ours, after, threshold_for(after, measured, measured(old)))
        scored = by_score(threshold_for(by_score, measured, measured(old)))
        cells = ["{:+.1f} % ({:+.1f} to {:+.1f})".format(*saving(new, other, rng)) for other in (old, scored)]
        shares = f"{100 * deep_share(old):.1f}, {100 * deep_share(new):.1f} %"
        gains = f"{served_gain(old):.1f}, {served_gain(new):.1f}"
        costs.append(f"| {names} | {what} | {shares} | {gains} | {cells[0]} | {cells[1]} |")
        if what == "deep share":
            for label, charges in (("without caches", old), ("with caches", new)):
                forecasts.append(f"| {names} | {label} | {accuracy(charges, rng)} |")
    cached = sum(charge.cached for charge in old) / sum(charge.input_tokens for charge in old)
    today.sets_marks = False
    unmarked = before(threshold_for(before, deep_share, DEEP_SHARE))
    none = sum(charge.cached for charge in unmarked) / sum(charge.input_tokens for charge in unmarked)
    cell = "{:+.1f} % ({:+.1f} to {:+.1f})".format(*saving(old, unmarked, rng))
    return costs, forecasts, f"| {names} | {100 * none:.0f} % | {100 * cached:.0f} % | {cell} |"


def table(count: int, seed: int) -> list[str]:
    """Measure all pairs and lay the tables out."""
    rng = np.random.default_rng(seed)
    traffic = conversations_of(count, rng)
    turns = sum(map(len, traffic))
    measured = [measure(pair, traffic, rng) for pair in PAIRS]
    return [
        f"{count:,} conversations, each {TIMES} times with other pauses and lengths: {turns:,} turns; the second half"
        f" of them is measured. Seed {seed}.",
        "",
        "| fast, reasoning | equal | deep share: without, with | served gain: without, with | cost against today's rule"
        " (95 %) | against scores alone |",
        "|---|---|---|---|---|---|",
        *(row for costs, _, _ in measured for row in costs),
        "",
        "| fast, reasoning | input cached without our marks | with them | cost (95 %) |",
        "|---|---|---|---|",
        *(row for _, _, row in measured),
        "",
        "| fast, reasoning | forecasts | bias (95 %) | median error | 80 % intervals hold |",
        "|---|---|---|---|---|",
        *(row for _, forecasts, _ in measured for row in forecasts),
    ]


def main() -> None:
    """Measure, print the tables, and put them into the page where it is asked for."""
    parser = argparse.ArgumentParser(prog="scripts/bench_warmth", description=__doc__)
    parser.add_argument("--conversations", type=int, default=CONVERSATIONS)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--write", action="store_true", help="write the tables into docs/measured/warmth.md")
    options = parser.parse_args()
    lines = table(options.conversations, options.seed)
    sys.stdout.write("\n".join([*lines, ""]))
    if options.write:
        put("warmth.md", "made by scripts/bench_warmth", "\n".join(lines))


if __name__ == "__main__":
    main()
